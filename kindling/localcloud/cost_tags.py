"""Cost Explorer's cost-allocation tags, which moto lacks: which are active is remembered; nothing is billed here."""

from __future__ import annotations

import json
from typing import Any

from kindling.localcloud.cloud import Cloud


def install(_cloud: Cloud) -> None:
    """Have moto's Cost Explorer list tags and change their status."""
    from moto.ce.responses import CostExplorerResponse

    def update_cost_allocation_tags_status(self: Any) -> str:
        known = _statuses(self)
        known |= {one["TagKey"]: one["Status"] for one in json.loads(self.body)["CostAllocationTagsStatus"]}
        return json.dumps({"Errors": []})

    def list_cost_allocation_tags(self: Any) -> str:
        asked = json.loads(self.body or "{}")
        tags = [
            {"TagKey": key, "Type": "UserDefined", "Status": status}
            for key, status in _statuses(self).items()
            if key in asked.get("TagKeys", [key]) and status == asked.get("Status", status)
        ]
        return json.dumps({"CostAllocationTags": tags})

    responses: Any = CostExplorerResponse
    responses.update_cost_allocation_tags_status = update_cost_allocation_tags_status
    responses.list_cost_allocation_tags = list_cost_allocation_tags


def _statuses(response: Any) -> dict[str, str]:
    """The tags' statuses; an attribute of the backend's, with which it is kept."""
    statuses: dict[str, str] = response.ce_backend.__dict__.setdefault("cost_allocation_tags", {})
    return statuses
