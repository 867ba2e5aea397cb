"""What moto loads for every region and partition of AWS, cut down to the one that this cloud is in.

EC2's offers of instance types take 90 MB of memory and IAM's managed policies 30 MB otherwise, used or not; for the
names of EC2's regions moto reads the whole description of EC2 three times, half a second.
"""

from __future__ import annotations

from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace


def install(cloud: Cloud) -> None:
    """Have moto load the offers of this cloud's region, the policies of its partition and the names of regions only."""
    import boto3
    from moto.iam.models import IAMBackend
    from moto.utilities import utils

    def load_resource(path: Any, *rest: Any, **more: Any) -> Any:
        text = str(path)
        if "instance_type_offerings" in text and f"/{cloud.region}." not in text:
            return []
        return load(path, *rest, **more)

    def policies(self: Any) -> Any:
        return every_policy(self) if self.partition == "aws" else []

    def get_available_regions(self: Any, service_name: str, *rest: Any, **more: Any) -> Any:
        if service_name == "ec2":  # whose endpoints are named so; it is the service's description that tells it
            return sorted(
                self._session.get_component("endpoint_resolver").get_available_endpoints("ec2", *rest, **more)
            )
        return regions(self, service_name, *rest, **more)

    regions = replace(boto3.Session, "get_available_regions", get_available_regions)
    load = replace(utils, "load_resource", load_resource)
    every_policy = replace(IAMBackend, "_init_aws_policies", policies)
