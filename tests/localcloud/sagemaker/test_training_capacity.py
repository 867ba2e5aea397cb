"""Jobs that wait for cores, jobs that are stopped wherever they are, and jobs that are tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.surroundings import machine_cores
from tests.localcloud.sagemaker.conftest import Account, new_name, until

# Each of its hosts would have 72 cores on AWS, so a job gets all of the 64 that the tests' cloud lends.
WHOLE = {"InstanceType": "ml.c5.18xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10}


@pytest.fixture(autouse=True)
def no_job_of_another_test(account: Account) -> None:
    """A job that another test left would keep its cores, and no test here would ever get all of them."""
    for status in ("InProgress", "Stopping"):
        for job in account.sagemaker.list_training_jobs(StatusEquals=status, MaxResults=100)["TrainingJobSummaries"]:
            account.sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])
            account.job(job["TrainingJobName"])


def begun(job: dict[str, Any], status: str) -> Any:
    return next(step["StartTime"] for step in job["SecondaryStatusTransitions"] if step["Status"] == status)


def statuses(job: dict[str, Any]) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def waits_for_cores(account: Account, name: str) -> bool:
    job = account.job(name, "InProgress")
    message = job["SecondaryStatusTransitions"][-1]["StatusMessage"]
    return (job["SecondaryStatus"], message) == (
        "Starting",
        "Insufficient capacity: waiting for 64 of the 64 cores of this machine",
    )


@contextmanager
def machine_taken(account: Account) -> Iterator[str]:
    """While a job holds all cores: its name."""
    name = account.begin(ResourceConfig=WHOLE, HyperParameters={"wait": "politely"})
    account.job(name, "Training")
    try:
        yield name
    finally:
        if account.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress":
            account.sagemaker.stop_training_job(TrainingJobName=name)
        account.job(name)


def test_two_jobs_that_need_all_cores_run_one_after_the_other(account: Account) -> None:
    with machine_taken(account) as first:
        second = account.begin(2, ResourceConfig={**WHOLE, "InstanceCount": 2})
        until(lambda: waits_for_cores(account, second))
    job = account.job(second)
    assert job["TrainingJobStatus"] == "Completed"
    assert begun(job, "Downloading") > begun(account.job(first), "Uploading")
    starting = job["SecondaryStatusTransitions"][0]
    assert starting["StatusMessage"] == "Preparing the instances for training"
    reports = account.reports(job)
    assert [reports[host]["environment"]["OMP_NUM_THREADS"] for host in ("algo-1", "algo-2")] == ["32", "32"]


def test_jobs_for_which_there_are_cores_run_side_by_side(account: Account) -> None:
    resources = {**WHOLE, "InstanceType": "ml.c5.4xlarge"}
    names = [account.begin(ResourceConfig=resources, HyperParameters={"wait": "politely"}) for _ in range(2)]
    for name in names:
        until(lambda name=name: "waiting" in account.log_lines("/aws/sagemaker/TrainingJobs", f"{name}/"))
    for name in names:
        account.sagemaker.stop_training_job(TrainingJobName=name)
    reports = [account.reports(account.job(name)) for name in names]
    assert [report["algo-1"]["environment"]["KINDLING_CPUS_PER_HOST"] for report in reports] == ["16", "16"]


def test_a_job_that_waits_for_cores_can_be_stopped(account: Account) -> None:
    with machine_taken(account) as first:
        name = account.begin(ResourceConfig=WHOLE)
        until(lambda: waits_for_cores(account, name))
        account.sagemaker.stop_training_job(TrainingJobName=name)
        job = account.job(name)
        assert account.job(first, "InProgress")["SecondaryStatus"] == "Training"
    assert (job["TrainingJobStatus"], statuses(job)) == ("Stopped", ["Starting", "Stopping", "Stopped"])
    assert not {"TrainingStartTime", "ModelArtifacts", "TrainingTimeInSeconds"} & job.keys()


def test_a_spot_job_that_waits_too_long_for_cores_ends(account: Account) -> None:
    with machine_taken(account):
        condition = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
        job = account.train(ResourceConfig=WHOLE, EnableManagedSpotTraining=True, StoppingCondition=condition)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert "TrainingStartTime" not in job


def test_the_number_of_cores_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_CORES", "3")
    assert machine_cores() == 3
    for text in ("0", "many", "-1", "1.5"):
        monkeypatch.setenv("KINDLING_CORES", text)
        with pytest.raises(ValueError, match=f"KINDLING_CORES={text} must be a whole number of cores from 1 on."):
            machine_cores()


def test_a_job_that_is_stopped_while_it_downloads_is_stopped_without_a_model(
    account: Account, held_downloads: threading.Event
) -> None:
    prefix = new_name("slow")
    for number in range(2):
        account.put(f"{prefix}/{number}", b"text")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{prefix}"}
    name = account.begin(InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    account.job(name, "Downloading")
    account.sagemaker.stop_training_job(TrainingJobName=name)
    held_downloads.set()
    job = account.job(name)
    assert statuses(job) == ["Starting", "Downloading", "Stopping", "Stopped"]
    assert "ModelArtifacts" not in job
    assert job["TrainingTimeInSeconds"] >= 1
    assert not (account.cloud.state / "jobs" / name).exists()


def test_a_job_that_is_stopped_while_it_uploads_keeps_its_model(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    pack = archives.pack

    def pack_later(*arguments: Any) -> None:
        assert gate.wait(60)
        pack(*arguments)

    monkeypatch.setattr(archives, "pack", pack_later)
    name = account.begin()
    account.job(name, "Uploading")
    account.sagemaker.stop_training_job(TrainingJobName=name)
    gate.set()
    job = account.job(name)
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Stopping", "Stopped"]
    assert "algo-1" in account.reports(job)


@pytest.fixture
def disk_full(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the next archives fail for want of space: how many."""
    pack = archives.pack

    def fill(times: int) -> None:
        left = iter(range(times))

        def fail_first(*arguments: Any) -> None:
            if next(left, None) is not None:
                raise OSError(28, "No space left on device")
            pack(*arguments)

        monkeypatch.setattr(archives, "pack", fail_first)

    return fill


def test_a_job_is_tried_again_after_an_internal_error(account: Account, disk_full: Callable[[int], None]) -> None:
    disk_full(2)
    job = account.train(RetryStrategy={"MaximumRetryAttempts": 2})
    attempt = ["Starting", "Downloading", "Training", "Uploading"]
    assert statuses(job) == [*attempt, "Restarting", *attempt, "Restarting", *attempt, "Completed"]
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert "algo-1" in account.reports(job)


def test_no_more_often_than_asked(account: Account, disk_full: Callable[[int], None]) -> None:
    disk_full(2)
    job = account.train(RetryStrategy={"MaximumRetryAttempts": 1})
    assert statuses(job).count("Restarting") == 1
    assert job["FailureReason"].startswith("InternalServerError: ")
    assert "No space left on device" in job["FailureReason"]
    disk_full(1)
    assert statuses(account.train())[-1] == "Failed"


def test_what_is_the_algorithms_fault_is_not_tried_again(account: Account) -> None:
    job = account.train(HyperParameters={"killed_host": "algo-1"}, RetryStrategy={"MaximumRetryAttempts": 3})
    assert job["FailureReason"] == "AlgorithmError: algo-1 was ended by SIGKILL, exit code: 137"
    assert "Restarting" not in statuses(job)
