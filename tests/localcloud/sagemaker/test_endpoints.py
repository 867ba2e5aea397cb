"""Models, endpoint configurations and endpoints: served by real processes, changed without a gap, gone when deleted."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import is_running


def model_archive(*members: tarfile.TarInfo, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def gone(account: Account, name: str) -> bool:
    try:
        account.sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        return "Could not find endpoint" in str(error)
    return False


def update(account: Account, name: str, environment: dict[str, str]) -> tuple[str, dict[str, Any]]:
    config = account.endpoint_config(account.model(environment))
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] in ("Updating", "InService")
    return config, account.endpoint(name)


def test_an_endpoint_serves_its_model_with_its_environment(account: Account) -> None:
    data = account.put("serving/model.tar.gz", model_archive(vectors=b"1 2 3", words=b"the"))
    model = account.model({"GREETING": "good day"}, data)
    config = account.endpoint_config(model, instances=2)
    name = new_name("endpoint")
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    description = account.endpoint(name)
    assert description["EndpointStatus"] == "InService"
    assert description["EndpointConfigName"] == config
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 2

    answers = [
        account.ask(name, b"\x00\xff{}", ContentType="application/json", Accept="application/jsonlines")
        for _ in range(4)
    ]
    assert answers[0]["body"] == "\x00\xff{}"
    assert answers[0]["content_type"] == "application/json"
    assert answers[0]["accept"] == "application/jsonlines"
    assert answers[0]["greeting"] == "good day"
    assert answers[0]["model"] == ["vectors", "words"]
    assert len({answer["instance"] for answer in answers}) == 2, "the instances are asked in turn"
    assert "serving" in account.log_lines(f"/aws/sagemaker/Endpoints/{name}", "AllTraffic/")


def test_a_containers_error_is_a_model_error_with_its_status_and_words(account: Account) -> None:
    name = account.serve()
    for status in (400, 503):
        with pytest.raises(ClientError) as caught:
            account.ask(name, f"fail {status}".encode())
        answer = caught.value.response
        assert answer["Error"]["Code"] == "ModelError"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert answer["OriginalStatusCode"] == status
        assert answer["OriginalMessage"] == "what went wrong"
        assert answer["LogStreamArn"].startswith("arn:aws:logs:")


def test_a_container_that_does_not_answer_in_time_is_a_model_error(account: Account) -> None:
    name = account.serve()
    with pytest.raises(ClientError, match=r"server error \(0\) from primary.*Your invocation timed out") as caught:
        account.ask(name, b"sleep")
    assert caught.value.response["Error"]["Code"] == "ModelError"


def test_a_container_that_dies_in_service_is_started_again(account: Account) -> None:
    name = account.serve()
    before = account.ask(name)["instance"]
    with pytest.raises(ClientError, match="ModelError"):
        account.ask(name, b"die")

    def answer() -> Any:
        try:
            return account.ask(name)
        except ClientError:
            return None

    assert until(answer)["instance"] != before


def test_an_unknown_endpoint_cannot_be_asked(account: Account) -> None:
    with pytest.raises(ClientError, match="Endpoint nowhere of account 123456789012 not found") as caught:
        account.ask("nowhere")
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_an_update_goes_over_to_the_new_model_and_ends_the_old_process(account: Account) -> None:
    name = account.serve({"GREETING": "old"})
    old = account.ask(name)
    config, description = update(account, name, {"GREETING": "new"})
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", config)
    assert account.ask(name)["greeting"] == "new"
    assert not is_running(old["instance"])


def test_a_failed_update_keeps_the_old_model_serving_and_says_why(account: Account) -> None:
    name = account.serve({"GREETING": "old"})
    before = account.sagemaker.describe_endpoint(EndpointName=name)
    _, description = update(account, name, {"EXIT": "1"})
    assert description["EndpointStatus"] == "InService"
    assert description["EndpointConfigName"] == before["EndpointConfigName"]
    assert "exited with code 1" in description["FailureReason"]
    assert "ClientError: the model cannot be read." in description["FailureReason"]
    assert account.ask(name)["greeting"] == "old"


def test_an_endpoint_whose_container_exits_is_failed_and_can_be_deleted(account: Account) -> None:
    name = new_name("endpoint")
    config = account.endpoint_config(account.model({"EXIT": "3"}))
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    description = account.endpoint(name)
    assert description["EndpointStatus"] == "Failed"
    assert "exited with code 3" in description["FailureReason"]
    with pytest.raises(ClientError, match="in status Failed"):
        account.ask(name)
    account.sagemaker.delete_endpoint(EndpointName=name)
    until(lambda: gone(account, name))


def test_a_container_that_never_gets_healthy_fails_its_endpoint(account: Account) -> None:
    name, config = new_name("endpoint"), new_name("config")
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": account.model({"HEALTHY": "no"}),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 300,
    }
    account.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        account.sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="it must be InService"):
        account.ask(name)
    assert "/ping did not answer 200" in account.endpoint(name)["FailureReason"]


@pytest.mark.parametrize("member", ["../outside", "/absolute", "link", "hard link"])
def test_a_model_archive_that_leads_out_or_links_is_refused(account: Account, member: str) -> None:
    info = tarfile.TarInfo(member)
    if "link" in member:
        info.type = tarfile.SYMTYPE if member == "link" else tarfile.LNKTYPE
        info.linkname = "/etc/passwd"
    data = account.put(f"bad/{new_name('archive')}.tar.gz", model_archive(info))
    name = new_name("endpoint")
    config = account.endpoint_config(account.model(data=data))
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    description = account.endpoint(name)
    assert description["EndpointStatus"] == "Failed"
    assert f"member {member!r} of model.tar.gz" in description["FailureReason"]


def test_a_deleted_endpoint_ends_its_processes_and_its_name_is_free(account: Account) -> None:
    name = account.serve(instances=2)
    pids = {account.ask(name)["instance"] for _ in range(4)}
    config = account.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    account.sagemaker.delete_endpoint(EndpointName=name)
    until(lambda: gone(account, name))
    assert not any(is_running(pid) for pid in pids)
    assert not any((account.cloud.state / "endpoints" / name).glob("*"))
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert account.endpoint(name)["EndpointStatus"] == "InService"


def test_names_that_are_taken_or_unknown_are_refused_as_the_service_words_it(account: Account) -> None:
    sagemaker, model = account.sagemaker, account.model()
    config = account.endpoint_config(model)
    variant = {"VariantName": "A", "ModelName": "gone", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    container = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    refusals: list[tuple[Any, dict[str, Any], str]] = [
        (
            sagemaker.create_model,
            {"ModelName": model, "PrimaryContainer": container, "ExecutionRoleArn": account.role},
            f'Cannot create already existing model "arn:aws:sagemaker:us-east-1:123456789012:model/{model}"',
        ),
        (
            sagemaker.create_model,
            {
                "ModelName": "x",
                "PrimaryContainer": {**container, "ModelDataUrl": f"s3://{account.bucket}/no/model.tar.gz"},
                "ExecutionRoleArn": account.role,
            },
            "Could not find model data at s3://",
        ),
        (sagemaker.describe_model, {"ModelName": "x"}, "Could not find model "),
        (
            sagemaker.create_endpoint_config,
            {"EndpointConfigName": "x", "ProductionVariants": [variant]},
            'Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/gone"',
        ),
        (
            sagemaker.create_endpoint_config,
            {
                "EndpointConfigName": "x",
                "ProductionVariants": [{**variant, "CoreDumpConfig": {"DestinationS3Uri": "s3://bucket/cores"}}],
            },
            "ProductionVariants.CoreDumpConfig is not implemented by the embedded cloud",
        ),
        (
            sagemaker.create_endpoint,
            {"EndpointName": "x", "EndpointConfigName": "gone"},
            "Could not find endpoint configuration",
        ),
        (
            sagemaker.update_endpoint,
            {"EndpointName": "x", "EndpointConfigName": config},
            'Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012:endpoint/x"',
        ),
    ]
    for operation, request, words in refusals:
        with pytest.raises(ClientError) as caught:
            operation(**request)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        assert words in caught.value.response["Error"]["Message"]


def test_models_configurations_and_endpoints_are_listed_described_and_deleted(account: Account) -> None:
    sagemaker, model = account.sagemaker, account.model({"A": "b"})
    config = account.endpoint_config(model)
    assert sagemaker.list_models(NameContains=model)["Models"][0]["ModelName"] == model
    assert sagemaker.list_endpoint_configs(NameContains=config)["EndpointConfigs"][0]["EndpointConfigName"] == config
    described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert described["ProductionVariants"][0]["ModelName"] == model
    assert sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["Environment"] == {"A": "b"}
    sagemaker.delete_endpoint_config(EndpointConfigName=config)
    sagemaker.delete_model(ModelName=model)
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert sagemaker.list_models(NameContains=model)["Models"] == []
