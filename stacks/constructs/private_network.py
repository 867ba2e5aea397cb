"""A network without a way to the internet."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge, wildcard
from stacks.constructs.buckets import Buckets
from stacks.constructs.log_group import log_group
from stacks.constructs.network import Network
from stacks.constructs.statements import acting
from stacks.settings import Settings

_HTTPS = ec2.Port.tcp(443)
# Where ECR keeps the layers of images: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
_LAYERS = "arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*"


@dataclass(frozen=True, kw_only=True)
class PrivateNetworkProps:
    """The settings of the network, and the only buckets that can be reached from it."""

    settings: Settings
    buckets: Buckets


class PrivateNetwork(Construct):
    """Isolated subnets in some zones, endpoints of AWS's services in them, and the traffic on record.

    There is no NAT and no internet gateway: what is not the network itself or an endpoint's service cannot be reached.
    """

    def __init__(self, scope: Construct, id: str, props: PrivateNetworkProps) -> None:
        super().__init__(scope, id)
        self._settings, self._buckets = props.settings, props.buckets
        self.vpc = self._vpc()
        self._record_traffic()
        self.endpoints = self._endpoints_group()
        self.members = self._members_group()
        self._reach_s3()
        for service in props.settings.network_services:
            self._reach(service)
        subnets = [subnet.subnet_id for subnet in self.vpc.isolated_subnets]
        self.network = Network(tuple(subnets), (self.members.security_group_id,))

    def _vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(self._settings.network_cidr),
            max_azs=self._settings.network_zones,
            nat_gateways=0,
            # It would take a custom resource; nothing here is a member of the default group.
            restrict_default_security_group=False,
            subnet_configuration=[ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)],
        )
        acknowledge(
            vpc,
            {
                "NIST.800.53.R5-VPCDefaultSecurityGroupClosed": (
                    "CloudFormation cannot change the default group, which lets its members talk to one another; "
                    "it has none, and docs/network.md has the command that empties it."
                )
            },
        )
        return vpc

    def _record_traffic(self) -> None:
        group = log_group(self, "FlowLogs", self._settings)
        role = iam.Role(
            self,
            "Recorder",
            description="Flow logs of the private network",
            assumed_by=acting("vpc-flow-logs.amazonaws.com"),
            inline_policies={
                "Record": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="RecordTraffic",
                            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                            resources=[group.log_group_arn],
                        ),
                        iam.PolicyStatement(sid="FindGroup", actions=["logs:DescribeLogGroups"], resources=["*"]),
                    ]
                )
            },
        )
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
            max_aggregation_interval=600,
        )
        acknowledge(
            role,
            {
                wildcard(self, group.log_group_arn): "The streams of the flow logs' own group.",
                "AwsSolutions-IAM5[Resource::*]": "logs:DescribeLogGroups knows no resource.",
            },
        )

    def _endpoints_group(self) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "Endpoints",
            vpc=self.vpc,
            description="Endpoints of AWS services: HTTPS from the network",
            allow_all_outbound=False,
        )
        group.add_ingress_rule(ec2.Peer.ipv4(self._settings.network_cidr), _HTTPS, "From the network")
        return group

    def _members_group(self) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "Members",
            vpc=self.vpc,
            description="Jobs and models: one another, and HTTPS to endpoints",
            allow_all_outbound=False,
        )
        # The hosts of a distributed job choose their ports.
        group.add_ingress_rule(group, ec2.Port.all_tcp(), "From one another")
        group.add_egress_rule(group, ec2.Port.all_tcp(), "To one another")
        # Amazon S3 has public addresses, and CloudFormation no name for the list of them. Nothing else of the internet
        # has a route from here.
        group.add_egress_rule(ec2.Peer.any_ipv4(), _HTTPS, "To endpoints, that of Amazon S3 among them")
        return group

    def _reach_s3(self) -> None:
        endpoint = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        buckets = [self._buckets.data, self._buckets.models]
        endpoint.add_to_policy(
            iam.PolicyStatement(
                sid="OwnBuckets",
                principals=[iam.AnyPrincipal()],
                actions=[
                    *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject"),
                    *("s3:ListBucket", "s3:ListMultipartUploadParts", "s3:PutObject"),
                ],
                resources=[arn for bucket in buckets for arn in (bucket.bucket_arn, bucket.arn_for_objects("*"))],
                conditions=_of_this_account(),
            )
        )
        endpoint.add_to_policy(
            iam.PolicyStatement(
                sid="ImageLayers",
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[cdk.Fn.sub(_LAYERS)],
            )
        )

    def _reach(self, service: str) -> None:
        endpoint = self.vpc.add_interface_endpoint(
            "".join(word.capitalize() for word in service.split(".")),
            service=ec2.InterfaceVpcEndpointService(f"com.amazonaws.{cdk.Aws.REGION}.{service}", 443),
            private_dns_enabled=True,
            open=False,
            security_groups=[self.endpoints],
        )
        # Whoever is let in by this account's policies, and no credentials that were brought along.
        endpoint.add_to_policy(
            iam.PolicyStatement(
                sid="OwnAccount",
                principals=[iam.AnyPrincipal()],
                actions=["*"],
                resources=["*"],
                conditions=_of_this_account(),
            )
        )


def _of_this_account() -> dict[str, dict[str, str]]:
    return {"StringEquals": {"aws:PrincipalAccount": cdk.Aws.ACCOUNT_ID}}
