"""Service Quotas on the embedded cloud: those of SageMaker's instance types, and increases that were asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kindling.bootstrap import quotas
from kindling.bootstrap.needs import needs_of
from kindling.bootstrap.places import Place
from stacks.settings import Settings

TRAINING = "ml.c5.2xlarge for training job usage"


def listed(aws: Any, operation: str = "list_service_quotas") -> dict[str, dict[str, Any]]:
    pages = aws("service-quotas").get_paginator(operation).paginate(ServiceCode="sagemaker")
    return {one["QuotaName"]: one for page in pages for one in page["Quotas"]}


def test_every_instance_type_has_a_quota_for_each_of_its_purposes(aws: Any) -> None:
    quotas = listed(aws)
    assert len(quotas) > 500
    for purpose in ("training job", "spot training job", "processing job", "transform job", "endpoint"):
        assert quotas[f"ml.c5.2xlarge for {purpose} usage"]["Value"] > 0
    assert quotas[TRAINING]["Value"] > quotas["ml.c5.18xlarge for training job usage"]["Value"] >= 1
    assert quotas["ml.g4dn.xlarge for training job usage"]["Value"] == 0, "as in a new account"
    assert len({one["QuotaCode"] for one in quotas.values()}) == len(quotas)
    assert listed(aws, "list_aws_default_service_quotas") == quotas


def test_an_increase_is_remembered_and_asked_for_once(aws: Any) -> None:
    client, quota = aws("service-quotas"), listed(aws)[TRAINING]
    which = {"ServiceCode": "sagemaker", "QuotaCode": quota["QuotaCode"]}
    assert client.get_service_quota(**which)["Quota"] == quota
    with pytest.raises(client.exceptions.IllegalArgumentException, match="must be above 8"):
        client.request_service_quota_increase(**which, DesiredValue=quota["Value"])
    asked = client.request_service_quota_increase(**which, DesiredValue=20)["RequestedQuota"]
    assert (asked["Status"], asked["QuotaName"], asked["DesiredValue"]) == ("PENDING", TRAINING, 20.0)
    with pytest.raises(client.exceptions.ResourceAlreadyExistsException):
        client.request_service_quota_increase(**which, DesiredValue=30)
    history = client.list_requested_service_quota_change_history
    assert [one["Id"] for one in history(ServiceCode="sagemaker")["RequestedQuotas"]] == [asked["Id"]]
    assert history(ServiceCode="sagemaker", Status="APPROVED")["RequestedQuotas"] == []
    assert client.get_service_quota(**which)["Quota"] == quota, "nobody grants it here"


def test_what_there_is_no_quota_of_is_refused(aws: Any) -> None:
    client = aws("service-quotas")
    with pytest.raises(client.exceptions.NoSuchResourceException):
        client.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-00000000")
    with pytest.raises(client.exceptions.NoSuchResourceException):
        client.list_service_quotas(ServiceCode="nothing")
    assert client.list_service_quotas(ServiceCode="vpc")["Quotas"], "moto's own"


def test_what_the_settings_need_is_held_against_them_and_asked_for_once(aws: Any) -> None:
    settings = Settings(needs={"ml.m5.large": {"hosting": 9}, "ml.p3.2xlarge": {"training": 1}})  # type: ignore[arg-type]
    target: Any = SimpleNamespace(kind="embedded", client=aws)
    place = Place("dev", settings, target, "us-east-1", is_home=True)
    needs = needs_of(settings)

    def statuses() -> list[str]:
        return [found.status for found in quotas.look(place, needs) if found.check == "quota"]

    assert statuses() == ["fail", "fail"]
    wanted = ["ml.m5.large for endpoint usage: from 8 to 9", "ml.p3.2xlarge for training job usage: from 0 to 1"]
    assert quotas.wanted(place, needs) == wanted
    assert quotas.request(place, needs) == wanted
    assert statuses() == ["warn", "warn"]
    assert quotas.request(place, needs) == []
