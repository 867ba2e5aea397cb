"""The table of docs/embedded-cloud/api.md is the truth: what it refuses is refused, what it says works is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.session import get_session

from kindling.localcloud.sagemaker.coverage import PAGE, Coverage, coverage, members, page_with_tables, tables
from kindling.localcloud.sagemaker.kept_by_moto import KEPT_BY_MOTO
from kindling.localcloud.sagemaker.validation import Supported, service_model
from tests.localcloud.sagemaker.conftest import Account, new_name

RUNTIME_PATHS = {
    "InvokeEndpoint": "invocations",
    "InvokeEndpointAsync": "async-invocations",
    "InvokeEndpointWithResponseStream": "invocations-response-stream",
}


@pytest.fixture(scope="module")
def found() -> Coverage:
    return coverage()


def answers(account: Account, operations: list[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Each operation with the status and the answer that an empty request gets."""
    pool = urllib3.HTTPConnectionPool("127.0.0.1", account.cloud.port, maxsize=4)
    signature = (
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    )

    def ask(operation: str) -> tuple[str, int, dict[str, Any]]:
        headers = {
            "X-Amz-Target": f"SageMaker.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": signature,
        }
        answer = pool.request("POST", "/", body=b"{}", headers=headers, retries=False)
        return operation, answer.status, json.loads(answer.data or b"{}")

    with ThreadPoolExecutor(4) as threads:
        yield from threads.map(ask, operations)


def test_the_page_holds_the_tables_of_this_service(found: Coverage) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_tables(page, found), "run `make docs`"


def test_every_operation_of_the_services_models_is_in_one_table(found: Coverage) -> None:
    runtime = get_session().get_service_model("sagemaker-runtime").operation_names
    assert sorted([*found.works, *found.kept, *found.refused]) == sorted(service_model().operation_names)
    assert sorted(found.runtime) == sorted(runtime)
    for operation in (*service_model().operation_names, *runtime):
        assert tables(found).count(f"`{operation}`") == 1


def test_every_refused_operation_is_refused_by_name(account: Account, found: Coverage) -> None:
    for operation, status, answer in answers(account, [*found.refused, "CreateWhatIsYetToCome"]):
        assert status == 400
        assert answer["Message"] == f"{operation} is not implemented by the embedded cloud."
        assert answer["__type"].endswith("ValidationException")


def test_every_operation_that_works_is_answered_and_checked(account: Account, found: Coverage) -> None:
    for operation, status, answer in answers(account, [*found.works, *found.kept]):
        assert status in (200, 400), (operation, answer)
        assert "not implemented" not in answer.get("Message", ""), operation
        required = service_model().operation_model(operation).input_shape.required_members
        if required:
            assert f'Missing required parameter in input: "{required[0]}"' in answer["Message"]


def test_the_runtimes_operations_are_answered_or_refused_by_name(account: Account, found: Coverage) -> None:
    pool = urllib3.HTTPConnectionPool("127.0.0.1", account.cloud.port)
    signature = (
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    )
    for operation, works in found.runtime.items():
        path = f"/endpoints/no-such-endpoint/{RUNTIME_PATHS[operation]}"
        headers = {"Authorization": signature, "X-Amzn-SageMaker-InputLocation": "s3://kindling-tests/input"}
        answer = pool.request("POST", path, body=b"{}", headers=headers, retries=False)
        assert answer.status == 400, answer.data
        refused = f"{operation} is not implemented by the embedded cloud." in answer.data.decode()
        assert refused is not works, answer.data


def test_every_member_that_an_operation_accepts_is_one_of_the_services_model(found: Coverage) -> None:
    def beyond(shape: Shape, supported: Supported) -> Iterator[str]:
        while shape.type_name == "list":
            shape = shape.member
        for name, below in supported.items():
            if name not in shape.members:
                yield name
            elif isinstance(below, Mapping):
                yield from beyond(shape.members[name], below)

    told = {name: supported for name, supported in {**found.works, **found.kept}.items() if supported is not None}
    assert {"CreateModel", "CreateEndpointConfig", "CreateExperiment"} <= told.keys()
    # Two shapes share one description: a specification of a package's own has no name.
    shared = {"Name", "Description"}
    for operation, supported in told.items():
        shape = service_model().operation_model(operation).input_shape
        assert set(beyond(shape, supported)) <= (shared if "ModelPackage" in operation else set()), operation


def test_an_ignored_member_is_accepted_and_described_as_it_came(account: Account, found: Coverage) -> None:
    model = found.works["CreateModel"]
    assert model is not None
    assert ("VpcConfig", True) in members(model)
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    name = new_name("model")
    account.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=account.role,
        VpcConfig=vpc,
        PrimaryContainer={
            "Image": account.sagemaker.describe_model(ModelName=account.model())["PrimaryContainer"]["Image"]
        },
    )
    assert account.sagemaker.describe_model(ModelName=name)["VpcConfig"] == vpc


def test_what_moto_keeps_is_described_as_it_came_and_goes_when_deleted(account: Account) -> None:
    sagemaker, experiment, trial, component = account.sagemaker, *map(new_name, ("experiment", "trial", "component"))
    sagemaker.create_experiment(ExperimentName=experiment)
    sagemaker.create_trial(TrialName=trial, ExperimentName=experiment)
    parameters = {"vector_dim": {"NumberValue": 100.0}}
    artifacts = {"corpus": {"Value": "s3://kindling-tests/corpus"}}
    sagemaker.create_trial_component(
        TrialComponentName=component, DisplayName="fit", Parameters=parameters, InputArtifacts=artifacts
    )
    sagemaker.associate_trial_component(TrialName=trial, TrialComponentName=component)
    sagemaker.update_trial_component(TrialComponentName=component, DisplayName="best-fit")
    shown = sagemaker.describe_trial_component(TrialComponentName=component)
    assert (shown["DisplayName"], shown["Parameters"], shown["InputArtifacts"]) == ("best-fit", parameters, artifacts)
    of_trial = sagemaker.list_trial_components(TrialName=trial)["TrialComponentSummaries"]
    assert [one["TrialComponentName"] for one in of_trial] == [component]
    assert sagemaker.describe_trial(TrialName=trial)["ExperimentName"] == experiment
    trials = sagemaker.list_trials(ExperimentName=experiment)["TrialSummaries"]
    assert [one["TrialName"] for one in trials] == [trial]
    assert experiment in [one["ExperimentName"] for one in sagemaker.list_experiments()["ExperimentSummaries"]]
    sagemaker.disassociate_trial_component(TrialName=trial, TrialComponentName=component)
    sagemaker.delete_trial_component(TrialComponentName=component)
    sagemaker.delete_trial(TrialName=trial)
    sagemaker.delete_experiment(ExperimentName=experiment)
    for call, name in (
        (sagemaker.describe_trial_component, {"TrialComponentName": component}),
        (sagemaker.describe_trial, {"TrialName": trial}),
        (sagemaker.describe_experiment, {"ExperimentName": experiment}),
    ):
        with pytest.raises(ClientError, match=r"Could not find|does not exist"):
            call(**name)


def test_what_moto_would_forget_is_refused_by_name(account: Account) -> None:
    assert "Description" not in KEPT_BY_MOTO["CreateExperiment"]
    with pytest.raises(ClientError, match="Description is not implemented by the embedded cloud"):
        account.sagemaker.create_experiment(ExperimentName="forgetful", Description="word vectors")
    with pytest.raises(ClientError):
        account.sagemaker.describe_experiment(ExperimentName="forgetful")


def test_tags_of_what_does_not_exist_are_refused(account: Account) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:processing-job/none"
    with pytest.raises(ClientError, match=f"Could not find resource {arn}"):
        account.sagemaker.list_tags(ResourceArn=arn)
