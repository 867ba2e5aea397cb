"""Which metric decides whether a model is deployed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from contract.specification import Algorithm, InvalidJobError, Metric, Value


def gate_metric(
    algorithm: Algorithm,
    asked: str | None,
    values: Mapping[str, Value | None],
    channels: Collection[str],
    *,
    field: str = "gate.metric",
) -> Metric:
    """The metric that a gate is to look at.

    Args:
        asked: its name; None takes the first that a job with these hyperparameters prints.
        values: the job's hyperparameters, typed and complete.
        channels: names of those that the job has.
        field: what the user gave `asked` as.
    Raises:
        InvalidJobError: the job does not print the metric, or not without a channel that it has not.
    """
    printed = algorithm.metrics_with(values)
    names = ", ".join(metric.name for metric in printed) or "none"
    if not printed or (asked is not None and algorithm.metric(asked) is None):
        raise InvalidJobError(f"{field} is {asked!r}, which {algorithm.name} does not emit; it must be one of {names}.")
    metric = next((metric for metric in printed if metric.name == (asked or printed[0].name)), None)
    if metric is None:
        known = algorithm.metric(str(asked))
        assert known is not None
        chosen = ", ".join(f"{name}={values.get(name)}" for name in known.when)
        raise InvalidJobError(
            f"{field} is {asked!r}, which {algorithm.name} does not emit with {chosen}; it must be one of {names}."
        )
    if metric.channel in algorithm.channels and metric.channel not in channels:
        asker = field.partition(".")[0]
        raise InvalidJobError(
            f"{asker} asks for {metric.name}, but inputs has no channel {metric.channel!r} to measure it on;"
            f" add the channel, or leave the {asker} out."
        )
    return metric
