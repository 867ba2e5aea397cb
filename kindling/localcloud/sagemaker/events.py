"""What SageMaker tells EventBridge: "SageMaker Training Job State Change" and its like."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kindling.localcloud.cloud import Cloud

_logger = logging.getLogger(__name__)


class Events:
    """The default event bus of the cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._account_id, self._region = cloud.account_id, cloud.region
        self._persistence = cloud.persistence

    def announce(self, change: str, arn: str, detail: Mapping[str, Any]) -> None:
        """Put a change of state on the bus.

        Args:
            change: the event's detail-type without "SageMaker " and " State Change", such as "Training Job".
            arn: of the resource that changed.
            detail: its description as the API gives it.
        """
        from moto.events.models import events_backends  # after the start: few clouds ever have a rule

        backend = events_backends[self._account_id][self._region]
        event = {
            "Source": "aws.sagemaker",
            "DetailType": f"SageMaker {change} State Change",
            "Detail": json.dumps(detail, default=_milliseconds),
            "Resources": [arn],
            "Time": datetime.now(UTC).timestamp(),
        }
        try:
            backend.put_events([event])
            self._persistence.soon()
        except Exception:  # a target that fails must not fail the job that the event is about
            _logger.exception("event %s of %s", change, arn)


def _milliseconds(value: object) -> int:
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    raise TypeError(f"{value!r} has no JSON")
