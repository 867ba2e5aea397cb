"""Batch transform: what a container is sent, what becomes of its answers, and how a job ends."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.recordio import write_record
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.transform_jobs import GROUP, begin, done, job, output, request, transform

NO_RETRY = {"InvocationsMaxRetries": 0}
LINES = {"SplitType": "Line"}


@pytest.fixture(scope="module")
def echo(account: Account) -> str:
    """A model that answers with what it was sent, as JSON."""
    return account.model()


@pytest.fixture(scope="module")
def upper(account: Account) -> str:
    """A model that answers with the body in upper case."""
    return account.model({"TRANSFORM": "upper"})


def requests(body: bytes) -> list[dict[str, Any]]:
    """What the echoing model was sent, request by request."""
    return [json.loads(line) for line in body.splitlines()]


def test_every_object_becomes_one_of_the_same_name_below_the_output_prefix(account: Account, upper: str) -> None:
    files = {"a.txt": b"one\ntwo\n", "deep/b.txt": b"three"}
    described = transform(account, upper, files, instances=2, Tags=[{"Key": "team", "Value": "nlp"}])
    assert done(account, described) == {"a.txt.out": b"ONE\nTWO\n", "deep/b.txt.out": b"THREE"}
    assert described["CreationTime"] <= described["TransformStartTime"] <= described["TransformEndTime"]
    assert not (account.cloud.state / "transform-jobs" / described["TransformJobName"]).exists()
    tags = account.sagemaker.list_tags(ResourceArn=described["TransformJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "nlp"}]


def test_objects_are_dealt_out_to_the_instances(account: Account, echo: str) -> None:
    files = {f"{number}.txt": b"x" for number in range(4)}
    made = done(account, transform(account, echo, files, instances=2))
    pids = [json.loads(made[f"{number}.txt.out"])["instance"] for number in range(4)]
    assert pids[0] == pids[2] != pids[1] == pids[3]


def test_a_container_is_sent_the_content_type_and_told_of_the_job_by_its_environment(account: Account) -> None:
    model = account.model({"GREETING": "model's", "KEPT": "yes"})
    described = transform(
        account,
        model,
        {"a.csv": b"1,2"},
        given={"ContentType": "text/csv"},
        wanted={"Accept": "application/json"},
        Environment={"GREETING": "job's"},
        MaxPayloadInMB=7,
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=2,
    )
    found = json.loads(done(account, described)["a.csv.out"])
    assert (found["content_type"], found["accept"], found["greeting"]) == ("text/csv", "application/json", "job's")
    batch = {name: value for name, value in found["batch"].items() if name not in ("SAGEMAKER_BASE_DIR",)}
    del batch["SAGEMAKER_BIND_TO_PORT"]
    assert batch == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "7",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
    }


def test_lines_go_one_by_one_or_as_many_as_a_payload_takes(account: Account, echo: str) -> None:
    line = b"x" * 400_000
    body = b"\n".join([line + b"%d" % number for number in range(4)])
    options = {"given": LINES, "wanted": {"AssembleWith": "Line"}, "MaxPayloadInMB": 1}
    found = requests(done(account, transform(account, echo, {"a": body}, **options))["a.out"])
    assert [one["body"].encode() for one in found] == [body[: 2 * 400_002], body[2 * 400_002 :]]
    single = transform(account, echo, {"a": b"one\ntwo\r\n\nthree"}, **options, BatchStrategy="SingleRecord")
    assert [one["body"] for one in requests(done(account, single)["a.out"])] == ["one", "two", "", "three"]


def test_recordio_is_split_and_its_padding_only_kept_where_records_are_together(account: Account, echo: str) -> None:
    packed = io.BytesIO()
    for payload in (b"first", b"second one"):
        write_record(packed, payload)
    options = {"given": {"SplitType": "RecordIO"}, "wanted": {"AssembleWith": "Line"}}
    found = requests(done(account, transform(account, echo, {"a": packed.getvalue()}, **options))["a.out"])
    assert [one["body"].encode("latin-1") for one in found] == [packed.getvalue()]
    single = transform(account, echo, {"a": packed.getvalue()}, **options, BatchStrategy="SingleRecord")
    assert [one["body"] for one in requests(done(account, single)["a.out"])] == ["first", "second one"]
    broken = transform(account, echo, {"a": b"plain"}, **options)
    assert "/in/a: it is not RecordIO: " in broken["FailureReason"]


def test_gzipped_objects_are_unpacked_and_keep_their_name(account: Account, upper: str) -> None:
    packed = {"CompressionType": "Gzip"}
    described = transform(account, upper, {"a.txt.gz": gzip.compress(b"text")}, given=packed)
    assert done(account, described) == {"a.txt.gz.out": b"TEXT"}
    assert "/in/b: it is not gzip" in transform(account, upper, {"b": b"text"}, given=packed)["FailureReason"]


def test_a_manifest_names_the_objects(account: Account, upper: str) -> None:
    for name in ("x/1.txt", "x/2.txt", "y.txt"):
        account.put(f"listed/{name}", name.encode())
    entries = [{"prefix": f"s3://{account.bucket}/listed/"}, "y.txt", "x/2.txt"]
    source = {"S3DataType": "ManifestFile", "S3Uri": account.put("list.manifest", json.dumps(entries).encode())}
    made = done(account, transform(account, upper, source=source))
    assert made == {"y.txt.out": b"Y.TXT", "x/2.txt.out": b"X/2.TXT"}


@pytest.mark.parametrize(
    ("wishes", "asked", "settings"),
    [
        (None, {}, "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"),
        (
            {"MaxConcurrentTransforms": 8, "MaxPayloadInMB": 2, "BatchStrategy": "SINGLE_RECORD"},
            {"MaxPayloadInMB": 3, "MaxConcurrentTransforms": 0},
            "MaxConcurrentTransforms=8, MaxPayloadInMB=3, BatchStrategy=SINGLE_RECORD",
        ),
    ],
)
def test_the_request_goes_before_the_container_s_wishes_and_these_before_the_defaults(
    account: Account, wishes: dict[str, Any] | None, asked: dict[str, Any], settings: str
) -> None:
    model = account.model({"EXECUTION_PARAMETERS": json.dumps(wishes)} if wishes else {})
    described = transform(account, model, {"a": b"one\ntwo"}, given=LINES, wanted={"AssembleWith": "Line"}, **asked)
    assert len(requests(done(account, described)["a.out"])) == (2 if wishes else 1)
    name = described["TransformJobName"]
    logged = [line for line in account.log_lines(GROUP, f"{name}/") if "sagemaker logs" in line]
    assert len(logged) == 1
    assert logged[0].endswith(f":[sagemaker logs]: {settings}")


def test_wishes_that_cannot_be_used_fail_the_job(account: Account) -> None:
    for wishes, reason in (('{"MaxPayloadInMB": "six"}', "has MaxPayloadInMB='six'"), ("[", "is not a JSON object")):
        described = transform(account, account.model({"EXECUTION_PARAMETERS": wishes}), {"a": b""})
        assert reason in described["FailureReason"]


def test_requests_of_one_object_go_at_the_same_time_and_its_output_keeps_the_order(account: Account) -> None:
    model = account.model({"TRANSFORM": "together", "TOGETHER": "3"})
    body = b"\n".join(b"line %d" % number for number in range(6))
    options = {"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 3, "ModelClientConfig": NO_RETRY}
    made = done(
        account, transform(account, model, {"a": body}, given=LINES, wanted={"AssembleWith": "Line"}, **options)
    )
    assert made["a.out"] == body.upper() + b"\n"


def test_a_payload_of_any_size_goes_in_chunks(account: Account, echo: str) -> None:
    body = b"x" * (7 << 20)
    found = json.loads(done(account, transform(account, echo, {"a": body}, MaxPayloadInMB=0))["a.out"])
    assert found["chunked"]
    assert len(found["body"]) == len(body)


def test_one_bad_object_fails_the_job_by_its_name_and_the_others_are_there(account: Account, upper: str) -> None:
    files = {"1.txt": b"good", "2.txt": b"fail 400 ", "3.txt": b"fine", "4.txt": b"fail 422 "}
    described = transform(account, upper, files)
    name = described["TransformJobName"]
    assert described["TransformJobStatus"] == "Failed"
    assert described["FailureReason"] == (
        f"ClientError: {account.bucket}/{name}/in/2.txt: Bad HTTP status received from algorithm: 400, message: what "
        "went wrong. 1 more of the objects failed. See job logs for more information"
    )
    assert output(account, described) == {"1.txt.out": b"GOOD", "3.txt.out": b"FINE"}
    assert any(f"{name}/in/4.txt: ClientError: " in line for line in account.log_lines(GROUP, f"{name}/"))


def test_a_record_that_is_too_large_is_named(account: Account, upper: str) -> None:
    body = b"short\n" + b"x" * ((1 << 20) + 1) + b"\n"
    reason = transform(account, upper, {"a": body}, given=LINES, MaxPayloadInMB=1)["FailureReason"]
    assert "/in/a: record 2 has 1048578 bytes, more than MaxPayloadInMB=1 allows." in reason
    reason = transform(account, upper, {"a": body}, MaxPayloadInMB=1)["FailureReason"]
    assert "/in/a: the object has 1048584 bytes" in reason


def test_an_invocation_is_tried_again_as_often_as_the_request_says(account: Account) -> None:
    model = account.model({"TRANSFORM": "flaky"})
    described = transform(account, model, {"a": b"text"}, ModelClientConfig={"InvocationsMaxRetries": 1})
    assert done(account, described) == {"a.out": b"TEXT"}
    reason = transform(account, model, {"a": b"text"}, ModelClientConfig=NO_RETRY)["FailureReason"]
    assert reason.startswith("AlgorithmError: ")
    assert "Bad HTTP status received from algorithm: 503, message: not yet" in reason


def test_a_container_that_gives_no_answer_or_dies_is_at_fault(account: Account, upper: str) -> None:
    once = {**NO_RETRY, "InvocationsTimeoutInSeconds": 1}
    reason = transform(account, upper, {"a": b"sleep"}, ModelClientConfig=once)["FailureReason"]
    assert reason.startswith("AlgorithmError: ")
    assert "no answer within 1 s" in reason
    reason = transform(account, upper, {"a": b"die"}, ModelClientConfig=once)["FailureReason"]
    assert "the connection to the container broke" in reason


def test_a_container_that_does_not_become_healthy_fails_the_job_with_what_it_said(account: Account) -> None:
    described = transform(account, account.model({"EXIT": "3"}), {"a": b""})
    assert described["FailureReason"] == (
        "AlgorithmError: the model's container did not pass the ping health check: it exited with code 3; its last log "
        "line: ClientError: the model cannot be read."
    )


def test_a_stopped_job_keeps_what_is_done_and_ends_what_is_not(account: Account, upper: str) -> None:
    name = begin(account, upper, {"1": b"done", "2": b"sleep", "3": b"never"})
    until(lambda: output(account, {"TransformJobName": name}))
    account.sagemaker.stop_transform_job(TransformJobName=name)
    described = job(account, name)
    assert described["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in described
    assert output(account, described) == {"1.out": b"DONE"}
    with pytest.raises(ClientError, match="because the transform job is in status Stopped"):
        account.sagemaker.stop_transform_job(TransformJobName=name)


@pytest.mark.parametrize("healthy", ["yes", "no"])
def test_a_job_stopped_as_soon_as_it_is_created_is_stopped(account: Account, healthy: str) -> None:
    name = begin(account, account.model({"HEALTHY": healthy}), {"a": b"sleep"})
    account.sagemaker.stop_transform_job(TransformJobName=name)
    assert job(account, name)["TransformJobStatus"] == "Stopped"


def test_jobs_are_listed_and_filtered(account: Account, upper: str) -> None:
    name = transform(account, upper, {"a": b"fail 400 "})["TransformJobName"]
    listed = account.sagemaker.list_transform_jobs(NameContains=name, StatusEquals="Failed")["TransformJobSummaries"]
    assert [summary["TransformJobName"] for summary in listed] == [name]
    assert "Bad HTTP status" in listed[0]["FailureReason"]
    assert listed[0]["LastModifiedTime"] == listed[0]["TransformEndTime"]
    page = account.sagemaker.list_transform_jobs(MaxResults=1, SortBy="Name", SortOrder="Ascending")
    more = account.sagemaker.list_transform_jobs(
        MaxResults=1, SortBy="Name", SortOrder="Ascending", NextToken=page["NextToken"]
    )
    first, second = (found["TransformJobSummaries"][0]["TransformJobName"] for found in (page, more))
    assert first < second
    with pytest.raises(ClientError, match="Could not find requested job with name: no-such-job"):
        account.sagemaker.describe_transform_job(TransformJobName="no-such-job")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": {"S3DataType": "AugmentedManifestFile"}}, "S3DataType=AugmentedManifestFile is not implemented"),
        ({"given": {"SplitType": "TFRecord"}}, "TransformInput.SplitType=TFRecord is not implemented"),
        ({"MaxPayloadInMB": 101}, "MaxPayloadInMB=101 is out of range; it must be from 0 to 100."),
        (
            {"MaxPayloadInMB": 51, "MaxConcurrentTransforms": 2},
            "MaxConcurrentTransforms=2 times MaxPayloadInMB=51 must not exceed 100 MB.",
        ),
        ({"ModelName": "no-such-model"}, 'Could not find model "arn:'),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "DataCaptureConfig is not implemented"),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, "TransformInput.ContentType must be one of text/csv, "),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "given": {"ContentType": "text/csv"}},
            "SplitType must be Line when DataProcessing is used and TransformInput.ContentType is text/csv.",
        ),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_name(
    account: Account, echo: str, changes: dict[str, Any], sentence: str
) -> None:
    asked = request(account, echo, **changes)
    with pytest.raises(ClientError) as refused:
        account.sagemaker.create_transform_job(**asked)
    assert sentence in refused.value.response["Error"]["Message"]
    with pytest.raises(ClientError, match="Could not find requested job"):
        account.sagemaker.describe_transform_job(TransformJobName=asked["TransformJobName"])


def test_a_name_that_is_taken_is_refused(account: Account, upper: str) -> None:
    asked = request(account, upper, {"a": b"x"})
    account.sagemaker.create_transform_job(**asked)
    with pytest.raises(ClientError, match="Job name must be unique") as refused:
        account.sagemaker.create_transform_job(**asked)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    done(account, job(account, asked["TransformJobName"]))


def test_an_input_that_is_not_there_and_a_bucket_that_does_not_exist_fail_the_job(account: Account, echo: str) -> None:
    assert "No S3 objects found under S3 URL" in transform(account, echo)["FailureReason"]
    wanted = {"S3OutputPath": "s3://no-such-bucket/x"}
    assert "no-such-bucket" in transform(account, echo, {"a": b""}, wanted=wanted)["FailureReason"]
