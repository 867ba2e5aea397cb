"""Everything is encrypted with the buckets' key, and who may use it for what, as IAM and KMS evaluate policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from kindling.localcloud.policy_evaluation import Request, decide
from kindling.policy_documents import ACCOUNT, Documents, Role
from tests.stacks.synthesis import Assembly

_KEY = "KindlingStorage/Buckets/Key"
_FOR_AWS = {"kms:GrantIsForAWSResource": ["true"]}
_OPERATIONS: Final = ("Decrypt", "GenerateDataKey", "CreateGrant", "DescribeKey", "Encrypt", "PutKeyPolicy")
_USE: Final = {"Decrypt", "GenerateDataKey"}
_VOLUMES: Final = {"CreateGrant", "DescribeKey"}
# By the construct whose role it is, the operations that it needs. All other roles need none.
_NEEDS: Final[Mapping[str, set[str]]] = {
    "Training": _USE | _VOLUMES,
    "Preparation": _USE | _VOLUMES,
    "Batch": _USE | _VOLUMES,
    "Evaluation": _USE | _VOLUMES,
    "Hosting": {"Decrypt"} | _VOLUMES,
    # They begin jobs and endpoints and publish to the topic.
    "Pipeline": _USE | _VOLUMES,
    "Machine": _USE | _VOLUMES,
    # It puts an endpoint back.
    "Rollback": _VOLUMES,
    "Evaluate": {"Decrypt"},
    "Compare": {"Decrypt"},
    "Register": _USE,
    "ExperimentArm": _USE,
    "ExperimentCompare": _USE,
}


@pytest.fixture(scope="module")
def documents(assembly: Assembly) -> Documents:
    return Documents(assembly.templates)


@pytest.fixture(scope="module")
def key(documents: Documents) -> str:
    return documents.arns()[_KEY]


def may(role: Role, operation: str, key: str, context: Mapping[str, list[str]] | None = None) -> bool:
    request = Request(f"kms:{operation}", key, context or {})
    return decide([{"Statement": list(role.statements)}], request) == "allowed"


def test_each_role_may_use_the_key_for_what_it_needs_and_for_nothing_else(documents: Documents, key: str) -> None:
    found = {
        role.path: {operation for operation in _OPERATIONS if may(role, operation, key, _FOR_AWS)}
        for role in documents.roles()
    }
    assert found == {role.path: _NEEDS.get(role.owner, set()) for role in documents.roles()}
    assert {role.owner for role in documents.roles()} >= set(_NEEDS)


def test_a_grant_is_for_aws_alone_and_for_this_key_alone(documents: Documents, key: str) -> None:
    granting = [role for role in documents.roles() if "CreateGrant" in _NEEDS.get(role.owner, set())]
    assert granting
    for role in granting:
        assert may(role, "CreateGrant", key, _FOR_AWS)
        assert not may(role, "CreateGrant", key)
        assert not may(role, "CreateGrant", key, {"kms:GrantIsForAWSResource": ["false"]})
        assert not may(role, "CreateGrant", key.replace("key/", "key/payroll-"), _FOR_AWS)


def _key_policy(documents: Documents) -> dict[str, Any]:
    (found,) = [policy.document for policy in documents.policies() if policy.resource == f"{_KEY}/Resource"]
    return found


def _service_may(policy: dict[str, Any], service: str, operation: str, context: Mapping[str, list[str]]) -> bool:
    statements = [one for one in policy["Statement"] if one["Principal"] == {"Service": f"{service}.amazonaws.com"}]
    resource = policy["Statement"][0]["Resource"]
    return decide([{"Statement": statements}], Request(f"kms:{operation}", resource, context)) == "allowed"


@pytest.mark.parametrize("operation", ["Decrypt", "GenerateDataKey"])
def test_alarms_of_this_account_may_publish_to_the_encrypted_topic_and_no_others(
    documents: Documents, operation: str
) -> None:
    policy = _key_policy(documents)
    here, elsewhere = ({"aws:SourceAccount": [account]} for account in (ACCOUNT, "999999999999"))
    assert _service_may(policy, "cloudwatch", operation, here)
    assert not _service_may(policy, "cloudwatch", operation, elsewhere)
    assert not _service_may(policy, "cloudwatch", operation, {})
    assert not _service_may(policy, "cloudwatch", "CreateGrant", here)
    assert not _service_may(policy, "s3", operation, here)


def test_the_topic_takes_what_alarms_of_this_account_publish_and_no_others(documents: Documents) -> None:
    (policy,) = [
        one.document for one in documents.policies() if one.resource == "KindlingNotifications/Topic/Policy/Resource"
    ]
    statements = [
        one
        for one in policy["Statement"]
        if one["Effect"] == "Allow" and one["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    topic = statements[0]["Resource"]

    def allowed(account: str) -> bool:
        context = {
            "aws:SourceAccount": [account],
            "aws:SourceArn": [f"arn:aws:cloudwatch:eu-west-1:{account}:alarm:kindling-blazingtext-text8-5xx"],
        }
        return decide([{"Statement": statements}], Request("sns:Publish", topic, context)) == "allowed"

    assert [allowed(ACCOUNT), allowed("999999999999")] == [True, False]


def test_only_the_account_and_two_services_are_in_the_keys_policy(documents: Documents) -> None:
    principals = [one["Principal"] for one in _key_policy(documents)["Statement"]]
    assert {json.dumps(principal) for principal in principals} == {
        json.dumps({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        json.dumps({"Service": "logs.eu-west-1.amazonaws.com"}),
        json.dumps({"Service": "cloudwatch.amazonaws.com"}),
    }


def test_every_function_and_log_group_names_the_key(assembly: Assembly) -> None:
    functions = list(assembly.resources("AWS::Lambda::Function"))
    assert len(functions) > 10
    assert all("KmsKeyArn" in function["Properties"] for function in functions)
    assert all("KmsKeyId" in group["Properties"] for group in assembly.resources("AWS::Logs::LogGroup"))


def test_the_volumes_of_endpoints_and_of_experiments_transforms_are_encrypted_with_the_key(assembly: Assembly) -> None:
    texts = [
        machine["Properties"]["DefinitionString"] for machine in assembly.resources("AWS::StepFunctions::StateMachine")
    ]
    configs = [text for text in texts if "createEndpointConfig" in text]
    assert len(configs) > 3
    for text in configs:
        state = json.loads(text)["States"]["CreateEndpointConfig"]
        assert state["Parameters"]["KmsKeyId"] == "${Key}"
    (experiment,) = [text for text in texts if '"VolumeKmsKeyId": "${Key}"' in text]
    assert "Map" in experiment
