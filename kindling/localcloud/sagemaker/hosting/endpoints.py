"""CreateEndpoint, UpdateEndpoint, DescribeEndpoint, DeleteEndpoint and ListEndpoints."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from typing import Any

from kindling.localcloud import snapshots
from kindling.localcloud.alarms import AlarmWatch
from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.hosting.changes import adapted, retained
from kindling.localcloud.sagemaker.hosting.deployment import Deployment
from kindling.localcloud.sagemaker.hosting.deployment_config import DeploymentConfig
from kindling.localcloud.sagemaker.hosting.endpoint import DELETING, FAILED, UNFINISHED, UPDATING, Endpoint
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfigs
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.models import Models
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Resources, tags_of
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.validation import members_of, refuse_unsupported
from kindling.localcloud.store import StoreError

SCALING = "application-autoscaling"  # by the name that moto and requests' signatures have for it

_logger = logging.getLogger(__name__)

_CREATE = members_of(
    "CreateEndpoint", {"EndpointName": None, "EndpointConfigName": None, "DeploymentConfig": None, "Tags": None}
)
_UPDATE = members_of(
    "UpdateEndpoint",
    {
        "EndpointName": None,
        "EndpointConfigName": None,
        "RetainAllVariantProperties": None,
        "ExcludeRetainedVariantProperties": None,
        "DeploymentConfig": None,
        "RetainDeploymentConfig": None,
    },
)
_ADAPT = members_of(
    "UpdateEndpointWeightsAndCapacities",
    {
        "EndpointName": None,
        "DesiredWeightsAndCapacities": {
            "VariantName": None,
            "DesiredWeight": None,
            "DesiredInstanceCount": None,
            "ServerlessUpdateConfig": {"MaxConcurrency": None},
        },
    },
)
# How events name the statuses that DescribeEndpoint writes together.
_UPPER = {
    "InService": "IN_SERVICE",
    "RollingBack": "ROLLING_BACK",
    "UpdateRollbackFailed": "UPDATE_ROLLBACK_FAILED",
}


class Endpoints:
    """The endpoints of one cloud, and with them their configurations."""

    def __init__(self, around: Surroundings, models: Models) -> None:
        around.clear("endpoints")
        self.resources: Resources[Endpoint] = Resources(around.cloud, "endpoint", "endpoint")
        self.configs = EndpointConfigs(around.cloud, models.resources, self._user_of)
        self._models = models.resources
        self._around = around
        # Told by a thread of its own: what hears of a change may ask for the endpoint, which is locked meanwhile.
        self._news: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._announce_forever, name="endpoint events", daemon=True).start()
        self._interrupted: set[str] = set()
        self.resources.restore(self._restored)

    def resume(self) -> None:
        """Start the containers of what a former cloud served; to be called once this cloud answers."""
        for endpoint in self.resources.all():
            if endpoint.status == DELETING:
                self.resources.remove(endpoint.name)
            else:
                endpoint.resume(self._first_deployment, updating=endpoint.name in self._interrupted)

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateEndpoint": self.create,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.adapt,
            "DescribeEndpoint": self.describe,
            "DeleteEndpoint": self.delete,
            "ListEndpoints": self.list,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to serve a configuration."""
        refuse_unsupported(request, _CREATE)
        name = request["EndpointName"]
        config = self.configs.resources.get(request["EndpointConfigName"])
        DeploymentConfig.of(request.get("DeploymentConfig"))  # for later updates
        fleet = Fleet(name, config, config.variants(self._models.get), self._around)
        with self.resources.lock:
            self.resources.refuse_duplicate(name)
            endpoint = self._endpoint(name, self.resources.arn(name), tags_of(request), fleet)
            endpoint.deployment_config = request.get("DeploymentConfig")
            self.resources.add(endpoint)
        self._tell(endpoint, "Endpoint")
        endpoint.deploy(self._first_deployment(endpoint, fleet))
        return {"EndpointArn": endpoint.arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell how an endpoint is.

        A change that is soon over is waited for: clients that find one under way ask again after half a minute.
        """
        self.resources.get(request["EndpointName"]).settle(self._around.limits.settle_s)
        return self.resources.get(request["EndpointName"]).describe()

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to serve another configuration; how the requests go over to it is the DeploymentConfig's to say."""
        refuse_unsupported(request, _UPDATE)
        endpoint = self.resources.get(request["EndpointName"])
        config = self.configs.resources.get(request["EndpointConfigName"])
        if endpoint.status == FAILED:
            raise InvalidRequestError(f'Cannot update endpoint "{endpoint.arn}" in status Failed; delete it.')
        present = endpoint.serving
        if present is None:
            raise _in_progress(endpoint)
        policy = request.get("DeploymentConfig")
        if request.get("RetainDeploymentConfig"):
            if policy:
                raise InvalidRequestError("DeploymentConfig must not be given when RetainDeploymentConfig is true.")
            policy = endpoint.deployment_config
        how = DeploymentConfig.of(policy)
        config, kept = retained(request, present, config)
        fleet = Fleet(endpoint.name, config, config.variants(self._models.get), self._around, kept)
        how.check(present.variants, fleet.variants, {name: one.desired for name, one in fleet.running.items()})
        alarms = AlarmWatch(self._around.cloud, how.alarms)
        if missing := alarms.missing():
            raise InvalidRequestError(f"AutoRollbackConfiguration: could not find alarm {', '.join(missing)}.")
        if not endpoint.begin(UPDATING, fleet):
            raise _in_progress(endpoint)
        endpoint.deployment_config = policy
        endpoint.deploy(Deployment(how, endpoint.serving, fleet, alarms, self._around.limits, endpoint.tell))
        return {"EndpointArn": endpoint.arn}

    def adapt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Give variants other weights at once, and other numbers of instances."""
        refuse_unsupported(request, _ADAPT)
        endpoint = self.resources.get(request["EndpointName"])
        if endpoint.status == FAILED:
            raise InvalidRequestError(f'Cannot update endpoint "{endpoint.arn}" in status Failed; delete it.')
        if endpoint.serving is None:
            raise _in_progress(endpoint)
        records = adapted(request["DesiredWeightsAndCapacities"], endpoint.serving)
        if not endpoint.begin(UPDATING):
            raise _in_progress(endpoint)
        endpoint.adapt(records)
        return {"EndpointArn": endpoint.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Stop serving."""
        endpoint = self.resources.get(request["EndpointName"])
        if not endpoint.begin(DELETING):
            raise _in_progress(endpoint)
        if snapshots.backends_of(SCALING, self._around.cloud.account_id):  # somebody has asked for scaling
            from kindling.localcloud import scaling

            scaling.forget(self._around.cloud, endpoint.name)
        endpoint.delete(lambda: self.resources.remove(endpoint.name))
        return {}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of endpoints."""
        endpoints, token = page(self.resources.all(), request, "Descending")
        return answer("Endpoints", [endpoint.summary() for endpoint in endpoints], token)

    def desired(self, endpoint: str, variant: str) -> int | None:
        """Instances that a variant is to have, for scaling; None when there is no such variant of instances."""
        found = self.resources.find(endpoint)
        fleet = found.serving if found else None
        running = fleet.running.get(variant) if fleet else None
        return running.desired if running is not None and not running.variant.serverless else None

    def scale(self, endpoint: str, variant: str, count: int) -> bool:
        """Begin to give a variant that many instances; False when another change is under way."""
        wanted = {"VariantName": variant, "DesiredInstanceCount": count}
        try:
            self.adapt({"EndpointName": endpoint, "DesiredWeightsAndCapacities": [wanted]})
        except InvalidRequestError:
            return False
        return True

    def _endpoint(self, name: str, arn: str, tags: dict[str, str], fleet: Fleet) -> Endpoint:
        return Endpoint(name, arn, tags, fleet, self._changed, lambda: self._around.runner.ending)

    def _first_deployment(self, endpoint: Endpoint, fleet: Fleet) -> Deployment:
        nothing = AlarmWatch(self._around.cloud, ())
        return Deployment(DeploymentConfig(), None, fleet, nothing, self._around.limits, endpoint.tell)

    def _restored(self, record: dict[str, Any]) -> Endpoint:
        first = record["served"] or record["target"]
        fleet = Fleet.restored(record["name"], first, self._around)
        endpoint = self._endpoint(record["name"], record["arn"], record["tags"], fleet)
        endpoint.restore(record)
        if record["served"] and record["target"] and endpoint.status in UNFINISHED:
            self._interrupted.add(endpoint.name)
        return endpoint

    def _changed(self, endpoint: Endpoint, change: str) -> None:
        try:
            self.resources.changed(endpoint)
        except StoreError:  # it serves on; were the cloud to end now, it would be found as it was before
            _logger.exception("endpoint %s", endpoint.name)
        self._tell(endpoint, change)

    def _tell(self, endpoint: Endpoint, change: str) -> None:
        status = _UPPER.get(endpoint.status, endpoint.status.upper())
        detail = {**endpoint.describe(), "EndpointStatus": status, "Tags": dict(endpoint.tags)}
        self._news.put((change, endpoint.arn, detail))

    def _announce_forever(self) -> None:
        while True:
            self._around.events.announce(*self._news.get())

    def _user_of(self, config: str) -> str | None:
        """The endpoint that is on the way to or from a configuration."""
        return next((item.name for item in self.resources.all() if item.uses(config)), None)


def _in_progress(endpoint: Endpoint) -> InvalidRequestError:
    return InvalidRequestError(f'Cannot update in-progress endpoint "{endpoint.arn}".')
