"""CreateModel, DescribeModel, DeleteModel and ListModels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.model_data import check_exists, check_source, data_of, is_multi, is_packed
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.registry.packages import ModelPackages
from kindling.localcloud.sagemaker.resources import Operation, Requested, Resources, require_role
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.validation import IGNORED, Supported, members_of, refuse_unsupported, require

_CONTAINER: Supported = {
    "ContainerHostname": None,
    "Image": None,
    "Mode": None,
    "ModelDataUrl": None,
    "ModelDataSource": {"S3DataSource": {"S3Uri": None, "S3DataType": None, "CompressionType": None}},
    "Environment": None,
    "MultiModelConfig": {"ModelCacheSetting": None},
    "ModelPackageName": None,
    "InferenceSpecificationName": None,
}
# The VPC changes nothing here: a container is a process of this machine.
_SUPPORTED = members_of(
    "CreateModel",
    {
        "ModelName": None,
        "PrimaryContainer": _CONTAINER,
        "Containers": _CONTAINER,
        "ExecutionRoleArn": None,
        "Tags": None,
        "VpcConfig": IGNORED,
        "EnableNetworkIsolation": None,
    },
)


class Model(Requested):
    """An image, a model.tar.gz (or the files of a model) and the environment to serve it with."""

    name_member = "ModelName"

    def __init__(self, request: dict[str, Any], arn: str, created: datetime | None = None) -> None:
        super().__init__(request, arn, created)
        self.container: dict[str, Any] = container_of(request)
        self.image: str = self.container["Image"]
        self.environment: dict[str, str] = self.container.get("Environment", {})
        self.isolated: bool = request.get("EnableNetworkIsolation", False)

    @property
    def data(self) -> Address | None:
        """Where model.tar.gz is, or the prefix of the files; None when the image holds the model."""
        return data_of(self.container)

    @property
    def packed(self) -> bool:
        """Whether the data is one model.tar.gz; otherwise it is the model's files as they are."""
        return is_packed(self.container)

    @property
    def multi(self) -> bool:
        """Whether `data` is the beginning of the addresses of many models, which invocations name."""
        return is_multi(self.container)

    def describe(self) -> dict[str, Any]:
        """What DescribeModel answers."""
        return {**self.shown(), "ModelArn": self.arn, "EnableNetworkIsolation": self.isolated}


class Models:
    """The models of one cloud."""

    def __init__(self, around: Surroundings, packages: ModelPackages) -> None:
        self.resources: Resources[Model] = Resources(around.cloud, "model", "model")
        self.resources.restore(Model.restored)
        self._around = around
        self._packages = packages

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateModel": self.create,
            "DescribeModel": lambda request: self.resources.get(request["ModelName"]).describe(),
            "DeleteModel": self.delete,
            "ListModels": self.list,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a model and keep it."""
        refuse_unsupported(request, _SUPPORTED)
        request = self._with_packages_opened(request)
        container = container_of(request)
        if not container.get("Image"):
            raise InvalidRequestError("PrimaryContainer.Image is required.")
        caching = container.get("MultiModelConfig", {}).get("ModelCacheSetting")
        require("PrimaryContainer.MultiModelConfig.ModelCacheSetting", caching, "Enabled")
        check_source("PrimaryContainer", container)
        if role := request.get("ExecutionRoleArn"):
            require_role(self._around.cloud, role)
        else:
            raise InvalidRequestError("ExecutionRoleArn is required.")
        self._around.runner.check(container["Image"])
        model = Model(request, self.resources.arn(request["ModelName"]))
        check_exists("PrimaryContainer", container, self._around.objects)
        with self.resources.lock:
            self.resources.refuse_duplicate(model.name)
            self.resources.add(model)
        return {"ModelArn": model.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a model; an endpoint that serves it goes on."""
        self.resources.remove(self.resources.get(request["ModelName"]).name)
        return {}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of models."""
        models, token = page(self.resources.all(), request, "Descending")
        summaries = [
            {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": model.creation_time} for model in models
        ]
        return answer("Models", summaries, token)

    def _with_packages_opened(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with the containers of a package in place of one that names the package."""
        primary = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
        given = [*primary, *request.get("Containers", [])]
        opened = [part for container in given for part in self._packages.containers_of(container)]
        if primary and len(opened) == 1:
            return {**request, "PrimaryContainer": opened[0]}
        rest = {name: value for name, value in request.items() if name != "PrimaryContainer"}
        return {**rest, "Containers": opened}


def container_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """The one container of a model.

    Raises:
        InvalidRequestError: there is none, or more than one.
    """
    containers = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
    containers += request.get("Containers", [])
    if not containers:
        raise InvalidRequestError("PrimaryContainer is required.")
    if len(containers) > 1:
        raise InvalidRequestError("a model of several containers is not implemented by the embedded cloud.")
    return dict(containers[0])
