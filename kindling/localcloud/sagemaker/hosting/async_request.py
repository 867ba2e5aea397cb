"""One accepted asynchronous request: what the store keeps of it, where its result goes, and who is told."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.sns.models import sns_backends

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.objects import Address

_logger = logging.getLogger(__name__)

_TTL_S = 6 * 3600
_TIMEOUT_S = 15 * 60


@dataclass(frozen=True, kw_only=True)
class AsyncRequest:
    """A request in the queue of an endpoint.

    Args:
        key: its name in the store.
        request: the members of InvokeEndpointAsync's input but the body, the InferenceId among them.
        body: in base64; None when the input lies at InputLocation.
        endpoint_created: the endpoint's creation time, which tells it from a later one of the same name.
        failure: where a failure is written, None when nowhere.
    """

    key: str
    request: Mapping[str, Any]
    body: str | None
    endpoint_created: datetime
    received: datetime
    output: str
    failure: str | None
    notification: Mapping[str, str]
    kms_key: str | None

    @classmethod
    def accepted(
        cls, request: Mapping[str, Any], body: bytes, endpoint_created: datetime, config: Mapping[str, Any]
    ) -> AsyncRequest:
        """The request that was just made of an endpoint with the AsyncInferenceConfig `config`."""
        request = {"InferenceId": str(uuid.uuid4()), **request}
        output = config["OutputConfig"]
        folder = [part for part in (request.get("S3OutputPathExtension", "").strip("/"),) if part]
        stem = request.get("Filename") or request["InferenceId"]
        name = request.get("Filename") or f"{stem}.out"
        failures = output.get("S3FailurePath")
        return cls(
            key=uuid.uuid4().hex,
            request=request,
            body=None if request.get("InputLocation") else base64.b64encode(body).decode(),
            endpoint_created=endpoint_created,
            received=datetime.now(UTC),
            output=str(Address.parse(output["S3OutputPath"]).below(*folder, name)),
            failure=str(Address.parse(failures).below(*folder, f"{stem}-error.out")) if failures else None,
            notification=output.get("NotificationConfig", {}),
            kms_key=output.get("KmsKeyId"),
        )

    @classmethod
    def restored(cls, record: Mapping[str, Any]) -> AsyncRequest:
        """The request that `record` described."""
        return cls(**record)

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        return asdict(self)

    @property
    def endpoint(self) -> str:
        """The name of the endpoint."""
        return str(self.request["EndpointName"])

    @property
    def age_s(self) -> float:
        """Seconds since it was received."""
        return (datetime.now(UTC) - self.received).total_seconds()

    @property
    def expired(self) -> bool:
        """Whether it has waited longer than it may."""
        return self.age_s > self.ttl_s

    @property
    def ttl_s(self) -> float:
        """How long it may wait."""
        return float(self.request.get("RequestTTLSeconds", _TTL_S))

    @property
    def timeout_s(self) -> float:
        """How long the container may take."""
        return float(self.request.get("InvocationTimeoutSeconds", _TIMEOUT_S))

    def tell(self, cloud: Cloud, failure: str | None, content_type: str | None = None) -> None:
        """Notify the topic for success, or with a reason the one for failure, where the endpoint has one."""
        topic = self.notification.get("ErrorTopic" if failure else "SuccessTopic")
        if topic is None:
            return
        message = json.dumps(self._message(cloud.region, failure, content_type))
        try:
            sns_backends[cloud.account_id][topic.split(":")[3]].publish(message, arn=topic)
        except ServiceException as error:  # the result is in S3 all the same
            _logger.warning("notification of %s to %s: %s", self.endpoint, topic, error)

    def _message(self, region: str, failure: str | None, content_type: str | None) -> dict[str, Any]:
        shown = {
            "accept": "Accept",
            "contentType": "ContentType",
            "customAttributes": "CustomAttributes",
            "endpointName": "EndpointName",
            "inputLocation": "InputLocation",
        }
        message: dict[str, Any] = {
            "awsRegion": region,
            "eventTime": _time(datetime.now(UTC)),
            "receivedTime": _time(self.received),
            "invocationStatus": "Failed" if failure else "Completed",
            "requestParameters": {
                name: self.request[member] for name, member in shown.items() if member in self.request
            },
            "inferenceId": self.request["InferenceId"],
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        if failure:
            message["failureReason"] = failure
            if self.failure:
                message["responseParameters"] = {"outputLocation": self.failure}
        else:
            described = {"contentType": content_type} if content_type else {}
            message["responseParameters"] = {**described, "outputLocation": self.output}
        return message


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"
