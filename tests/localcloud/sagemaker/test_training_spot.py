"""Managed spot training: instances that are taken back, checkpoints that outlive them, and what the time is worth."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from kindling.cli import main
from kindling.localcloud.sagemaker.training import clock as clocks
from kindling.localcloud.sagemaker.training.clock import Clock
from kindling.localcloud.sagemaker.training.job import OVER_WAIT, OVERTIME
from kindling.localcloud.sagemaker.training.spot import interruptions_per_hour
from tests.localcloud.sagemaker.conftest import Account, new_name, until

RATE = "KINDLING_SPOT_INTERRUPTIONS_PER_HOUR"
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
}


def checkpoints(account: Account) -> dict[str, str]:
    return {"S3Uri": f"s3://{account.bucket}/{new_name('checkpoints')}"}


def kept(account: Account, config: dict[str, str]) -> dict[str, str]:
    """What lies at the prefix of a CheckpointConfig, by name."""
    prefix = config["S3Uri"].removeprefix(f"s3://{account.bucket}/") + "/"
    listed = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=prefix).get("Contents", [])
    found = {}
    for entry in listed:
        with contextlib.suppress(account.s3.exceptions.NoSuchKey):  # removed since it was listed
            answer = account.s3.get_object(Bucket=account.bucket, Key=entry["Key"])
            found[entry["Key"].removeprefix(prefix)] = answer["Body"].read().decode()
    return found


def statuses(job: dict[str, Any]) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def interrupt(account: Account, job: str) -> tuple[int, dict[str, Any]]:
    """Ask for an interruption as the command line does; the HTTP status and the answer."""
    body = json.dumps({"TrainingJobName": job}).encode()
    request = urllib.request.Request(f"{account.cloud.endpoint_url}/_kindling/interrupt-training-job", body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def is_waiting(account: Account, job: str) -> bool:
    return "waiting" in account.log_lines("/aws/sagemaker/TrainingJobs", f"{job}/")


def test_an_interrupted_job_starts_again_with_its_checkpoints(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = checkpoints(account)
    name = account.begin(CheckpointConfig=config, HyperParameters={"attempts": "2"}, **SPOT)
    until(lambda: is_waiting(account, name))

    running = {
        "pid": os.getpid(),
        "port": account.cloud.port,
        "version": "",
        "started_at": psutil.Process().create_time(),
    }
    (account.cloud.state / "cloud.json").write_text(json.dumps(running))
    monkeypatch.setattr(sys, "argv", ["kindling", "chaos", "interrupt", name, "--state", str(account.cloud.state)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out.split()[0]) == (0, name)

    job = account.job(name)
    again = ["Starting", "Downloading", "Training"]
    assert statuses(job) == [*again, "Interrupted", *again, "Uploading", "Completed"]
    assert kept(account, config) == {"attempt-1": "begun", "attempt-2": "begun"}
    assert "saved-on-sigterm" not in account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    times = job["SecondaryStatusTransitions"]
    assert job["TrainingStartTime"] == times[1]["StartTime"]
    assert 1 <= job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]
    with_instances = sum((times[i]["EndTime"] - times[i]["StartTime"]).total_seconds() for i in (1, 2, 5, 6, 7))
    # The two read their clocks one after the other, and then the seconds are rounded.
    assert job["TrainingTimeInSeconds"] == pytest.approx(max(1, with_instances), abs=0.75)


def test_a_rate_of_interruptions_can_be_set(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RATE, "36000")
    name = account.begin(CheckpointConfig=checkpoints(account), HyperParameters={"wait": "politely"}, **SPOT)
    until(lambda: "Interrupted" in statuses(account.job(name, "InProgress")))
    monkeypatch.delenv(RATE)
    until(lambda: account.job(name, "InProgress")["SecondaryStatus"] == "Training" and is_waiting(account, name))
    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.job(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize("text", ["often", "-1", "inf", "nan"])
def test_a_rate_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(RATE, text)
    with pytest.raises(ValueError, match=f"{RATE}={text} must be a number from 0 on."):
        interruptions_per_hour()


def test_only_a_spot_job_that_has_instances_is_interrupted(account: Account) -> None:
    name = account.begin(HyperParameters={"wait": "politely"})
    account.job(name, "Training")
    status, answer = interrupt(account, name)
    assert (status, answer["message"]) == (
        400,
        f"training job {name} does not run on spot instances, so it cannot be interrupted; "
        "create it with EnableManagedSpotTraining.",
    )
    account.sagemaker.stop_training_job(TrainingJobName=name)
    over = account.train(**SPOT)["TrainingJobName"]
    status, answer = interrupt(account, over)
    assert answer["message"] == (
        f"training job {over} is in Completed; only a job in Downloading or Training can be interrupted."
    )
    assert interrupt(account, "no-such-job")[1]["message"] == "Requested resource not found."
    assert account.job(name)["TrainingJobStatus"] == "Stopped"


def test_a_job_that_loses_its_instances_while_it_downloads_starts_again(
    account: Account, held_downloads: threading.Event
) -> None:
    prefix = new_name("slow")
    account.put(f"{prefix}/0", b"text")
    account.put(f"{prefix}/1", b"text")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{prefix}"}
    name = account.begin(InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}], **SPOT)
    account.job(name, "Downloading")
    assert interrupt(account, name) == (200, {})
    held_downloads.set()
    again = ["Starting", "Downloading"]
    assert statuses(account.job(name)) == [*again, "Interrupted", *again, "Training", "Uploading", "Completed"]


def test_a_job_that_is_stopped_while_it_loses_its_instances_keeps_its_model(account: Account) -> None:
    name = account.begin(HyperParameters={"wait": "stubbornly"}, **SPOT)
    until(lambda: is_waiting(account, name))
    assert interrupt(account, name) == (200, {})
    account.sagemaker.stop_training_job(TrainingJobName=name)
    job = account.job(name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert "Interrupted" not in statuses(job)
    assert "algo-1" in account.reports(job)


def test_an_ordinary_job_pays_for_all_of_its_time(account: Account) -> None:
    job = account.train()
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"]


def test_a_spot_job_ends_when_its_wait_is_over_and_its_model_is_kept(account: Account) -> None:
    condition = {"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 2}
    job = account.train(HyperParameters={"wait": "politely"}, **{**SPOT, "StoppingCondition": condition})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert "saved-on-sigterm" in account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_all_attempts_share_the_runtime_and_all_waiting_counts_as_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(clocks.time, "monotonic", lambda: now)
    clock = Clock({"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 500})
    with clock.running():
        now += 70
    now += 300
    assert clock.deadline == 1500
    with clock.running():
        assert clock.deadline == 1000 + 370 + 30
        now += 30
        assert clock.is_over
        assert clock.outcome == OVERTIME
    now = 1500
    assert clock.is_over
    assert clock.outcome == OVER_WAIT


def test_checkpoints_follow_the_hosts_folder_while_it_trains(account: Account) -> None:
    config = checkpoints(account)
    account.put(f"{config['S3Uri'].removeprefix(f's3://{account.bucket}/')}/old", b"from before")
    name = account.begin(CheckpointConfig=config, HyperParameters={"wait": "politely"})
    until(lambda: is_waiting(account, name))
    folder = account.cloud.state / "jobs" / name / "algo-1" / "checkpoints"
    assert (folder / "old").read_text() == "from before"

    def follows(expected: dict[str, str]) -> None:
        until(lambda: kept(account, config) == expected)

    (folder / "epoch").mkdir()
    (folder / "epoch" / "1").write_text("half of")
    follows({"old": "from before", "epoch/1": "half of"})
    with (folder / "epoch" / "1").open("a") as file:
        file.write(" the whole")
    follows({"old": "from before", "epoch/1": "half of the whole"})
    (folder / "old").unlink()
    follows({"epoch/1": "half of the whole"})
    account.put(f"{config['S3Uri'].removeprefix(f's3://{account.bucket}/')}/later", b"put by somebody else")
    (folder / "2").write_text("two")
    follows({"epoch/1": "half of the whole", "2": "two", "later": "put by somebody else"})
    assert not (folder / "later").exists()
    account.sagemaker.stop_training_job(TrainingJobName=name)
    account.job(name)


def test_a_checkpoint_bucket_that_goes_fails_the_job(account: Account) -> None:
    bucket = new_name("bucket-of-checkpoints")
    account.s3.create_bucket(Bucket=bucket)
    name = account.begin(CheckpointConfig={"S3Uri": f"s3://{bucket}/a"}, HyperParameters={"wait": "politely"})
    until(lambda: is_waiting(account, name))
    account.s3.delete_bucket(Bucket=bucket)
    (account.cloud.state / "jobs" / name / "algo-1" / "checkpoints" / "1").write_text("one")
    reason = account.job(name)["FailureReason"]
    assert reason == f"ClientError: the bucket of CheckpointConfig.S3Uri=s3://{bucket}/a does not exist."


def test_without_a_running_cloud_nothing_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kindling", "chaos", "interrupt", "a-job", "--state", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "the embedded cloud does not run" in capsys.readouterr().err
