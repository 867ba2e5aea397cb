"""Where jobs and models have their network interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from stacks.acknowledgements import acknowledge, wildcard


@dataclass(frozen=True)
class Network:
    """Ids of the subnets and of the security groups that jobs and models are put into."""

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]

    def vpc_config(self) -> dict[str, list[str]]:
        """SageMaker's VpcConfig, in the words of a state machine's definition: see `substitutions`."""
        return {
            "Subnets": [f"${{Subnet{number}}}" for number in range(1, len(self.subnets) + 1)],
            "SecurityGroupIds": [f"${{SecurityGroup{number}}}" for number in range(1, len(self.security_groups) + 1)],
        }

    def substitutions(self) -> Mapping[str, str]:
        """What the names in `vpc_config` stand for."""
        return {
            **{f"Subnet{number}": subnet for number, subnet in enumerate(self.subnets, 1)},
            **{f"SecurityGroup{number}": group for number, group in enumerate(self.security_groups, 1)},
        }


def let_join(role: iam.Role, network: Network) -> None:
    """Let SageMaker make and remove network interfaces in a role's name, in just these subnets and groups.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html lists the operations for each kind of job.
    """
    subnets = [_arn(role, "subnet", subnet) for subnet in network.subnets]
    groups = [_arn(role, "security-group", group) for group in network.security_groups]
    interfaces = _arn(role, "network-interface", "*")
    for statement in (
        iam.PolicyStatement(
            sid="MakeInterfaces",
            actions=["ec2:CreateNetworkInterface"],
            resources=[*subnets, *groups, interfaces],
        ),
        iam.PolicyStatement(
            sid="LendInterfaces",
            actions=["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
            resources=[interfaces],
            conditions={"ArnEquals": {"ec2:Subnet": subnets}},
        ),
        iam.PolicyStatement(
            sid="LookAtNetwork",
            actions=[
                # It need not name the interface, so it may be evaluated without one.
                "ec2:DeleteNetworkInterfacePermission",
                *(f"ec2:Describe{what}" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups")),
                *(f"ec2:Describe{what}" for what in ("Subnets", "Vpcs")),
            ],
            resources=["*"],
        ),
    ):
        role.add_to_policy(statement)
    acknowledge(
        role,
        {
            wildcard(role, interfaces): "EC2 names network interfaces; a condition limits them to the subnets.",
            "AwsSolutions-IAM5[Resource::*]": "EC2's looks know no resource.",
        },
    )


def _arn(scope: IConstruct, kind: str, name: str) -> str:
    return cdk.Stack.of(scope).format_arn(service="ec2", resource=kind, resource_name=name)
