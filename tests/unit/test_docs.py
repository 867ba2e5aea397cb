"""The pages say what the descriptions say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from containers.catalogue import algorithms
from kindling.reference import PAGES, page_with_tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(algorithms()))
def test_an_algorithms_page_holds_its_tables(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert page == page_with_tables(page, algorithms()[name]), "run `make docs`"


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"],
    ids=lambda page: page.name,
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_what_the_threat_model_names_is_there() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w[\w.-]*/)+[\w.-]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 40
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (ROOT / path).is_file() or (test and f"def {test}(" not in (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not missing
