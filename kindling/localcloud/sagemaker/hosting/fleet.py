"""The instances that serve one endpoint configuration: started together, asked in turn, stopped together."""

from __future__ import annotations

import itertools
import random
import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidInvocationError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfig, Variant
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.hosting.model_data import bring
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.logs import LogStream
from kindling.localcloud.sagemaker.runner import Start
from kindling.localcloud.sagemaker.surroundings import Surroundings

LOG_GROUP = "/aws/sagemaker/Endpoints"


class Fleet:
    """The instances of one deployment of an endpoint."""

    def __init__(
        self, endpoint: str, config: EndpointConfig, variants: Sequence[Variant], around: Surroundings
    ) -> None:
        self.config = config
        self.variants = variants
        self._endpoint = endpoint
        self._around = around
        self._folder = around.folder("endpoints") / endpoint / uuid.uuid4().hex[:8]
        self._instances: dict[str, list[Instance]] = {}
        self._turns = {variant.name: itertools.count() for variant in variants}

    @classmethod
    def restored(cls, endpoint: str, record: Mapping[str, Any], around: Surroundings) -> Fleet:
        """The fleet that `record` described, not yet started."""
        models = {kept["request"]["ModelName"]: Model.restored(kept) for kept in record["models"]}
        config = EndpointConfig.restored(record["config"])
        return cls(endpoint, config, config.variants(models.__getitem__), around)

    def record(self) -> dict[str, Any]:
        """What it serves; the configuration and the models may be deleted while it does."""
        return {"config": self.config.record(), "models": [variant.model.record() for variant in self.variants]}

    def start(self) -> None:
        """Bring the models, start every instance and wait until all of them are healthy.

        Raises:
            DataError: a model cannot be used, or a container cannot be started.
            NotHealthyError: an instance did not become healthy.
        """
        for variant in self.variants:
            self._instances[variant.name] = self._prepare(variant)
        for instance in self._all():
            instance.start()
        for instance in self._all():
            instance.wait_until_healthy()

    def stop(self) -> None:
        """End every instance and remove their folders."""
        instances = self._all()
        if instances:
            with ThreadPoolExecutor(len(instances), thread_name_prefix=f"{self._endpoint} stop") as pool:
                list(pool.map(Instance.stop, instances))
        shutil.rmtree(self._folder, ignore_errors=True)

    def choose(self, variant: str | None) -> Instance | None:
        """The instance whose turn it is, of the named variant or of one drawn by weight; None when none is healthy.

        Raises:
            InvalidInvocationError: there is no variant of that name.
        """
        name = variant or self._draw()
        if name not in self._instances:
            raise InvalidInvocationError(f"Variant {name} not found in endpoint {self._endpoint}.")
        healthy = [instance for instance in self._instances[name] if instance.healthy]
        return healthy[next(self._turns[name]) % len(healthy)] if healthy else None

    def stream_of(self, variant: str | None) -> LogStream:
        """A log stream of a variant, for a message that no instance answers for."""
        return self._instances[variant or self.variants[0].name][0].stream

    def _draw(self) -> str:
        if len(self.variants) == 1:
            return self.variants[0].name
        weights = [variant.weight for variant in self.variants]
        return random.choices(self.variants, weights if any(weights) else None)[0].name

    def _all(self) -> list[Instance]:
        return [instance for instances in self._instances.values() for instance in instances]

    def _prepare(self, variant: Variant) -> list[Instance]:
        """The instances of a variant, their folders filled."""
        bases = [self._folder / f"{variant.name}-{number}" for number in range(1, variant.instances + 1)]
        bring(variant.model, self._around.objects, bases)
        return [self._instance(variant, base) for base in bases]

    def _instance(self, variant: Variant, base: Path) -> Instance:
        stream = LogStream(
            self._around.logs, f"{LOG_GROUP}/{self._endpoint}", f"{variant.name}/i-{uuid.uuid4().hex[:17]}"
        )
        reachable = {} if variant.model.isolated else self._around.client_environment
        start = Start(
            name=f"{self._endpoint}/{base.name}",
            image=variant.model.image,
            command="serve",
            base=base,
            environment={**reachable, **variant.model.environment},
        )
        return Instance(variant, start, self._around.runner, stream, self._around.limits)
