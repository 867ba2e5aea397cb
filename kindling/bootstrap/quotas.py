"""SageMaker's quotas: which instance types a region has, how many may run at once, and asking for more.

A region's instance types are told by its quotas: each type has one for every purpose that it can be used for.
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kindling.bootstrap.findings import Finding
from kindling.bootstrap.needs import InstanceNeed
from kindling.bootstrap.places import Place

LISTING: Final = (
    "servicequotas:ListServiceQuotas",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListRequestedServiceQuotaChangeHistory",
)
_OPEN = ("PENDING", "CASE_OPENED")
_REGIONS, _TYPES, _QUOTAS = "region", "instance types", "quota"
_SERVICE = "sagemaker"


@dataclass(frozen=True)
class Quota:
    """A quota: `value` is what may run at once."""

    code: str
    name: str
    value: float
    adjustable: bool


@dataclass(frozen=True)
class Shortage:
    """A quota below what is needed; `pending` is the value that has been asked for."""

    need: InstanceNeed
    quota: Quota
    pending: float | None

    @property
    def can_be_asked_for(self) -> bool:
        """Whether an increase is to be had and nobody has asked for it."""
        return self.quota.adjustable and (self.pending is None or self.pending < self.need.count)


def region(place: Place) -> Iterator[Finding]:
    """Whether SageMaker is in the region, as botocore's list of endpoints knows."""
    import botocore.session

    session = botocore.session.get_session()
    known = {
        name: set(session.get_available_regions(name, partition_name=partition))
        for partition in session.get_available_partitions()
        for name in (_SERVICE, "sts")
        if place.region in session.get_available_regions(name, partition_name=partition)
    }
    if _SERVICE in known:
        yield Finding(_REGIONS, "pass", f"{place.region} offers SageMaker")
    elif known:
        yield Finding(
            _REGIONS, "fail", f"{place.region} does not offer SageMaker", "choose another with --region or in settings."
        )
    else:
        yield Finding(
            _REGIONS, "fail", f"no region is called {place.region}", "choose one such as eu-west-1 with --region."
        )


def look(place: Place, needs: Sequence[InstanceNeed], *, asking: bool = False) -> Iterator[Finding]:
    """Whether each instance type is there, and as many of it as are needed.

    Args:
        asking: whether increases are going to be asked for, so that what is short is no obstacle.
    """
    quotas = _quotas(place)
    missing = [need for need in needs if need.quota not in quotas]
    yield from _types(place, needs, missing, quotas)
    short = {shortage.need: shortage for shortage in _shortages(place, needs, quotas)}
    for need in needs:
        if need in missing:
            continue
        quota = quotas[need.quota]
        if need in short:
            yield _short(short[need], asking=asking)
        else:
            yield Finding(_QUOTAS, "pass", f"{need.quota}: {quota.value:g}, needed {need.count}")


def request(place: Place, needs: Sequence[InstanceNeed]) -> list[str]:
    """Ask for what is short and nobody has asked for; gives what was asked for, in words."""
    client, asked = place.client("service-quotas"), []
    for shortage in _shortages(place, needs, _quotas(place)):
        if shortage.can_be_asked_for:
            wanted = float(shortage.need.count)
            client.request_service_quota_increase(
                ServiceCode=_SERVICE, QuotaCode=shortage.quota.code, DesiredValue=wanted
            )
            asked.append(f"{shortage.quota.name}: from {shortage.quota.value:g} to {wanted:g}")
    return asked


def wanted(place: Place, needs: Sequence[InstanceNeed]) -> list[str]:
    """What `request` would ask for."""
    return [
        f"{one.quota.name}: from {one.quota.value:g} to {one.need.count}"
        for one in _shortages(place, needs, _quotas(place))
        if one.can_be_asked_for
    ]


def _types(
    place: Place, needs: Iterable[InstanceNeed], missing: Sequence[InstanceNeed], quotas: Mapping[str, Quota]
) -> Iterator[Finding]:
    for need in missing:
        exists = any(name.startswith(f"{need.instance_type} for ") for name in quotas)
        found = f"{place.region} has no {need.instance_type}{f' for {need.purpose}' if exists else ''}"
        mend = "take another type in the settings' `needs`, or another region."
        yield Finding(_TYPES, "fail", found, mend)
    there = sorted({need.instance_type for need in needs} - {need.instance_type for need in missing})
    if there and not missing:
        yield Finding(_TYPES, "pass", f"{place.region} has {', '.join(there)}")


def _short(shortage: Shortage, *, asking: bool) -> Finding:
    need, quota = shortage.need, shortage.quota
    found = f"{quota.name}: {quota.value:g}, needed {need.count}"
    if not shortage.can_be_asked_for and shortage.pending is not None:
        return Finding(_QUOTAS, "warn", f"{found}; {shortage.pending:g} are asked for", "wait for AWS's answer.")
    if not quota.adjustable:
        return Finding(_QUOTAS, "fail", f"{found}; it cannot be raised", "take another type in the settings' `needs`.")
    if asking:
        return Finding(_QUOTAS, "warn", found, f"{need.count} will be asked for; runs fail until AWS grants it.")
    return Finding(_QUOTAS, "fail", found, "ask for more with `kindling bootstrap --request-quotas`.")


def _shortages(place: Place, needs: Iterable[InstanceNeed], quotas: Mapping[str, Quota]) -> Iterator[Shortage]:
    short = [need for need in needs if need.quota in quotas and quotas[need.quota].value < need.count]
    pending = _pending(place) if short else {}
    for need in short:
        quota = quotas[need.quota]
        yield Shortage(need, quota, pending.get(quota.code))


def _quotas(place: Place) -> dict[str, Quota]:
    """The account's quotas by name: AWS lists those that it has applied, the rest are as by default."""
    client = place.client("service-quotas")
    by_code: dict[str, Any] = {}
    for operation in ("list_aws_default_service_quotas", "list_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode=_SERVICE):
            by_code.update({one["QuotaCode"]: one for one in page["Quotas"]})
    return {
        one["QuotaName"]: Quota(one["QuotaCode"], one["QuotaName"], float(one["Value"]), bool(one["Adjustable"]))
        for one in by_code.values()
    }


def _pending(place: Place) -> dict[str, float]:
    """What has been asked for and not answered, by the quota's code."""
    pages = place.client("service-quotas").get_paginator("list_requested_service_quota_change_history")
    found: dict[str, float] = {}
    for page in pages.paginate(ServiceCode=_SERVICE):
        for one in page["RequestedQuotas"]:
            if one["Status"] in _OPEN:
                found[one["QuotaCode"]] = max(float(one["DesiredValue"]), found.get(one["QuotaCode"], 0.0))
    return found
