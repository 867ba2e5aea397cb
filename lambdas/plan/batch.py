"""The batch transform that a request asks for, in CreateTransformJob's own terms."""

from __future__ import annotations

from typing import Any

from contract.specification import Algorithm, InvalidJobError
from lambdas.plan.inputs import HoldsData, check_address
from lambdas.plan.instances import check_instance_type, volume_key
from lambdas.plan.preparation import readable
from lambdas.plan.request import Request
from lambdas.plan.site import Site
from lambdas.plan.training import MARGIN_S


def batch_job(
    algorithm: Algorithm, request: Request, site: Site, base: str, holds_data: HoldsData
) -> dict[str, Any] | None:
    """What the Batch state sends, but for the job's name; None where no records are to be answered.

    Raises:
        InvalidJobError: records that cannot be read or that the model does not take, an instance type that cannot
            transform, or an endpoint beside it.
    """
    asked = request.batch
    if asked is None:
        return None
    if request.endpoint is not None:
        raise InvalidJobError("batch and endpoint are both given; a run answers a batch or serves an endpoint: choose.")
    check_address("batch.input", asked.input, readable(algorithm, site), holds_data)
    instance_type = asked.instance_type or algorithm.serving.instance_type
    check_instance_type("batch.instance_type", instance_type, "transform", gpu=algorithm.serving.gpu)
    content_type = asked.content_type or algorithm.serving.content_types[0]
    if content_type not in algorithm.serving.content_types:
        raise InvalidJobError(
            f"batch.content_type is {content_type!r}; it must be {' or '.join(algorithm.serving.content_types)}."
        )
    return {
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": asked.input}},
            "ContentType": content_type,
            "SplitType": asked.split,
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{site.model_bucket}/{algorithm.name}/batch/{base}",
            "AssembleWith": asked.split if asked.split == "Line" else "None",
            "KmsKeyId": site.key_arn,
        },
        "TransformResources": {
            "InstanceType": instance_type,
            "InstanceCount": asked.instance_count,
            **volume_key(instance_type, site.key_arn),
        },
        "BatchStrategy": "SingleRecord" if asked.split == "None" else "MultiRecord",
        "max_runtime_s": asked.max_runtime_s,
        "TimeoutSeconds": asked.max_runtime_s + MARGIN_S,
    }
