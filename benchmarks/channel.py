"""A channel of 1 GB through the embedded cloud: what download and upload add to `cp`, and what memory the cloud takes.

`python -m benchmarks.channel [--gigabytes 1] [--rounds 3]`. A training job whose container does nothing but hand its
channel on as the model, uncompressed, beside `cp` of the same file there and back, interleaved in one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import psutil

from kindling.localcloud import aws_images, lifecycle
from kindling.localcloud.cloud import REGION
from kindling.ports import free_port

_BLOCK = 1 << 20
_TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}


class Peak:
    """The largest resident memory of a process, in MB, looked at every 20 ms."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process(pid)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            try:
                self.megabytes = max(self.megabytes, self._process.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.02)


def seconds_in(job: dict[str, Any], status: str) -> float:
    """How long a training job was in a secondary status."""
    found = next(one for one in job["SecondaryStatusTransitions"] if one["Status"] == status)
    return float((found["EndTime"] - found["StartTime"]).total_seconds())


def trained(client: Any, number: int, role: str) -> dict[str, Any]:
    """The description of a training job that hands its channel on."""
    name = f"channel-{number}"
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://channel/data/"}
    client.create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={
            "TrainingImage": aws_images.address("blazingtext", REGION),
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c"],
            "ContainerArguments": ["mv /opt/ml/input/data/train/file /opt/ml/model/file"],
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": "s3://channel/models", "CompressionType": "NONE"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    while (job := client.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        time.sleep(0.05)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return dict(job)


def copied(source: Path, to: Path) -> float:
    """Seconds that `cp` takes."""
    began = time.perf_counter()
    subprocess.run(["cp", str(source), str(to)], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kindling-channel-"))
    file = folder / "file"
    with file.open("wb") as made:
        for _ in range(int(arguments.gigabytes * 1e9) // _BLOCK):
            made.write(os.urandom(_BLOCK))
    cloud = lifecycle.up(folder / "state", free_port())
    try:
        measure(cloud, file, arguments.rounds)
    finally:
        lifecycle.down(cloud.state)
        shutil.rmtree(folder)


def measure(cloud: lifecycle.CloudInfo, file: Path, rounds: int) -> None:
    """Print a line for each round, and the medians."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    session = boto3.Session(region_name=REGION, **keys)
    sagemaker, s3, iam = (session.client(name, endpoint_url=cloud.endpoint_url) for name in ("sagemaker", "s3", "iam"))
    policy = json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
    role = iam.create_role(RoleName="channel", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    peak = Peak(cloud.pid)
    s3.create_bucket(Bucket="channel")
    began = time.perf_counter()
    s3.upload_file(str(file), "channel", "data/file")
    print(f"put over HTTP in parts: {time.perf_counter() - began:.2f} s; peak of the cloud {peak.megabytes:.0f} MB")
    found = []
    for number in itertools.count(1):
        there, back = copied(file, file.with_name("there")), copied(file.with_name("there"), file.with_name("back"))
        job = trained(sagemaker, number, role)
        found.append((seconds_in(job, "Downloading"), there, seconds_in(job, "Uploading"), back))
        download, there, upload, back = found[-1]
        print(f"download {download:.2f} s, cp {there:.2f} s; upload {upload:.2f} s, cp {back:.2f} s")
        if number == rounds:
            break
    download, there, upload, back = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"medians: download {download / there:.2f} of cp, upload {upload / back:.2f} of cp")
    print(f"peak of the cloud: {peak.megabytes:.0f} MB (bar: 400)")


if __name__ == "__main__":
    main()
