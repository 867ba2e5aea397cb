"""An image's bill of materials lists what the lock files and the algorithm's description say, and Debian's packages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from containers.catalogue import CONTAINERS, algorithms
from kindling import image_builds
from kindling.errors import UserError
from kindling.image_builds import image_name, write_bill
from kindling.sbom import bill_of

pytestmark = pytest.mark.timeout(1200)


def locked(name: str) -> Iterator[tuple[str, str]]:
    """Name and version of what a lock file asks for on Linux."""
    for line in (CONTAINERS / name / "requirements.txt").read_text().splitlines():
        if found := re.match(r"([a-z0-9][^\\#]*)", line):
            wanted = Requirement(found[1].strip())
            if wanted.marker is None or wanted.marker.evaluate({"sys_platform": "linux", "extra": ""}):
                [version] = wanted.specifier
                yield wanted.name, version.version


def test_it_lists_what_was_locked_and_is_valid(engine: Any, image: str, algorithm: str) -> None:
    document = (CONTAINERS.parent / write_bill(engine, algorithm)).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None
    bill = json.loads(document)
    subject = bill["metadata"]["component"]
    assert (subject["name"], subject["type"]) == (image_name(algorithm).partition(":")[0], "container")
    assert subject["version"] == engine.images.get(image_name(algorithm)).id
    parts = {part["purl"].split("?")[0] for part in bill["components"]}
    expected = {f"pkg:pypi/{name}@{version}" for name, version in locked(algorithm)}
    assert len(expected) > 10
    assert expected <= parts
    if torch := algorithms()[algorithm].environment.torch:
        assert any(part.startswith(f"pkg:pypi/torch@{torch}") for part in parts)
    assert {f"pkg:pypi/kindling-{algorithm.replace('_', '-')}", "pkg:deb/debian/libc6", "pkg:generic/python"} <= {
        part.rpartition("@")[0] for part in parts
    }


def test_it_says_who_needs_whom(engine: Any, image: str) -> None:
    bill = json.loads(bill_of(engine, image, "x"))
    needs = {entry["ref"].split("@")[0]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    of_server = [need.split("@")[0] for need in needs["pkg:pypi/uvicorn"]]
    assert {"pkg:pypi/click", "pkg:pypi/h11"} <= set(of_server)
    known = {part["bom-ref"] for part in bill["components"]}
    assert all(need in known for needed in needs.values() for need in needed)


def test_an_image_that_cannot_be_asked_is_told(engine: Any) -> None:
    base = engine.images.get(image_builds.base_image(engine))
    container = engine.containers.create(base.id)
    broken = container.commit(changes="ENV PYTHONHOME=/nowhere").id
    container.remove()
    try:
        with pytest.raises(UserError, match="small does not tell what it holds: "):
            bill_of(engine, broken, "small")
    finally:
        engine.images.remove(broken, force=True)
