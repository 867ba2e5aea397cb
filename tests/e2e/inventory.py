"""Everything that there is in an account, by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Names = set[str]

# Service, operation, the answer's list, and what names an element.
_LISTINGS: Mapping[str, tuple[str, str, str, str]] = {
    "stacks": ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    "buckets": ("s3", "list_buckets", "Buckets", "Name"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
    "layers": ("lambda", "list_layers", "Layers", "LayerName"),
    "state machines": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    "topics": ("sns", "list_topics", "Topics", "TopicArn"),
    "queues": ("sqs", "list_queues", "QueueUrls", ""),
    "repositories": ("ecr", "describe_repositories", "repositories", "repositoryName"),
    "parameters": ("ssm", "describe_parameters", "Parameters", "Name"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "rules": ("events", "list_rules", "Rules", "Name"),
    "schedules": ("scheduler", "list_schedules", "Schedules", "Name"),
    "endpoints": ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    "endpoint configurations": ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    "models": ("sagemaker", "list_models", "Models", "ModelName"),
    "model package groups": (
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
}
_JOBS = {
    "training jobs": ("list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
    "processing jobs": ("list_processing_jobs", "ProcessingJobSummaries", "ProcessingJobName"),
    "transform jobs": ("list_transform_jobs", "TransformJobSummaries", "TransformJobName"),
    "tuning jobs": (
        "list_hyper_parameter_tuning_jobs",
        "HyperParameterTuningJobSummaries",
        "HyperParameterTuningJobName",
    ),
}


def inventory(client: Callable[[str], Any]) -> dict[str, Names]:
    """The names of all there is that is kept or paid for, by kind.

    Left out is what AWS itself cannot delete: the records of jobs that have ended, and keys that wait for their end.
    """
    found = {kind: set(_listed(client, *listing)) for kind, listing in _LISTINGS.items()}
    for kind, (operation, key, name) in _JOBS.items():
        for status in ("InProgress", "Stopping"):
            found[kind] = found.get(kind, set()) | set(
                _listed(client, "sagemaker", operation, key, name, StatusEquals=status)
            )
    found["policies"] = set(_listed(client, "iam", "list_policies", "Policies", "PolicyName", Scope="Local"))
    found["scaling targets"] = set(
        _listed(
            client,
            "application-autoscaling",
            "describe_scalable_targets",
            "ScalableTargets",
            "ResourceId",
            ServiceNamespace="sagemaker",
        )
    )
    kms = client("kms")
    keys = [kms.describe_key(KeyId=one)["KeyMetadata"] for one in _listed(client, "kms", "list_keys", "Keys", "KeyId")]
    found["keys"] = {
        key["KeyId"] for key in keys if key["KeyManager"] == "CUSTOMER" and key["KeyState"] != "PendingDeletion"
    }
    return found


def of_stack(client: Callable[[str], Any], stack: str) -> Names:
    """A stack's name and the physical names of what it holds."""
    held = set(
        _listed(
            client,
            "cloudformation",
            "list_stack_resources",
            "StackResourceSummaries",
            "PhysicalResourceId",
            StackName=stack,
        )
    )
    return {stack, *(name.rpartition("/")[2] for name in held), *held}


def without(found: Mapping[str, Names], names: Names) -> dict[str, Names]:
    """An inventory without some names."""
    return {kind: there - names for kind, there in found.items()}


def _listed(
    client: Callable[[str], Any], service: str, operation: str, key: str, name: str, **request: Any
) -> Iterator[str]:
    asked = client(service)
    if asked.can_paginate(operation):
        answers = asked.get_paginator(operation).paginate(**request)
    else:
        answers = [getattr(asked, operation)(**request)]
    for answer in answers:
        for one in answer.get(key, ()):
            yield str(one[name] if name else one)
