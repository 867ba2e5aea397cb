"""AddTags, ListTags and DeleteTags for the resources that the embedded cloud owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.kept_by_moto import KINDS_KEPT_BY_MOTO
from kindling.localcloud.sagemaker.resources import Kept, Operation, Resources, tags_of

TAG_OPERATIONS = ("AddTags", "ListTags", "DeleteTags")

_MOST = 50


class Tags:
    """The tags of several kinds of resources. Each operation is None for a resource of a kind that moto keeps."""

    def __init__(self, kinds: Sequence[Resources[Any]]) -> None:
        self._kinds = kinds

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {name: partial(self.call, name) for name in TAG_OPERATIONS}

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of a tag operation.

        Raises:
            InvalidRequestError: there is no such resource.
        """
        arn = request["ResourceArn"]
        found = self._find(arn)
        if found is None:
            if arn.split(":")[-1].split("/")[0] in KINDS_KEPT_BY_MOTO:
                return None
            raise InvalidRequestError(f"Could not find resource {arn}.")
        kind, resource = found
        if operation == "AddTags":
            tags = {**resource.tags, **tags_of(request)}
            if len(tags) > _MOST:
                raise InvalidRequestError(
                    f"{resource.arn} would have {len(tags)} tags; a resource has at most {_MOST}."
                )
            resource.tags.update(tags)
            kind.changed(resource)
        elif operation == "DeleteTags":
            for key in request["TagKeys"]:
                resource.tags.pop(key, None)
            kind.changed(resource)
            return {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in resource.tags.items()]}

    def _find(self, arn: str) -> tuple[Resources[Any], Kept] | None:
        for kind in self._kinds:
            found: Kept | None = kind.with_arn(arn)
            if found is not None:
                return kind, found
        return None
