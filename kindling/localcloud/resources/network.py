"""VPCs and what is in them: moto's own types forget egress rules, DNS and how to go.

Nothing passes through these here; they are kept and described, and a change of anything but tags replaces them.
"""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map, text

_RULE = ("IpProtocol", "FromPort", "ToPort")


class Tagged(ResourceType):
    """Something of EC2's that has tags, which alone change in place."""

    def keeps(self, before: Properties, after: Properties) -> bool:
        return _without_tags(before) == _without_tags(after)

    def update(self, made: Made, properties: Properties) -> Made:
        ec2 = self.aws("ec2")
        ec2.delete_tags(Resources=[made.id])
        if tags := tag_map(properties):
            ec2.create_tags(Resources=[made.id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        return made


def _without_tags(properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if name != "Tags"}


class Vpc(Tagged):
    """A network; the group and the access list that it has by itself go with it."""

    type = "AWS::EC2::VPC"
    attributes = ("VpcId", "CidrBlock", "DefaultSecurityGroup", "DefaultNetworkAcl")

    def create(self, name: str, properties: Properties) -> Made:
        ec2 = self.aws("ec2")
        vpc = ec2.create_vpc(**chosen(properties, "CidrBlock", "InstanceTenancy"))["Vpc"]
        for option in ("EnableDnsSupport", "EnableDnsHostnames"):
            if option in properties:
                ec2.modify_vpc_attribute(VpcId=vpc["VpcId"], **{option: {"Value": _true(properties[option])}})
        of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        own_groups = [*of_vpc, {"Name": "group-name", "Values": ["default"]}]
        attributes = {
            "VpcId": vpc["VpcId"],
            "CidrBlock": vpc["CidrBlock"],
            "DefaultSecurityGroup": ec2.describe_security_groups(Filters=own_groups)["SecurityGroups"][0]["GroupId"],
            "DefaultNetworkAcl": ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"][0]["NetworkAclId"],
        }
        return self.update(Made(vpc["VpcId"], attributes), properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ec2").delete_vpc(VpcId=made.id)


class Subnet(Tagged):
    """A part of a network in one zone."""

    type = "AWS::EC2::Subnet"
    attributes = ("SubnetId", "VpcId", "CidrBlock", "AvailabilityZone")

    def create(self, name: str, properties: Properties) -> Made:
        ec2 = self.aws("ec2")
        subnet = ec2.create_subnet(**chosen(properties, "VpcId", "CidrBlock", "AvailabilityZone"))["Subnet"]
        public = _true(properties.get("MapPublicIpOnLaunch", False))
        ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": public})
        attributes = {name: subnet[name] for name in self.attributes}
        return self.update(Made(subnet["SubnetId"], attributes), properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ec2").delete_subnet(SubnetId=made.id)


class RouteTable(Tagged):
    """Where what leaves a subnet goes."""

    type = "AWS::EC2::RouteTable"
    attributes = ("RouteTableId",)

    def create(self, name: str, properties: Properties) -> Made:
        made = self.aws("ec2").create_route_table(VpcId=properties["VpcId"])["RouteTable"]["RouteTableId"]
        return self.update(Made(made, {"RouteTableId": made}), properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ec2").delete_route_table(RouteTableId=made.id)


class SubnetRouteTableAssociation(ResourceType):
    """The route table of a subnet."""

    type = "AWS::EC2::SubnetRouteTableAssociation"
    attributes = ("Id",)
    in_place = False

    def create(self, name: str, properties: Properties) -> Made:
        found = self.aws("ec2").associate_route_table(**chosen(properties, "SubnetId", "RouteTableId"))
        return Made(found["AssociationId"], {"Id": found["AssociationId"]})

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ec2").disassociate_route_table(AssociationId=made.id)


class SecurityGroup(Tagged):
    """A security group with the rules that its template gives it; without any for what leaves, all may."""

    type = "AWS::EC2::SecurityGroup"
    name_property = "GroupName"
    attributes = ("GroupId", "VpcId")

    def create(self, name: str, properties: Properties) -> Made:
        ec2 = self.aws("ec2")
        group = ec2.create_security_group(
            GroupName=name, Description=properties["GroupDescription"], **chosen(properties, "VpcId")
        )["GroupId"]
        try:
            if inward := properties.get("SecurityGroupIngress"):
                ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_rule(one) for one in inward])
            if outward := properties.get("SecurityGroupEgress"):
                everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
                ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
                ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[_rule(one) for one in outward])
        except Exception:
            ec2.delete_security_group(GroupId=group)
            raise
        attributes = {"GroupId": group, "VpcId": properties.get("VpcId", "")}
        return self.update(Made(group, attributes), properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ec2").delete_security_group(GroupId=made.id)


class _GroupRule(ResourceType):
    """A rule that is a resource of its own."""

    attributes = ("Id",)
    in_place = False
    direction = ""

    def create(self, name: str, properties: Properties) -> Made:
        authorize = getattr(self.aws("ec2"), f"authorize_security_group_{self.direction}")
        (rule,) = authorize(GroupId=properties["GroupId"], IpPermissions=[_rule(properties)])["SecurityGroupRules"]
        return Made(rule["SecurityGroupRuleId"], {"Id": rule["SecurityGroupRuleId"]})

    def delete(self, made: Made, properties: Properties) -> None:
        revoke = getattr(self.aws("ec2"), f"revoke_security_group_{self.direction}")
        with gone_is_fine():
            revoke(GroupId=properties["GroupId"], IpPermissions=[_rule(properties)])


class SecurityGroupIngress(_GroupRule):
    """What may come in."""

    type = "AWS::EC2::SecurityGroupIngress"
    direction = "ingress"


class SecurityGroupEgress(_GroupRule):
    """What may go out."""

    type = "AWS::EC2::SecurityGroupEgress"
    direction = "egress"


def _rule(properties: Properties) -> dict[str, Any]:
    """A rule as EC2's API has it."""
    described = chosen(properties, "Description")
    rule: dict[str, Any] = chosen(properties, *_RULE)
    for port in ("FromPort", "ToPort"):
        if port in rule:
            rule[port] = int(rule[port])
    for given in ("SourceSecurityGroupId", "DestinationSecurityGroupId"):
        if given in properties:
            rule["UserIdGroupPairs"] = [{"GroupId": properties[given], **described}]
    if "CidrIp" in properties:
        rule["IpRanges"] = [{"CidrIp": properties["CidrIp"], **described}]
    if "CidrIpv6" in properties:
        rule["Ipv6Ranges"] = [{"CidrIpv6": properties["CidrIpv6"], **described}]
    return rule


class VpcEndpoint(Tagged):
    """A way from a network to a service of AWS's."""

    type = "AWS::EC2::VPCEndpoint"
    attributes = ("Id",)

    def create(self, name: str, properties: Properties) -> Made:
        options = chosen(properties, "VpcId", "ServiceName", "VpcEndpointType", "SubnetIds", "RouteTableIds")
        options |= chosen(properties, "SecurityGroupIds")
        if "PolicyDocument" in properties:
            options["PolicyDocument"] = text(properties["PolicyDocument"])
        if "PrivateDnsEnabled" in properties:
            options["PrivateDnsEnabled"] = _true(properties["PrivateDnsEnabled"])
        made = self.aws("ec2").create_vpc_endpoint(**options)["VpcEndpoint"]["VpcEndpointId"]
        return self.update(Made(made, {"Id": made}), properties)

    def delete(self, made: Made, properties: Properties) -> None:
        ec2 = self.aws("ec2")
        tables = properties.get("RouteTableIds", [])
        with gone_is_fine():
            # moto deletes in any order, and an endpoint not at all once a table with its route went.
            left = ec2.describe_route_tables(Filters=[{"Name": "route-table-id", "Values": tables}])["RouteTables"]
            if gone := sorted(set(tables) - {table["RouteTableId"] for table in left}):
                ec2.modify_vpc_endpoint(VpcEndpointId=made.id, RemoveRouteTableIds=gone)
            ec2.delete_vpc_endpoints(VpcEndpointIds=[made.id])


class FlowLog(Tagged):
    """The record of a network's traffic; there is none here, so nothing is recorded."""

    type = "AWS::EC2::FlowLog"
    attributes = ("Id",)

    def create(self, name: str, properties: Properties) -> Made:
        options = chosen(properties, "ResourceType", "TrafficType", "LogDestinationType", "LogDestination")
        options |= chosen(properties, "LogGroupName", "DeliverLogsPermissionArn", "LogFormat")
        if "MaxAggregationInterval" in properties:
            options["MaxAggregationInterval"] = int(properties["MaxAggregationInterval"])
        answer = self.aws("ec2").create_flow_logs(ResourceIds=[properties["ResourceId"]], **options)
        if refused := answer.get("Unsuccessful"):
            raise ValueError(refused[0]["Error"]["Message"])
        made = answer["FlowLogIds"][0]
        return self.update(Made(made, {"Id": made}), properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ec2").delete_flow_logs(FlowLogIds=[made.id])


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


TYPES = (
    *(Vpc, Subnet, RouteTable, SubnetRouteTableAssociation),
    *(SecurityGroup, SecurityGroupIngress, SecurityGroupEgress, VpcEndpoint, FlowLog),
)
