"""Every state of the training pipeline and every Catch was entered by a test; docs/states.md says by which.

Runs after all other end-to-end tests. KINDLING_WRITE_DOCS=1 writes the page.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from kindling.reference import between
from tests.e2e.conftest import Deployment
from tests.e2e.state_coverage import coverage_table, states_of

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "states.md"
BEGIN, END = "<!-- table: from the end-to-end tests -->", "<!-- end of the table -->"
# Their executions are not noted, or on clouds of their own.
APART = {
    *("test_account.py", "test_bootstrap.py", "test_cdk_command_line.py", "test_killed_cloud.py", "test_lock_audit.py"),
    *("test_production_settings.py", "test_state_coverage.py", "test_teardown.py", "test_triggers.py"),
    "test_whole_life.py",
}


@pytest.fixture
def _everything_has_run(request: pytest.FixtureRequest) -> None:
    collected = {item.path.name for item in request.session.items if item.path.parent == HERE}
    missing = {path.name for path in HERE.glob("test_*.py")} - collected - APART
    if missing or request.config.option.keyword:
        pytest.skip("only where all end-to-end tests run")


@pytest.mark.usefixtures("_everything_has_run")
def test_every_state_and_every_catch_was_entered(deployed: Deployment) -> None:
    described = deployed.client("stepfunctions").describe_state_machine(stateMachineArn=deployed.state_machine)
    definition = json.loads(described["definition"])
    coverage = deployed.coverage
    assert [name for name, _ in states_of(definition) if not coverage.entered[name]] == []
    with_catch = [name for name, state in states_of(definition) if "Catch" in state]
    assert [name for name in with_catch if not coverage.caught[name]] == []
    page = PAGE.read_text(encoding="utf-8")
    made = between(BEGIN, END, page, coverage_table(definition, coverage))
    if os.environ.get("KINDLING_WRITE_DOCS"):
        PAGE.write_text(made, encoding="utf-8")
    assert _without_tests(page) == _without_tests(made), "run the end-to-end tests with KINDLING_WRITE_DOCS=1"


def test_the_page_names_tests_that_there_are() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 10
    for file, test in named:
        assert f"def {test}(" in (HERE / file).read_text(encoding="utf-8"), test


def _without_tests(page: str) -> str:
    """The page but for which of the tests is named: where branches race, one or the other has entered a state."""
    return re.sub(r"`test_\w+\.py::\w+`", "a test", page)
