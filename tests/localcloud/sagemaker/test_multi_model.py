"""Multi-model endpoints: models come when they are asked for; the least recently used goes when there is no room."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import SERVING_IMAGE, meet_in_a_file
from tests.localcloud.sagemaker.serving import endpoint_of
from tests.localcloud.sagemaker.test_endpoints import model_archive


@pytest.fixture(scope="module")
def prefix(account: Account) -> str:
    """Where three models lie, one of them no model."""
    folder = new_name("several")
    for name in ("one", "two", "three"):
        account.put(f"{folder}/{name}.tar.gz", model_archive(words=name.encode()))
    account.put(f"{folder}/deep/four.tar.gz", model_archive(words=b"four"))
    account.put(f"{folder}/wordless.tar.gz", model_archive(other=b"x"))
    account.put(f"{folder}/torn.tar.gz", b"no archive")
    return f"s3://{account.bucket}/{folder}/"


def several(account: Account, prefix: str, room: int, **options: Any) -> str:
    container = {"Mode": "MultiModel", "ModelDataUrl": prefix, "Environment": {"ROOM": str(room)}}
    return endpoint_of(account, container=container, **options)


def ask(account: Account, endpoint: str, model: str, body: bytes = b"hello") -> dict[str, Any]:
    return account.ask(endpoint, body, TargetModel=f"{model}.tar.gz")


def refused(account: Account, endpoint: str, body: bytes = b"hello", **more: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        account.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
    return dict(caught.value.response)


def folders(account: Account, endpoint: str) -> list[str]:
    """The words of the models whose files the endpoint has."""
    root = account.cloud.state / "endpoints" / endpoint
    return sorted(path.read_text() for path in root.glob("**/models/*/model/words"))


def metric(account: Account, endpoint: str, name: str, statistic: str, namespace: str = "AWS/SageMaker") -> float:
    now = datetime.now(UTC)
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10),
        Period=3600,
        Statistics=[statistic],
    )["Datapoints"]
    return float(points[0][statistic]) if points else 0.0


def test_each_model_answers_with_its_own_files_and_is_loaded_once(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=4)
    assert folders(account, name) == []
    for model in ("one", "two", "one", "deep/four"):
        answer = ask(account, name, model)
        assert answer["words"] == model.rpartition("/")[2]
        assert answer["headers"]["X-Amzn-SageMaker-Target-Model"] == f"{model}.tar.gz"
    assert folders(account, name) == ["four", "one", "two"]
    assert metric(account, name, "ModelCacheHit", "Sum") == 1
    assert metric(account, name, "ModelCacheHit", "SampleCount") == 4
    for times in ("ModelDownloadingTime", "ModelLoadingTime"):
        assert metric(account, name, times, "SampleCount") == 3
    assert metric(account, name, "LoadedModelCount", "Maximum", "/aws/sagemaker/Endpoints") == 3


def test_the_least_recently_used_model_makes_room(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=2)
    for model in ("one", "two", "one", "three"):
        assert ask(account, name, model)["words"] == model
    assert folders(account, name) == ["one", "three"]
    assert ask(account, name, "two")["words"] == "two"
    assert folders(account, name) == ["three", "two"]
    assert metric(account, name, "ModelUnloadingTime", "SampleCount") == 2


@meet_in_a_file
def test_a_model_in_use_is_not_unloaded(account: Account, prefix: str, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    name = several(account, prefix, room=1)
    ask(account, name, "one")
    with ThreadPoolExecutor(1) as pool:
        waits = f"wait {tmp_path / 'go'}".encode()
        under_way = pool.submit(
            account.runtime.invoke_endpoint, EndpointName=name, Body=waits, TargetModel="one.tar.gz"
        )
        seen = until(lambda: refused_or_none(account, name))
        assert (seen["Error"]["Code"], seen["OriginalStatusCode"]) == ("ModelError", 507)
        (tmp_path / "go").touch()
        assert under_way.result()["Body"].read().startswith(b"waited")
    assert ask(account, name, "two")["words"] == "two"


def refused_or_none(account: Account, name: str) -> dict[str, Any] | None:
    """The refusal of a second model; None while the first is not in use yet, whose place is taken back then."""
    try:
        ask(account, name, "two")
    except ClientError as error:
        return dict(error.response)
    return None


def test_what_cannot_be_loaded_is_told_and_leaves_nothing(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=2)
    key = prefix.removeprefix(f"s3://{account.bucket}/") + "gone.tar.gz"
    error = refused(account, name, TargetModel="gone.tar.gz")["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"].startswith(f"Failed to download model data(bucket: {account.bucket}, key: {key}).")
    error = refused(account, name, TargetModel="torn.tar.gz")["Error"]
    assert error["Code"] == "ValidationError"
    assert "torn.tar.gz: model.tar.gz cannot be unpacked" in error["Message"]
    answer = refused(account, name, TargetModel="wordless.tar.gz")
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 400)
    assert answer["OriginalMessage"] == "a model needs words"
    assert "missing a target model header" in refused(account, name)["Error"]["Message"]
    root = account.cloud.state / "endpoints" / name
    assert list(root.glob("*/*/models/*")) == []


def test_a_container_that_was_started_again_gets_its_models_again(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=2)
    before = ask(account, name, "one")["instance"]
    assert refused(account, name, b"die", TargetModel="one.tar.gz")["Error"]["Code"] == "ModelError"

    def answer() -> dict[str, Any] | None:
        try:
            return ask(account, name, "one")
        except ClientError:
            return None

    again = until(answer)
    assert again["words"] == "one"
    assert again["instance"] != before


@meet_in_a_file
def test_a_model_that_takes_long_to_load_is_not_ready_and_answers_later(
    account: Account, prefix: str, tmp_path: Path
) -> None:
    name = several(account, prefix, room=2)
    key = prefix.removeprefix(f"s3://{account.bucket}/") + "slow.tar.gz"
    account.put(key, model_archive(words=b"slow", awaited=str(tmp_path / "go").encode()))
    error = refused(account, name, TargetModel="slow.tar.gz")
    assert error["Error"]["Code"] == "ModelNotReadyException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    (tmp_path / "go").touch()
    assert ask(account, name, "slow")["words"] == "slow"
    assert metric(account, name, "ModelLoadingTime", "SampleCount") == 1


def test_a_models_own_404_is_the_callers(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=2)
    error = refused(account, name, b"fail 404", TargetModel="one.tar.gz")
    assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (404, "what went wrong")


def test_a_model_is_asked_where_it_is_loaded(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=2, instances=2)
    assert len({ask(account, name, "one")["instance"] for _ in range(4)}) == 1


def test_a_multi_model_model_is_described_and_its_bucket_must_exist(account: Account) -> None:

    container = {"Image": SERVING_IMAGE, "Mode": "MultiModel", "ModelDataUrl": "s3://no-such-bucket/models/"}
    request = {"ModelName": new_name("model"), "ExecutionRoleArn": account.role, "PrimaryContainer": container}
    with pytest.raises(ClientError, match="Could not find model data at s3://no-such-bucket/models/"):
        account.sagemaker.create_model(**request)
    container["ModelDataUrl"] = f"s3://{account.bucket}/models/"
    account.sagemaker.create_model(**request)
    described = account.sagemaker.describe_model(ModelName=request["ModelName"])
    assert described["PrimaryContainer"]["Mode"] == "MultiModel"
    container["MultiModelConfig"] = {"ModelCacheSetting": "Disabled"}
    with pytest.raises(ClientError, match="ModelCacheSetting=Disabled is not implemented by the embedded cloud"):
        account.sagemaker.create_model(**{**request, "ModelName": "x"})


def test_json_is_what_a_models_answer_is(account: Account, prefix: str) -> None:
    name = several(account, prefix, room=1)
    answer = account.runtime.invoke_endpoint(EndpointName=name, Body=b"", TargetModel="three.tar.gz")
    assert answer["ContentType"] == "application/json"
    assert json.loads(answer["Body"].read())["words"] == "three"
