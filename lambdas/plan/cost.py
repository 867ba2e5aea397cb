"""What an execution's jobs can cost at most, by the owner's table of prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract.specification import InvalidJobError
from lambdas.plan.request import Request
from lambdas.plan.site import Site


@dataclass(frozen=True, kw_only=True)
class Hire:
    """Instances of one type for so many hours each, at the longest."""

    what: str
    instance_type: str
    instance_count: int
    hours: float


def planned_cost(request: Request, site: Site, hires: Iterator[Hire]) -> dict[str, Any] | None:
    """What the jobs can cost at most and the limit, in US dollars; None without a limit.

    An endpoint is not part of it: it costs as long as it stands.

    Raises:
        InvalidJobError: it is more than the owner or the request allows, or a price is not known.
    """
    limits = [limit for limit in (request.max_cost_usd, site.max_cost_usd) if limit is not None]
    if not limits:
        return None
    limit, prices, most = min(limits), site.prices_usd_per_hour, 0.0
    parts = []
    for hire in hires:
        if hire.instance_type not in prices:
            raise InvalidJobError(
                f"max_cost_usd is {limit:g}, but the settings have no price of {hire.instance_type} ({hire.what}); "
                "add it to prices_usd_per_hour, or choose another instance type."
            )
        cost = prices[hire.instance_type] * hire.instance_count * hire.hours
        most += cost
        parts.append(f"{hire.what} {cost:.2f}")
    if most > limit:
        raise InvalidJobError(
            f"the jobs can cost {most:.2f} USD ({', '.join(parts)}), which is more than max_cost_usd={limit:g}; "
            "ask for fewer or smaller instances, a lower max_runtime_s, or fewer jobs."
        )
    return {"limit_usd": limit, "most_usd": round(most, 4)}


def hires(plan: Mapping[str, Any]) -> Iterator[Hire]:
    """Everything that the jobs of a plan hire."""
    if preparation := plan["preparation"]:
        cluster = preparation["ProcessingResources"]["ClusterConfig"]
        yield _hire("preparation", cluster, preparation["StoppingCondition"]["MaxRuntimeInSeconds"])
    training, tuning = plan["training"], plan["tuning"]
    seconds = training["StoppingCondition"]["MaxRuntimeInSeconds"]
    if tuning:
        jobs = tuning["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
        yield _hire("tuning", training["ResourceConfig"], jobs * seconds)
    if not tuning or tuning["train_again"]:
        # An interrupted job may have to begin again on demand when its time is nearly over.
        attempts = 2 if training["EnableManagedSpotTraining"] else 1
        yield _hire("training", training["ResourceConfig"], attempts * seconds)
    if batch := plan["batch"]:
        yield _hire("batch", batch["TransformResources"], batch["max_runtime_s"])


def _hire(what: str, resources: Mapping[str, Any], seconds: int) -> Hire:
    return Hire(
        what=what,
        instance_type=resources["InstanceType"],
        instance_count=resources["InstanceCount"],
        hours=seconds / 3600,
    )
