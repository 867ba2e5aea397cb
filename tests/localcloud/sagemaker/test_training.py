"""Training jobs: what a container finds, what becomes of what it leaves, and how a job ends."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE, RUNNER


def channel(account: Account, prefix: str, **source: Any) -> dict[str, Any]:
    location = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{prefix}", **source}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": location}, "ContentType": "text/plain"}


def test_two_hosts_get_whole_objects_in_turn_and_their_model_folders_are_merged(account: Account) -> None:
    prefix = new_name("corpus")
    for number in range(5):
        account.put(f"{prefix}/part/{number}.txt", f"text {number}".encode())
    shared = channel(account, prefix) | {"ChannelName": "all"}
    sharded = channel(account, prefix, S3DataDistributionType="ShardedByS3Key")

    job = account.train(hosts=2, InputDataConfig=[sharded, shared], HyperParameters={"epochs": "3"})

    assert job["TrainingJobStatus"] == "Completed"
    reports = account.reports(job)
    assert set(reports) == {"algo-1", "algo-2"}
    mine = {host: [name for name in report["data"] if name.startswith("train/")] for host, report in reports.items()}
    assert mine == {
        "algo-1": ["train/part/0.txt", "train/part/2.txt", "train/part/4.txt"],
        "algo-2": ["train/part/1.txt", "train/part/3.txt"],
    }
    for report in reports.values():
        assert [name for name in report["data"] if name.startswith("all/")] == [
            f"all/part/{number}.txt" for number in range(5)
        ]
        assert report["data"]["all/part/3.txt"] == "text 3"


def test_a_container_finds_its_configuration_and_environment(account: Account) -> None:
    account.put("plain/a.txt", b"a")
    job = account.train(
        hosts=2,
        InputDataConfig=[channel(account, "plain/")],
        HyperParameters={"epochs": "3"},
        Environment={"COLOUR": "red"},
    )
    report = account.reports(job)["algo-2"]
    assert report["config"]["hyperparameters"] == {"epochs": "3"}
    assert report["config"]["inputdataconfig"] == {
        "train": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            "ContentType": "text/plain",
        }
    }
    resources = report["config"]["resourceconfig"]
    assert resources["current_host"] == "algo-2"
    assert resources["hosts"] == ["algo-1", "algo-2"]
    assert resources["network_interface_name"] == {"process": "lo", "docker": "eth0"}[RUNNER]
    assert resources["current_instance_type"] == "ml.m5.large"
    environment = report["environment"]
    assert environment["TRAINING_JOB_NAME"] == job["TrainingJobName"]
    assert environment["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert environment["COLOUR"] == "red"
    if RUNNER == "process":  # where no DNS knows the hosts' names
        assert environment["MASTER_ADDR"] == "127.0.0.1"
        assert environment["MASTER_PORT"] == account.reports(job)["algo-1"]["environment"]["MASTER_PORT"]
    assert int(environment["KINDLING_CPUS_PER_HOST"]) >= 1


def test_only_a_container_without_network_isolation_is_told_where_the_cloud_is(account: Account) -> None:
    for isolated in (True, False):
        job = account.train(EnableNetworkIsolation=isolated)
        environment = account.reports(job)["algo-1"]["environment"]
        assert environment.get("AWS_ENDPOINT_URL") == (None if isolated else account.cloud.reachable_url)
        assert ("AWS_SECRET_ACCESS_KEY" in environment) is not isolated


def test_a_gzipped_channel_arrives_decompressed_and_an_https_address_is_understood(account: Account) -> None:
    account.put("zipped/text.txt.gz", gzip.compress(b"the text"))
    address = f"https://s3.us-east-1.amazonaws.com/{account.bucket}/zipped"
    config = channel(account, "", S3Uri=address) | {"CompressionType": "Gzip"}
    job = account.train(InputDataConfig=[config])
    assert account.reports(job)["algo-1"]["data"] == {"train/text.txt": "the text"}


def test_a_prefix_that_is_one_object_or_the_beginning_of_a_name_keeps_the_last_part_of_the_key(
    account: Account,
) -> None:
    account.put("single/corpus.txt", b"one")
    account.put("single/corpus-2.txt", b"two")
    job = account.train(InputDataConfig=[channel(account, "single/corpus.txt")])
    assert account.reports(job)["algo-1"]["data"] == {"train/corpus.txt": "one"}
    job = account.train(InputDataConfig=[channel(account, "single/cor")])
    assert account.reports(job)["algo-1"]["data"] == {"train/corpus.txt": "one", "train/corpus-2.txt": "two"}


def test_a_completed_job_tells_its_statuses_times_metrics_and_artifacts(account: Account) -> None:
    metrics = [{"Name": "train:rho", "Regex": r"#rho: (\S+)"}, {"Name": "never", "Regex": "never (x)"}]
    job = account.train(
        HyperParameters={"print1": "#rho: 0.25", "print2": "#rho: 0.75", "print3": "#rho: nothing", "output": "plot"},
        AlgorithmSpecification={
            **account.training_request()["AlgorithmSpecification"],
            "MetricDefinitions": metrics,
        },
    )
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in transition for transition in job["SecondaryStatusTransitions"])
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [("train:rho", 0.75)]
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["TrainingTimeInSeconds"] >= 1
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"]
    output = f"s3://{account.bucket}/models/{job['TrainingJobName']}/output"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"{output}/model.tar.gz"
    assert account.archive(f"{output}/output.tar.gz") == {"algo-1.txt": b"plot"}
    assert not (account.cloud.state / "jobs" / job["TrainingJobName"]).exists()
    data_points = account.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="train:rho",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=job["CreationTime"].timestamp() - 3600,
        EndTime=job["CreationTime"].timestamp() + 3600,
        Period=3600,
        Statistics=["Maximum", "SampleCount"],
    )["Datapoints"]
    assert max(point["Maximum"] for point in data_points) == 0.75


def test_the_log_is_there_while_the_job_runs(account: Account) -> None:
    name = account.begin(HyperParameters={"print": "first line", "wait": "politely"})
    group = "/aws/sagemaker/TrainingJobs"
    account.job(name, "Training")
    until(lambda: "first line" in account.log_lines(group, f"{name}/algo-1-"))
    assert account.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    account.sagemaker.stop_training_job(TrainingJobName=name)
    account.job(name)


def test_the_failing_hosts_sentence_becomes_the_reason_and_the_other_host_is_ended(account: Account) -> None:
    sentence = "ClientError: hyperparameter vector_dim=0 is out of range; it must be an integer from 1 to 2048."
    job = account.train(hosts=2, HyperParameters={"failure": sentence, "fail_on": "algo-2", "exit": "0"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == f"AlgorithmError: {sentence}, exit code: 1"
    assert "ModelArtifacts" not in job


def test_a_long_reason_keeps_its_exit_code_within_1024_characters(account: Account) -> None:
    job = account.train(HyperParameters={"failure": "x" * 2000})
    assert len(job["FailureReason"]) == 1024
    assert job["FailureReason"].endswith("xxx, exit code: 1")


def test_a_killed_host_is_named_in_the_reason(account: Account) -> None:
    job = account.train(hosts=2, HyperParameters={"killed_host": "algo-2"})
    assert job["FailureReason"] == "AlgorithmError: algo-2 was ended by SIGKILL, exit code: 137"


def test_a_host_that_fails_without_a_failure_file_is_quoted(account: Account) -> None:
    job = account.train(HyperParameters={"print": "out of ideas", "exit": "7"})
    assert job["FailureReason"] == (
        "AlgorithmError: algo-1 left no failure file; its last line was: out of ideas, exit code: 7"
    )


def test_folders_of_the_output_data_are_packed_with_it(account: Account) -> None:
    asked = {"output": "scores", "output_folder": "evaluation"}
    job = account.train(hosts=2, HyperParameters=asked)
    output = job["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", "output.tar.gz")
    assert account.archive(output) == {f"evaluation/algo-{rank}.txt": b"scores" for rank in (1, 2)}


def test_a_stopped_job_keeps_what_the_container_saved_on_sigterm(account: Account) -> None:
    name = account.begin(HyperParameters={"print": "ready", "wait": "politely"})
    until(lambda: account.job(name, "InProgress")["SecondaryStatus"] == "Training")
    until(lambda: "waiting" in account.log_lines("/aws/sagemaker/TrainingJobs", f"{name}/"))
    account.sagemaker.stop_training_job(TrainingJobName=name)
    job = account.job(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert "saved-on-sigterm" in account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Stopped"):
        account.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_stopped_as_soon_as_it_is_created_is_stopped(account: Account) -> None:
    account.put("early/a.txt", b"a")
    name = account.begin(InputDataConfig=[channel(account, "early")], HyperParameters={"wait": "politely"})
    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.job(name)["TrainingJobStatus"] == "Stopped"
    assert account.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Stopped"


def test_a_job_over_its_runtime_is_killed_when_it_ignores_sigterm_and_its_model_is_kept(account: Account) -> None:
    job = account.train(HyperParameters={"wait": "stubbornly"}, StoppingCondition={"MaxRuntimeInSeconds": 2})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "algo-1" in account.reports(job)


def test_checkpoints_go_to_s3_however_the_job_ends_and_come_back_to_every_host(account: Account) -> None:
    prefix = new_name("checkpoints")
    config = {"S3Uri": f"s3://{account.bucket}/{prefix}"}
    account.put(f"{prefix}-of-another/untouched", b"")

    def keys() -> list[str]:
        listed = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=prefix)["Contents"]
        return [entry["Key"].removeprefix(prefix) for entry in listed]

    name = account.begin(2, CheckpointConfig=config, HyperParameters={"checkpoint": "one", "wait": "politely"})
    for host in ("algo-1", "algo-2"):
        stream = f"{name}/{host}-"
        until(lambda stream=stream: "waiting" in account.log_lines("/aws/sagemaker/TrainingJobs", stream))
    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.job(name)["CheckpointConfig"] == config
    assert keys() == ["-of-another/untouched", "/algo-1-one", "/algo-2-one", "/last"]

    job = account.train(hosts=2, CheckpointConfig=config, HyperParameters={"checkpoint": "two"})
    model = account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    for host in ("algo-1", "algo-2"):
        found = json.loads(model[f"{host}-checkpoints.json"])
        assert found == {"algo-1-one": "one", "algo-2-one": "one", "last": ""}
    assert keys() == ["-of-another/untouched", "/algo-1-two", "/algo-2-two", "/last"]

    job = account.train(CheckpointConfig=config, HyperParameters={"checkpoint": "three", "failure": "lost"})
    assert job["TrainingJobStatus"] == "Failed"
    assert keys() == ["-of-another/untouched", "/algo-1-three", "/algo-2-two", "/last"]


def test_without_checkpoints_there_is_no_folder_for_them(account: Account) -> None:
    job = account.train(HyperParameters={"checkpoint": "one"})
    assert job["TrainingJobStatus"] == "Failed"
    assert "checkpoints" in job["FailureReason"]


@pytest.mark.parametrize("prefix", ["s3://no-such-bucket/prefix", "traversing"])
def test_checkpoints_that_cannot_be_brought_fail_the_job_in_a_sentence(account: Account, prefix: str) -> None:
    account.put("traversing/../../outside", b"")
    address = prefix if prefix.startswith("s3:") else f"s3://{account.bucket}/{prefix}"
    job = account.train(CheckpointConfig={"S3Uri": address})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert "CheckpointConfig" in job["FailureReason"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("nowhere/", "No S3 objects found under S3 URL"),
        ("traversal/", "leads out of its folder"),
    ],
)
def test_data_that_cannot_be_used_fails_the_job_in_a_sentence(account: Account, key: str, reason: str) -> None:
    account.put("traversal/../../../outside.txt", b"")
    job = account.train(InputDataConfig=[channel(account, key)])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert reason in job["FailureReason"]


def test_a_missing_output_bucket_fails_the_job_in_a_sentence(account: Account) -> None:
    job = account.train(OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/models"})
    assert "no-such-bucket" in job["FailureReason"]


def test_every_change_of_a_job_is_in_the_store(account: Account) -> None:
    def kept() -> tuple[str, str]:
        record = account.cloud.store.all("sagemaker/training-job")[name]
        return record["status"], record["secondary_status"]

    name = account.begin(HyperParameters={"wait": "politely"})
    account.job(name, "Training")
    assert kept() == ("InProgress", "Training")
    account.sagemaker.stop_training_job(TrainingJobName=name)
    account.job(name)
    assert kept() == ("Stopped", "Stopped")


def test_a_container_of_ones_own_entry_point_finds_the_contract_s_folders(account: Account) -> None:
    account.put("own/a.txt", b"a")
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/sh", "-c"],
        "ContainerArguments": ["cp /opt/ml/input/data/train/a.txt /opt/ml/model/copied; echo done in $0", "/opt/ml"],
    }
    job = account.train(AlgorithmSpecification=algorithm, InputDataConfig=[channel(account, "own/")])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert account.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"copied": b"a"}
    assert job["AlgorithmSpecification"]["ContainerArguments"] == algorithm["ContainerArguments"]
    lines = account.log_lines("/aws/sagemaker/TrainingJobs", f"{job['TrainingJobName']}/")
    base = {"process": f"{account.cloud.state}/jobs/{job['TrainingJobName']}/algo-1", "docker": "/opt/ml"}[RUNNER]
    assert lines == [f"done in {base}"]
