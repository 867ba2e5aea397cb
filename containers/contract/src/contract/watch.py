"""Signs of life between the hosts of a job: who failed, who went silent, who has finished."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from contract.environment import TrainingEnvironment
from contract.errors import AlgorithmError, ClientError
from contract.sign_in import SignInDesk
from contract.training import report_failure

logger = logging.getLogger(__name__)

_PERIOD = 0.5  # seconds between signs of life
_FAREWELL = 10.0  # seconds, at least, that a host which is leaving waits for the others to hear of it


@dataclass(frozen=True)
class HostFailure:
    """Why the job cannot go on: the host to blame, and the sentence it failed with.

    Without a sentence the host was lost: it went silent, or never came while the others `waited` so many seconds.
    """

    host: str
    users_mistake: bool = False
    sentence: str | None = None
    waited: float | None = None

    def error(self) -> Exception:
        """What the other hosts raise."""
        if self.waited is not None:
            return AlgorithmError(f"host {self.host} did not join the job within {self.waited:g} s; check its log.")
        if self.sentence is None:
            return AlgorithmError(f"host {self.host} stopped answering, so the job ends on every host.")
        told = f"host {self.host} failed: {self.sentence}"
        return ClientError(told) if self.users_mistake else AlgorithmError(told)


@dataclass(frozen=True)
class _State:
    """What a host tells the others about itself."""

    beat: int = -1  # not signed in
    left: bool = False
    failure: HostFailure | None = None

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: bytes) -> _State:
        fields = json.loads(text)
        failure = fields.pop("failure")
        return cls(**fields, failure=HostFailure(**failure) if failure else None)


class Watch(threading.Thread):
    """Tells the other hosts that this one is alive, and learns when one of them is not.

    Args:
        environment: of this host.
        store: a torch.distributed store of this thread's own.
        silence: seconds without a sign of life after which a host is lost.
        grace: seconds after a failure is known in which this process should end by itself; then it is ended.
    """

    def __init__(self, environment: TrainingEnvironment, store: Any, *, silence: float, grace: float) -> None:
        super().__init__(name="watch", daemon=True)
        self._environment, self._store, self._silence, self._grace = environment, store, silence, grace
        self._state = _State(beat=0)
        self._states = [_State() for _ in environment.hosts]
        self._beats = [-1 for _ in environment.hosts]
        self._heard = [0.0 for _ in environment.hosts]
        self._talker = threading.Thread(target=self._talk, name="signs of life", daemon=True)
        self._looked = time.monotonic()
        self._leaving = threading.Event()
        self._failed = threading.Event()
        self.failure: HostFailure | None = None

    def start(self) -> None:
        """Sign in, and watch from now on."""
        self._tell(self._state)
        self._looked = time.monotonic()
        self._talker.start()
        super().start()

    def await_sign_in(self, patience: float, desk: SignInDesk | None) -> None:
        """Wait until every host is watched.

        Args:
            patience: seconds.
            desk: where the hosts signed in, on the first host.
        Raises:
            ClientError, AlgorithmError: one did not come in time, was lost or failed meanwhile.
        """
        deadline = time.monotonic() + patience
        while missing := [host for host, beat in zip(self._environment.hosts, self._beats, strict=True) if beat < 0]:
            if desk and desk.lost in missing:
                self._fail(HostFailure(desk.lost))
            elif time.monotonic() > deadline:
                self._fail(HostFailure(missing[0], waited=patience))
            if self.failure:
                raise self.failure.error()
            time.sleep(_PERIOD / 10)

    def run(self) -> None:
        while not self.failure and not self._leaving.wait(_PERIOD):
            if time.monotonic() - self._looked > self._silence:
                self._fail(HostFailure(self._environment.hosts[0]))  # frozen: its store neither answers nor refuses
        if self.failure and not self._leaving.wait(self._grace):
            # The training loop is held up in a call that cannot be interrupted, by a host that will never answer.
            report_failure(self.failure.error(), self._environment.paths)
            os._exit(1)

    def _talk(self) -> None:
        while not self.failure and not self._leaving.wait(_PERIOD):
            self._look()
            self._looked = time.monotonic()
        if self.failure and not self._leaving.is_set():
            with suppress(RuntimeError):  # where the store still answers, all hosts are to blame the same one at once
                self._tell(replace(self._state, failure=self.failure))

    def await_failure(self) -> HostFailure | None:
        """After a connection broke: the host to blame, once its silence has lasted, or None when all are alive."""
        self._failed.wait(self._silence + 10 * _PERIOD)
        return self.failure

    def await_master(self) -> HostFailure | None:
        """Wait until the first host has left; what it failed with, if it did."""
        while not self.failure and not self._states[0].left:
            time.sleep(_PERIOD / 5)
        return self.failure

    def leave(self, failure: HostFailure | None) -> HostFailure | None:
        """Say that this host is done, or why it failed; the first host stays until the others have heard.

        Returns:
            On the first host: one that did not hear it, if any.
        """
        self._leaving.set()
        self._talker.join(_FAREWELL)
        if self._talker.is_alive():
            return None  # the first host is frozen
        staying: list[str] = []
        try:
            self._tell(replace(self._state, left=True, failure=failure))
            deadline = time.monotonic() + max(_FAREWELL, self._silence)
            while self._environment.is_master and (staying := self._staying()) and time.monotonic() < deadline:
                if failure and failure.sentence is None and staying == [failure.host]:
                    break  # it can no longer say so
                time.sleep(_PERIOD / 5)
        except RuntimeError as error:  # the first host is gone, and with it the store: nobody listens any more
            logger.debug("could not say farewell: %s", error)
        return HostFailure(staying[0]) if staying else None

    def _look(self) -> None:
        try:
            self._tell(replace(self._state, beat=self._state.beat + 1))
            self._read()
        except RuntimeError:  # the store does not answer: the first host serves it
            if not self._states[0].left:
                self._fail(HostFailure(self._environment.hosts[0]))
            return
        now = time.monotonic()
        for rank, (host, state) in enumerate(zip(self._environment.hosts, self._states, strict=True)):
            if state.failure:
                self._fail(state.failure)
            elif state.beat != self._beats[rank]:
                self._beats[rank], self._heard[rank] = state.beat, now
            elif state.beat >= 0 and not state.left and now - self._heard[rank] > self._silence:
                self._fail(HostFailure(host))

    def _staying(self) -> list[str]:
        """The hosts that have not left."""
        self._read()
        return [host for host, state in zip(self._environment.hosts, self._states, strict=True) if not state.left]

    def _read(self) -> None:
        ranks = [rank for rank, state in enumerate(self._states) if state.beat >= 0 or self._signed_in(rank)]
        for rank, text in zip(ranks, self._store.multi_get([self._key(rank) for rank in ranks]), strict=True):
            self._states[rank] = _State.loads(text)

    def _signed_in(self, rank: int) -> bool:
        return bool(self._store.check([self._key(rank)]))

    def _tell(self, state: _State) -> None:
        self._state = state
        self._store.set(self._key(self._environment.rank), state.dumps())

    def _fail(self, failure: HostFailure) -> None:
        self.failure = self.failure or failure
        self._failed.set()

    @staticmethod
    def _key(rank: int) -> str:
        return f"host/{rank}"
