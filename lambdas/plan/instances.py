"""Instance types, as the SageMaker API lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

import botocore.session

from contract.specification import InvalidJobError
from lambdas.plan.wording import shown, suggestion

Purpose = Literal["training", "processing", "transform", "hosting"]

_SHAPES = {
    "training": "TrainingInstanceType",
    "processing": "ProcessingInstanceType",
    "transform": "TransformInstanceType",
    "hosting": "ProductionVariantInstanceType",
}
# GPUs (g, p) and AWS's own accelerators (trn, inf, dl).
_ACCELERATED = re.compile(r"ml\.(g|p|trn|inf|dl)\d")
# Instances with local disks, which are encrypted by themselves: families with a d for disk, and most with accelerators.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/InstanceStorage.html
_LOCAL_DISKS = re.compile(r"ml\.([cmr]\d[a-z]*d[a-z]*|dl1|g\d[a-z]*|p3dn|p[4-9][a-z0-9-]*|trn\d[a-z]*)\.")


@cache
def instance_types(purpose: Purpose) -> Sequence[str]:
    """Every instance type that a job of the purpose or a production variant takes, from botocore's model of the API."""
    shape = botocore.session.get_session().get_service_model("sagemaker").shape_for(_SHAPES[purpose])
    return tuple(sorted(shape.enum))


def volume_key(instance_type: str, key_arn: str) -> dict[str, str]:
    """The field VolumeKmsKeyId of a job's resources; none where local disks take the volume's place.

    SageMaker refuses the field for these (ResourceConfig, ProcessingClusterConfig and TransformResources in its API).
    """
    return {} if _LOCAL_DISKS.match(instance_type) else {"VolumeKmsKeyId": key_arn}


def check_instance_type(field: str, found: str, purpose: Purpose, *, gpu: bool) -> None:
    """Refuses an instance type that does not exist, or whose accelerator would lie idle.

    Raises:
        InvalidJobError: names the field and what was probably meant.
    """
    known = instance_types(purpose)
    if found not in known:
        hint = suggestion(found, known)
        if hint.startswith("known"):
            hint = f"it must be a type such as {known[0]}."
        raise InvalidJobError(f"{field} is {shown(found)}, which is no SageMaker {purpose} instance type; {hint}")
    if _ACCELERATED.match(found) and not gpu:
        raise InvalidJobError(
            f"{field} is {shown(found)}, but this algorithm makes no use of a GPU; "
            "choose a type without one, such as ml.c5.2xlarge."
        )
