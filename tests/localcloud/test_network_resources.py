"""A private network as the stacks have it: made, changed, rolled back and removed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

STACK = "private-network"
GROUPS = {
    "Endpoints": {
        "GroupDescription": "endpoints",
        "VpcId": {"Ref": "Vpc"},
        "SecurityGroupIngress": [{"CidrIp": "10.9.0.0/16", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}],
        "SecurityGroupEgress": [
            {"CidrIp": "255.255.255.255/32", "IpProtocol": "icmp", "FromPort": 252, "ToPort": 86},
        ],
    },
    "Members": {
        "GroupDescription": "members",
        "VpcId": {"Ref": "Vpc"},
        "SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}],
    },
}
ALL_PORTS = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "GroupId": {"Ref": "Members"}}


def template(word: str, services: tuple[str, ...], extra: dict[str, Any] | None = None) -> str:
    """The network with endpoints of these services; its tags carry the word."""
    resources: dict[str, tuple[str, dict[str, Any]]] = {
        "Vpc": (
            "AWS::EC2::VPC",
            {
                "CidrBlock": "10.9.0.0/16",
                "EnableDnsHostnames": True,
                "EnableDnsSupport": True,
                "Tags": [{"Key": "word", "Value": word}],
            },
        ),
        "Subnet": (
            "AWS::EC2::Subnet",
            {
                "VpcId": {"Ref": "Vpc"},
                "CidrBlock": "10.9.0.0/18",
                "AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
                "MapPublicIpOnLaunch": False,
            },
        ),
        "Table": ("AWS::EC2::RouteTable", {"VpcId": {"Ref": "Vpc"}}),
        "Association": (
            "AWS::EC2::SubnetRouteTableAssociation",
            {"SubnetId": {"Ref": "Subnet"}, "RouteTableId": {"Ref": "Table"}},
        ),
        **{name: ("AWS::EC2::SecurityGroup", group) for name, group in GROUPS.items()},
        "In": ("AWS::EC2::SecurityGroupIngress", {**ALL_PORTS, "SourceSecurityGroupId": {"Ref": "Members"}}),
        "Out": ("AWS::EC2::SecurityGroupEgress", {**ALL_PORTS, "DestinationSecurityGroupId": {"Ref": "Members"}}),
        "S3": (
            "AWS::EC2::VPCEndpoint",
            {
                "VpcId": {"Ref": "Vpc"},
                "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
                "VpcEndpointType": "Gateway",
                "RouteTableIds": [{"Ref": "Table"}],
                "PolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*"}]},
            },
        ),
        **{
            service.capitalize(): (
                "AWS::EC2::VPCEndpoint",
                {
                    "VpcId": {"Ref": "Vpc"},
                    "ServiceName": {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"},
                    "VpcEndpointType": "Interface",
                    "PrivateDnsEnabled": True,
                    "SubnetIds": [{"Ref": "Subnet"}],
                    "SecurityGroupIds": [{"Fn::GetAtt": ["Endpoints", "GroupId"]}],
                },
            )
            for service in services
        },
        "Log": ("AWS::Logs::LogGroup", {"LogGroupName": "/private/network"}),
        "FlowLog": (
            "AWS::EC2::FlowLog",
            {
                "ResourceId": {"Ref": "Vpc"},
                "ResourceType": "VPC",
                "TrafficType": "ALL",
                "LogDestinationType": "cloud-watch-logs",
                "LogGroupName": {"Ref": "Log"},
                "DeliverLogsPermissionArn": "arn:aws:iam::123456789012:role/recorder",
                "MaxAggregationInterval": 600,
            },
        ),
    }
    made = {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}
    outputs = {name: {"Value": {"Ref": name}} for name in ("Vpc", "Subnet", "Members")}
    return json.dumps({"Resources": made | (extra or {}), "Outputs": outputs})


def outputs(aws: Any) -> dict[str, str]:
    found = aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}


def services(aws: Any, vpc: str) -> set[str]:
    found = aws("ec2").describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]
    return {one["ServiceName"].rpartition(".")[2] for one in found if one["State"] == "available"}


def ports(rules: list[dict[str, Any]]) -> set[tuple[int, int]]:
    return {(rule["FromPort"], rule["ToPort"]) for rule in rules}


def test_a_network_is_made_changed_rolled_back_and_removed(aws: Any) -> None:
    ec2, stacks = aws("ec2"), aws("cloudformation")
    stacks.create_stack(StackName=STACK, TemplateBody=template("hello", ("logs",)))
    made = outputs(aws)
    (vpc,) = ec2.describe_vpcs(VpcIds=[made["Vpc"]])["Vpcs"]
    assert vpc["Tags"] == [{"Key": "word", "Value": "hello"}]
    named = ec2.describe_vpc_attribute(VpcId=made["Vpc"], Attribute="enableDnsHostnames")
    assert named["EnableDnsHostnames"] == {"Value": True}
    (members,) = ec2.describe_security_groups(GroupIds=[made["Members"]])["SecurityGroups"]
    assert ports(members["IpPermissions"]) == {(0, 65535)}
    assert ports(members["IpPermissionsEgress"]) == {(443, 443), (0, 65535)}, "not everything may go out"
    assert services(aws, made["Vpc"]) == {"s3", "logs"}
    recorded = [{"Name": "resource-id", "Values": [made["Vpc"]]}]
    assert len(ec2.describe_flow_logs(Filters=recorded)["FlowLogs"]) == 1

    stacks.update_stack(StackName=STACK, TemplateBody=template("farewell", ("sts", "kms")))
    assert outputs(aws) == made, "tags change in place"
    assert ec2.describe_vpcs(VpcIds=[made["Vpc"]])["Vpcs"][0]["Tags"] == [{"Key": "word", "Value": "farewell"}]
    assert services(aws, made["Vpc"]) == {"s3", "sts", "kms"}

    bad = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "192.168.0.0/24"}}
    with pytest.raises(ClientError, match=r"Outside \(AWS::EC2::Subnet\)"):
        stacks.update_stack(StackName=STACK, TemplateBody=template("never", ("sns",), {"Outside": bad}))
    assert outputs(aws) == made
    assert services(aws, made["Vpc"]) == {"s3", "sts", "kms"}
    assert ec2.describe_vpcs(VpcIds=[made["Vpc"]])["Vpcs"][0]["Tags"] == [{"Key": "word", "Value": "farewell"}]

    stacks.delete_stack(StackName=STACK)
    assert not [one for one in ec2.describe_vpcs()["Vpcs"] if one["VpcId"] == made["Vpc"]]
    assert not services(aws, made["Vpc"])
    assert not ec2.describe_flow_logs(Filters=recorded)["FlowLogs"]
    with pytest.raises(ClientError, match="InvalidGroup"):
        ec2.describe_security_groups(GroupIds=[made["Members"]])


def test_an_endpoint_goes_with_its_stack_though_its_route_table_went_first(aws: Any) -> None:
    ec2, stacks = aws("ec2"), aws("cloudformation")
    stacks.create_stack(StackName=STACK, TemplateBody=template("hello", ()))
    vpc = outputs(aws)["Vpc"]
    (table,) = [
        table
        for table in ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
        if any("SubnetId" in one for one in table["Associations"])
    ]
    for one in table["Associations"]:
        ec2.disassociate_route_table(AssociationId=one["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=table["RouteTableId"])
    assert services(aws, vpc) == {"s3"}

    stacks.delete_stack(StackName=STACK)
    assert not services(aws, vpc)
