"""Transform jobs of the tests: requests, and the way to their ends."""

from __future__ import annotations

from typing import Any

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.processing_jobs import ENDED, objects

GROUP = "/aws/sagemaker/TransformJobs"


def request(
    account: Account, model: str, files: dict[str, bytes] | None = None, *, instances: int = 1, **changes: Any
) -> dict[str, Any]:
    """A request about these objects, by their names below a prefix of its own; its output goes below its name."""
    name = new_name("transform")
    for key, body in (files or {}).items():
        account.put(f"{name}/in/{key}", body)
    given = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{name}/in/", **changes.pop("source", {})}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": given}, **changes.pop("given", {})},
        "TransformOutput": {"S3OutputPath": f"s3://{account.bucket}/{name}/out", **changes.pop("wanted", {})},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": instances},
        **changes,
    }


def begin(account: Account, *arguments: Any, **changes: Any) -> str:
    """Create a job; its name."""
    asked = request(account, *arguments, **changes)
    account.sagemaker.create_transform_job(**asked)
    return str(asked["TransformJobName"])


def job(account: Account, name: str, *statuses: str) -> dict[str, Any]:
    """The description of a job once its status is one of these; by default once it ended."""

    def look() -> dict[str, Any] | None:
        description = account.sagemaker.describe_transform_job(TransformJobName=name)
        return dict(description) if description["TransformJobStatus"] in (statuses or ENDED) else None

    return dict(until(look))


def transform(account: Account, *arguments: Any, **changes: Any) -> dict[str, Any]:
    """Run a job to its end; its description."""
    return job(account, begin(account, *arguments, **changes))


def output(account: Account, described: dict[str, Any]) -> dict[str, bytes]:
    """The objects that a job made, by what follows the prefix."""
    return objects(account, f"{described['TransformJobName']}/out/")


def done(account: Account, described: dict[str, Any]) -> dict[str, bytes]:
    """The objects that a completed job made."""
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    return output(account, described)
