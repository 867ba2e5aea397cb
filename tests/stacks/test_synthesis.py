"""The app as a whole: what it makes, and that it makes the same again."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns

import app as kindling_app
from containers import catalogue
from stacks.settings import Settings
from tests.stacks.synthesis import CONTEXT, Assembly, run_app


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


STACKS = ["Storage", "Registry", "Images", "Notifications", "Hosting", "Training", "Experiments"]
OUTPUTS = {
    "Storage": {"DataBucketName", "ModelBucketName", "KeyArn"},
    "Registry": {"RepositoryUri"},
    "Notifications": {"TopicArn"},
    "Hosting": {"RoleArn"},
    "Training": {f"{_camel(name)}StateMachineArn" for name in catalogue.algorithms()},
    "Experiments": {"DataDistributionArn"},
}
# Nothing a user would choose by default, so that names and acknowledgements which hold only for the defaults show.
OTHER_SETTINGS = {
    "name": "my-team",
    "account": "210987654321",
    "region": "eu-west-1",
    "removal": "destroy",
    "termination_protection": "false",
    "log_retention_days": "7",
    "image_count": "10",
    "notification_email": "nlp@example.org",
    "permissions_boundary": "developers",
    "tags": "team=nlp,stage=dev",
    "image_pull_accounts": "333333333333,444444444444",
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The app with other settings, and with an unprotected topic planted into one of its stacks."""
    out = tmp_path_factory.mktemp("other") / "out"
    app = cdk.App(outdir=str(out), context={**CONTEXT, **OTHER_SETTINGS})
    kindling_app.wire(app, Settings.from_context(app.node.get_all_context()))
    sns.CfnTopic(app.node.find_child("MyTeamStorage"), "Planted")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    return Assembly(out)


def _offline() -> list[str]:
    """A command that takes the network from what it runs, where the kernel lets us."""
    unshare = shutil.which("unshare")
    command = [unshare or "unshare", "--user", "--map-root-user", "--net"]
    if unshare and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
        return command
    return []


def test_the_stacks_and_their_outputs_are_what_the_command_line_looks_for(assembly: Assembly) -> None:
    assert set(assembly.templates) == {f"Kindling{stack}" for stack in STACKS}
    for stack, outputs in OUTPUTS.items():
        assert outputs <= set(assembly.templates[f"Kindling{stack}"]["Outputs"])


@pytest.mark.parametrize("stack", STACKS)
def test_cdk_nag_has_nothing_to_say_of(stack: str, assembly: Assembly) -> None:
    assert not {finding for finding in assembly.violations() if finding[0].startswith(f"Kindling{stack}/")}


def test_cdk_nag_finds_a_planted_violation_and_nothing_else_under_other_settings(other: Assembly) -> None:
    violations = other.violations()
    assert {rule for _, rule in violations} >= {"AwsSolutions-SNS3", "NIST.800.53.R5-SNSEncryptedKMS"}
    assert {path for path, _ in violations} == {"MyTeamStorage/Planted"}


@pytest.mark.wide
def test_the_same_settings_give_the_same_bytes_without_network_or_credentials(
    assembly: Assembly, tmp_path: Path
) -> None:
    process = run_app(tmp_path / "again", prefix=_offline())
    assert process.returncode == 0, process.stderr
    again = Assembly(tmp_path / "again")
    files = sorted(path.name for path in assembly.path.glob("*.json") if path.name.startswith("Kindling"))
    assert files == sorted(path.name for path in again.path.glob("Kindling*.json"))
    for name in files:
        assert (assembly.path / name).read_bytes() == (again.path / name).read_bytes(), name
    # What the CDK would have to ask an account for.
    assert "missing" not in assembly.manifest


def test_a_template_fits_any_account_unless_the_settings_name_one(assembly: Assembly, other: Assembly) -> None:
    assert _environments(assembly) == {"aws://unknown-account/unknown-region"}
    assert _environments(other) == {"aws://210987654321/eu-west-1"}


def _environments(assembly: Assembly) -> set[str]:
    return {stack["environment"] for stack in _stacks(assembly).values()}


def _stacks(assembly: Assembly) -> dict[str, dict[str, object]]:
    artifacts = assembly.manifest["artifacts"].items()
    return {name: artifact for name, artifact in artifacts if artifact["type"] == "aws:cloudformation:stack"}


def test_stacks_are_protected_unless_the_settings_say_otherwise(assembly: Assembly, other: Assembly) -> None:
    for expected, each in ((True, assembly), (False, other)):
        for name, stack in _stacks(each).items():
            properties = stack["properties"]
            assert isinstance(properties, dict)
            assert properties.get("terminationProtection", False) is expected, name


def test_what_holds_something_is_kept_unless_the_settings_say_otherwise(assembly: Assembly, other: Assembly) -> None:
    for expected, each in (("Retain", assembly), ("Delete", other)):
        for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::ECR::Repository"):
            for resource in each.resources(kind):
                assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == expected


def test_every_role_has_the_permissions_boundary_of_the_settings(assembly: Assembly, other: Assembly) -> None:
    roles = list(other.resources("AWS::IAM::Role"))
    assert roles
    for role in roles:
        assert "policy/developers" in str(role["Properties"]["PermissionsBoundary"])
    assert not any("PermissionsBoundary" in role["Properties"] for role in assembly.resources("AWS::IAM::Role"))


def test_the_accounts_of_the_settings_may_pull_images_and_no_other_may(assembly: Assembly, other: Assembly) -> None:
    (repository,) = other.resources("AWS::ECR::Repository")
    statements = {one["Sid"]: one for one in repository["Properties"]["RepositoryPolicyText"]["Statement"]}
    pulling = statements["OtherEnvironmentsPullImages"]
    assert [account in json.dumps(pulling["Principal"]) for account in ("333333333333", "444444444444")] == [True, True]
    assert not any("Put" in action or "Upload" in action for action in pulling["Action"])
    (repository,) = assembly.resources("AWS::ECR::Repository")
    assert len(repository["Properties"]["RepositoryPolicyText"]["Statement"]) == 1


def test_every_bucket_has_the_tags_of_the_settings(other: Assembly) -> None:
    expected = [{"Key": "stage", "Value": "dev"}, {"Key": "team", "Value": "nlp"}]
    for bucket in other.resources("AWS::S3::Bucket"):
        assert bucket["Properties"]["Tags"] == expected


def test_every_stack_says_what_it_is(assembly: Assembly) -> None:
    for name, template in assembly.templates.items():
        assert template["Description"].startswith("Kindling: "), name


def test_nothing_needs_a_custom_resource(assembly: Assembly) -> None:
    for template in assembly.templates.values():
        for name, resource in template["Resources"].items():
            assert not resource["Type"].startswith(("Custom::", "AWS::CloudFormation::CustomResource")), name
