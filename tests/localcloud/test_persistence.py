"""What a killed cloud had acknowledged, its successor knows; what a full disk cannot take is told in words."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.models import cloudwatch_backends

from kindling.localcloud import lifecycle, snapshots
from kindling.localcloud.bodies import Body, BodyFiles, Content
from kindling.localcloud.growing_lists import GrowingLists
from kindling.localcloud.lifecycle import CloudError, CloudInfo
from kindling.localcloud.metric_minutes import Minute
from kindling.localcloud.state_archive import export_state, import_state
from kindling.localcloud.store import Store
from kindling.ports import free_port
from tests.localcloud.conftest import client_of

PART = b"p" * 5_300_000


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    lifecycle.down(tmp_path / "state")


def killed(cloud: CloudInfo) -> CloudInfo:
    """The successor of a cloud that is killed now."""
    os.kill(cloud.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(cloud.pid)] if psutil.pid_exists(cloud.pid) else [], timeout=10)
    return lifecycle.up(cloud.state, free_port())


def contents(cloud: CloudInfo, bucket: str) -> dict[str, bytes]:
    s3 = client_of(cloud, "s3")
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found}


def bodies(state: Path) -> int:
    return sum(path.is_file() for path in (state / "objects").rglob("*"))


def test_objects_their_versions_and_uploads_under_way_outlive_kill_9(state: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    s3 = client_of(cloud, "s3")
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for text in (b"first", b"second"):
        s3.put_object(Bucket="plain", Key="a/b.txt", Body=text, Metadata={"said": text.decode()})
        s3.put_object(Bucket="versioned", Key="a b+c", Body=text)
    s3.put_object(Bucket="plain", Key="gone", Body=b"gone")
    s3.delete_object(Bucket="plain", Key="gone")
    s3.copy_object(Bucket="plain", Key="copy", CopySource={"Bucket": "plain", "Key": "a/b.txt"})
    s3.put_object_tagging(Bucket="plain", Key="copy", Tagging={"TagSet": [{"Key": "team", "Value": "nlp"}]})
    upload = s3.create_multipart_upload(Bucket="plain", Key="large")["UploadId"]
    parts = [s3.upload_part(Bucket="plain", Key="large", UploadId=upload, PartNumber=1, Body=PART)["ETag"]]

    cloud = killed(cloud)
    s3 = client_of(cloud, "s3")
    s3.create_bucket(Bucket="plain")  # which is the owner's already, so that nothing happens
    assert contents(cloud, "plain") == {"a/b.txt": b"second", "copy": b"second"}
    assert s3.head_object(Bucket="plain", Key="a/b.txt")["Metadata"] == {"said": "second"}
    assert s3.get_object_tagging(Bucket="plain", Key="copy")["TagSet"] == [{"Key": "team", "Value": "nlp"}]
    versions = s3.list_object_versions(Bucket="versioned")["Versions"]
    assert len(versions) == 2
    oldest = next(version["VersionId"] for version in versions if not version["IsLatest"])
    assert s3.get_object(Bucket="versioned", Key="a b+c", VersionId=oldest)["Body"].read() == b"first"

    parts.append(s3.upload_part(Bucket="plain", Key="large", UploadId=upload, PartNumber=2, Body=PART)["ETag"])
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(parts, start=1)]
    s3.complete_multipart_upload(Bucket="plain", Key="large", UploadId=upload, MultipartUpload={"Parts": listed})
    cloud = killed(cloud)
    s3 = client_of(cloud, "s3")
    assert s3.get_object(Bucket="plain", Key="large")["Body"].read() == PART + PART
    ranged = s3.get_object(Bucket="plain", Key="large", Range=f"bytes={len(PART) - 1}-{len(PART) + 1}")
    assert (ranged["Body"].read(), ranged["ContentLength"]) == (b"ppp", 3)
    assert bodies(state) == 5  # a, its copy, two versions, and the upload as one; nothing that is gone is left


def test_the_small_state_of_every_service_and_what_grows_outlive_kill_9(state: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    trust = '{"Version": "2012-10-17", "Statement": []}'
    iam = client_of(cloud, "iam")
    iam.create_role(RoleName="trainer", AssumeRolePolicyDocument=trust)
    own = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam.attach_role_policy(RoleName="trainer", PolicyArn=own)
    client_of(cloud, "ssm").put_parameter(Name="/a/b", Value="kept", Type="String")
    key = client_of(cloud, "kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signing = {"KeyId": key, "Message": b"m", "SigningAlgorithm": "RSASSA_PSS_SHA_256"}
    signature = client_of(cloud, "kms").sign(**signing)["Signature"]
    topic = client_of(cloud, "sns").create_topic(Name="news")["TopicArn"]
    queue = client_of(cloud, "sqs").create_queue(QueueName="heard")["QueueUrl"]
    client_of(cloud, "sqs").send_message(QueueUrl=queue, MessageBody="kept")
    rule = {"EventPattern": '{"source": ["aws.sagemaker"]}'}
    client_of(cloud, "events").put_rule(Name="rule", **rule)
    logs = client_of(cloud, "logs")
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")
    for line in ("one", "two"):
        event = {"timestamp": int(time.time() * 1000), "message": line}
        logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=[event])
    datum = {"MetricName": "rho", "Value": 0.7, "Dimensions": [{"Name": "job", "Value": "j"}]}
    client_of(cloud, "cloudwatch").put_metric_data(Namespace="own", MetricData=[datum])
    client_of(cloud, "sagemaker").create_experiment(ExperimentName="tried")

    cloud = killed(killed(cloud))
    iam = client_of(cloud, "iam")
    attached = iam.list_attached_role_policies(RoleName="trainer")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [own]
    assert iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")["Policy"]["PolicyName"]
    assert client_of(cloud, "ssm").get_parameter(Name="/a/b")["Parameter"]["Value"] == "kept"
    assert client_of(cloud, "kms").verify(**signing, Signature=signature)["SignatureValid"]
    assert [one["TopicArn"] for one in client_of(cloud, "sns").list_topics()["Topics"]] == [topic]
    sqs = client_of(cloud, "sqs")
    [message] = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName="heard")["QueueUrl"])["Messages"]
    assert message["Body"] == "kept"
    assert client_of(cloud, "events").describe_rule(Name="rule")["EventPattern"] == rule["EventPattern"]
    assert "does not outlive" not in (state / "cloud.log").read_text()
    events = client_of(cloud, "logs").get_log_events(logGroupName="group", logStreamName="stream")["events"]
    assert [event["message"] for event in events] == ["one", "two"]
    [metric] = client_of(cloud, "cloudwatch").list_metrics(Namespace="own")["Metrics"]
    assert metric["Dimensions"] == datum["Dimensions"]
    assert client_of(cloud, "sagemaker").describe_experiment(ExperimentName="tried")["ExperimentName"] == "tried"


def test_a_stack_of_a_former_cloud_can_be_changed_and_deleted(state: Path) -> None:
    def template(*queues: str) -> str:
        resources = {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "news"}},
            **{name: {"Type": "AWS::SSM::Parameter", "Properties": properties(name)} for name in queues},
        }
        return str({"Resources": resources}).replace("'", '"')

    def properties(name: str) -> dict[str, str]:
        return {"Name": f"/stack/{name}", "Type": "String", "Value": name}

    cloud = lifecycle.up(state, free_port())
    client_of(cloud, "cloudformation").create_stack(StackName="s", TemplateBody=template("One"))
    cloud = killed(cloud)
    client_of(cloud, "cloudformation").update_stack(StackName="s", TemplateBody=template("One", "Two"))
    cloud = killed(cloud)
    parameters = client_of(cloud, "ssm").get_parameters_by_path(Path="/stack")["Parameters"]
    assert sorted(one["Value"] for one in parameters) == ["One", "Two"]
    client_of(cloud, "cloudformation").delete_stack(StackName="s")
    assert client_of(cloud, "ssm").get_parameters_by_path(Path="/stack")["Parameters"] == []
    assert client_of(cloud, "sns").list_topics()["Topics"] == []


def test_an_exported_state_goes_on_elsewhere(state: Path, tmp_path: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    s3 = client_of(cloud, "s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a", Body=b"a")
    s3.copy_object(Bucket="kept", Key="b", CopySource={"Bucket": "kept", "Key": "a"})
    file = tmp_path / "state.tar.gz"
    assert export_state(state, file) == file.stat().st_size
    s3.put_object(Bucket="kept", Key="later", Body=b"")
    other = tmp_path / "other"
    import_state(other, file)
    with pytest.raises(CloudError, match=r"holds a state already; give --replace"):
        import_state(other, file)
    with pytest.raises(CloudError, match=r"runs; end it with `kindling down` first"):
        import_state(state, file, replace=True)
    try:
        assert contents(lifecycle.up(other, free_port()), "kept") == {"a": b"a", "b": b"a"}
    finally:
        lifecycle.down(other)
    import_state(other, file, replace=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../outside", b"", "it holds ../outside"),
        ("cloud.db", b"something else" * 100, "is not a database"),
        ("objects/aa/bb", b"", "it holds no cloud.db"),
    ],
)
def test_a_file_that_is_no_state_changes_nothing(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / "content").write_bytes(content)
    with tarfile.open(tmp_path / "file.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "content", name)
    state = tmp_path / "state"
    state.mkdir()
    Store(state / "cloud.db").put("kind", "name", {"kept": True})
    with pytest.raises(CloudError, match="is no state of an embedded cloud") as error:
        import_state(state, tmp_path / "file.tar.gz", replace=True)
    assert said in str(error.value)
    assert Store(state / "cloud.db").all("kind") == {"name": {"kept": True}}
    assert not list(state.glob(".import-*"))


def test_a_snapshot_makes_nothing_but_moto_s_classes() -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    with pytest.raises(snapshots.UnreadableSnapshotError, match=r"it asks for \w+\.system"):
        snapshots.loads(pickle.dumps(Evil()))
    with pytest.raises(snapshots.UnreadableSnapshotError):
        snapshots.loads(b"cmoto.core.utils\nos.system\n.")


def test_a_state_of_another_moto_is_refused_in_a_sentence(state: Path) -> None:
    state.mkdir()
    store = Store(state / "cloud.db")
    store.put("written", "by", {"writer": "moto 1.0"})
    store.close()
    with pytest.raises(
        CloudError, match=r"the state folder was written with moto 1\.0, but this is moto .* KINDLING_STATE"
    ):
        lifecycle.up(state, free_port())


def test_a_full_disk_is_told_by_every_kind_of_service_and_what_was_kept_stays(small_disk: Path) -> None:
    cloud = lifecycle.up(small_disk, free_port())
    s3, ssm, sagemaker = (client_of(cloud, service) for service in ("s3", "ssm", "sagemaker"))
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a", Body=b"a")
    text = "x" * 4000
    ask: dict[str, Callable[[], Any]] = {
        "an object": lambda: s3.put_object(Bucket="kept", Key="b", Body=PART),
        "a parameter": lambda: ssm.put_parameter(Name="/a", Value=text, Type="String", Overwrite=True),
        "an experiment": lambda: sagemaker.create_experiment(ExperimentName="e"),
    }
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"." * 4096)
    for what, request in ask.items():
        with pytest.raises(ClientError) as error:
            request()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500, what
        assert any(word in str(error.value) for word in ("takes no more", "cannot be kept")), what
    assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"a"  # what is there can be read
    ballast.unlink()
    ask["an object"]()
    ask["a parameter"]()
    cloud = killed(cloud)
    assert contents(cloud, "kept") == {"a": b"a", "b": PART}
    assert client_of(cloud, "ssm").get_parameter(Name="/a")["Parameter"]["Value"] == text


def test_a_metric_that_grows_in_place_is_kept_as_it_is_at_last(tmp_path: Path) -> None:
    account = "000000000001"
    backend = cloudwatch_backends[account]["us-east-1"]
    lists = GrowingLists(Store(tmp_path / "db"), account)
    minute = Minute("own", "latency", (("endpoint", "e"),), "Microseconds", int(time.time()) // 60)
    minute.add(1.0)
    backend.metric_data.append(minute)
    lists.keep()
    minute.add(3.0)
    lists.keep()
    backend.metric_data.clear()
    GrowingLists(Store(tmp_path / "db"), account).restore()
    [restored] = backend.metric_data
    assert isinstance(restored, Minute)
    assert (restored.sum, restored.sample_count, restored.min, restored.max) == (4.0, 2, 1.0, 3.0)
    assert restored.histogram == minute.histogram
    assert restored.dimensions[0].value == "e"
    backend.metric_data.clear()


def test_a_copy_of_a_body_that_goes_does_not_take_the_file_along(tmp_path: Path) -> None:
    files = BodyFiles(tmp_path)
    body = Body(files)
    body.write(b"content")
    Body(files, body.path)  # as moto's ListObjectVersions copies keys
    assert not files.dead
    name = body.path.name
    del body
    assert list(files.dead) == [name]


def test_a_range_is_whole_though_one_read_gives_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(bytes(range(200)))
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 7), at))
    content = Content(tmp_path / "file")
    assert content[3:190] == bytes(range(3, 190))
    assert content[190:500] == bytes(range(190, 200))
    assert b"".join(content) == bytes(range(200))
