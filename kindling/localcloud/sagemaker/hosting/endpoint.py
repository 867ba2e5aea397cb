"""One endpoint: what it serves now, and the change that is under way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfig
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.instance import NotHealthyError

CREATING, UPDATING, IN_SERVICE, DELETING, FAILED = "Creating", "Updating", "InService", "Deleting", "Failed"
_CHANGING = (CREATING, UPDATING, DELETING)

# What the store keeps of an endpoint beside its name, its ARN and what it serves.
_KEPT = ("tags", "status", "failure_reason", "creation_time", "last_modified_time", "deployment_config")

_logger = logging.getLogger(__name__)


class Endpoint:
    """An endpoint. Its changes run in threads of its own; `status` says what is under way.

    Args:
        target: what it is to serve first.
        changed: called after every change, to keep it.
    """

    def __init__(
        self, name: str, arn: str, tags: dict[str, str], target: Fleet, changed: Callable[[Endpoint], None]
    ) -> None:
        self.name, self.arn, self.tags = name, arn, tags
        self.status = CREATING
        self.failure_reason: str | None = None
        self.creation_time = self.last_modified_time = datetime.now(UTC)
        self.deployment_config: dict[str, Any] | None = None
        self.fleet: Fleet | None = None
        self._target = target
        self._changed = changed
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._gone = False

    @classmethod
    def restored(
        cls, record: Mapping[str, Any], served: Fleet | None, target: Fleet | None, changed: Callable[[Endpoint], None]
    ) -> Endpoint:
        """The endpoint of a record, whose fleets are to be started."""
        first = served or target
        assert first is not None
        endpoint = cls(record["name"], record["arn"], record["tags"], first, changed)
        for name in _KEPT:
            setattr(endpoint, name, record[name])
        return endpoint

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        with self._lock:
            served = self.fleet.record() if self.fleet else None
            kept = {name: getattr(self, name) for name in ("name", "arn", *_KEPT)}
            return {**kept, "served": served, "target": self._target.record()}

    @property
    def target(self) -> EndpointConfig:
        """The configuration that it serves, or is on the way to serve."""
        return self._target.config

    def begin(self, status: str, target: Fleet | None = None) -> bool:
        """Enter a status in which a change is under way; False when another change already is."""
        with self._lock:
            if self.status in _CHANGING:
                return False
            self._target = target or self._target
            self._set(status)
            return True

    def resume(self) -> None:
        """Start what it served when the former cloud ended, or was to serve first; an update is not gone on with."""
        with self._lock:
            if self.status == FAILED:
                return
            reason = "the embedded cloud ended during the update." if self.status == UPDATING else None
            self._set(CREATING if self.status == CREATING else UPDATING)
        self.deploy(self._target, reason)

    def deploy(self, fleet: Fleet, failed_before: str | None = None) -> None:
        """Start a fleet, in a thread; it takes the place of the former one when all of it is healthy.

        Args:
            failed_before: the reason why a former change failed, to be shown on.
        """
        work = (fleet, failed_before)
        threading.Thread(target=self._deploy, args=work, name=f"{self.name} deployment", daemon=True).start()

    def delete(self, gone: Callable[[], None]) -> None:
        """Stop what serves, in a thread, then call `gone`."""

        def stop() -> None:
            try:
                if self.fleet is not None:
                    self.fleet.stop()
            finally:
                gone()
                with self._lock:
                    self._gone = True
                    self._settled.notify_all()

        threading.Thread(target=stop, name=f"{self.name} deletion", daemon=True).start()

    def settle(self, within_s: float) -> None:
        """Wait for the end of the change that is under way, if there is one, but no longer than `within_s` seconds."""
        with self._settled:
            self._settled.wait_for(lambda: self._gone or self.status not in _CHANGING, within_s)

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpoint answers."""
        with self._lock:
            description = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": (self.fleet or self._target).config.name,
                "ProductionVariants": self._variants(),
                "EndpointStatus": self.status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.creation_time,
                "LastModifiedTime": self.last_modified_time,
                "LastDeploymentConfig": self.deployment_config,
            }
            return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The endpoint's element of ListEndpoints."""
        return {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "CreationTime": self.creation_time,
            "LastModifiedTime": self.last_modified_time,
            "EndpointStatus": self.status,
        }

    def _deploy(self, fleet: Fleet, failed_before: str | None) -> None:
        reason = _started(fleet)
        if reason is not None:
            fleet.stop()
            with self._lock:
                # A failed update leaves the endpoint as it was, and says why.
                self._target = self.fleet or self._target
                self._set(IN_SERVICE if self.fleet is not None else FAILED, reason)
            return
        with self._lock:
            former, self.fleet = self.fleet, fleet
        if former is not None:
            former.stop()
        with self._lock:
            self._set(IN_SERVICE, failed_before)

    def _set(self, status: str, reason: str | None = None) -> None:
        self.status, self.failure_reason = status, reason
        self.last_modified_time = datetime.now(UTC)
        self._changed(self)
        self._settled.notify_all()

    def _variants(self) -> list[dict[str, Any]] | None:
        if self.fleet is None:
            return None
        return [
            {
                "VariantName": variant.name,
                "DeployedImages": [
                    {
                        "SpecifiedImage": variant.model.image,
                        "ResolvedImage": variant.model.image,
                        "ResolutionTime": self.creation_time,
                    }
                ],
                "CurrentWeight": variant.weight,
                "DesiredWeight": variant.weight,
                "CurrentInstanceCount": variant.instances,
                "DesiredInstanceCount": variant.instances,
            }
            for variant in self.fleet.variants
        ]


def _started(fleet: Fleet) -> str | None:
    """Start a fleet; why it failed, or None."""
    try:
        fleet.start()
    except (DataError, NotHealthyError) as error:
        return str(error)
    except Exception as error:  # whatever it is, the endpoint must not stay Creating for ever
        _logger.exception("deployment failed")
        return f"the embedded cloud failed: {error!r}"
    return None
