"""The network of jobs and models, where the settings want one."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.buckets import Buckets
from stacks.constructs.private_network import PrivateNetwork, PrivateNetworkProps
from stacks.settings import Settings


class NetworkStack(HouseStack):
    """A private network: docs/network.md."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, buckets: Buckets) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: private network of jobs and models")
        self.logs_key = buckets.key
        self._zones = settings.network_zones
        private = PrivateNetwork(self, "Network", PrivateNetworkProps(settings=settings, buckets=buckets))
        self.network = private.network
        cdk.CfnOutput(self, "VpcId", value=private.vpc.vpc_id)
        cdk.CfnOutput(self, "SubnetIds", value=cdk.Fn.join(",", list(self.network.subnets)))
        cdk.CfnOutput(self, "SecurityGroupId", value=private.members.security_group_id)

    @property
    def availability_zones(self) -> list[str]:
        """The region's first zones, named at deployment: the CDK would ask the account, or stop at two."""
        return [cdk.Fn.select(number, cdk.Fn.get_azs()) for number in range(self._zones)]
