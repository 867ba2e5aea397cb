"""One endpoint: what it serves now, and the change that is under way."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.deployment import Deployment, RollbackNeededError
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.inference_options import PRODUCTION, SHADOWS, capture_summary
from kindling.localcloud.sagemaker.hosting.instance import NotHealthyError

CREATING, UPDATING, ROLLING_BACK, DELETING = "Creating", "Updating", "RollingBack", "Deleting"
IN_SERVICE, FAILED, ROLLBACK_FAILED = "InService", "Failed", "UpdateRollbackFailed"
UNFINISHED = (UPDATING, ROLLING_BACK, ROLLBACK_FAILED)
_CHANGING = (CREATING, UPDATING, ROLLING_BACK, DELETING)

# What the store keeps of an endpoint beside its name, its ARN and what it serves.
_KEPT = ("tags", "status", "failure_reason", "creation_time", "last_modified_time", "deployment_config")

_logger = logging.getLogger(__name__)


class Endpoint:
    """An endpoint. Its changes run in threads of its own; `status` says what is under way.

    Args:
        target: what it is to serve first.
        changed: called after every change, to keep and to announce it: with "Endpoint" when its status changed, with
            "Endpoint Deployment" after each step of a change-over.
        ending: whether the cloud itself is ending, so that what fails now says nothing about the endpoint.
    """

    def __init__(
        self,
        name: str,
        arn: str,
        tags: dict[str, str],
        target: Fleet,
        changed: Callable[[Endpoint, str], None],
        ending: Callable[[], bool],
    ) -> None:
        self.name, self.arn, self.tags = name, arn, tags
        self.status = CREATING
        self.failure_reason: str | None = None
        self.creation_time = self.last_modified_time = datetime.now(UTC)
        self.deployment_config: dict[str, Any] | None = None
        self._serving: Fleet | None = None
        self._target = target
        self._step: dict[str, Any] | None = None
        self._begun = self.creation_time
        self._changed = changed
        self._ending = ending
        self.lock = threading.RLock()
        self._settled = threading.Condition(self.lock)
        self._gone = False

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take up what a record says beside name, ARN and fleets."""
        for name in _KEPT:
            setattr(self, name, record[name])

    def record(self) -> dict[str, Any]:
        """What the store keeps. There is no target unless another fleet is to be served."""
        with self.lock:
            served = self._serving.record() if self._serving else None
            target = self._target.record() if self._target is not self._serving else None
            kept = {name: getattr(self, name) for name in ("name", "arn", *_KEPT)}
            return {**kept, "served": served, "target": target}

    @property
    def fleet(self) -> Fleet | None:
        """The fleet to answer the next request; while two serve, drawn anew each time by their portions."""
        serving, target = self._serving, self._target
        if serving is not None and target is not serving and random.random() < target.portion:
            return target
        return serving

    @property
    def serving(self) -> Fleet | None:
        """The fleet that serves, or that an update replaces."""
        return self._serving

    def uses(self, config: str) -> bool:
        """Whether it is on the way to or from that configuration; what serves goes on without it, as on SageMaker."""
        fleets = (self._serving, self._target)
        return self.status in (CREATING, UPDATING, ROLLING_BACK) and any(
            fleet is not None and fleet.config.name == config for fleet in fleets
        )

    def begin(self, status: str, target: Fleet | None = None) -> bool:
        """Enter a status in which a change is under way; False when another change already is."""
        with self.lock:
            if self.status in _CHANGING:
                return False
            self._leave_mixture()
            if target is not None:
                target.portion = 0.0
                self._target = target
            self._begun = datetime.now(UTC)
            self._set(status)
            return True

    def resume(self, deployment: Callable[[Endpoint, Fleet], Deployment], *, updating: bool) -> None:
        """Start what it served when the former cloud ended, or was to serve first; an update is not gone on with.

        Args:
            deployment: makes the one that starts a fleet.
            updating: whether it was on the way to another configuration.
        """
        with self.lock:
            if self.status == FAILED:
                return
            reason = "the embedded cloud ended during the update." if updating else None
            self._set(CREATING if self.status == CREATING else UPDATING)
        self.deploy(deployment(self, self._target), reason)

    def deploy(self, deployment: Deployment, failed_before: str | None = None) -> None:
        """Go over to a fleet, in a thread.

        Args:
            failed_before: the reason why a former change failed, to be shown on.
        """
        self._in_thread("deployment", lambda: self._deploy(deployment, failed_before))

    def adapt(self, variants: Mapping[str, Mapping[str, Any]]) -> None:
        """Give the variants that serve new weights at once, and new numbers of instances, in a thread.

        Args:
            variants: their records by name, as `Fleet.variant_records` gives them.
        """
        fleet = self._serving
        assert fleet is not None
        former = fleet.variant_records()
        fleet.restore(variants)
        self._changed(self, "Endpoint Deployment")
        self._in_thread("capacities", lambda: self._scale(fleet, former))

    def delete(self, gone: Callable[[], None]) -> None:
        """Stop what serves, in a thread, then call `gone`."""

        def stop() -> None:
            try:
                if self._serving is not None:
                    self._serving.stop()
            finally:
                gone()
                with self.lock:
                    self._gone = True
                    self._settled.notify_all()

        self._in_thread("deletion", stop)

    def tell(self, status: str, message: str) -> None:
        """Show a step of a change-over."""
        with self.lock:
            self._step = {"Status": status, "StatusMessage": message, "StartTime": datetime.now(UTC)}
            self._changed(self, "Endpoint Deployment")

    def settle(self, within_s: float) -> None:
        """Wait for the end of the change that is under way, if there is one, but no longer than `within_s` seconds."""
        with self._settled:
            self._settled.wait_for(lambda: self._gone or self.status not in _CHANGING, within_s)

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpoint answers."""
        with self.lock:
            shown = self._serving or self._target
            description = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": shown.config.name,
                **(self._variants(self._serving) if self._serving else {}),
                "EndpointStatus": self.status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.creation_time,
                "LastModifiedTime": self.last_modified_time,
                "LastDeploymentConfig": self.deployment_config,
                "PendingDeploymentSummary": self._pending(),
                "DataCaptureConfig": capture_summary((self.fleet or self._target).config.request),
                "AsyncInferenceConfig": (self.fleet or self._target).config.asynchronous,
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

    def _deploy(self, deployment: Deployment, failed_before: str | None) -> None:
        reason = _failure(deployment.run)
        if reason is None:
            with self.lock:
                self._serving = self._target = deployment.new
                self._set(IN_SERVICE, failed_before)
            return
        if self._ending():
            return  # the next cloud finds it as it was
        if deployment.old is not None:
            with self.lock:
                self._set(ROLLING_BACK)
        worse = _failure(deployment.roll_back)
        with self.lock:
            if worse is not None:
                self._set(ROLLBACK_FAILED, f"{reason} The rollback failed: {worse}")
                return
            self._target = self._serving or self._target
            self._set(IN_SERVICE if self._serving is not None else FAILED, reason)

    def _scale(self, fleet: Fleet, former: Mapping[str, Mapping[str, Any]]) -> None:
        reason = _failure(fleet.scale)
        if reason is not None:
            if self._ending():
                return
            with self.lock:
                fleet.restore(former)
                self._set(ROLLING_BACK)
            _failure(fleet.scale)
        with self.lock:
            self._set(IN_SERVICE, reason)

    def _leave_mixture(self) -> None:
        """After a rollback that failed two fleets serve; go on with the one that has more instances."""
        serving, target = self._serving, self._target
        if self.status == ROLLBACK_FAILED and serving is not None and target is not serving:
            more, less = (target, serving) if target.current > serving.current else (serving, target)
            more.portion = 1.0
            self._serving = self._target = more
            self._in_thread("mixture", less.stop)

    def _in_thread(self, what: str, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=f"{self.name} {what}", daemon=True).start()

    def _set(self, status: str, reason: str | None = None) -> None:
        self.status, self.failure_reason = status, reason
        self.last_modified_time = datetime.now(UTC)
        if status not in _CHANGING:
            self._step = None
        self._changed(self, "Endpoint")
        self._settled.notify_all()

    def _pending(self) -> dict[str, Any] | None:
        if self.status not in (CREATING, UPDATING, ROLLING_BACK) or self._target is self._serving:
            return None
        step = [self._step] if self._step else []
        variants = {
            member: [{**shown, "VariantStatus": step} for shown in listed]
            for member, listed in self._variants(self._target).items()
        }
        return {"EndpointConfigName": self._target.config.name, "StartTime": self._begun, **variants}

    def _variants(self, fleet: Fleet) -> dict[str, list[dict[str, Any]]]:
        """The variants by the member that lists them."""
        scaling = self.status == UPDATING and self._target is fleet
        listed: dict[str, list[dict[str, Any]]] = {}
        for variant in fleet.running.values():
            image = variant.variant.model.image
            images = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self.creation_time}
            one = {"VariantName": variant.variant.name, "DeployedImages": [images], **variant.describe()}
            if scaling and variant.current != variant.desired and not variant.variant.serverless:
                way = "out" if variant.desired > variant.current else "in"
                message = f"Scaling {way} desired instance count to {variant.desired}."
                one["VariantStatus"] = [
                    {"Status": "Updating", "StatusMessage": message, "StartTime": self.last_modified_time}
                ]
            listed.setdefault(SHADOWS if variant.variant.shadow else PRODUCTION, []).append(one)
        return listed


def _failure(work: Callable[[], None]) -> str | None:
    """Do something; why it failed, or None."""
    try:
        work()
    except (DataError, NotHealthyError, RollbackNeededError) as error:
        return str(error)
    except Exception as error:  # whatever it is, the endpoint must not stay in its status for ever
        _logger.exception("change of an endpoint failed")
        return f"the embedded cloud failed: {error!r}"
    return None
