"""S3 tells EventBridge of objects that come and go, as far as a bucket's notifications say so.

moto's events all have one id and one sequencer, reasons of another API, come twice for an upload in parts, and reach
the rules of every bus; and GetBucketNotificationConfiguration leaves EventBridge out. Nobody is told
of delete markers.
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from itertools import count
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
}

_logger = logging.getLogger(__name__)


def install(cloud: Cloud) -> None:
    """Send events of the service's form to the default bus, and show what is switched on."""
    _send_events(cloud)
    _show_event_bridge()


def _send_events(cloud: Cloud) -> None:
    from moto.events.models import events_backends
    from moto.s3 import notifications

    began, numbers = int(datetime.now(UTC).timestamp() * 1000), count()

    def send(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
        name = str(getattr(event_name, "value", event_name)).removeprefix("s3:")
        if name == "ObjectCreated:Put" and key.multipart is not None:
            return  # the event of its completion follows
        detail: dict[str, Any] = {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": {
                "key": key.name,
                # In the order in which they came, beyond the end of this process, too.
                "sequencer": f"{began:012X}{next(numbers):06X}",
            },
            "request-id": uuid.uuid4().hex[:16].upper(),
            "requester": account_id,
            "source-ip-address": "127.0.0.1",
        }
        if bucket.is_versioned:
            detail["object"]["version-id"] = key.version_id
        if name in _REASONS:
            detail["reason"] = _REASONS[name]
        if name == "ObjectRemoved:Delete":
            detail["deletion-type"] = "Permanently Deleted"
        else:
            detail["object"] |= {"size": key.size, "etag": key.etag.strip('"')}
        event: Any = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": notifications._detail_type(event_name),
            "source": "aws.s3",
            "account": account_id,
            "time": datetime.now(UTC).timestamp(),
            "region": cloud.region,
            "resources": [bucket.arn],
            "detail": detail,
        }
        for rule in list(events_backends[account_id][cloud.region].event_buses["default"].rules.values()):
            try:
                rule.send_to_targets(event)
            except Exception:  # as in the service, nothing that hears of an object keeps it from being there
                _logger.exception("rule %s on %s of %s", rule.name, name, key.name)

    replace(notifications, "_send_event_bridge_message", send)


def _show_event_bridge() -> None:
    from moto.core.responses import ActionResult
    from moto.s3.responses import S3Response

    def get_bucket_notification(self: Any) -> Any:
        found = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if found is not None and found.event_bridge is not None:
            serialized = self.serialized
            self.serialized = lambda answer: serialized(ActionResult({**answer.result, "EventBridgeConfiguration": {}}))
        return shown(self)

    shown = replace(S3Response, "get_bucket_notification", get_bucket_notification)
