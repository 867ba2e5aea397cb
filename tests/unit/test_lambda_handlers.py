"""The handlers as Lambda calls them, with AWS played by moto in this process."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from containers import catalogue
from contract.specification import InvalidJobError
from lambdas.endpoint import handler as endpoint
from lambdas.endpoint.status import EndpointError
from lambdas.evaluate import handler as evaluate
from lambdas.plan import handler as plan

RHO = "train:mean_rho"
CONTEXT: Any = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    aws_request_id="r",
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients = (plan._holds_data, evaluate._s3, evaluate._sagemaker, endpoint._sagemaker)
    with mock_aws():
        for client in clients:
            client.cache_clear()
        s3 = boto3.client("s3")
        for bucket in ("data", "models"):
            s3.create_bucket(Bucket=bucket)
        yield
    for client in clients:
        client.cache_clear()


def model_archive(details: dict[str, Any]) -> bytes:
    content, target = json.dumps(details).encode(), io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as members:
        member = tarfile.TarInfo("eval.json")
        member.size = len(content)
        members.addfile(member, io.BytesIO(content))
    return target.getvalue()


def served_model(endpoint_name: str, archive: bytes) -> None:
    """An endpoint whose model no training job is known for."""
    boto3.client("s3").put_object(Bucket="models", Key="blazingtext/old/output/model.tar.gz", Body=archive)
    sagemaker = boto3.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/hosting"
    container = {"Image": "i", "ModelDataUrl": "s3://models/blazingtext/old/output/model.tar.gz"}
    sagemaker.create_model(ModelName="old", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "old", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="old-config", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=endpoint_name, EndpointConfigName="old-config")


def evaluation_event(**more: Any) -> dict[str, Any]:
    boto3.client("s3").put_object(
        Bucket="models", Key="blazingtext/j/output/model.tar.gz", Body=model_archive({"mean_rho": 0.6})
    )
    return {
        "run": "r",
        "algorithm": "blazingtext",
        "job": {
            "TrainingJobName": "j",
            "TrainingJobStatus": "Completed",
            "TrainingTimeInSeconds": 9,
            "ModelArtifacts": {"S3ModelArtifacts": "s3://models/blazingtext/j/output/model.tar.gz"},
            "FinalMetricDataList": [{"MetricName": RHO, "Value": 0.6, "Timestamp": 0}],
        },
        "gate": None,
        "endpoint_name": "text8",
        "evaluation": "eval.json",
        "goals": {RHO: "maximize"},
        **more,
    }


def gate(**more: Any) -> dict[str, Any]:
    return {"metric": RHO, "at_least": None, "at_most": None, "beat_champion": False, **more}


def plan_event() -> dict[str, Any]:
    site = {
        "name_prefix": "kindling-blazingtext",
        "image": "i",
        "data_bucket": "data",
        "model_bucket": "models",
        "key_arn": "k",
        "inter_container_encryption": True,
        "tuning_prefix": "kindling-blazingtext-",
        "training_role": "arn:aws:iam::123456789012:role/training",
    }
    described = catalogue.algorithms()["blazingtext"].model_dump(mode="json", exclude_defaults=True)
    given = {"inputs": {"train": "s3://data/blazingtext/text8"}, "hyperparameters": {"mode": "skipgram"}}
    return {"algorithm": described, "site": site, "execution": {"name": "r", "input": given}}


def test_a_prefix_with_data_is_planned() -> None:
    boto3.client("s3").put_object(Bucket="data", Key="blazingtext/text8/part-1", Body=b"the")
    planned = plan.handler(json.loads(json.dumps(plan_event())), CONTEXT)
    (channel,) = planned["training"]["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data/blazingtext/text8"
    json.dumps(planned)


@pytest.mark.parametrize("body", [None, b""])
def test_a_prefix_without_data_is_refused(body: bytes | None) -> None:
    if body is not None:
        boto3.client("s3").put_object(Bucket="data", Key="blazingtext/text8/part-1", Body=body)
    with pytest.raises(InvalidJobError, match=r"inputs\.train: s3://data/blazingtext/text8 holds no data"):
        plan.handler(plan_event(), CONTEXT)


def test_a_model_without_a_gate_passes_with_its_details() -> None:
    found = evaluate.handler(evaluation_event(), CONTEXT)
    assert found["passed"] is True
    assert found["evaluation"] == {"metrics": {RHO: 0.6}, "details": {"mean_rho": 0.6}, "gate": None}
    assert found["training"]["training_seconds"] == found["training"]["billable_seconds"] == 9


@pytest.mark.parametrize(("reached", "passed"), [(0.5, True), (0.7, False)])
def test_the_champions_value_is_read_out_of_its_archive(reached: float, passed: bool) -> None:
    served_model("text8", model_archive({"mean_rho": reached}))
    found = evaluate.handler(evaluation_event(gate=gate(beat_champion=True)), CONTEXT)
    assert found["passed"] is passed
    assert found["evaluation"]["gate"]["champion_value"] == reached


def test_a_champion_that_no_one_evaluated_is_not_replaced_silently() -> None:
    served_model("text8", b"not an archive")
    found = evaluate.handler(evaluation_event(gate=gate(beat_champion=True)), CONTEXT)
    assert found["passed"] is False
    assert "not on record" in found["verdict"]


def test_without_an_endpoint_there_is_no_champion() -> None:
    found = evaluate.handler(evaluation_event(gate=gate(beat_champion=True)), CONTEXT)
    assert found["passed"] is True
    assert found["evaluation"]["gate"]["champion_value"] is None


def test_an_endpoint_is_found_by_its_name() -> None:
    event = {"run": "r", "algorithm": "a", "question": "former", "deployment": {}}
    event["deployment"] = {"endpoint_name": "text8", "shadow": None}
    nothing = {"variants": None, "shadow_variants": None}
    assert endpoint.handler(event, CONTEXT) == {"action": "created", "config_name": None, **nothing}
    served_model("text8", b"")
    assert endpoint.handler(event, CONTEXT) == {"action": "updated", "config_name": "old-config", **nothing}


def test_a_shadow_stands_beside_what_serves_with_its_share_of_the_requests() -> None:
    new = {"VariantName": "AllTraffic", "ModelName": "new", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    deployment = {"endpoint_name": "text8", "shadow": {"percent": 10}, "variants": [new]}
    event = {"run": "r", "algorithm": "a", "question": "former", "deployment": deployment}
    with pytest.raises(EndpointError, match="there is no endpoint text8 that a shadow could stand beside"):
        endpoint.handler(event, CONTEXT)
    served_model("text8", b"")
    found = endpoint.handler(event, CONTEXT)
    (production,), (shadow,) = found["variants"], found["shadow_variants"]
    assert (production["VariantName"], production["ModelName"]) == ("v", "old")
    assert (shadow["VariantName"], shadow["ModelName"]) == ("Shadow", "new")
    weight = production.get("InitialVariantWeight", 1.0)
    assert shadow["InitialVariantWeight"] == pytest.approx(weight * 0.1)
    json.dumps(found)
