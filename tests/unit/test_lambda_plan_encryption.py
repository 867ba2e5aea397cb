"""Which volumes of jobs are encrypted with the deployment's key, and which cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import get_args

import moto

from lambdas.plan.instances import Purpose, instance_types, volume_key
from lambdas.plan.plan import plan
from tests.unit.test_lambda_plan import ALGORITHM, GOOD, SITE, planned

KEY = {"VolumeKmsKeyId": SITE.key_arn}
# Of which moto knows nothing. The first is a Gaudi machine with four NVMe disks, the last Grace Blackwell with eight;
# P2 and P3 have volumes only.
NOT_IN_MOTO = {
    "ml.dl1.24xlarge": True,
    **dict.fromkeys(("ml.p2.xlarge", "ml.p2.8xlarge", "ml.p2.16xlarge"), False),
    **dict.fromkeys(("ml.p3.2xlarge", "ml.p3.8xlarge", "ml.p3.16xlarge"), False),
    "ml.p6e-gb200.36xlarge": True,
}


def described() -> dict[str, bool]:
    """Whether an instance type has local disks: what EC2's DescribeInstanceTypes said when moto recorded it."""
    path = Path(moto.__file__).parent / "ec2" / "resources" / "instance_types.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return {f"ml.{name}": one["InstanceStorageSupported"] for name, one in json.load(file).items()}


def test_every_instance_type_of_sagemaker_is_known_to_have_local_disks_or_not() -> None:
    known = {**described(), **NOT_IN_MOTO}
    types = {found for purpose in get_args(Purpose) for found in instance_types(purpose)}
    assert len(types) > 150
    wrong = {found for found in types if bool(volume_key(found, "the-key")) is known[found]}
    assert not wrong


def test_the_volumes_of_every_kind_of_job_are_encrypted_with_the_key() -> None:
    tuning = {"ranges": {"learning_rate": [0.01, 0.1]}, "metric": "train:mean_rho"}
    found = planned({**GOOD, "tuning": tuning, "batch": {"input": "s3://the-data/blazingtext/records"}})
    for resources in (
        found["training"]["ResourceConfig"],
        found["tuning"]["TrainingJobDefinition"]["ResourceConfig"],
        found["batch"]["TransformResources"],
    ):
        assert resources.items() >= KEY.items()


def test_the_volume_of_a_preparation_is_encrypted_with_the_key() -> None:
    described = ALGORITHM.preparations["phrases"]
    raw = dict.fromkeys(described.inputs, "s3://the-data/blazingtext/raw")
    inputs = {} if "train" in described.channels else GOOD["inputs"]
    found = planned({**GOOD, "inputs": inputs, "preparation": {"name": "phrases", "inputs": raw}})
    assert found["preparation"]["ProcessingResources"]["ClusterConfig"].items() >= KEY.items()


def test_an_instance_with_local_disks_has_no_key_of_its_volume() -> None:
    resources = ALGORITHM.resources.model_copy(update={"gpu": True})
    algorithm = ALGORITHM.model_copy(update={"resources": resources})
    wanted = {**GOOD, "resources": {"instance_type": "ml.g5.xlarge"}}
    job = plan(algorithm, SITE, {"name": "r", "input": wanted}, lambda bucket, prefix: True)["training"]
    assert "VolumeKmsKeyId" not in job["ResourceConfig"]
    assert job["OutputDataConfig"]["KmsKeyId"] == SITE.key_arn
