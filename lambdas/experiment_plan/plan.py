"""An experiment's arms: for each the input of an execution of the algorithm's pipeline, and the names that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from contract.specification import InvalidJobError
from lambdas.experiment_plan.request import Arms, Request
from lambdas.plan.inputs import HoldsData
from lambdas.plan.names import base_name
from lambdas.plan.wording import shown, suggestion

Value = TypeVar("Value")

_MOST_ARMS = 40  # whose results together are far from the 256 KB that a state may pass on
_LONGEST_RUN = 80  # of an execution's name
_CSV = "text/csv"
_CHANNEL = "train"  # the one that the arms distribute


class Pipeline(BaseModel):
    """What an experiment needs to know of one algorithm and its pipeline. Metrics by name, with their goals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state_machine: str
    name_prefix: str
    instance_count: int
    distributions: tuple[str, ...]
    distributed: bool
    seeded: bool
    answers: tuple[str, ...]
    metrics: dict[str, str]


class Site(BaseModel):
    """Where experiments run: what their state machine knows and the user does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name_prefix: str
    data_bucket: str
    model_bucket: str
    algorithms: dict[str, Pipeline]


def plan(site: Site, execution: Mapping[str, Any], holds_data: HoldsData) -> dict[str, Any]:
    """The plan of an experiment (docs/experiments.md).

    Args:
        execution: its `name` and its `input`.
        holds_data: whether there is data under (bucket, prefix).
    Raises:
        InvalidJobError: the input cannot be meant. What an arm's own pipeline refuses, it refuses when it starts.
    """
    request = Request.parse(execution["input"])
    if request.algorithm not in site.algorithms:
        raise InvalidJobError(
            f"algorithm is {shown(request.algorithm)}; {suggestion(request.algorithm, site.algorithms)}"
        )
    pipeline = site.algorithms[request.algorithm]
    if _CHANNEL not in request.inputs:
        raise InvalidJobError(f"channel {_CHANNEL!r} is missing from inputs; the arms differ in how it is distributed.")
    metric = request.metric or next(iter(pipeline.metrics))
    if metric not in pipeline.metrics:
        raise InvalidJobError(f"metric is {shown(metric)}; {suggestion(metric, pipeline.metrics)}")
    _check_test(request, pipeline, site, holds_data)
    run = str(execution["name"])
    arms = [
        _arm(number, run, request, pipeline, site, *chosen) for number, chosen in enumerate(_chosen(request, pipeline))
    ]
    return {
        "run": run,
        "algorithm": request.algorithm,
        "metric": metric,
        "goal": pipeline.metrics[metric],
        "test": request.test is not None,
        "parallel": request.parallel,
        "arms": arms,
        "output": {"bucket": site.model_bucket, "prefix": f"experiments/{run}"},
    }


def _check_test(request: Request, pipeline: Pipeline, site: Site, holds_data: HoldsData) -> None:
    if request.test is None:
        return
    if _CSV not in pipeline.answers:
        raise InvalidJobError(
            f"{request.algorithm} does not answer {_CSV}, so test cannot be asked of it; leave test out, and the arms"
            " are compared by their metric."
        )
    readable = f"s3://{site.data_bucket}/{request.algorithm}/"
    if not request.test.startswith(readable):
        raise InvalidJobError(f"test is {shown(request.test)}; it must lie in {readable}.")
    bucket, prefix = request.test.removeprefix("s3://").split("/", 1)
    if not holds_data(bucket, prefix):
        raise InvalidJobError(f"test: {request.test} holds no data; upload a file that is not empty.")


def _chosen(request: Request, pipeline: Pipeline) -> list[tuple[str, int, int | None]]:
    """The arms' distributions, numbers of hosts and seeds."""
    asked: Arms = request.arms
    distributions = _distinct("distributions", asked.distributions or pipeline.distributions)
    if unknown := set(distributions) - set(pipeline.distributions):
        raise InvalidJobError(
            f"arms.distributions has {', '.join(unknown)}; {request.algorithm} reads channel {_CHANNEL!r}"
            f" {' or '.join(pipeline.distributions)}."
        )
    usual = request.resources.instance_count or pipeline.instance_count
    counts = _distinct("instance_counts", asked.instance_counts or (usual,))
    if max(counts) > 1 and not pipeline.distributed:
        raise InvalidJobError(f"arms.instance_counts has {max(counts)}; {request.algorithm} trains on one host.")
    if asked.seeds and not pipeline.seeded:
        raise InvalidJobError(f"arms.seeds is given, but {request.algorithm} has no hyperparameter seed.")
    seeds: tuple[int | None, ...] = _distinct("seeds", asked.seeds) if asked.seeds else (None,)
    arms = list(product(distributions, counts, seeds))
    if not 1 <= len(arms) <= _MOST_ARMS:
        raise InvalidJobError(f"arms come to {len(arms)} combinations; there may be {_MOST_ARMS}.")
    return arms


def _distinct(name: str, values: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(set(values)) < len(values):
        raise InvalidJobError(f"arms.{name} is {shown(list(values))}; each value must be there once.")
    return values


def _arm(
    number: int,
    run: str,
    request: Request,
    pipeline: Pipeline,
    site: Site,
    distribution: str,
    hosts: int,
    seed: int | None,
) -> dict[str, Any]:
    ending = f"-arm-{number}"
    child = run[: _LONGEST_RUN - len(ending)] + ending
    name = base_name(site.name_prefix, child)
    inputs = {
        channel: {key: value for key, value in given.model_dump(mode="json").items() if value is not None}
        for channel, given in request.inputs.items()
    }
    inputs[_CHANNEL]["distribution"] = distribution
    resources = request.resources.model_dump(exclude_unset=True)
    return {
        "number": number,
        "distribution": distribution,
        "instance_count": hosts,
        "seed": seed,
        "state_machine": pipeline.state_machine,
        "run": child,
        "input": {
            "name": request.name or request.algorithm.replace("_", "-"),
            "inputs": inputs,
            "hyperparameters": {**request.hyperparameters, **({} if seed is None else {"seed": seed})},
            "resources": {**resources, "instance_count": hosts},
            # Only what is asked needs an endpoint.
            "endpoint": {"name": name} if request.test else None,
        },
        # Every name under which the arm may leave something.
        "endpoint_name": name,
        "config_name": base_name(pipeline.name_prefix, child),
        "model_names": [base_name(pipeline.name_prefix, child), name],
        "transform_name": name,
        "test_s3_uri": request.test,
        "output_s3_uri": f"s3://{site.model_bucket}/experiments/{run}/{number}",
    }
