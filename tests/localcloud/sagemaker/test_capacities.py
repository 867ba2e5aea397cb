"""Variants: requests follow their weights, and their instances can be more or fewer, also after a restart."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.localcloud.sagemaker.conftest import Account
from tests.localcloud.sagemaker.embedded import is_running, meet_in_a_file
from tests.localcloud.sagemaker.test_killed_server import embedded
from tests.localcloud.sagemaker.variants import (
    configure,
    describe,
    greetings,
    pids,
    refused,
    serve,
    serverless,
    variant,
)


def adapt(account: Account, endpoint: str, **changes: dict[str, Any]) -> dict[str, Any]:
    """Change variants by name; the description when that is done."""
    wanted = [{"VariantName": name, **change} for name, change in changes.items()]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=wanted)
    return account.endpoint(endpoint)


def numbers(description: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    names = ("CurrentWeight", "DesiredWeight", "CurrentInstanceCount", "DesiredInstanceCount")
    return {one["VariantName"]: tuple(one[name] for name in names) for one in description["ProductionVariants"]}


def test_requests_follow_the_weights_and_new_weights_hold_at_once(account: Account) -> None:
    name = serve(account, variant(account, "A", InitialVariantWeight=3), variant(account, "B", InitialVariantWeight=1))
    counts = greetings(account, name, 60)
    assert 30 < counts["A"] < 60, "three of four"
    assert account.ask(name, TargetVariant="B")["greeting"] == "B"

    wanted = [{"VariantName": "A", "DesiredWeight": 0}, {"VariantName": "B", "DesiredWeight": 2.5}]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    assert set(greetings(account, name, 10)) == {"B"}
    assert numbers(account.endpoint(name)) == {"A": (0, 0, 1, 1), "B": (2.5, 2.5, 1, 1)}
    assert account.ask(name, TargetVariant="A")["greeting"] == "A", "a variant of no weight can still be asked for"


def test_instances_are_added_and_taken_away_while_the_others_answer(account: Account) -> None:
    name = serve(account, variant(account))
    (first,) = pids(account, name, 2)
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    under_way = describe(account, name)
    assert under_way["EndpointStatus"] == "Updating"
    assert numbers(under_way) == {"AllTraffic": (1, 1, 1, 3)}
    (status,) = under_way["ProductionVariants"][0]["VariantStatus"]
    assert (status["Status"], status["StatusMessage"]) == ("Updating", "Scaling out desired instance count to 3.")
    assert "PendingDeploymentSummary" not in under_way
    assert account.ask(name)["instance"] == first
    assert refused(
        account.sagemaker.update_endpoint_weights_and_capacities,
        EndpointName=name,
        DesiredWeightsAndCapacities=wanted,
    ).startswith("Cannot update in-progress endpoint")

    assert numbers(account.endpoint(name)) == {"AllTraffic": (1, 1, 3, 3)}
    three = pids(account, name)
    assert len(three) == 3
    assert numbers(adapt(account, name, AllTraffic={"DesiredInstanceCount": 1})) == {"AllTraffic": (1, 1, 1, 1)}
    assert pids(account, name, 4) == {first}
    assert not any(is_running(pid) for pid in three - {first})


@meet_in_a_file
def test_instances_that_cannot_be_added_leave_the_endpoint_as_it_was(account: Account, tmp_path: Path) -> None:
    name = serve(account, variant(account, environment={"TIMES": str(tmp_path / "times"), "AT_MOST": "1"}))
    changes = {"AllTraffic": {"DesiredInstanceCount": 2, "DesiredWeight": 7}}
    description = adapt(account, name, **changes)
    assert description["EndpointStatus"] == "InService"
    assert "exited with code 9" in description["FailureReason"]
    assert numbers(description) == {"AllTraffic": (1, 1, 1, 1)}
    assert len(pids(account, name, 4)) == 1


def test_what_cannot_be_changed_is_refused(account: Account) -> None:
    name = serve(account, variant(account))
    config = describe(account, name)["EndpointConfigName"]
    count = {"VariantName": "AllTraffic", "DesiredInstanceCount": 2}
    refusals: list[tuple[list[dict[str, Any]], str]] = [
        (
            [{"VariantName": "B", "DesiredWeight": 1}],
            f'The variant name(s) "B" is/are not present within endpoint configuration "{config}".',
        ),
        ([{**count, "DesiredInstanceCount": 0}], "DesiredInstanceCount must be at least 1"),
        ([{**count, "DesiredWeight": -1}], "DesiredWeight"),
        ([{"VariantName": "AllTraffic"}], "DesiredWeight or DesiredInstanceCount is required"),
        ([count, count], "must name each variant once"),
        (
            [{"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 2}}],
            "ServerlessUpdateConfig must not be given unless it is serverless",
        ),
        (
            [{"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"ProvisionedConcurrency": 1}}],
            "ProvisionedConcurrency is not implemented by the embedded cloud",
        ),
    ]
    adapt_it = account.sagemaker.update_endpoint_weights_and_capacities
    for wanted, words in refusals:
        assert words in refused(adapt_it, EndpointName=name, DesiredWeightsAndCapacities=wanted)
    assert "Could not find endpoint" in refused(adapt_it, EndpointName="x", DesiredWeightsAndCapacities=[count])
    assert numbers(describe(account, name)) == {"AllTraffic": (1, 1, 1, 1)}


def test_an_update_retains_weights_and_counts_when_it_is_asked_to(account: Account) -> None:
    name = serve(account, variant(account, "A"), variant(account, "B"))
    adapt(account, name, A={"DesiredInstanceCount": 2, "DesiredWeight": 5})
    first, second = (configure(account, variant(account, "A"), variant(account, "C", 2)) for _ in range(2))
    only = [{"VariantPropertyType": "DesiredWeight"}]
    update = account.sagemaker.update_endpoint
    assert "must not be given unless RetainAllVariantProperties" in refused(
        update, EndpointName=name, EndpointConfigName=first, ExcludeRetainedVariantProperties=only
    )
    update(EndpointName=name, EndpointConfigName=first, RetainAllVariantProperties=True)
    assert numbers(account.endpoint(name)) == {"A": (5, 5, 2, 2), "C": (1, 1, 2, 2)}
    update(
        EndpointName=name,
        EndpointConfigName=second,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=only,
    )
    assert numbers(account.endpoint(name)) == {"A": (1, 1, 2, 2), "C": (1, 1, 2, 2)}


def test_after_a_kill_the_endpoint_serves_again_with_its_weights_and_counts(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        name = serve(account, variant(account, "A"), variant(account, "B"), serverless(account, name="S"))
        others = {"B": {"DesiredWeight": 3}, "S": {"DesiredWeight": 0, "ServerlessUpdateConfig": {"MaxConcurrency": 5}}}
        adapt(account, name, A={"DesiredInstanceCount": 2, "DesiredWeight": 0}, **others)
        coming = configure(account, variant(account, "A", environment={"HEALTHY": "no"}))
        account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=coming)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with embedded(tmp_path) as (_, account):
        description = account.endpoint(name)
        assert description["EndpointStatus"] == "InService"
        assert description["FailureReason"] == "the embedded cloud ended during the update."
        assert numbers(description) == {"A": (0, 0, 2, 2), "B": (3, 3, 1, 1), "S": (0, 0, 0, 0)}
        assert description["ProductionVariants"][2]["CurrentServerlessConfig"]["MaxConcurrency"] == 5
        assert account.ask(name, TargetVariant="S")["greeting"] == "S"
        assert set(greetings(account, name, 5)) == {"B"}
        account.sagemaker.delete_endpoint_config(EndpointConfigName=coming)
