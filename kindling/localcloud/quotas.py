"""Service Quotas of SageMaker, which moto lacks: those of every instance type, and the increases that were asked for.

Nobody grants an increase here: it stays pending. Nothing is refused for a quota either; a laptop has its own limits.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.capacity import vcpus
from kindling.localcloud.sagemaker.validation import service_model
from kindling.localcloud.seams import replace

_SERVICE, _SERVICE_NAME = "sagemaker", "Amazon SageMaker"
# By the ends of the quotas' names: the shape of the API that lists the types.
_PURPOSES: Final = {
    "training job usage": "TrainingInstanceType",
    "spot training job usage": "TrainingInstanceType",
    "processing job usage": "ProcessingInstanceType",
    "transform job usage": "TransformInstanceType",
    "endpoint usage": "ProductionVariantInstanceType",
}
_ACCELERATED = ("ml.g", "ml.p", "ml.trn", "ml.inf", "ml.dl")
_VCPUS_AT_ONCE, _MOST_AT_ONCE = 64, 8
_PAGE = 100
_PENDING = "PENDING"


def install(_cloud: Cloud) -> None:
    """Have moto's Service Quotas answer for SageMaker."""
    from moto.servicequotas.exceptions import NoSuchResource
    from moto.servicequotas.responses import ServiceQuotasResponse

    def list_service_quotas(self: Any) -> str:
        return _page(self.body, "Quotas", of(self))

    def get_service_quota(self: Any) -> str:
        asked = json.loads(self.body)
        if asked.get("ServiceCode") != _SERVICE:
            return str(get(self))
        return json.dumps({"Quota": one_of(self, asked["QuotaCode"])})

    def request_service_quota_increase(self: Any) -> str:
        asked = json.loads(self.body)
        quota, requested = one_of(self, asked["QuotaCode"]), _requested(self)
        if asked["DesiredValue"] <= quota["Value"]:
            raise _error("IllegalArgumentException", f"The desired value must be above {quota['Value']:g}.")
        if any(one["QuotaCode"] == quota["QuotaCode"] for one in requested):
            raise _error("ResourceAlreadyExistsException", "Only one open service quota increase request is allowed.")
        now = time.time()
        requested.append(
            {
                "Id": hashlib.sha256(f"{quota['QuotaArn']} {now}".encode()).hexdigest()[:32],
                **{name: quota[name] for name in ("ServiceCode", "ServiceName", "QuotaCode", "QuotaName", "QuotaArn")},
                "DesiredValue": float(asked["DesiredValue"]),
                "Status": _PENDING,
                "Created": now,
                "Unit": "None",
            }
        )
        return json.dumps({"RequestedQuota": requested[-1]})

    def list_requested_service_quota_change_history(self: Any) -> str:
        asked = json.loads(self.body)
        wanted = {name: asked[name] for name in ("ServiceCode", "Status") if name in asked}
        found = [one for one in _requested(self) if all(one[name] == value for name, value in wanted.items())]
        return _page(self.body, "RequestedQuotas", found)

    def of(response: Any) -> Sequence[Mapping[str, Any]]:
        code = json.loads(response.body).get("ServiceCode")
        if code != _SERVICE:
            return list(response.backend.list_aws_default_service_quotas(str(code)))
        return sagemaker_quotas(response.region)

    def one_of(response: Any, code: str) -> Mapping[str, Any]:
        for quota in of(response):
            if quota["QuotaCode"] == code:
                return quota
        raise NoSuchResource

    responses: Any = ServiceQuotasResponse
    replace(responses, "list_aws_default_service_quotas", list_service_quotas)
    get = replace(responses, "get_service_quota", get_service_quota)
    responses.list_service_quotas = list_service_quotas
    responses.request_service_quota_increase = request_service_quota_increase
    responses.list_requested_service_quota_change_history = list_requested_service_quota_change_history


def _requested(response: Any) -> list[dict[str, Any]]:
    """The increases that were asked for; an attribute of the backend's, with which it is kept."""
    requested: list[dict[str, Any]] = response.backend.__dict__.setdefault("requested", [])
    return requested


@cache
def sagemaker_quotas(region: str) -> Sequence[Mapping[str, Any]]:
    """The quotas of every instance type for each of its purposes, as many as have 64 vCPUs, 8 at most.

    Those with an accelerator are at 0, as in a new account.
    """
    return [
        _quota(region, f"{instance_type} for {purpose}", _value(instance_type))
        for purpose, shape in _PURPOSES.items()
        for instance_type in sorted(service_model().shape_for(shape).enum)
    ]


def _value(instance_type: str) -> float:
    if instance_type.startswith(_ACCELERATED):
        return 0.0
    return float(max(1, min(_MOST_AT_ONCE, _VCPUS_AT_ONCE // vcpus(instance_type))))


def _quota(region: str, name: str, value: float) -> Mapping[str, Any]:
    code = f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": _SERVICE_NAME,
        "QuotaArn": f"arn:aws:servicequotas:{region}:123456789012:{_SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _page(body: str, member: str, found: Sequence[Mapping[str, Any]]) -> str:
    asked = json.loads(body)
    first, size = int(asked.get("NextToken") or 0), min(int(asked.get("MaxResults") or _PAGE), _PAGE)
    following = {"NextToken": str(first + size)} if first + size < len(found) else {}
    return json.dumps({member: found[first : first + size], **following})


def _error(code: str, message: str) -> Exception:
    from moto.core.exceptions import JsonRESTError

    return JsonRESTError(code, message)
