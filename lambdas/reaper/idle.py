"""Which endpoints cost money and are asked nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lambdas.hosting.endpoints import IN_MOTION, unless_missing

# Every endpoint of a pipeline has the first of these tags; the second is for the user to give.
ALGORITHM, RUN, KEEP = "kindling:algorithm", "kindling:run", "kindling:keep"
# A failed endpoint has no instances.
_LEFT_ALONE = IN_MOTION | {"Failed"}
_PERIOD_S = 3600


@dataclass(frozen=True, kw_only=True)
class Idle:
    """An endpoint that costs money and that nobody asked. `instances` are counts by instance type."""

    name: str
    arn: str
    config_name: str
    algorithm: str
    run: str | None
    variants: tuple[str, ...]
    instances: Mapping[str, int]


def idle_endpoints(sagemaker: Any, cloudwatch: Any, *, ours: str, hours: int, at: datetime) -> Iterator[Idle]:
    """The endpoints of pipelines that had no invocation in the `hours` before `at`, and did not change either.

    Left alone: what is tagged `kindling:keep` = true, what has no instances that cost money (serverless, failed), and
    asynchronous endpoints, whose requests are counted elsewhere.

    Args:
        ours: what the names of the pipelines' endpoint configurations begin with.
    """
    since = at - timedelta(hours=hours)
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for listed in page["Endpoints"]:
            changed = max(listed["CreationTime"], listed["LastModifiedTime"])
            if listed["EndpointStatus"] in _LEFT_ALONE or changed > since:
                continue
            tags = _tags(sagemaker, listed["EndpointArn"])
            if ALGORITHM not in tags or tags.get(KEEP, "").lower() == "true":
                continue
            found = _costing(sagemaker, listed["EndpointName"], ours, tags)
            if found is not None and _invocations(cloudwatch, found, since, at) == 0:
                yield found


def _tags(sagemaker: Any, arn: str) -> dict[str, str]:
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _costing(sagemaker: Any, name: str, ours: str, tags: Mapping[str, str]) -> Idle | None:
    """An endpoint of a pipeline that runs on instances; None for any other, and for one that is gone."""
    endpoint = unless_missing(lambda: sagemaker.describe_endpoint(EndpointName=name))
    if endpoint is None or not endpoint.get("EndpointConfigName", "").startswith(ours):
        return None
    config_name = endpoint["EndpointConfigName"]
    config = unless_missing(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config_name))
    if config is None or "AsyncInferenceConfig" in config:
        return None
    counts = {one["VariantName"]: one.get("CurrentInstanceCount", 0) for one in endpoint.get("ProductionVariants", ())}
    instances: dict[str, int] = {}
    for variant in config["ProductionVariants"]:
        if kind := variant.get("InstanceType"):
            instances[kind] = instances.get(kind, 0) + counts.get(variant["VariantName"], 0)
    if not any(instances.values()):
        return None
    return Idle(
        name=name,
        arn=endpoint["EndpointArn"],
        config_name=config_name,
        algorithm=tags[ALGORITHM],
        run=tags.get(RUN),
        variants=tuple(counts),
        instances=instances,
    )


def _invocations(cloudwatch: Any, endpoint: Idle, since: datetime, until: datetime) -> float:
    """How often an endpoint was asked, over all of its variants."""
    total = 0.0
    for variant in endpoint.variants:
        dimensions = {"EndpointName": endpoint.name, "VariantName": variant}
        found = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=since,
            EndTime=until,
            Period=_PERIOD_S,
            Statistics=["Sum"],
        )
        total += sum(point["Sum"] for point in found["Datapoints"])
    return total
