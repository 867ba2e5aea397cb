"""Deleting one thing after the other: what is gone already is fine, what cannot be deleted is noted with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from kindling.targets import Target
from kindling.teardown.gone import unless_gone
from kindling.teardown.made import BY_TITLE, IN_MOTION, Thing, find
from kindling.teardown.ownership import Ownership

_PAUSE_S = {"embedded": 0.3, "aws": 5.0}
_LONGEST_S = 30 * 60.0

Report = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """Something that could not be deleted, and why, as a sentence without its full stop."""

    kind: str
    name: str
    reason: str


@dataclass
class Attempts:
    """The deletions of one command. `longest_s` is how long the last of what takes time is waited for."""

    target: Target
    report: Report
    longest_s: float = _LONGEST_S
    failures: list[Failure] = field(default_factory=list)

    def attempt(self, kind: str, name: str, work: Callable[[], object], doing: str = "deleting") -> bool:
        """Do one piece of work; whether it went well, or there was nothing left to do."""
        self.report(f"{doing} {kind} {name}")
        try:
            with unless_gone():
                work()
        except ClientError as error:
            self.failures.append(Failure(kind, name, str(error.response["Error"]["Message"]).rstrip(".")))
            return False
        return True

    def end(self, ours: Ownership, things: Sequence[Thing]) -> None:
        """Delete or stop things of one kind, each as soon as it can be, and wait until the last one is gone."""
        if not things:
            return
        kind = BY_TITLE[things[0].kind]
        if not kind.takes_time:
            for thing in things:
                self.attempt(kind.title, thing.name, lambda thing=thing: kind.delete(self.target, thing))  # type: ignore[misc]
            return
        wanted, deadline = {thing.name for thing in things}, time.monotonic() + self.longest_s
        begun: set[str] = set()
        while present := [one for one in find(self.target, ours, [kind]) if one.name in wanted]:
            for thing in present:
                # An endpoint that is being made or changed has to be waited for.
                if thing.name in begun or thing.status in IN_MOTION:
                    continue
                begun.add(thing.name)
                verb = "deleting" if kind.title == "endpoint" else "stopping"
                if not self.attempt(kind.title, thing.name, lambda thing=thing: kind.delete(self.target, thing), verb):  # type: ignore[misc]
                    wanted.discard(thing.name)
            if time.monotonic() > deadline:
                self.failures += [
                    Failure(kind.title, one.name, f"it is still {one.status} after {self.longest_s / 60:.0f} minutes")
                    for one in present
                    if one.name in wanted
                ]
                return
            time.sleep(_PAUSE_S[self.target.kind])
