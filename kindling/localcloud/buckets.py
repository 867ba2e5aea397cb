"""S3: a bucket's policy denies what it denies on AWS, and no more.

moto looks at no conditions, so that "deny what does not come over TLS", which every bucket of the house says, would
deny everything. This cloud speaks plain HTTP on the loopback interface, where no condition of a policy has a meaning.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace


def install(_cloud: Cloud) -> None:
    """Leave conditional statements out when a bucket's permissions are asked for."""
    from moto.s3.models import FakeBucket

    def get_permission(self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return judge(self, action, resource)
        policy = json.loads(self.policy)
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        policy["Statement"] = [statement for statement in statements if not statement.get("Condition")]
        return judge(SimpleNamespace(policy=json.dumps(policy).encode()), action, resource)

    judge = replace(FakeBucket, "get_permission", get_permission)
