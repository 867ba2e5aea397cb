"""What an execution went through, read from its events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

_TELLING_KINDS = ("Task", "Wait", "Map", "Parallel", "Fail")
_GATE = "Gate"  # a Choice, but the one that a person waits for


@dataclass(frozen=True, kw_only=True)
class State:
    """One visit of an execution to a state of its machine. `kind` is the state's type: Task, Wait, Choice, ..."""

    name: str
    kind: str = "Task"
    entered: datetime
    exited: datetime | None = None
    failed: bool = False

    @property
    def seconds(self) -> float:
        return ((self.exited or datetime.now(UTC)) - self.entered).total_seconds()


@dataclass(frozen=True, kw_only=True)
class History:
    """What an execution went through. `job` is the training job it started last, in the state `training`.

    `token` is what answers the task that waits for a person, if one does.
    """

    states: tuple[State, ...] = ()
    job: str | None = None
    training: str | None = None
    token: str | None = None

    @property
    def telling(self) -> tuple[State, ...]:
        """The states that do something or decide whether to go on; the rest is the machine's own bookkeeping."""
        return tuple(state for state in self.states if state.kind in _TELLING_KINDS or state.name == _GATE)

    @property
    def current(self) -> State | None:
        """The state it is in, or None between two."""
        return next((state for state in reversed(self.states) if state.exited is None), None)


def history_of(events: Iterable[Mapping[str, Any]]) -> History:
    """The states, the training job and the task token in the events of an execution."""
    reader = _Reader()
    for event in events:
        reader.read(event)
    return History(states=tuple(reader.states), job=reader.job, training=reader.training, token=reader.token)


class _Reader:
    """Reads events one by one. Branches run side by side: an event belongs to the state of the one that it follows."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.job: str | None = None
        self.training: str | None = None
        self.token: str | None = None
        self._state_of: dict[int, int] = {}
        self._begin_branches: set[int] = set()
        self._failing: set[int] = set()

    def read(self, event: Mapping[str, Any]) -> None:
        kind, time, before = event["type"], event["timestamp"], event.get("previousEventId", 0)
        # Events without numbers come one after another.
        state = self._state_of.get(before, len(self.states) - 1)
        if kind.startswith(("ParallelState", "MapState")) and not kind.endswith(("Entered", "Started")):
            # It follows an event of one of its branches, all of which it ends.
            state = self._end_branches(time)
        if kind.endswith("StateEntered"):
            if before not in self._begin_branches:
                self._leave(state, time)  # a state that failed has no exit of its own
            name = event["stateEnteredEventDetails"]["name"]
            self.states.append(State(name=name, kind=kind[: -len("StateEntered")], entered=time))
            state = len(self.states) - 1
        elif kind.endswith("StateExited"):
            self._leave(state, time)
        elif kind.startswith("Execution") and kind != "ExecutionStarted":
            if kind != "ExecutionSucceeded":
                self._failing.add(state)
            for number in range(len(self.states)):
                self._leave(number, time)
        elif kind.endswith(("Failed", "TimedOut")):
            self._failing.add(state)
        elif kind.endswith(("Scheduled", "Succeeded")):
            self._failing.discard(state)  # a retry that went well
        if kind in ("ParallelStateStarted", "MapIterationStarted"):
            self._begin_branches.add(event.get("id", 0))
        if kind == "TaskScheduled":
            self._task(event.get("taskScheduledEventDetails", {}), state)
        if "id" in event:
            self._state_of[event["id"]] = state

    def _end_branches(self, time: datetime) -> int:
        """The latest state with branches that goes on; what was entered in them is left."""
        around = [
            number
            for number, state in enumerate(self.states)
            if state.kind in ("Parallel", "Map") and state.exited is None
        ]
        number = around[-1] if around else len(self.states) - 1
        for inner in range(number + 1, len(self.states)):
            self._leave(inner, time)
        return number

    def _leave(self, number: int, time: datetime) -> None:
        if number >= 0 and self.states[number].exited is None:
            left = self.states[number]
            self.states[number] = replace(left, exited=time, failed=number in self._failing)
            if left.kind == "Task":
                self.token = None

    def _task(self, task: Mapping[str, Any], state: int) -> None:
        resource, parameters = str(task.get("resource", "")), json.loads(task.get("parameters") or "{}")
        if resource.startswith("createTrainingJob") and parameters.get("TrainingJobName"):
            self.job, self.training = str(parameters["TrainingJobName"]), self.states[state].name
        attributes = parameters.get("MessageAttributes") or {}
        if resource.endswith(".waitForTaskToken") and "TaskToken" in attributes:
            self.token = str(attributes["TaskToken"]["StringValue"])
