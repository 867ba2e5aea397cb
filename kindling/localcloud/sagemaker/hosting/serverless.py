"""A serverless variant: its container runs only while somebody asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import Variant
from kindling.localcloud.sagemaker.hosting.instance import Instance, NotHealthyError, throttled
from kindling.localcloud.sagemaker.hosting.running_variant import RunningVariant
from kindling.localcloud.sagemaker.surroundings import Surroundings

_logger = logging.getLogger(__name__)


class ServerlessVariant(RunningVariant):
    """A variant without instances of its own: the first request starts a container and waits for it (a cold start).

    One container answers all requests that are under way, up to MaxConcurrency. It ends when it has been idle.
    """

    def __init__(
        self, endpoint: str, variant: Variant, folder: Path, around: Surroundings, kept: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(endpoint, variant, folder, around, kept)
        self._starting = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._stopped = threading.Event()

    @property
    def serverless(self) -> Mapping[str, int]:
        """Its ServerlessConfig."""
        assert self.variant.serverless is not None
        return self.variant.serverless

    def record(self) -> dict[str, Any]:
        """What of it can change while it serves."""
        return {**super().record(), "serverless": self.serverless}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Be what `record` described."""
        super().restore(record)
        self.variant = replace(self.variant, serverless=record["serverless"])
        for instance in self._instances:
            instance.variant = self.variant

    def stop(self) -> None:
        """End the container, if there is one; none is started any more."""
        self._stopped.set()
        with self._starting:
            super().stop()

    def choose(self, portion: float) -> Instance | None:
        """The container, started if none runs; None when it cannot be started.

        Raises:
            ThrottledError: as many requests wait for the container as it may answer at a time.
        """
        found = super().choose(portion)
        if found is not None:
            return found
        with self._counting:
            if self._waiting >= self.serverless["MaxConcurrency"]:
                raise throttled(self.variant)
            self._waiting += 1
        try:
            with self._starting:
                return super().choose(portion) or self._started(portion)
        finally:
            with self._counting:
                self._waiting -= 1

    def describe(self) -> dict[str, Any]:
        """Its numbers, as DescribeEndpoint shows them."""
        return {
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": 0,
            "DesiredInstanceCount": 0,
            "CurrentServerlessConfig": self.serverless,
            "DesiredServerlessConfig": self.serverless,
        }

    def _started(self, portion: float) -> Instance | None:
        if self._stopped.is_set():
            return None
        try:
            self.scale(0)  # one that is being started again is not waited for
            self.scale(1)
        except (DataError, NotHealthyError) as error:
            self.stream.write(f"{error}\n".encode())
            _logger.warning("%s", error)
            return None
        threading.Thread(target=self._end_when_idle, name=f"{self.variant.name} idle", daemon=True).start()
        return super().choose(portion)

    def _end_when_idle(self) -> None:
        (instance,) = self._instances
        limit = self._around.limits.serverless_idle_s
        while not self._stopped.wait(max(0.02, limit - instance.idle_s)):
            with self._starting:
                if instance not in self._instances:
                    return
                if instance.idle_s >= limit:
                    self.scale(0)
                    return
