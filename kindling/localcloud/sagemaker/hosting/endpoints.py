"""The operations on endpoints, and the way of an invocation to a container."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import urllib3

from kindling.localcloud.sagemaker.errors import InvalidInvocationError, InvalidRequestError, ModelFailedError
from kindling.localcloud.sagemaker.hosting.endpoint import CREATING, DELETING, FAILED, UPDATING, Endpoint
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfigs
from kindling.localcloud.sagemaker.hosting.fleet import LOG_GROUP, Fleet
from kindling.localcloud.sagemaker.hosting.models import Models
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Resources, tags_of
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.validation import Supported, refuse_unsupported
from kindling.localcloud.store import StoreError

_logger = logging.getLogger(__name__)

# A deployment always goes over in one step, so the shape of a DeploymentConfig is checked and shown, and no more.
_CREATE: Supported = {"EndpointName": None, "EndpointConfigName": None, "DeploymentConfig": None, "Tags": None}
_UPDATE: Supported = {
    "EndpointName": None,
    "EndpointConfigName": None,
    "DeploymentConfig": None,
    "RetainDeploymentConfig": None,
}


class Endpoints:
    """The endpoints of one cloud, and with them their configurations."""

    def __init__(self, around: Surroundings, models: Models) -> None:
        around.clear("endpoints")
        self.resources: Resources[Endpoint] = Resources(around.cloud, "endpoint", "endpoint")
        self.configs = EndpointConfigs(around.cloud, models.resources, self._user_of)
        self._models = models.resources
        self._around = around
        self.resources.restore(self._restored)

    def resume(self) -> None:
        """Start the containers of what a former cloud served; to be called once this cloud answers."""
        for endpoint in self.resources.all():
            if endpoint.status == DELETING:
                self.resources.remove(endpoint.name)
            else:
                endpoint.resume()

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateEndpoint": self.create,
            "UpdateEndpoint": self.update,
            "DescribeEndpoint": self.describe,
            "DeleteEndpoint": self.delete,
            "ListEndpoints": self.list,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to serve a configuration."""
        refuse_unsupported(request, _CREATE)
        name = request["EndpointName"]
        config = self.configs.resources.get(request["EndpointConfigName"])
        fleet = Fleet(name, config, config.variants(self._models.get), self._around)
        with self.resources.lock:
            self.resources.refuse_duplicate(name)
            endpoint = Endpoint(name, self.resources.arn(name), tags_of(request), fleet, self._changed)
            endpoint.deployment_config = request.get("DeploymentConfig")
            self.resources.add(endpoint)
        endpoint.deploy(fleet)
        return {"EndpointArn": endpoint.arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell how an endpoint is.

        A change that is soon over is waited for: clients that find one under way ask again after half a minute.
        """
        self.resources.get(request["EndpointName"]).settle(self._around.limits.settle_s)
        return self.resources.get(request["EndpointName"]).describe()

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to serve another configuration; the present one serves until that one is healthy."""
        refuse_unsupported(request, _UPDATE)
        endpoint = self.resources.get(request["EndpointName"])
        config = self.configs.resources.get(request["EndpointConfigName"])
        fleet = Fleet(endpoint.name, config, config.variants(self._models.get), self._around)
        if endpoint.status == FAILED:
            raise InvalidRequestError(f'Cannot update endpoint "{endpoint.arn}" in status Failed; delete it.')
        if not endpoint.begin(UPDATING, fleet):
            raise InvalidRequestError(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        if not request.get("RetainDeploymentConfig"):
            endpoint.deployment_config = request.get("DeploymentConfig")
        endpoint.deploy(fleet)
        return {"EndpointArn": endpoint.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Stop serving."""
        endpoint = self.resources.get(request["EndpointName"])
        if not endpoint.begin(DELETING):
            raise InvalidRequestError(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        endpoint.delete(lambda: self.resources.remove(endpoint.name))
        return {}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of endpoints."""
        endpoints, token = page(self.resources.all(), request, "Descending")
        return answer("Endpoints", [endpoint.summary() for endpoint in endpoints], token)

    def invoke(
        self, name: str, body: bytes, headers: dict[str, str], variant: str | None
    ) -> tuple[str, urllib3.BaseHTTPResponse]:
        """The container's answer to an invocation, and the variant that gave it.

        Raises:
            InvalidInvocationError: no such endpoint, or it does not serve yet.
            ModelFailedError: the container answered with an error, or not at all.
        """
        endpoint = self.resources.find(name)
        if endpoint is None:
            raise InvalidInvocationError(f"Endpoint {name} of account {self._account} not found.")
        fleet = endpoint.fleet
        if fleet is None or endpoint.status in (CREATING, DELETING, FAILED):
            raise InvalidInvocationError(f"Endpoint {name} is in status {endpoint.status}; it must be InService.")
        instance = fleet.choose(variant)
        if instance is None:
            raise self._failure(fleet, name, variant, 503, "no container of the endpoint is running")
        try:
            answer = instance.post(body, headers)
        except urllib3.exceptions.TimeoutError:
            limit = self._around.limits.invocation_s
            raise self._failure(fleet, name, variant, 500, f"no answer within {limit:g} s") from None
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(fleet, name, variant, 500, f"the connection broke: {error}") from None
        if answer.status >= 400:
            raise self._failure(fleet, name, variant, answer.status, answer.data.decode("utf-8", errors="replace"))
        return instance.variant.name, answer

    def _restored(self, record: dict[str, Any]) -> Endpoint:
        def fleet(kept: dict[str, Any] | None) -> Fleet | None:
            return Fleet.restored(record["name"], kept, self._around) if kept else None

        return Endpoint.restored(record, fleet(record["served"]), fleet(record["target"]), self._changed)

    def _changed(self, endpoint: Endpoint) -> None:
        try:
            self.resources.changed(endpoint)
        except StoreError:  # it serves on; were the cloud to end now, it would be found as it was before
            _logger.exception("endpoint %s", endpoint.name)

    @property
    def _account(self) -> str:
        return self.resources.arn("").split(":")[4]

    def _failure(self, fleet: Fleet, name: str, variant: str | None, status: int, text: str) -> ModelFailedError:
        side = "client" if status < 500 else "server"
        message = (
            f'Received {side} error ({status}) from primary with message "{text}". '
            f"See the log group {LOG_GROUP}/{name} in account {self._account} for more information."
        )
        stream_arn = fleet.stream_of(variant).arn
        return ModelFailedError(message, status=status, answer=text, log_stream_arn=stream_arn)

    def _user_of(self, config: str) -> str | None:
        """The endpoint that is on the way to a configuration; one that serves it goes on without it, as on AWS."""
        users = (item for item in self.resources.all() if item.status in (CREATING, UPDATING))
        return next((item.name for item in users if item.target.name == config), None)
