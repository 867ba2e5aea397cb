"""Looking at endpoints, asking them, and taking away what they served before."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.endpoint.status import EndpointError, check, former
from lambdas.hosting.endpoints import Endpoint, models_of
from lambdas.retire.retirement import retire
from lambdas.smoke_test.answer import SmokeTestError, check_answer
from lambdas.smoke_test.shadow import check_shadow
from tests.unit.test_lambda_rollback import SageMaker


def endpoint(status: str, config: str = "new", failure: str | None = None) -> Endpoint:
    return Endpoint(name="e", arn="arn:e", status=status, config_name=config, failure=failure)


def checked(found: Endpoint | None, count: int = 0) -> dict[str, Any]:
    return check(found, "e", "new", {"count": count}, longest=10)


def test_an_endpoint_that_is_not_there_is_created_and_one_in_service_updated() -> None:
    assert former(None) == {"action": "created", "config_name": None}
    assert former(endpoint("InService", "old")) == {"action": "updated", "config_name": "old"}


@pytest.mark.parametrize("status", ["Creating", "Updating", "Deleting", "Failed", "OutOfService"])
def test_an_endpoint_in_no_state_to_be_updated_is_left_alone(status: str) -> None:
    with pytest.raises(EndpointError, match=f"endpoint e is {status}, so it cannot be updated"):
        former(endpoint(status))


def test_an_endpoint_is_ready_when_it_serves_the_new_configuration() -> None:
    assert checked(endpoint("InService")) == {"count": 1, "ready": True, "arn": "arn:e", "status": "InService"}
    assert checked(endpoint("Creating"), count=4) == {
        "count": 5,
        "ready": False,
        "arn": "arn:e",
        "status": "Creating",
    }


def test_an_update_that_fell_back_has_failed() -> None:
    with pytest.raises(EndpointError, match="kept its former configuration: out of memory"):
        checked(endpoint("InService", "old", "out of memory"))


def test_a_failed_endpoint_says_why() -> None:
    with pytest.raises(EndpointError, match="endpoint e is Failed: /ping"):
        checked(endpoint("Failed", failure="/ping did not answer"))


def test_waiting_for_an_endpoint_is_bounded() -> None:
    with pytest.raises(EndpointError, match="still Creating after 10 checks"):
        checked(endpoint("Creating"), count=9)


def test_an_endpoint_that_vanishes_has_failed() -> None:
    with pytest.raises(EndpointError, match="was deleted"):
        checked(None)


@pytest.mark.parametrize("body", [b'[{"vector": [0.0]}]', b'[{"vector": [1.5]}]'])
def test_a_value_where_one_is_expected_is_enough(body: bytes) -> None:
    check_answer(body, "[0].vector[0]")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'[{"vector": []}]', b'{"error": "x"}', b"\xff"])
def test_an_answer_without_it_is_shown(body: bytes) -> None:
    with pytest.raises(SmokeTestError, match="begins"):
        check_answer(body, "[0].vector[0]")


def test_the_former_configuration_and_its_model_are_deleted() -> None:
    sagemaker = SageMaker()
    sagemaker.models, sagemaker.configs = {"kindling-m", "kindling-n"}, {"kindling-old": "kindling-m"}
    assert retire(sagemaker, "kindling-old", "kindling-") == []
    assert (sagemaker.configs, sagemaker.models) == ({}, {"kindling-n"})


def test_a_shadow_beside_the_former_model_is_deleted_if_it_is_ours() -> None:
    for shadow, left in (("kindling-s", []), ("theirs", ["theirs"])):
        sagemaker = SageMaker()
        sagemaker.models, sagemaker.configs = {"kindling-m", shadow}, {"kindling-old": "kindling-m"}
        sagemaker.shadows = {"kindling-old": shadow}
        assert retire(sagemaker, "kindling-old", "kindling-") == left
        assert (sagemaker.configs, sagemaker.models) == ({}, set(left))


def test_the_production_variants_model_comes_first_for_it_is_the_champion() -> None:
    sagemaker = SageMaker()
    sagemaker.configs, sagemaker.shadows = {"old": "champion"}, {"old": "shadow"}
    assert models_of(sagemaker, "old") == ["champion", "shadow"]
    assert models_of(sagemaker, "none") is None


def test_what_someone_made_by_hand_is_left_alone_and_named() -> None:
    sagemaker = SageMaker()
    sagemaker.models, sagemaker.configs = {"their-model"}, {"theirs": "their-model"}
    assert retire(sagemaker, "theirs", "kindling-") == ["theirs", "their-model"]
    assert sagemaker.models == {"their-model"}


def test_retiring_what_is_gone_already_is_fine() -> None:
    assert retire(SageMaker(), "kindling-old", "kindling-") == []


def test_a_model_that_goes_on_serving_is_not_retired() -> None:
    sagemaker = SageMaker()
    sagemaker.configs, sagemaker.models = {"kindling-old": "kindling-champion"}, {"kindling-champion"}
    assert retire(sagemaker, "kindling-old", "kindling-", ["kindling-champion"]) == []
    assert (sagemaker.configs, sagemaker.models) == ({}, {"kindling-champion"})


class CloudWatch:
    """Tells of a shadow's requests from the second look on."""

    def __init__(self, **sums: float) -> None:
        self.sums, self.looks = sums, 0

    def get_metric_statistics(self, MetricName: str, **_request: Any) -> dict[str, Any]:  # noqa: N803
        self.looks += 1
        found = self.sums.get(MetricName, 0.0) if self.looks > 2 else 0.0
        return {"Datapoints": [{"Sum": found}] if found else []}


def shadow_is_checked(cloudwatch: CloudWatch, percent: int = 10) -> int:
    """How many requests were sent."""
    asked: list[None] = []
    check_shadow(cloudwatch, "e", percent, lambda: asked.append(None), longest_s=0.2, pause_s=0.01)
    return len(asked)


def test_a_shadow_is_asked_until_its_metrics_tell_of_it() -> None:
    # Fifty requests a round, so that ten in a hundred are some.
    assert shadow_is_checked(CloudWatch(Invocations=3.0)) == 100


def test_a_shadow_that_fails_or_hears_nothing_fails_the_smoke_test() -> None:
    with pytest.raises(SmokeTestError, match=r"the shadow of endpoint e failed to answer 2 of the requests\."):
        shadow_is_checked(CloudWatch(Invocations=3.0, Invocation5XXErrors=2.0))
    with pytest.raises(SmokeTestError, match="no request has come to the shadow of endpoint e within"):
        shadow_is_checked(CloudWatch())
