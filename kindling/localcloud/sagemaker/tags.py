"""AddTags, ListTags and DeleteTags for the resources that the embedded cloud owns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kindling.localcloud.sagemaker.resources import Resources, Tagged, tags_of


class Tags:
    """The tags of several kinds of resources. Each operation is None for a resource of another kind."""

    def __init__(self, kinds: Sequence[Resources[Any]]) -> None:
        self._kinds = kinds

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of a tag operation, or None when the resource is not one of these."""
        resource = self._find(request["ResourceArn"])
        if resource is None:
            return None
        if operation == "AddTags":
            resource.tags.update(tags_of(request))
        elif operation == "DeleteTags":
            for key in request["TagKeys"]:
                resource.tags.pop(key, None)
            return {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in resource.tags.items()]}

    def _find(self, arn: str) -> Tagged | None:
        for kind in self._kinds:
            found: Tagged | None = kind.with_arn(arn)
            if found is not None:
                return found
        return None
