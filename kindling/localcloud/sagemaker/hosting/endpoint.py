"""One endpoint: what it serves now, and the change that is under way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfig
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.instance import NotHealthyError

CREATING, UPDATING, IN_SERVICE, DELETING, FAILED = "Creating", "Updating", "InService", "Deleting", "Failed"
_CHANGING = (CREATING, UPDATING, DELETING)

_logger = logging.getLogger(__name__)


class Endpoint:
    """An endpoint. Its changes run in threads of its own; `status` says what is under way."""

    def __init__(self, name: str, arn: str, tags: dict[str, str], config: EndpointConfig) -> None:
        self.name, self.arn, self.tags = name, arn, tags
        self.status = CREATING
        self.failure_reason: str | None = None
        self.creation_time = self.last_modified_time = datetime.now(UTC)
        self.deployment_config: dict[str, Any] | None = None
        self.fleet: Fleet | None = None
        self._config = config
        self._target = config
        self._lock = threading.RLock()

    @property
    def target(self) -> EndpointConfig:
        """The configuration that it serves, or is on the way to serve."""
        return self._target

    def begin(self, status: str, target: EndpointConfig | None = None) -> bool:
        """Enter a status in which a change is under way; False when another change already is."""
        with self._lock:
            if self.status in _CHANGING:
                return False
            self._target = target or self._target
            self._set(status)
            return True

    def deploy(self, fleet: Fleet) -> None:
        """Start a fleet, in a thread; it takes the place of the former one when all of it is healthy."""
        threading.Thread(target=self._deploy, args=(fleet,), name=f"{self.name} deployment", daemon=True).start()

    def delete(self, gone: Callable[[], None]) -> None:
        """Stop what serves, in a thread, then call `gone`."""

        def stop() -> None:
            try:
                if self.fleet is not None:
                    self.fleet.stop()
            finally:
                gone()

        threading.Thread(target=stop, name=f"{self.name} deletion", daemon=True).start()

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpoint answers."""
        with self._lock:
            description = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self._config.name,
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

    def _deploy(self, fleet: Fleet) -> None:
        reason = _started(fleet)
        if reason is not None:
            fleet.stop()
            with self._lock:
                # A failed update leaves the endpoint as it was, and says why.
                self._target = self._config
                self._set(IN_SERVICE if self.fleet is not None else FAILED, reason)
            return
        with self._lock:
            former, self.fleet = self.fleet, fleet
            self._config = fleet.config
        if former is not None:
            former.stop()
        with self._lock:
            self._set(IN_SERVICE)

    def _set(self, status: str, reason: str | None = None) -> None:
        self.status, self.failure_reason = status, reason
        self.last_modified_time = datetime.now(UTC)

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
