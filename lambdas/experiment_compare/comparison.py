"""The arms of an experiment side by side, and what they show, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lambdas.experiment_compare.intervals import Estimate, estimate

_PHASES = ("download", "training", "upload")

Errors = Callable[[str], Sequence[float]]
"""The errors that are kept under a key, one for each test record."""


@dataclass(frozen=True)
class Group:
    """The arms of one distribution on one number of hosts, which differ in their seeds.

    `errors` are the test records' errors, each the mean over the seeds; None without test data.
    """

    distribution: str
    hosts: int
    seconds: Mapping[str, float]
    total_seconds: float
    instance_seconds: float
    quality: Estimate | None
    errors: Sequence[float] | None

    @property
    def name(self) -> str:
        return f"{self.distribution} on {self.hosts} host{'s' * (self.hosts > 1)}"

    def as_state(self) -> dict[str, Any]:
        """What the result says of it."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "instance_count": self.hosts,
            "seconds": dict(self.seconds),
            "total_seconds": self.total_seconds,
            "instance_seconds": self.instance_seconds,
            "quality": None if self.quality is None else asdict(self.quality),
        }


def compare(plan: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], errors: Errors) -> dict[str, Any]:
    """The result of an experiment (docs/experiments.md).

    Args:
        arms: what each arm came to, in the plan's order.
    """
    measure = arms[0]["endpoint"]["measure"] if plan["test"] else plan["metric"]
    smaller = plan["test"] or plan["goal"] == "minimize"
    groups = _groups(plan, arms, errors)
    reference = next((group for group in groups if group.distribution == "FullyReplicated"), groups[0])
    return {
        "run": plan["run"],
        "algorithm": plan["algorithm"],
        "measure": measure,
        "smaller_is_better": smaller,
        "records": len(groups[0].errors) if groups[0].errors is not None else None,
        "arms": [_of_arm(arm) for arm in arms],
        "groups": [group.as_state() for group in groups],
        "reference": reference.name,
        "verdict": _verdict(groups, reference, str(measure), smaller=smaller),
    }


def _of_arm(arm: Mapping[str, Any]) -> dict[str, Any]:
    scores = {
        kind: {key: arm[kind][key] for key in ("measure", "mean", "half_width", "records")}
        for kind in ("transform", "endpoint")
        if arm.get(kind)
    }
    planned, measured = arm["arm"], arm["measured"]
    return {
        **{key: planned[key] for key in ("number", "distribution", "instance_count", "seed", "run")},
        **{key: measured[key] for key in ("job_name", "seconds", "total_seconds", "instance_seconds", "metrics")},
        "model_s3_uri": measured["model_s3_uri"],
        **scores,
    }


def _groups(plan: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], errors: Errors) -> list[Group]:
    """The arms by distribution and number of hosts, in the plan's order."""
    together: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for arm in arms:
        together.setdefault((arm["arm"]["distribution"], arm["arm"]["instance_count"]), []).append(arm)
    return [_group(plan, *key, found, errors) for key, found in together.items()]


def _group(
    plan: Mapping[str, Any], distribution: str, hosts: int, arms: Sequence[Mapping[str, Any]], errors: Errors
) -> Group:
    measured = [arm["measured"] for arm in arms]
    kept = None
    if plan["test"]:
        by_seed = [errors(arm["endpoint"]["errors"]) for arm in arms]
        kept = [sum(values) / len(values) for values in zip(*by_seed, strict=True)]
        quality: Estimate | None = estimate(kept)
    else:
        values = [found["metrics"][plan["metric"]] for found in measured if plan["metric"] in found["metrics"]]
        quality = estimate(values) if values else None
    return Group(
        distribution=distribution,
        hosts=hosts,
        seconds={phase: _mean([found["seconds"][phase] for found in measured]) for phase in _PHASES},
        total_seconds=_mean([found["total_seconds"] for found in measured]),
        instance_seconds=_mean([found["instance_seconds"] for found in measured]),
        quality=quality,
        errors=kept,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _verdict(groups: Sequence[Group], reference: Group, measure: str, *, smaller: bool) -> list[str]:
    """A sentence on time and cost and one on quality, of each group but the reference."""
    found = []
    for group in groups:
        if group is not reference:
            found += [_of_time(group, reference), _of_quality(group, reference, measure, smaller=smaller)]
    return found or [f"{reference.name} is the only arm, so there is nothing to compare."]


def _of_time(group: Group, reference: Group) -> str:
    own, other = group.seconds["training"], reference.seconds["training"]
    if not own or not other:
        return f"{group.name} and {reference.name} cannot be compared in time: a training took no time that shows."
    pace = f"{other / own:.2f} times as fast" if own <= other else f"{own / other:.2f} times as slow"
    cost = group.instance_seconds / reference.instance_seconds if reference.instance_seconds else float("nan")
    return (
        f"{group.name} trained {pace} as {reference.name} ({own:.1f} s and {other:.1f} s), at {cost:.2f} of its"
        " instance-seconds."
    )


def _of_quality(group: Group, reference: Group, measure: str, *, smaller: bool) -> str:
    if group.quality is None or reference.quality is None:
        return f"{measure} was not reported by every arm, so it cannot be compared."
    means = f"{group.name} has {measure} {group.quality.mean:.6g}, {reference.name} {reference.quality.mean:.6g}"
    if group.errors is not None and reference.errors is not None:
        difference = estimate([own - other for own, other in zip(group.errors, reference.errors, strict=True)])
        records = f"{difference.count:,} test records"
    else:
        difference = _between(group.quality, reference.quality)
        records = f"{group.quality.count} and {reference.quality.count} seeds"
    if difference.half_width is None:
        return f"{means}: with one seed each nobody can tell whether that is chance; give several."
    interval = f"difference {difference.mean:+.4g}, 95 % interval {difference.low:+.4g} to {difference.high:+.4g}"
    if difference.low <= 0 <= difference.high:
        return f"{means} ({interval}): no difference that {records} show."
    better = (difference.mean < 0) == smaller
    return f"{means} ({interval}): {group.name} is {'better' if better else 'worse'}, by {records}."


def _between(own: Estimate, other: Estimate) -> Estimate:
    """The difference of two independent means."""
    mean, count = own.mean - other.mean, own.count + other.count
    if own.half_width is None or other.half_width is None:
        return Estimate(mean, None, count)
    return Estimate(mean, (own.half_width**2 + other.half_width**2) ** 0.5, count)
