"""What serves one endpoint configuration: its variants, started together, asked by their weights, stopped together."""

from __future__ import annotations

import random
import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidInvocationError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfig, Variant
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.hosting.running_variant import LOG_GROUP, RunningVariant
from kindling.localcloud.sagemaker.hosting.serverless import ServerlessVariant
from kindling.localcloud.sagemaker.logs import LogStream
from kindling.localcloud.sagemaker.surroundings import Surroundings

__all__ = ["LOG_GROUP", "Fleet"]


class Fleet:
    """The variants of one deployment of an endpoint.

    `portion` is the part of the endpoint's requests that this fleet takes, from 0 to 1; while it is less than 1, that
    part of its instances is turned on.

    Args:
        kept: what of the variants was changed since the configuration was made, by the variant's name.
    """

    def __init__(
        self,
        endpoint: str,
        config: EndpointConfig,
        variants: Sequence[Variant],
        around: Surroundings,
        kept: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.config = config
        self.variants = variants
        self.portion = 1.0
        self._endpoint = endpoint
        self._folder = around.folder("endpoints") / endpoint / uuid.uuid4().hex[:8]
        self.running: dict[str, RunningVariant] = {}
        for variant in variants:
            kind = ServerlessVariant if variant.serverless else RunningVariant
            folder, changed = self._folder / variant.name, (kept or {}).get(variant.name)
            self.running[variant.name] = kind(endpoint, variant, folder, around, changed)

    @classmethod
    def restored(cls, endpoint: str, record: Mapping[str, Any], around: Surroundings) -> Fleet:
        """The fleet that `record` described, not yet started."""
        models = {kept["request"]["ModelName"]: Model.restored(kept) for kept in record["models"]}
        config = EndpointConfig.restored(record["config"])
        return cls(endpoint, config, config.variants(models.__getitem__), around, record["variants"])

    def record(self) -> dict[str, Any]:
        """What it serves; the configuration and the models may be deleted while it does."""
        return {
            "config": self.config.record(),
            "models": [variant.model.record() for variant in self.variants],
            "variants": self.variant_records(),
        }

    def variant_records(self) -> dict[str, dict[str, Any]]:
        """Of each variant by name what can change while it serves."""
        return {name: variant.record() for name, variant in self.running.items()}

    def restore(self, variants: Mapping[str, Mapping[str, Any]]) -> None:
        """Have the variants be what `variant_records` gave; instances are neither started nor stopped by it."""
        for name, record in variants.items():
            self.running[name].restore(record)

    @property
    def desired(self) -> int:
        """Instances that there are to be, all variants together."""
        return sum(variant.desired for variant in self.running.values())

    @property
    def current(self) -> int:
        """Instances that are in service, all variants together."""
        return sum(variant.current for variant in self.running.values())

    @property
    def instances_each(self) -> float:
        """Instances that a production variant is to have, on average."""
        counts = [running.desired for running in self._production]
        return sum(counts) / len(counts)

    @property
    def shadow(self) -> RunningVariant | None:
        """The variant that gets copies of requests."""
        return next((running for running in self.running.values() if running.variant.shadow), None)

    @property
    def copied(self) -> float:
        """The share of requests whose copies the shadow gets, from 0 to 1: by the two weights, as on the service."""
        shadow, [production, *_] = self.shadow, self._production
        return min(1.0, shadow.weight / production.weight) if shadow and production.weight else 0.0

    def start(self) -> None:
        """Bring the models, start every instance and wait until all of them are healthy.

        Raises:
            DataError: a model cannot be used, or a container cannot be started.
            NotHealthyError: an instance did not become healthy.
        """
        for variant in self.running.values():
            variant.bring()
        self.scale()

    def scale(self, count: int | None = None) -> None:
        """Start or stop instances until each variant has `count` in service, by default as many as are desired.

        Raises:
            DataError, NotHealthyError: a variant could not be scaled; others may have been.
        """
        changing = [variant for variant in self.running.values() if not variant.variant.serverless]
        if changing:
            with ThreadPoolExecutor(len(changing), thread_name_prefix=f"{self._endpoint} scale") as pool:
                list(pool.map(lambda variant: variant.scale(variant.desired if count is None else count), changing))

    def stop(self) -> None:
        """End every instance and remove their folders."""
        with ThreadPoolExecutor(len(self.running), thread_name_prefix=f"{self._endpoint} stop") as pool:
            list(pool.map(RunningVariant.stop, self.running.values()))
        shutil.rmtree(self._folder, ignore_errors=True)

    def choose(self, variant: str | None) -> Instance | None:
        """The instance whose turn it is, of the named variant or of one drawn by weight; None when none is healthy.

        Raises:
            InvalidInvocationError: there is no variant of that name, or it is a shadow, which answers nobody.
            ThrottledError: the variant is serverless and answers as many requests as it may.
        """
        name = variant or self._draw()
        if name not in self.running:
            raise InvalidInvocationError(f"Variant {name} not found in endpoint {self._endpoint}.")
        if self.running[name].variant.shadow:
            raise InvalidInvocationError(f"Variant {name} of endpoint {self._endpoint} is a shadow variant.")
        return self.running[name].choose(self.portion)

    def healthy(self, variant: str) -> list[Instance]:
        """The instances of a variant that can be asked."""
        return self.running[variant].healthy

    def stream_of(self, variant: str | None) -> LogStream:
        """A log stream of a variant, for a message that no instance answers for."""
        return self.running[variant or self.variants[0].name].stream

    @property
    def _production(self) -> list[RunningVariant]:
        return [running for running in self.running.values() if not running.variant.shadow]

    def _draw(self) -> str:
        running = self._production
        if len(running) == 1:
            return running[0].variant.name
        names = [one.variant.name for one in running]
        weights = [one.weight for one in running]
        return random.choices(names, weights if any(weights) else None)[0]
