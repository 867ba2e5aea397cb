"""Processing jobs of the tests: requests, and the way to their ends."""

from __future__ import annotations

from typing import Any

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE

CODE = "/opt/ml/processing/input/code"
OUTPUT = "/opt/ml/processing/output"
ENDED = ("Completed", "Failed", "Stopped")


def source(name: str, uri: str, path: str, **more: Any) -> dict[str, Any]:
    """An element of ProcessingInputs."""
    location = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", **more}
    return {"InputName": name, "S3Input": location}


def target(name: str, uri: str, path: str = OUTPUT, mode: str = "EndOfJob") -> dict[str, Any]:
    """An element of ProcessingOutputConfig.Outputs."""
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}


def request(account: Account, script: str, *, hosts: int = 1, **changes: Any) -> dict[str, Any]:
    """A request that runs a script, which is its first input; its output goes below its name."""
    name = new_name("processing")
    code = account.put(f"{name}/code/work.py", script.encode())
    inputs = [source("code", code, CODE), *changes.pop("inputs", [])]
    outputs = [target("out", f"s3://{account.bucket}/{name}/out", mode=changes.pop("mode", "EndOfJob"))]
    arguments = changes.pop("arguments", None)
    return {
        "ProcessingJobName": name,
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
        },
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", f"{CODE}/work.py"],
            **({"ContainerArguments": arguments} if arguments else {}),
        },
        "RoleArn": account.role,
        **changes,
    }


def begin(account: Account, script: str, **changes: Any) -> str:
    """Create a job; its name."""
    asked = request(account, script, **changes)
    account.sagemaker.create_processing_job(**asked)
    return str(asked["ProcessingJobName"])


def job(account: Account, name: str, *statuses: str) -> dict[str, Any]:
    """The description of a job once its status is one of these; by default once it ended."""

    def look() -> dict[str, Any] | None:
        description = account.sagemaker.describe_processing_job(ProcessingJobName=name)
        return dict(description) if description["ProcessingJobStatus"] in (statuses or ENDED) else None

    return dict(until(look))


def process(account: Account, script: str, **changes: Any) -> dict[str, Any]:
    """Run a job to its end; its description."""
    return job(account, begin(account, script, **changes))


def objects(account: Account, prefix: str) -> dict[str, bytes]:
    """The objects below a prefix, by the rest of their keys."""
    listed = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=prefix).get("Contents", [])
    return {
        entry["Key"].removeprefix(prefix): account.s3.get_object(Bucket=account.bucket, Key=entry["Key"])["Body"].read()
        for entry in listed
    }


def output(account: Account, described: dict[str, Any]) -> dict[str, bytes]:
    """What a job left in its output."""
    return objects(account, f"{described['ProcessingJobName']}/out/")


def until_logged(account: Account, name: str, line: str, host: str = "algo-1") -> None:
    """Wait until a host has printed a line."""
    logs = account.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"

    def look() -> bool:
        groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return bool(groups) and line in account.log_lines(group, f"{name}/{host}-")

    until(look)
