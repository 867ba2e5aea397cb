"""Make the role that the jobs and models of the examples run with, once; prints `export SAGEMAKER_ROLE=...`."""

from __future__ import annotations

import json

import boto3

_NAME = "kindling-examples"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}],
}


def main() -> None:
    iam = boto3.client("iam")
    try:
        role = iam.get_role(RoleName=_NAME)["Role"]
    except iam.exceptions.NoSuchEntityException:
        role = iam.create_role(RoleName=_NAME, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]
        iam.attach_role_policy(RoleName=_NAME, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    print(f"export SAGEMAKER_ROLE={role['Arn']}")


if __name__ == "__main__":
    main()
