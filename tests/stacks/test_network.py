"""The private network, and what jobs and models of the pipelines have of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud.policy_evaluation import Request, decide
from kindling.policy_documents import ACCOUNT, REGION, Documents, Role
from stacks.settings import InvalidSettingError, Settings
from tests.stacks import test_policies
from tests.stacks.policies import policies
from tests.stacks.synthesis import Assembly, run_app
from tests.stacks.test_lint import cfn_lint

EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
THERE_IS = {"subnets": ["subnet-0123abcd", "subnet-4567abcd"], "security_groups": ["sg-0123abcd"]}
SERVICES = "sagemaker.runtime, logs"


def _synthesised(out: Path, **settings: Any) -> Assembly:
    process = run_app(out, **settings)
    assert process.returncode == 0, process.stderr
    return Assembly(out)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """A network of three zones in an account and a region that the CDK could have asked."""
    where = {"account": "210987654321", "region": "eu-west-1"}
    return _synthesised(tmp_path_factory.mktemp("private") / "out", network="private", network_zones="3", **where)


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Subnets and a group that there are."""
    return _synthesised(tmp_path_factory.mktemp("existing") / "out", vpc=json.dumps(THERE_IS))


@pytest.fixture(scope="module")
def documents(private: Assembly) -> Documents:
    return Documents(private.templates)


def states(assembly: Assembly) -> Iterator[dict[str, Any]]:
    """Every state of every state machine, those of branches and maps included."""

    def below(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "Type" in value:
                yield value
            for inner in value.values():
                yield from below(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from below(inner)

    for machine in assembly.resources("AWS::StepFunctions::StateMachine"):
        yield from below(json.loads(machine["Properties"]["DefinitionString"])["States"])


def makers(assembly: Assembly) -> list[dict[str, Any]]:
    """The requests of the states that make training jobs and models."""
    return [
        state["Parameters"]
        for state in states(assembly)
        if re.search(r":(createTrainingJob\.sync|createModel)$", str(state.get("Resource")))
    ]


def plan_sites(assembly: Assembly) -> list[dict[str, Any]]:
    """What the plans of the pipelines know of the deployment."""
    sites = [state["Parameters"]["site"] for state in states(assembly) if "site" in state.get("Parameters", {})]
    return [site for site in sites if "training_role" in site]


def endpoints(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Endpoints by the service's name."""
    found = (one["Properties"] for one in assembly.resources("AWS::EC2::VPCEndpoint", "KindlingNetwork"))
    return {str(one["ServiceName"]["Fn::Join"][1][-1]).lstrip("."): one for one in found}


def test_without_the_setting_there_is_no_word_of_a_network(assembly: Assembly) -> None:
    assert "KindlingNetwork" not in assembly.templates
    for template in assembly.templates.values():
        text = json.dumps(template)
        assert not re.search(r"VpcConfig|ec2:|Subnet|SecurityGroup", text)


def test_nothing_leads_to_the_internet_and_nothing_has_a_public_address(private: Assembly) -> None:
    types = {resource["Type"] for resource in private.templates["KindlingNetwork"]["Resources"].values()}
    assert not types & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route", "AWS::EC2::EIP"}
    subnets = [subnet["Properties"] for subnet in private.resources("AWS::EC2::Subnet")]
    assert [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in subnets] == [0, 1, 2]
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_synthesis_asks_no_account_for_its_zones(private: Assembly) -> None:
    assert "missing" not in private.manifest


def test_cdk_nag_has_nothing_to_say_of_it(private: Assembly, existing: Assembly) -> None:
    assert not private.violations() | existing.violations()


# As in test_policies.py, of what only a network has.
ACKNOWLEDGED = {
    (
        "/Vpc/[A-Z][A-Za-z]+/Resource$",
        "^(PERMISSIONS_MANAGEMENT_ACTIONS|PRIVILEGE_ESCALATION|CREDENTIALS_EXPOSURE): ",
    ): ("An endpoint's policy gives nothing: what a caller of this account may do is said by the caller's own."),
    ("/Role/DefaultPolicy/Resource$", "^PERMISSIONS_MANAGEMENT_ACTIONS: "): (
        "SageMaker lends a role's network interfaces to its hosts, in the network's own subnets."
    ),
    ("/Recorder/Resource$", "^CREDENTIALS_EXPOSURE: "): "A role is assumed; by the service of flow logs alone.",
}


def test_no_policy_of_it_has_a_finding_without_a_reason(private: Assembly) -> None:
    known = [*test_policies.ACKNOWLEDGED, *ACKNOWLEDGED]
    found = [(policy, finding) for policy in policies(private) for finding in policy.findings()]
    open_findings = [
        f"{policy.resource} {policy.property}: {finding}"
        for policy, finding in found
        if not any(re.search(path, policy.resource) and re.search(words, finding) for path, words in known)
    ]
    assert not open_findings, "\n".join(open_findings)
    for path, words in ACKNOWLEDGED:
        assert any(re.search(path, policy.resource) and re.search(words, finding) for policy, finding in found), path


def test_cfn_lint_has_nothing_to_say_of_it(private: Assembly, existing: Assembly) -> None:
    names = ("KindlingNetwork", "KindlingTraining", "KindlingExperiments")
    templates = [each.path / f"{name}.template.json" for each in (private, existing) for name in names]
    assert not cfn_lint(*(path for path in templates if path.exists()))


def test_no_custom_resource_is_needed(private: Assembly) -> None:
    for resource in private.templates["KindlingNetwork"]["Resources"].values():
        assert resource["Type"].startswith(("AWS::EC2::", "AWS::IAM::Role", "AWS::Logs::LogGroup"))


def test_the_traffic_is_on_record_in_an_encrypted_log_group(private: Assembly) -> None:
    (flow_log,) = private.resources("AWS::EC2::FlowLog")
    assert flow_log["Properties"]["TrafficType"] == "ALL"
    (group,) = private.resources("AWS::Logs::LogGroup", "KindlingNetwork")
    assert "KmsKeyId" in group["Properties"]


def test_members_hear_one_another_and_nobody_else(private: Assembly) -> None:
    network = private.templates["KindlingNetwork"]["Resources"]
    groups = {name: one["Properties"] for name, one in network.items() if one["Type"] == "AWS::EC2::SecurityGroup"}
    (members,) = [name for name, group in groups.items() if group["GroupDescription"].startswith("Jobs and models")]
    (endpoints_group,) = set(groups) - {members}
    assert "SecurityGroupIngress" not in groups[members]
    (inward,) = private.resources("AWS::EC2::SecurityGroupIngress")
    of_members = {"Fn::GetAtt": [members, "GroupId"]}
    assert inward["Properties"]["GroupId"] == inward["Properties"]["SourceSecurityGroupId"] == of_members
    (https,) = groups[endpoints_group]["SecurityGroupIngress"]
    assert (https["CidrIp"], https["FromPort"], https["ToPort"]) == ("10.40.0.0/16", 443, 443)


def test_there_is_an_endpoint_for_each_service_of_the_setting_and_for_s3(private: Assembly, tmp_path: Path) -> None:
    assert set(endpoints(private)) == {"s3", *Settings().network_services}
    fewer = _synthesised(tmp_path / "out", network="private", network_services=SERVICES)
    assert set(endpoints(fewer)) == {"s3", "sagemaker.runtime", "logs"}


def test_endpoints_serve_this_account_and_that_of_s3_its_buckets_and_the_layers_of_images(
    private: Assembly, documents: Documents
) -> None:
    resolver = documents.resolver("KindlingNetwork")
    buckets = documents.arns()
    data = f"{buckets['KindlingStorage/Buckets/Data']}/blazingtext/corpus.txt"
    logs = f"{buckets['KindlingStorage/Buckets/AccessLogs']}/data/1"
    layer = f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/layer"
    ours, theirs = ({"aws:PrincipalAccount": [account]} for account in (ACCOUNT, "999999999999"))
    for service, endpoint in endpoints(private).items():
        policy = resolver.resolve(endpoint["PolicyDocument"])

        def allowed(action: str, resource: str, context: dict[str, list[str]], policy: Any = policy) -> bool:
            return decide([policy], Request(action, resource, context)) == "allowed"

        if service == "s3":
            assert allowed("s3:GetObject", data, ours)
            assert allowed("s3:GetObject", layer, {})
            assert not allowed("s3:GetObject", data, theirs)
            assert not allowed("s3:PutObject", layer, ours)
            assert not allowed("s3:GetObject", logs, ours)
            assert not allowed("s3:PutObject", "arn:aws:s3:::bucket-of-others/stolen", ours)
        else:
            assert [allowed("any:Thing", "*", who) for who in (ours, theirs)] == [True, False], service


def test_every_job_and_model_is_put_into_the_network(private: Assembly, existing: Assembly) -> None:
    for assembly in (private, existing):
        assert len(makers(assembly)) > 10
        for request in makers(assembly):
            assert "VpcConfig.$" in request or "VpcConfig" in request
        (vpc,) = {json.dumps(site["vpc"]) for site in plan_sites(assembly)}
        assert json.loads(vpc)["SecurityGroupIds"] == ["${SecurityGroup1}"]


def test_the_names_in_a_definition_stand_for_the_subnets_there_are(existing: Assembly) -> None:
    machines = list(existing.resources("AWS::StepFunctions::StateMachine"))
    assert len(machines) > 4
    for machine in machines:
        values = machine["Properties"]["DefinitionSubstitutions"]
        assert [values["Subnet1"], values["Subnet2"], values["SecurityGroup1"]] == [
            *THERE_IS["subnets"],
            *THERE_IS["security_groups"],
        ]


def _joining(documents: Documents) -> list[Role]:
    return [role for role in documents.roles() if any("ec2:" in json.dumps(one) for one in role.statements)]


def test_only_roles_of_sagemaker_make_interfaces_and_only_in_the_network(existing: Assembly) -> None:
    documents = Documents(existing.templates)
    joining = _joining(documents)
    assert {role.path for role in documents.roles() if "sagemaker.amazonaws.com" in json.dumps(role.trust)} == {
        role.path for role in joining
    }
    assert len(joining) > 10
    own, other = (f"{EC2}:subnet/{subnet}" for subnet in ("subnet-0123abcd", "subnet-89abcdef"))
    interface = f"{EC2}:network-interface/eni-1"
    for role in joining:

        def allowed(action: str, resource: str, subnet: str | None = None, role: Role = role) -> bool:
            context = {"ec2:Subnet": [subnet]} if subnet else {}
            return decide([{"Statement": list(role.statements)}], Request(action, resource, context)) == "allowed"

        assert allowed("ec2:CreateNetworkInterface", own)
        assert allowed("ec2:CreateNetworkInterface", f"{EC2}:security-group/sg-0123abcd")
        assert allowed("ec2:CreateNetworkInterfacePermission", interface, own)
        assert allowed("ec2:DeleteNetworkInterface", interface, own)
        assert allowed("ec2:DescribeSubnets", "*")
        assert not allowed("ec2:CreateNetworkInterface", other)
        assert not allowed("ec2:CreateNetworkInterface", f"{EC2}:security-group/sg-89abcdef")
        assert not allowed("ec2:CreateNetworkInterfacePermission", interface, other)
        assert not allowed("ec2:DeleteNetworkInterface", interface)
        assert not allowed("ec2:RunInstances", "*")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"network": "public"}, "The context key network is 'public'; it must be none or private."),
        ({"network_cidr": "10.40.0.0"}, "it must be a range of private IPv4 addresses from /16 to /24, such as "),
        ({"network_cidr": "10.40.0.1/16"}, "The context key network_cidr is '10.40.0.1/16'; it must be a range "),
        ({"network_cidr": "8.8.0.0/16"}, "The context key network_cidr is '8.8.0.0/16'; it must be a range "),
        ({"network_cidr": "10.0.0.0/8"}, "The context key network_cidr is '10.0.0.0/8'; it must be a range "),
        ({"network_cidr": "10.0.0.0/28"}, "The context key network_cidr is '10.0.0.0/28'; it must be a range "),
        ({"network_zones": "4"}, "The context key network_zones is '4'; it must be 2 or 3."),
        ({"network_services": "dynamodb"}, "network_services is 'dynamodb'; it must be a list out of ecr.api, ecr.dkr"),
        ({"network_services": "logs,logs"}, "network_services is 'logs,logs'; it must be a list out of ecr.api, "),
        ({"vpc": {"subnets": ["subnet-0123abcd"]}}, 'it must be an object such as {"subnets": ["subnet-0123abcd"]'),
        ({"vpc": {"subnets": [], "security_groups": ["sg-0123abcd"]}}, "with at most 16 subnets and 5 groups"),
        ({"vpc": {**THERE_IS, "subnets": ["vpc-0123abcd"]}}, "The context key vpc is "),
        ({"vpc": "subnet-0123abcd"}, "The context key vpc is 'subnet-0123abcd'; it must be an object such as "),
        ({"vpc": THERE_IS, "network": "private"}, "and network must be none."),
    ],
)
def test_a_network_that_cannot_be_meant_is_named(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSettingError) as error:
        Settings.from_context(settings)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
