"""What is told of idle endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lambdas.reaper.idle import KEEP, Idle

# Of a month, as AWS reckons.
_HOURS = 730


def monthly_usd(instances: Mapping[str, int], prices: Mapping[str, float]) -> float | None:
    """What instances cost in a month; None when the price of one is not known.

    Args:
        instances: counts by instance type.
        prices: US dollars per hour by instance type.
    """
    if any(kind not in prices for kind in instances):
        return None
    return sum(count * prices[kind] * _HOURS for kind, count in instances.items())


def subject(count: int) -> str:
    """The subject of the message, of which SNS takes 100 characters."""
    return f"Kindling: {count} idle endpoint{'s' if count > 1 else ''}"


def report(found: Sequence[tuple[Idle, str | None]], *, hours: int, prices: Mapping[str, float]) -> str:
    """The message: each endpoint, what it costs, and what was done or can be.

    Args:
        found: endpoints, each with what became of it as a sentence; None for one that was left as it is.
    """
    costs = [monthly_usd(endpoint.instances, prices) for endpoint, _ in found]
    lines = [f"Nobody asked {'these endpoints' if len(found) > 1 else 'this endpoint'} anything for {hours} hours:", ""]
    for (endpoint, outcome), cost in zip(found, costs, strict=True):
        lines += [f"- {_described(endpoint, cost)} {outcome or _remedy(endpoint)}"]
    known = [cost for cost in costs if cost is not None]
    if len(found) > 1 and known:
        lines += ["", f"Together they cost {sum(known):,.2f} USD a month{_and_more(len(found) - len(known))}."]
    return "\n".join(lines)


def _described(endpoint: Idle, cost: float | None) -> str:
    of = f"{endpoint.algorithm}, run {endpoint.run}" if endpoint.run else endpoint.algorithm
    instances = " and ".join(f"{count} x {kind}" for kind, count in endpoint.instances.items())
    price = "whose price is not in the settings" if cost is None else f"{cost:,.2f} USD a month"
    return f"{endpoint.name} ({of}): {instances}, {price}."


def _remedy(endpoint: Idle) -> str:
    return (
        f"Delete it with `aws sagemaker delete-endpoint --endpoint-name {endpoint.name}`, or keep it with "
        f"`aws sagemaker add-tags --resource-arn {endpoint.arn} --tags Key={KEEP},Value=true`."
    )


def _and_more(unknown: int) -> str:
    return f", and {unknown} more whose price is not known" if unknown else ""
