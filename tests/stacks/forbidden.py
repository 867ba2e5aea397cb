"""What no role may do, as requests to hold against a role's statements, and what each of its statements must allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from containers import catalogue
from kindling.localcloud.policy_evaluation import Request, as_list, decide
from kindling.policy_documents import ACCOUNT, REGION, Role
from kindling.resources import camel

_FOREIGN_ACCOUNT = "999999999999"
_HERE = f"{REGION}:{ACCOUNT}"
_PASSED_TO = "iam:PassedToService"

# Of nothing in particular: another team's things, and what nobody's pipeline has to do with.
_NOT_OURS = (
    Request("ec2:RunInstances", f"arn:aws:ec2:{_HERE}:instance/*"),
    Request("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{_HERE}:secret:database"),
    Request("ssm:GetParameter", f"arn:aws:ssm:{_HERE}:parameter/database"),
    Request("dynamodb:DeleteTable", f"arn:aws:dynamodb:{_HERE}:table/orders"),
    Request("cloudformation:UpdateStack", f"arn:aws:cloudformation:{_HERE}:stack/KindlingTraining/1"),
    Request("cloudtrail:StopLogging", f"arn:aws:cloudtrail:{_HERE}:trail/audit"),
    Request("organizations:LeaveOrganization"),
    Request("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/new"),
    Request("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/admin"),
    Request("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {_PASSED_TO: ["sagemaker.amazonaws.com"]}),
    Request("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
    Request("s3:GetObject", "arn:aws:s3:::payroll/2026.csv"),
    Request("s3:PutObject", "arn:aws:s3:::payroll/2026.csv"),
    Request("s3:ListBucket", "arn:aws:s3:::payroll", {"s3:prefix": ["2026"]}),
    Request("s3:ListAllMyBuckets"),
    Request("kms:Decrypt", f"arn:aws:kms:{_HERE}:key/payroll"),
    Request("lambda:InvokeFunction", f"arn:aws:lambda:{_HERE}:function:payroll"),
    Request("states:StartExecution", f"arn:aws:states:{_HERE}:stateMachine:payroll"),
    Request("sns:Publish", f"arn:aws:sns:{_HERE}:payroll"),
    Request("logs:GetLogEvents", f"arn:aws:logs:{_HERE}:log-group:payroll:log-stream:1"),
    Request("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:{_HERE}:training-job/payroll-1"),
    Request("sagemaker:StopTrainingJob", f"arn:aws:sagemaker:{_HERE}:training-job/payroll-1"),
    Request("sagemaker:CreateModel", f"arn:aws:sagemaker:{_HERE}:model/payroll-1"),
    Request("sagemaker:DeleteModel", f"arn:aws:sagemaker:{_HERE}:model/payroll-1"),
    Request("sagemaker:DeleteEndpoint", f"arn:aws:sagemaker:{_HERE}:endpoint/payroll"),
    Request("sagemaker:UpdateEndpoint", f"arn:aws:sagemaker:{_HERE}:endpoint/payroll"),
    Request("sagemaker:DeleteEndpointConfig", f"arn:aws:sagemaker:{_HERE}:endpoint-config/payroll-1"),
    Request("sagemaker:CreateNotebookInstance", f"arn:aws:sagemaker:{_HERE}:notebook-instance/mine"),
)

# By the type in an ARN: what would undo the resources of the templates, or change what they run.
_UNDOING: Mapping[str, Sequence[str]] = {
    "arn:aws:s3:": ("DeleteBucket", "PutBucketPolicy", "PutBucketPublicAccessBlock", "PutLifecycleConfiguration"),
    "arn:aws:kms:": ("ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy", "CreateGrant"),
    "arn:aws:lambda:": ("UpdateFunctionCode", "UpdateFunctionConfiguration", "AddPermission", "DeleteFunction"),
    "arn:aws:states:": ("UpdateStateMachine", "DeleteStateMachine"),
    "arn:aws:logs:": ("DeleteLogGroup", "DeleteLogStream"),
    "arn:aws:sns:": ("DeleteTopic", "SetTopicAttributes", "Subscribe"),
    "arn:aws:ecr:": ("PutImage", "BatchDeleteImage", "SetRepositoryPolicy", "DeleteRepository"),
    "arn:aws:iam:": (
        *("AttachRolePolicy", "PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRolePermissionsBoundary"),
        "DeleteRole",
    ),
}


@dataclass(frozen=True)
class Places:
    """The ARNs of the app's resources by their paths, and where data and models lie."""

    arns: Mapping[str, str]
    data: str
    models: str
    access_logs: str


def forbidden(role: Role, places: Places) -> Iterator[Request]:
    """What the role must not do: what nobody may, what is another algorithm's, and its own statements stretched."""
    yield from _NOT_OURS
    yield from _undoing(places)
    for name in catalogue.algorithms():
        if camel(name) not in role.path.split("/"):
            yield from _of_algorithm(name, places)
    for statement in role.statements:
        yield from _stretched(statement)


def granted(statement: Mapping[str, Any]) -> Iterator[Request]:
    """One request for each action and resource of a statement, with its conditions met."""
    for action in as_list(statement["Action"]):
        for resource in as_list(statement["Resource"]):
            # Something that it matches stands for a pattern.
            yield Request(action.replace("*", "Any"), resource.replace("*", "any"), _met(statement))


def allowed(role: Role, requests: Iterable[Request]) -> list[Request]:
    """Those of the requests that the role's statements allow."""
    document = {"Version": "2012-10-17", "Statement": list(role.statements)}
    return [request for request in requests if decide([document], request) == "allowed"]


def _undoing(places: Places) -> Iterator[Request]:
    for arn in places.arns.values():
        service = arn.split(":")[2]
        for kind, operations in _UNDOING.items():
            if arn.startswith(kind):
                yield from (Request(f"{service}:{operation}", arn) for operation in operations)
        if service == "iam":
            yield Request("sts:AssumeRole", arn)
            yield from (Request("iam:PassRole", arn, {_PASSED_TO: [f"{to}.amazonaws.com"]}) for to in ("ec2", "lambda"))
    for bucket in (places.data, places.models):
        yield Request("s3:DeleteObjectVersion", f"{bucket}/any/object")
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        yield Request(action, f"{places.access_logs}/data/2026-01-01")


def _of_algorithm(name: str, places: Places) -> Iterator[Request]:
    """What only the algorithm's own roles may do."""
    job = f"kindling-{name.replace('_', '-')}-20260101"
    yield Request("s3:GetObject", f"{places.data}/{name}/train/corpus.txt")
    yield Request("s3:PutObject", f"{places.data}/{name}/train/corpus.txt")
    yield Request("s3:PutObject", f"{places.data}/{name}/prepared/{job}/corpus.txt")
    yield Request("s3:DeleteObject", f"{places.data}/{name}/train/corpus.txt")
    yield Request("s3:GetObject", f"{places.models}/{name}/checkpoints/{job}/state")
    yield Request("s3:PutObject", f"{places.models}/{name}/{job}/output/model.tar.gz")
    yield Request("s3:DeleteObject", f"{places.models}/{name}/{job}/output/model.tar.gz")
    for operation, kind in (
        *(("CreateTrainingJob", "training-job"), ("CreateProcessingJob", "processing-job")),
        *(("CreateTransformJob", "transform-job"), ("CreateHyperParameterTuningJob", "hyper-parameter-tuning-job")),
        *(("CreateModel", "model"), ("CreateEndpointConfig", "endpoint-config")),
    ):
        yield Request(f"sagemaker:{operation}", f"arn:aws:sagemaker:{_HERE}:{kind}/{job}")
    for path, arn in places.arns.items():
        if f"/{camel(name)}/" in path and arn.startswith("arn:aws:iam:"):
            yield Request("iam:PassRole", arn, {_PASSED_TO: ["sagemaker.amazonaws.com"]})


def _stretched(statement: Mapping[str, Any]) -> Iterator[Request]:
    """A statement's requests on another account's resources of the same names, and with each condition unmet."""
    for request in granted(statement):
        if request.resource != "any":
            yield Request(request.action, _foreign(request.resource), request.context)
        for context in _unmet(statement):
            yield Request(request.action, request.resource, context)


def _foreign(arn: str) -> str:
    if arn.startswith("arn:aws:s3:::"):
        bucket, separator, objects = arn.partition("/")
        return f"{bucket}-of-others{separator}{objects}"
    return arn.replace(f":{ACCOUNT}:", f":{_FOREIGN_ACCOUNT}:", 1)


def _met(statement: Mapping[str, Any], besides: str | None = None) -> dict[str, list[str]]:
    """A context in which the conditions hold, those of one key left out."""
    return {
        key: [_value(operator, values)]
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
        if key != besides and _wants_a_value(operator, values)
    }


def _unmet(statement: Mapping[str, Any]) -> Iterator[dict[str, list[str]]]:
    """Contexts in which all conditions hold but one."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            rest = _met(statement, besides=key)
            if operator != "Null":
                yield rest | {key: [as_list(values)[0] if "Not" in operator else "something-else"]}
            if _wants_a_value(operator, values):
                yield rest


def _wants_a_value(operator: str, values: str | Sequence[str]) -> bool:
    """Whether a condition does not hold when its key has no value."""
    return values == "false" if operator == "Null" else "Not" not in operator


def _value(operator: str, values: str | Sequence[str]) -> str:
    return "any" if operator == "Null" else as_list(values)[0].replace("*", "any")
