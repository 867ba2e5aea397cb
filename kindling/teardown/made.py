"""What pipelines and experiments have made that is in no stack: a table of kinds, each with how it is found and ended.

The order of the table is the order of deletion: what costs most comes first, and nothing goes before what uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from kindling.targets import Target
from kindling.teardown.gone import unless_gone
from kindling.teardown.ownership import Ownership

# In these an endpoint cannot be deleted.
IN_MOTION = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_SCALING = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing of a kind. `arn` is empty where its tags are no use; `of` names what it belongs to or stands upon."""

    kind: str
    name: str
    arn: str = ""
    of: tuple[str, ...] = ()
    created: datetime | None = None
    status: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of thing.

    `cost` is in words. `takes_time` is true where the thing is still there, and paid for, for a while after `delete`.
    """

    title: str
    cost: str
    find: Callable[[Target, Ownership], Iterator[Thing]]
    delete: Callable[[Target, Thing], object]
    takes_time: bool = False


def tags_of(target: Target, arn: str) -> dict[str, str]:
    """The tags of something of SageMaker; none for what is gone."""
    with unless_gone():
        pages = target.client("sagemaker").get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    return {}


def pages_of(client: Any, operation: str, key: str, **request: Any) -> Iterator[dict[str, Any]]:
    """The elements of `key` on every page of a listing."""
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(key, ())


def _listed(
    operation: str, key: str, noun: str, kind: str, statuses: Sequence[str | None], target: Target, ours: Ownership
) -> Iterator[Thing]:
    """What SageMaker lists of ours, by name; of jobs those in a status."""
    for status in statuses:
        chosen = {"StatusEquals": status} if status else {}
        for found in pages_of(target.client("sagemaker"), operation, key, NameContains=f"{ours.name}-", **chosen):
            if ours.named(found[f"{noun}Name"]):
                yield Thing(
                    kind=kind,
                    name=found[f"{noun}Name"],
                    arn=found[f"{noun}Arn"],
                    created=found["CreationTime"],
                    status=status or "",
                )


def _named(operation: str, noun: str, target: Target, thing: Thing) -> None:
    getattr(target.client("sagemaker"), operation)(**{f"{noun}Name": thing.name})


def _job(title: str, noun: str, operation: str, listing: str, key: str) -> Kind:
    def stop(target: Target, thing: Thing) -> None:
        if thing.status == "InProgress":
            _named(f"stop_{operation}", noun, target, thing)

    statuses = ("InProgress", "Stopping")
    find = partial(_listed, listing, key, noun, title, statuses)
    return Kind(title=title, cost="its instances, by the second", find=find, delete=stop, takes_time=True)


def endpoints(target: Target, *, whose: Callable[[str], bool]) -> Iterator[Thing]:
    """The endpoints of which `whose` says so by their configuration's name; their own names are their users'."""
    sagemaker = target.client("sagemaker")
    for found in pages_of(sagemaker, "list_endpoints", "Endpoints"):
        with unless_gone():
            described = sagemaker.describe_endpoint(EndpointName=found["EndpointName"])
            config = described.get("EndpointConfigName", "")
            if whose(config):
                yield Thing(
                    kind="endpoint",
                    name=found["EndpointName"],
                    arn=found["EndpointArn"],
                    of=(config,),
                    created=found["CreationTime"],
                    status=described["EndpointStatus"],
                )


def _alarms(target: Target, ours: Ownership) -> Iterator[Thing]:
    for found in pages_of(
        target.client("cloudwatch"), "describe_alarms", "MetricAlarms", AlarmNamePrefix=f"{ours.name}-"
    ):
        if ours.named(found["AlarmName"]):
            watched = [one["Value"] for one in found.get("Dimensions", ()) if one["Name"] == "EndpointName"]
            yield Thing(kind="alarm", name=found["AlarmName"], of=tuple(watched))


def _targets(target: Target, ours: Ownership) -> Iterator[Thing]:
    names = {endpoint.name for endpoint in endpoints(target, whose=ours.named)}
    client = target.client("application-autoscaling")
    for found in pages_of(
        client, "describe_scalable_targets", "ScalableTargets", ServiceNamespace=_SCALING["ServiceNamespace"]
    ):
        resource = found["ResourceId"].split("/")
        if found["ScalableDimension"] == _SCALING["ScalableDimension"] and resource[1] in names:
            yield Thing(kind="scaling target", name=found["ResourceId"], of=(resource[1],))


def _schedules(target: Target, ours: Ownership) -> Iterator[Thing]:
    client = target.client("scheduler")
    for found in pages_of(client, "list_schedules", "Schedules", NamePrefix=f"{ours.name}-"):
        if ours.named(found["Name"]):
            yield Thing(kind="schedule", name=found["Name"], more={"GroupName": found["GroupName"]})


def _rules(target: Target, ours: Ownership) -> Iterator[Thing]:
    for found in pages_of(target.client("events"), "list_rules", "Rules", NamePrefix=f"{ours.name}-"):
        if ours.named(found["Name"]):
            yield Thing(kind="rule", name=found["Name"])


def _delete_rule(target: Target, thing: Thing) -> None:
    events = target.client("events")
    present = [one["Id"] for one in events.list_targets_by_rule(Rule=thing.name)["Targets"]]
    if present:
        events.remove_targets(Rule=thing.name, Ids=present)
    events.delete_rule(Name=thing.name)


# A tuning job comes before the training jobs that it would launch again.
JOBS = (
    _job(
        "tuning job",
        "HyperParameterTuningJob",
        "hyper_parameter_tuning_job",
        "list_hyper_parameter_tuning_jobs",
        "HyperParameterTuningJobSummaries",
    ),
    _job("training job", "TrainingJob", "training_job", "list_training_jobs", "TrainingJobSummaries"),
    _job("processing job", "ProcessingJob", "processing_job", "list_processing_jobs", "ProcessingJobSummaries"),
    _job("transform job", "TransformJob", "transform_job", "list_transform_jobs", "TransformJobSummaries"),
)

SCALING = Kind(
    title="scaling target",
    cost="nothing itself",
    find=_targets,
    delete=lambda target, thing: target.client("application-autoscaling").deregister_scalable_target(
        ResourceId=thing.name, **_SCALING
    ),
)
ENDPOINT = Kind(
    title="endpoint",
    cost="its instances, by the hour",
    find=lambda target, ours: endpoints(target, whose=ours.named),
    delete=partial(_named, "delete_endpoint", "Endpoint"),
    takes_time=True,
)
CONFIG = Kind(
    title="endpoint configuration",
    cost="nothing",
    find=partial(
        _listed, "list_endpoint_configs", "EndpointConfigs", "EndpointConfig", "endpoint configuration", (None,)
    ),
    delete=partial(_named, "delete_endpoint_config", "EndpointConfig"),
)
MODEL = Kind(
    title="model",
    cost="nothing",
    find=partial(_listed, "list_models", "Models", "Model", "model", (None,)),
    delete=partial(_named, "delete_model", "Model"),
)
ALARM = Kind(
    title="alarm",
    cost="0.10 USD a month",
    find=_alarms,
    delete=lambda target, thing: target.client("cloudwatch").delete_alarms(AlarmNames=[thing.name]),
)
SCHEDULE = Kind(
    title="schedule",
    cost="what it starts",
    find=_schedules,
    delete=lambda target, thing: target.client("scheduler").delete_schedule(Name=thing.name, **thing.more),
)
RULE = Kind(title="rule", cost="what it starts", find=_rules, delete=_delete_rule)

# What starts something goes before what it would start.
KINDS: tuple[Kind, ...] = (SCHEDULE, RULE, *JOBS, SCALING, ENDPOINT, CONFIG, MODEL, ALARM)
BY_TITLE: Mapping[str, Kind] = {kind.title: kind for kind in KINDS}


def find(target: Target, ours: Ownership, kinds: Sequence[Kind] = KINDS) -> list[Thing]:
    """Everything there is of these kinds, in their order."""
    return [thing for kind in kinds for thing in kind.find(target, ours)]
