"""A transform job as DescribeTransformJob shows it, and as the store keeps it."""

from __future__ import annotations

from kindling.localcloud.sagemaker.jobs import Job


class TransformJob(Job):
    """One transform job."""

    kind = "Transform"
    repeated = (
        "ModelName",
        "MaxConcurrentTransforms",
        "ModelClientConfig",
        "MaxPayloadInMB",
        "BatchStrategy",
        "Environment",
        "TransformInput",
        "TransformOutput",
        "TransformResources",
        "DataProcessing",
    )
