"""The table of docs/iam.md: who may do what on what, and why, from synthesised templates.

`python -m kindling.iam_matrix` synthesises the apps with the settings that give their roles the most, and rewrites the
part of the page between the two markers; the reasons stand in stacks/reasons.toml. A test holds the page to both.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from containers.catalogue import algorithms
from kindling.environments import ROOT
from kindling.localcloud.policy_evaluation import as_list
from kindling.policy_documents import ACCOUNT, REGION, Documents, Role, Template, UnknownValueError, path_of
from kindling.reference import between, markdown_table
from kindling.resources import camel

PAGE: Final = ROOT / "docs" / "iam.md"
REASONS: Final = ROOT / "stacks" / "reasons.toml"
_TRIGGER = {
    "name": "nightly",
    "algorithm": "blazingtext",
    "schedule": "rate(1 day)",
    "input": {"inputs": {"train": "s3://{data}/blazingtext/nightly"}},
}
# The programs of the CDK, and settings with which no role has fewer statements than with any others.
WIDEST: Final[Mapping[str, Mapping[str, str]]] = {
    "app.py": {"network": "private", "dashboards": "true", "triggers": json.dumps([_TRIGGER])},
    "account.py": {"idle_endpoint_action": "delete"},
}
BEGIN: Final = "<!-- tables: from the templates and stacks/reasons.toml, by `make docs` -->"
END: Final = "<!-- end of the tables -->"

_HEADER = ["statement", "actions", "on", "if", "why"]
# What stands for an algorithm's name, as the construct tree, the names of jobs and the folders in buckets write it.
_ANY_ALGORITHM = "<algorithm>"
_OPERATORS = {
    "StringEquals": "is",
    "StringLike": "is like",
    "ArnEquals": "is",
    "Bool": "is",
    "ArnLike": "is like",
    "StringNotEquals": "is not",
    "StringNotEqualsIgnoreCase": "is not",
}
_KINDLESS = {"sns": "topic", "sqs": "queue"}


class NoReasonError(KeyError):
    """A statement stands in a template, but in stacks/reasons.toml no sentence says why."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Reasons:
    """Why each statement is there: by the construct whose role it is, or for all, and by the statement's Sid."""

    tables: Mapping[str, Mapping[str, str]]

    def of(self, role: Role, statement: Mapping[str, Any]) -> tuple[str, str]:
        """The table and the key that a statement's reason stands under.

        Raises:
            NoReasonError: there is none.
        """
        # The statements that the CDK writes by itself have no Sid; their first action tells which it is.
        tables = (role.owner, "any") if "Sid" in statement else ("cdk",)
        key = statement.get("Sid", as_list(statement.get("Action", "none"))[0])
        for table in tables:
            if key in self.tables.get(table, {}):
                return table, key
        places = " or ".join(f"[{table}]" for table in tables)
        raise NoReasonError(f"{key} of {role.path} has no reason; give it one in stacks/reasons.toml under {places}.")

    def sentence(self, role: Role, statement: Mapping[str, Any]) -> str:
        """Why a statement is there."""
        table, key = self.of(role, statement)
        return self.tables[table][key]


def reasons() -> Reasons:
    """Those of stacks/reasons.toml."""
    return Reasons(tomllib.loads(REASONS.read_text(encoding="utf-8")))


def matrix_page(text: str, templates: Mapping[str, Template]) -> str:
    """The page with its tables replaced.

    Raises:
        NoReasonError: a statement has no reason.
        ValueError: the page has no markers.
    """
    return between(BEGIN, END, text, _tables(Documents(templates, naming=_words_of_path).roles(), reasons()))


def _tables(roles: Sequence[Role], known: Reasons) -> str:
    """A section for each role, and one for the roles that every algorithm has."""
    families: dict[str, list[Role]] = {}
    for role in roles:
        families.setdefault(_without_algorithm(role.path, role), []).append(role)
    return "\n\n".join(_section(family, members, known) for family, members in families.items())


def _section(family: str, members: Sequence[Role], known: Reasons) -> str:
    """The family's path, who may assume its roles, and a row for each statement."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for role in members:
        for cells in _rows(role, known):
            rows.setdefault(tuple(_without_algorithm(cell, role) for cell in cells), []).append(_algorithm(role) or "")
    table = [
        [cells[0] if len(having) == len(members) else f"{cells[0]} of {', '.join(having)}", *cells[1:]]
        for cells, having in sorted(rows.items(), key=lambda row: len(row[1]) < len(members))
    ]
    of = f" Algorithms: {', '.join(str(_algorithm(role)) for role in members)}." if _algorithm(members[0]) else ""
    heading = family.removesuffix("/Role").replace(_ANY_ALGORITHM, f"`{_ANY_ALGORITHM}`").replace("/", " / ")
    return f"### {heading}\n\n{_trust(members[0])}{of}\n\n{markdown_table(_HEADER, table)}"


def _rows(role: Role, known: Reasons) -> Iterator[list[str]]:
    for statement in role.statements:
        sid = f"`{statement['Sid']}`" if "Sid" in statement else "of the CDK"
        effect = "" if statement["Effect"] == "Allow" else "**denied:** "
        yield [
            sid,
            effect + ", ".join(f"`{action}`" for action in as_list(statement["Action"])),
            "; ".join(_resource(arn) for arn in as_list(statement["Resource"])),
            "; ".join(_conditions(statement)),
            known.sentence(role, statement),
        ]


def _trust(role: Role) -> str:
    sentences = [
        f"{' and '.join(_principals(statement))}{''.join(f' if {words}' for words in _conditions(statement))}"
        for statement in role.trust["Statement"]
    ]
    return f"Assumed by {'; '.join(sentences)}."


def _principals(statement: Mapping[str, Any]) -> list[str]:
    return [f"`{name}`" for names in statement["Principal"].values() for name in as_list(names)]


def _conditions(statement: Mapping[str, Any]) -> Iterator[str]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            if operator == "Null":
                yield f"`{key}` is {'missing' if str(values).lower() == 'true' else 'there'}"
            else:
                wanted = " or ".join("this account" if value == ACCOUNT else f"`{value}`" for value in as_list(values))
                yield f"`{key}` {_OPERATORS.get(operator, operator)} {wanted}"


def _resource(arn: str) -> str:
    """An ARN in words, without the account and the region where they are the deployment's."""
    if arn == "*":
        return "anything"
    _, _, service, region, account, rest = arn.split(":", 5)
    if service == "s3":
        bucket, _, objects = rest.partition("/")
        return f"objects `{objects}` of bucket `{bucket}`" if objects else f"bucket `{bucket}`"
    if region not in ("", REGION) or account != ACCOUNT:
        return f"`{arn}`"
    if service in _KINDLESS:
        return f"{_KINDLESS[service]} `{rest}`"
    kind, name = re.split("[:/]", rest, maxsplit=1)
    return f"{kind} `{name}`"


def _words_of_path(_stack: str, logical_id: str, resource: Mapping[str, Any]) -> str:
    """Where a resource stands in its stack: `Buckets Data`, without a last word that says of what type it is."""
    words = path_of(logical_id, resource).removesuffix("/Resource").split("/")[1:] or [logical_id]
    if len(words) > 1 and words[-1] == resource["Type"].split("::")[-1]:
        words.pop()
    return " ".join(words)


def _algorithm(role: Role) -> str | None:
    """The algorithm in whose part of the construct tree a role stands."""
    return next((name for name in algorithms() if camel(name) in role.path.split("/")), None)


def _without_algorithm(text: str, role: Role) -> str:
    name = _algorithm(role)
    return re.sub(_spellings(name), _ANY_ALGORITHM, text) if name else text


@cache
def _spellings(name: str) -> str:
    return "|".join((camel(name), name, name.replace("_", "-")))


def synthesised() -> dict[str, Template]:
    """The templates of all programs by stack name."""
    templates: dict[str, Template] = {}
    for program, settings in WIDEST.items():
        with TemporaryDirectory() as folder:
            cdk = ROOT / "node_modules" / ".bin" / "cdk"
            context = [word for key, value in settings.items() for word in ("--context", f"{key}={value}")]
            line = [str(cdk), "synth", "--quiet", "--ci", "--no-notices", "--output", folder, *context]
            # With --ci only what is wrong goes to standard error.
            subprocess.run(
                [*line, "--app", f"{sys.executable} {program}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
            for path in sorted(Path(folder).glob("*.template.json")):
                templates[path.name.removesuffix(".template.json")] = json.loads(path.read_text(encoding="utf-8"))
    return templates


def main() -> None:
    templates = synthesised()
    try:
        PAGE.write_text(matrix_page(PAGE.read_text(encoding="utf-8"), templates), encoding="utf-8")
    except (NoReasonError, UnknownValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
