"""Cost-allocation tags are activated where that may be done, and told of where it may not."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from kindling.bootstrap.cost_tags import OF_PIPELINES, CostTags, activate, keys_of
from lambdas.reaper.idle import ALGORITHM, RUN
from stacks.settings import Settings

OPERATION = "update_cost_allocation_tags_status"
# Word for word what AWS tells the member of an organisation.
LINKED = "Failed to update Cost Allocation Tag: Linked account doesn't have access to cost allocation tags."


@pytest.fixture
def cost_explorer() -> Any:
    return boto3.client("ce", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


def asked(*keys: str) -> dict[str, Any]:
    return {"CostAllocationTagsStatus": [{"TagKey": key, "Status": "Active"} for key in keys]}


def test_the_tags_of_pipelines_are_those_that_the_reaper_looks_for() -> None:
    assert OF_PIPELINES == (ALGORITHM, RUN)


def test_the_tags_are_those_of_pipelines_and_of_the_settings_each_once() -> None:
    settings = Settings(tags={"team": "nlp", "kindling:run": "x", "stage": "dev"})
    assert keys_of(settings) == ("kindling:algorithm", "kindling:run", "team", "stage")


def test_all_tags_are_activated_twenty_at_a_time(cost_explorer: Any) -> None:
    keys = [f"key-{number}" for number in range(42)]
    with Stubber(cost_explorer) as stub:
        for first in (0, 20, 40):
            stub.add_response(OPERATION, {"Errors": []}, asked(*keys[first : first + 20]))
        found = activate(cost_explorer, keys)
        stub.assert_no_pending_responses()
    assert found == CostTags(active=tuple(keys))


def test_a_tag_that_was_never_used_is_told_apart_from_one_that_is_refused(cost_explorer: Any) -> None:
    errors = [
        {"TagKey": "kindling:run", "Code": "TagKeysNotFoundException", "Message": "Tag keys not found: kindling:run"},
        {"TagKey": "odd", "Code": "ValidationException", "Message": "Tag key is invalid"},
    ]
    with Stubber(cost_explorer) as stub:
        stub.add_response(OPERATION, {"Errors": errors}, asked("team", "kindling:run", "odd"))
        found = activate(cost_explorer, ["team", "kindling:run", "odd"])
    assert list(found.sentences()) == [
        "The bill can be broken down by team from tomorrow on.",
        "AWS does not know the tags kindling:run yet: it does a day after they are first used. "
        "Run `kindling bootstrap` again then.",
        "The tag odd was not activated: Tag key is invalid.",
    ]


def test_a_member_of_an_organisation_is_told_who_can(cost_explorer: Any) -> None:
    with Stubber(cost_explorer) as stub:
        stub.add_client_error(OPERATION, "AccessDeniedException", LINKED)
        found = activate(cost_explorer, ["team"])
    assert found.active == ()
    assert list(found.sentences()) == [
        f"Cost-allocation tags were not activated: {LINKED} In an organisation the management account activates them, "
        "under Billing, Cost allocation tags."
    ]


def test_a_failure_of_aws_is_not_taken_for_a_refusal(cost_explorer: Any) -> None:
    with Stubber(cost_explorer) as stub:
        stub.add_client_error(OPERATION, "LimitExceededException", "Too many requests")
        with pytest.raises(ClientError, match="Too many requests"):
            activate(cost_explorer, ["team"])
