"""What of SageMaker's API works, what is left to moto and what is refused, for every operation of botocore's models.

`python -m kindling.localcloud.sagemaker.coverage` rewrites docs/embedded-cloud/api.md from it; a test holds the page to
it. It is taken from the service itself, so that an operation is in the table as soon as it is answered.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from botocore.model import Shape
from botocore.session import get_session

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.kept_by_moto import KEPT_BY_MOTO
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.runner import ProcessRunner
from kindling.localcloud.sagemaker.runtime import OPERATIONS as RUNTIME_OPERATIONS
from kindling.localcloud.sagemaker.service import Service
from kindling.localcloud.sagemaker.validation import IGNORED, MEMBERS, Supported, service_model
from kindling.reference import between, markdown_table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "embedded-cloud" / "api.md"
BEGIN, END = "<!-- tables: from the service, by `make docs` -->", "<!-- end of tables -->"


@dataclass(frozen=True)
class Coverage:
    """Operations by what becomes of them.

    Args:
        works: what the embedded cloud answers, with the members that its request may have; None when it may have all.
        kept: what moto answers, with the members that it keeps.
        refused: the rest of the service's model.
        runtime: whether an operation of SageMaker Runtime works.
    """

    works: Mapping[str, Supported | None]
    kept: Mapping[str, Supported]
    refused: tuple[str, ...]
    runtime: Mapping[str, bool]


def coverage() -> Coverage:
    """What becomes of every operation."""
    with tempfile.TemporaryDirectory(prefix="kindling-coverage-") as folder:
        cloud = Cloud(state=Path(folder), port=0)
        operations = Service(cloud, ProcessRunner(cloud.processes, cloud.images), Limits(), cores=1).operations()
        cloud.store.close()
    works = {name: MEMBERS.get(name) for name in sorted(operations)}
    refused = tuple(sorted(set(service_model().operation_names) - works.keys() - KEPT_BY_MOTO.keys()))
    runtime = get_session().get_service_model("sagemaker-runtime").operation_names
    answered = set(RUNTIME_OPERATIONS.values())
    return Coverage(works, KEPT_BY_MOTO, refused, {name: name in answered for name in runtime})


def members(supported: Supported, path: str = "") -> Iterator[tuple[str, bool]]:
    """Each member at the end of a path, dotted, and whether it is ignored."""
    for name, below in supported.items():
        if isinstance(below, Mapping):
            yield from members(below, f"{path}{name}.")
        else:
            yield f"{path}{name}", below == IGNORED


def refused_members(shape: Shape, supported: Supported, path: str = "") -> Iterator[str]:
    """The members of a request's shape that are refused, dotted."""
    while shape.type_name == "list":
        shape = shape.member
    for name, member in shape.members.items():
        if name not in supported:
            yield f"{path}{name}"
        elif isinstance(below := supported[name], Mapping):
            yield from refused_members(member, below, f"{path}{name}.")


def tables(found: Coverage) -> str:
    """The tables in Markdown."""
    works = [[f"`{name}`", _ignored(supported), _refused(name, supported)] for name, supported in found.works.items()]
    works += [[f"`{name}`", "", ""] for name, answered in sorted(found.runtime.items()) if answered]
    kept = [[f"`{name}`", _code(member for member, _ in members(kept))] for name, kept in sorted(found.kept.items())]
    refused = [*found.refused, *sorted(name for name, answered in found.runtime.items() if not answered)]
    by_verb = groupby(sorted(refused, key=_verb), _verb)
    rows = [[verb, _code(operations)] for verb, operations in by_verb]
    return "\n\n".join(
        [
            f"## What works ({len(works)} operations)",
            markdown_table(["operation", "accepted, shown and without effect", "refused by name"], works),
            f"## What moto keeps ({len(kept)} operations)",
            markdown_table(["operation", "members; all others are refused by name"], kept),
            f"## What is refused by name ({len(refused)} operations)",
            markdown_table(["", "operations"], rows),
        ]
    )


def page_with_tables(text: str, found: Coverage) -> str:
    """The page with the part between its markers replaced.

    Raises:
        ValueError: the page has no markers.
    """
    return between(BEGIN, END, text, tables(found))


def _ignored(supported: Supported | None) -> str:
    return _code(member for member, ignored in members(supported or {}) if ignored)


def _refused(operation: str, supported: Supported | None) -> str:
    shape = service_model().operation_model(operation).input_shape
    return "" if supported is None else _code(refused_members(shape, supported))


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _verb(operation: str) -> str:
    return re.split("(?<=[a-z])(?=[A-Z])", operation, maxsplit=1)[0]


def main() -> None:
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8"), coverage()), encoding="utf-8")


if __name__ == "__main__":
    main()
