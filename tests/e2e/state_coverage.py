"""Which states of the pipelines the tests have entered, and which of their Catches."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kindling.histories import History
from kindling.reference import markdown_table


@dataclass
class StateCoverage:
    """The tests that entered a state, by its name, and those in which its Catch led on."""

    entered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    caught: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def note(self, history: History) -> None:
        """Take up what an execution went through in the test that runs now."""
        test = _running_test()
        for number, state in enumerate(history.states):
            self.entered[state.name].add(test)
            # What failed, and was followed by another state, was caught.
            if state.failed and number + 1 < len(history.states):
                self.caught[state.name].add(test)


def states_of(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state of a machine with its name, those of branches after the state that they are in."""
    for name, state in definition["States"].items():
        yield name, state
        for branch in state.get("Branches", ()):
            yield from states_of(branch)


def coverage_table(definition: Mapping[str, Any], coverage: StateCoverage) -> str:
    """A row for each state: its type, where its Catch leads, and a test that has entered the one and the other."""
    rows = [
        [
            f"`{name}`",
            state["Type"],
            _first(coverage.entered[name]),
            ", ".join(f"`{catcher['Next']}`" for catcher in state.get("Catch", ())),
            _first(coverage.caught[name]) if "Catch" in state else "",
        ]
        for name, state in states_of(definition)
    ]
    return markdown_table(["state", "type", "entered by", "its Catch leads to", "and was entered by"], rows)


def _first(tests: set[str]) -> str:
    return f"`{min(tests)}`" if tests else "**no test**"


def _running_test() -> str:
    """The test's file and name without its parameters, as pytest tells it: `tests/e2e/test_x.py::test_y[z] (call)`."""
    running = os.environ.get("PYTEST_CURRENT_TEST", "::nothing")
    path, _, name = running.partition("::")
    return f"{path.rsplit('/', 1)[-1]}::{name.split(' ')[0].split('[')[0]}"
