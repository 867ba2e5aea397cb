"""CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig and ListEndpointConfigs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.hosting.inference_options import (
    ASYNCHRONOUS,
    CAPTURE,
    PRODUCTION,
    SHADOWS,
    capture_of,
    check_options,
    check_shadow,
)
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Requested, Resources
from kindling.localcloud.sagemaker.validation import IGNORED, Supported, members_of, refuse_unsupported, require

_VARIANT: Supported = {
    "VariantName": None,
    "ModelName": None,
    "InitialInstanceCount": None,
    "InstanceType": IGNORED,
    "InitialVariantWeight": None,
    "VolumeSizeInGB": IGNORED,
    "ModelDataDownloadTimeoutInSeconds": IGNORED,
    "ContainerStartupHealthCheckTimeoutInSeconds": None,
    "ServerlessConfig": {"MemorySizeInMB": None, "MaxConcurrency": None},
    "RoutingConfig": {"RoutingStrategy": None},
}
# Encryption, network isolation and the VPC change nothing here: an instance is a process of this machine.
_SUPPORTED = members_of(
    "CreateEndpointConfig",
    {
        "EndpointConfigName": None,
        "ProductionVariants": _VARIANT,
        "ShadowProductionVariants": _VARIANT,
        "Tags": None,
        "KmsKeyId": IGNORED,
        "ExecutionRoleArn": IGNORED,
        "VpcConfig": IGNORED,
        "EnableNetworkIsolation": IGNORED,
        "DataCaptureConfig": CAPTURE,
        "AsyncInferenceConfig": ASYNCHRONOUS,
    },
)


# What only instances have, so that it must not stand beside a ServerlessConfig.
_OF_INSTANCES = (
    "InstanceType",
    "InitialInstanceCount",
    "VolumeSizeInGB",
    "ModelDataDownloadTimeoutInSeconds",
    "ContainerStartupHealthCheckTimeoutInSeconds",
    "RoutingConfig",
)
_LEAST_OUTSTANDING = "LEAST_OUTSTANDING_REQUESTS"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant: a model on a number of instances or serverless, and its share of the requests.

    `instances` and `weight` are what the variant begins with. Times are in seconds, None for the service's own.
    A `shadow` gets copies of requests and answers nobody.
    """

    name: str
    model: Model
    instances: int
    weight: float
    instance_type: str | None
    startup_s: float | None
    download_s: float | None
    serverless: Mapping[str, int] | None
    least_outstanding: bool
    shadow: bool

    @classmethod
    def of(cls, request: Mapping[str, Any], model: Model, *, shadow: bool) -> Variant:
        """The variant that an element of ProductionVariants or, a `shadow`, of ShadowProductionVariants describes."""
        return cls(
            name=request["VariantName"],
            model=model,
            instances=request.get("InitialInstanceCount", 0),
            weight=request.get("InitialVariantWeight", 1.0),
            instance_type=request.get("InstanceType"),
            startup_s=request.get("ContainerStartupHealthCheckTimeoutInSeconds"),
            download_s=request.get("ModelDataDownloadTimeoutInSeconds"),
            serverless=request.get("ServerlessConfig"),
            least_outstanding=request.get("RoutingConfig", {}).get("RoutingStrategy") == _LEAST_OUTSTANDING,
            shadow=shadow,
        )


class EndpointConfig(Requested):
    """What an endpoint serves."""

    name_member = "EndpointConfigName"

    def __init__(self, request: dict[str, Any], arn: str, created: datetime | None = None) -> None:
        super().__init__(request, arn, created)
        self.capture: dict[str, Any] | None = capture_of(request)
        self.asynchronous: dict[str, Any] | None = request.get("AsyncInferenceConfig")

    def variants(self, model: Callable[[str], Model]) -> list[Variant]:
        """The variants with their models, which `model` finds by name; production variants come first.

        Raises:
            InvalidRequestError: a model does not exist (any more).
        """
        return [
            Variant.of(asked, model(asked["ModelName"]), shadow=member == SHADOWS)
            for member in (PRODUCTION, SHADOWS)
            for asked in self.request.get(member, [])
        ]

    def with_capture_of(self, other: EndpointConfig) -> EndpointConfig:
        """This configuration, but with the other's DataCaptureConfig."""
        request = {name: value for name, value in self.request.items() if name != "DataCaptureConfig"}
        if "DataCaptureConfig" in other.request:
            request["DataCaptureConfig"] = other.request["DataCaptureConfig"]
        return EndpointConfig(request, self.arn, self.creation_time)

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpointConfig answers."""
        variants = {
            member: [{"InitialVariantWeight": 1.0, **variant} for variant in self.request[member]]
            for member in (PRODUCTION, SHADOWS)
            if member in self.request
        }
        return {**self.shown(), **variants, "EndpointConfigArn": self.arn}


class EndpointConfigs:
    """The endpoint configurations of one cloud. `user_of` names the endpoint on the way to or from one."""

    def __init__(self, cloud: Cloud, models: Resources[Model], user_of: Callable[[str], str | None]) -> None:
        self.resources: Resources[EndpointConfig] = Resources(cloud, "endpoint-config", "endpoint configuration")
        self.resources.restore(EndpointConfig.restored)
        self._models = models
        self._user_of = user_of

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateEndpointConfig": self.create,
            "DescribeEndpointConfig": lambda request: self.resources.get(request["EndpointConfigName"]).describe(),
            "DeleteEndpointConfig": self.delete,
            "ListEndpointConfigs": self.list,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a configuration and keep it."""
        refuse_unsupported(request, _SUPPORTED)
        shadows = request.get(SHADOWS, [])
        for variant in request[PRODUCTION]:
            _check(variant, "production")
        for variant in shadows:
            _check(variant, "shadow")
        names = [variant["VariantName"] for variant in (*request[PRODUCTION], *shadows)]
        if len(set(names)) < len(names):
            raise InvalidRequestError("the names of variants must differ.")
        config = EndpointConfig(request, self.resources.arn(request["EndpointConfigName"]))
        models = [variant.model for variant in config.variants(self._models.get)]
        if shadows:
            check_shadow(request, models)
        check_options(request, models)
        with self.resources.lock:
            self.resources.refuse_duplicate(config.name)
            self.resources.add(config)
        return {"EndpointConfigArn": config.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a configuration that no endpoint is on the way to or from."""
        config = self.resources.get(request["EndpointConfigName"])
        user = self._user_of(config.name)
        if user is not None:
            raise InvalidRequestError(
                f'Cannot delete endpoint configuration "{config.arn}" while endpoint "{user}" uses it.'
            )
        self.resources.remove(config.name)
        return {}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of configurations."""
        configs, token = page(self.resources.all(), request, "Descending")
        summaries = [
            {
                "EndpointConfigName": config.name,
                "EndpointConfigArn": config.arn,
                "CreationTime": config.creation_time,
            }
            for config in configs
        ]
        return answer("EndpointConfigs", summaries, token)


def _check(variant: Mapping[str, Any], kind: str) -> None:
    where = f"{kind} variant {variant['VariantName']}: "
    serverless = "ServerlessConfig" in variant
    for name in ("ModelName",) if serverless else ("ModelName", "InstanceType", "InitialInstanceCount"):
        if name not in variant:
            raise InvalidRequestError(f"{where}{name} is required.")
    if serverless:
        for name in _OF_INSTANCES:
            if name in variant:
                raise InvalidRequestError(f"{where}{name} must not be given together with ServerlessConfig.")
        memory = variant["ServerlessConfig"]["MemorySizeInMB"]
        if memory % 1024:
            raise InvalidRequestError(
                f"{where}ServerlessConfig.MemorySizeInMB={memory} must be 1024, 2048, 3072, 4096, 5120 or 6144."
            )
    strategy = variant.get("RoutingConfig", {}).get("RoutingStrategy")
    require(f"{where}RoutingConfig.RoutingStrategy", strategy, "RANDOM", _LEAST_OUTSTANDING)
