"""What each stack consists of, one line for each resource, so that a review sees what a change adds and removes.

What matters of a resource is asserted by the other tests. KINDLING_WRITE_DOCS=1 writes the snapshots.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stacks.synthesis import Assembly, Template

SNAPSHOTS = Path(__file__).parent / "snapshots"


def summary(template: Template) -> str:
    """Path and type of each resource, then the outputs that people and the command line read."""
    lines = [
        f"{_path(logical_id, resource)}  {resource['Type'].removeprefix('AWS::')}"
        for logical_id, resource in template["Resources"].items()
    ]
    outputs = [f"output {name}" for name in template.get("Outputs", {}) if not name.startswith("ExportsOutput")]
    return "\n".join([*sorted(lines), *sorted(outputs)]) + "\n"


def _path(logical_id: str, resource: dict[str, dict[str, str]]) -> str:
    path = resource.get("Metadata", {}).get("aws:cdk:path", logical_id)
    return path.partition("/")[2].removesuffix("/Resource") or path


def test_every_stack_is_what_its_snapshot_says(assembly: Assembly) -> None:
    made = {name: summary(template) for name, template in assembly.templates.items()}
    if os.environ.get("KINDLING_WRITE_DOCS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        for path in SNAPSHOTS.glob("*.txt"):
            path.unlink()
        for name, text in made.items():
            (SNAPSHOTS / f"{name}.txt").write_text(text, encoding="utf-8")
    kept = {path.stem: path.read_text(encoding="utf-8") for path in SNAPSHOTS.glob("*.txt")}
    assert made == kept, "run it with KINDLING_WRITE_DOCS=1, and look at what has changed"


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_snapshot_can_be_read_in_a_review(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 200
    assert max(map(len, lines)) <= 120
