"""As whom models and endpoints run."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.buckets import Buckets
from stacks.constructs.hosting_role import HostingRole, HostingRoleProps
from stacks.constructs.network import Network, let_join
from stacks.settings import Settings


class HostingStack(HouseStack):
    """The execution role of models."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        buckets: Buckets,
        repository: ecr.IRepository,
        network: Network | None,
    ) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: execution role of models and endpoints")
        self.role: iam.Role = HostingRole(
            self, "Hosting", HostingRoleProps(models=buckets.models, key=buckets.key, repository=repository)
        ).role
        if network is not None:
            let_join(self.role, network)
        cdk.CfnOutput(self, "RoleArn", value=self.role.role_arn)
