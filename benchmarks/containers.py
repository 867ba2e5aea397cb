"""The same training job on two embedded clouds, one that runs processes and one that runs containers, interleaved.

`python -m benchmarks.containers [--rounds 3] [--corpus FILE] [--hosts 1]`. Prints the algorithm's own throughput and
mean_rho for each round, and the ratio of the medians and of the best: what running in a container costs. Where the
machine's speed changes by the minute, the best of many rounds say more. Needs a Docker engine and the image
(`make images`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from containers.catalogue import algorithms
from kindling.localcloud import aws_images, lifecycle
from kindling.localcloud.cloud import REGION, RUNNERS, RunnerName
from kindling.ports import free_port

_BAR = 0.97
_TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
_HYPERPARAMETERS = {"mode": "batch_skipgram", "vector_dim": "100", "evaluation": "True"}
_METRICS = ("train:throughput", "train:mean_rho")
_numbers = itertools.count(1)


@contextmanager
def cloud(state: Path, runner: RunnerName, corpus: Path) -> Iterator[tuple[Any, str]]:
    """A client of SageMaker on a new cloud that has the corpus, and a role."""
    running = lifecycle.up(state, free_port(), runner)
    try:
        session = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
        sagemaker, s3, iam = (
            session.client(name, endpoint_url=running.endpoint_url) for name in ("sagemaker", "s3", "iam")
        )
        policy = json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
        role = iam.create_role(RoleName="containers", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        s3.create_bucket(Bucket="containers")
        s3.upload_file(str(corpus), "containers", "data/corpus.txt")
        yield sagemaker, str(role)
    finally:
        lifecycle.down(state)


def trained(sagemaker: Any, role: str, hosts: int) -> tuple[float, float]:
    """Throughput, in million words a second, and mean_rho of a training job."""
    name = f"containers-{next(_numbers)}"
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://containers/data/"}
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={
            "TrainingImage": aws_images.address("blazingtext", REGION),
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": metric.name, "Regex": metric.regex}
                for metric in algorithms()["blazingtext"].metrics
                if metric.name in _METRICS
            ],
        },
        HyperParameters=_HYPERPARAMETERS,
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": "s3://containers/models"},
        ResourceConfig={"InstanceType": "ml.c5.2xlarge", "InstanceCount": hosts, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )
    while (job := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        time.sleep(0.2)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    found = {one["MetricName"]: one["Value"] for one in job["FinalMetricDataList"]}
    throughput, mean_rho = (float(found[name]) for name in _METRICS)
    return throughput, mean_rho


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--corpus", type=Path, required=True, help="a text, such as text8")
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {runner: [] for runner in RUNNERS}
    with (
        tempfile.TemporaryDirectory(prefix="kindling-containers-") as folder,
        cloud(Path(folder) / "process", "process", arguments.corpus) as process,
        cloud(Path(folder) / "docker", "docker", arguments.corpus) as docker,
    ):
        clouds = {"process": process, "docker": docker}
        for number in range(arguments.rounds):
            order = RUNNERS if number % 2 == 0 else RUNNERS[::-1]
            for runner in order:
                found[runner].append(trained(*clouds[runner], arguments.hosts))
            said = ", ".join(f"{runner} {found[runner][-1][0]:.2f} ({found[runner][-1][1]:.4f})" for runner in RUNNERS)
            print(f"million words/sec (mean_rho): {said}", flush=True)
    averages: dict[str, Callable[[list[float]], float]] = {"medians": statistics.median, "best": max}
    for title, average in averages.items():
        throughput = {runner: average([one for one, _ in rounds]) for runner, rounds in found.items()}
        ratio = throughput["docker"] / throughput["process"]
        print(f"{title}: docker {ratio:.3f} of process (bar: {_BAR})")


if __name__ == "__main__":
    main()
