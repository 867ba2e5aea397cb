"""The logs that SageMaker itself keeps of a deployment's endpoints and jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kindling.targets import Target
from kindling.teardown.executions import Machines
from kindling.teardown.gone import unless_gone
from kindling.teardown.made import pages_of
from kindling.teardown.ownership import Ownership

ENDPOINTS = "/aws/sagemaker/Endpoints/"
# Groups of all jobs of the account, whoever started them: a job's streams begin with its name.
SHARED = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TransformJobs")


def endpoint_groups(target: Target, ours: Ownership, endpoints: frozenset[str]) -> list[str]:
    """The log groups of these endpoints, of those that executions asked for, and of experiments.

    An endpoint that is there and not among `endpoints` is somebody else's by now, and so is its log.
    """
    sagemaker = target.client("sagemaker")
    others = {one["EndpointName"] for one in pages_of(sagemaker, "list_endpoints", "Endpoints")} - endpoints
    groups = [
        one["logGroupName"]
        for one in pages_of(target.client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=ENDPOINTS)
    ]
    if not groups:
        return []
    names = (endpoints | set(_asked_for(target, ours))) - others
    return [
        group
        for group in groups
        if group.removeprefix(ENDPOINTS) in names or group.removeprefix(ENDPOINTS).startswith(ours.experiments)
    ]


def _asked_for(target: Target, ours: Ownership) -> Iterator[str]:
    """The names of the endpoints that executions asked for, as the plan understands them."""
    client = target.client("stepfunctions")
    for algorithm, machine in Machines.of(target, ours).pipelines.items():
        with unless_gone():
            for listed in pages_of(client, "list_executions", "executions", stateMachineArn=machine):
                found = client.describe_execution(executionArn=listed["executionArn"])
                asked = json.loads(found.get("input") or "{}")
                endpoint = asked.get("endpoint") if isinstance(asked, dict) else None
                if isinstance(endpoint, dict) and isinstance(endpoint.get("name"), str):
                    yield endpoint["name"]
                elif isinstance(asked, dict):
                    yield str(asked.get("name") or algorithm)


def streams(target: Target, ours: Ownership, group: str) -> list[str]:
    """The streams of a shared group that are of this deployment's jobs."""
    client = target.client("logs")
    found: set[str] = set()
    for beginning in ours.beginnings:
        with unless_gone():
            pages = pages_of(
                client, "describe_log_streams", "logStreams", logGroupName=group, logStreamNamePrefix=beginning
            )
            found |= {one["logStreamName"] for one in pages}
    return sorted(found)


def delete_streams(target: Target, group: str, names: list[str]) -> None:
    """Delete streams, and the group, too, when that leaves it empty."""
    client = target.client("logs")
    for name in names:
        with unless_gone():
            client.delete_log_stream(logGroupName=group, logStreamName=name)
    if not client.describe_log_streams(logGroupName=group, limit=1)["logStreams"]:
        client.delete_log_group(logGroupName=group)
