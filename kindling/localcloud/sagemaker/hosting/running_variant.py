"""The instances that serve one production variant of a fleet: their number, their weight, whose turn it is."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import Variant
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.hosting.model_folders import fill
from kindling.localcloud.sagemaker.logs import LogStream
from kindling.localcloud.sagemaker.runner import Start
from kindling.localcloud.sagemaker.surroundings import Surroundings

LOG_GROUP = "/aws/sagemaker/Endpoints"


class RunningVariant:
    """A variant and its instances.

    Args:
        folder: for the model and the instances' folders; of this variant alone.
        kept: what `record` gave, for a variant that was changed since its configuration was made.
    """

    def __init__(
        self, endpoint: str, variant: Variant, folder: Path, around: Surroundings, kept: Mapping[str, Any] | None = None
    ) -> None:
        self.variant = variant
        self.weight = variant.weight
        self.desired = variant.instances
        self._endpoint = endpoint
        self._folder = folder
        self._around = around
        # Replaced and never changed in place, so that requests read it without a lock.
        self._instances: list[Instance] = []
        self._turns = itertools.count()
        self._numbers = itertools.count(1)
        self._stream: LogStream | None = None
        if kept:
            self.restore(kept)

    @property
    def current(self) -> int:
        """Instances that are in service."""
        return len(self._instances)

    @property
    def healthy(self) -> list[Instance]:
        """Instances that can be asked."""
        return [instance for instance in self._instances if instance.healthy]

    @property
    def stream(self) -> LogStream:
        """A log stream of the variant, for a message that no instance answers for."""
        if self._instances:
            return self._instances[0].stream
        if self._stream is None:
            self._stream = self._new_stream()
        return self._stream

    def record(self) -> dict[str, Any]:
        """What of it can change while it serves."""
        return {"weight": self.weight, "desired": self.desired}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Be what `record` described; instances are neither started nor stopped by it."""
        self.weight, self.desired = record["weight"], record["desired"]

    def bring(self) -> None:
        """Download and unpack the model, once for all instances.

        Raises:
            DataError: there is none, it cannot be used, or its download takes too long.
        """
        if self._model.exists():
            return
        unpacked = self._folder / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)  # of an attempt that failed
        limit = self.variant.download_s
        deadline = math.inf if limit is None else time.monotonic() + self._around.limits.seconds(limit)

        def go_on() -> None:
            if time.monotonic() > deadline:
                raise DataError(f"it was not downloaded within ModelDataDownloadTimeoutInSeconds={limit}.")

        fill(self.variant.model, self._around.objects, unpacked, go_on)
        unpacked.rename(self._model)

    def scale(self, count: int) -> None:
        """Start or stop instances until `count` are in service; the number of desired ones is not changed by it.

        Raises:
            DataError: the model cannot be used, or a container cannot be started; nothing has changed.
            NotHealthyError: an instance did not become healthy; nothing has changed.
        """
        present = self._instances
        if count <= len(present):
            self._instances = present[:count]
            _stop(present[count:])
            return
        self.bring()
        more = [self._instance() for _ in range(count - len(present))]
        try:
            for instance in more:
                instance.start()
            for instance in more:
                instance.wait_until_healthy()
        except BaseException:
            _stop(more)
            raise
        self._instances = [*present, *more]

    def stop(self) -> None:
        """End every instance and remove the folder."""
        self.scale(0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def choose(self, portion: float) -> Instance | None:
        """The instance whose turn it is among that portion of the desired ones; None when none is healthy."""
        turned_on = max(1, math.ceil(portion * self.desired - 1e-9))
        healthy = [instance for instance in self._instances[:turned_on] if instance.healthy]
        if not healthy:
            return None
        if self.variant.least_outstanding:
            return min(healthy, key=lambda instance: instance.under_way).chosen()
        return healthy[next(self._turns) % len(healthy)].chosen()

    def describe(self) -> dict[str, Any]:
        """Its numbers, as DescribeEndpoint shows them."""
        return {
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.current,
            "DesiredInstanceCount": self.desired,
        }

    @property
    def _model(self) -> Path:
        return self._folder / "model"

    def _instance(self) -> Instance:
        base = self._folder / f"{self.variant.name}-{next(self._numbers)}"
        # The same bytes on disk and in memory serve all instances.
        shutil.copytree(self._model, base / "model", copy_function=os.link)
        model = self.variant.model
        reachable = {} if model.isolated else self._around.client_environment
        several = {"SAGEMAKER_MULTI_MODEL": "true"} if model.multi else {}
        start = Start(
            name=f"{self._endpoint}/{base.name}",
            image=model.image,
            command="serve",
            base=base,
            environment={**reachable, **several, **model.environment},
            instance_type=self.variant.instance_type or "",
            memory_mib=(self.variant.serverless or {}).get("MemorySizeInMB", 0),
            isolated=model.isolated,
        )
        return Instance(self.variant, start, self._around.runner, self._new_stream(), self._around.limits)

    def _new_stream(self) -> LogStream:
        name = f"{self.variant.name}/i-{uuid.uuid4().hex[:17]}"
        return LogStream(self._around.logs, f"{LOG_GROUP}/{self._endpoint}", name)


def _stop(instances: list[Instance]) -> None:
    if instances:
        with ThreadPoolExecutor(len(instances), thread_name_prefix="stop") as pool:
            list(pool.map(Instance.stop, instances))
