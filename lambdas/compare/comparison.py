"""Two models' metrics side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lambdas.evaluate.gate import Champion
from lambdas.evaluate.metrics import value_of


def compare(
    metrics: Sequence[Mapping[str, str]],
    evaluation: Mapping[str, Any],
    champion_by: Callable[[str], Champion | None],
) -> dict[str, Any]:
    """The new model's and the champion's value of each metric, and which of them is better.

    Args:
        metrics: name and goal of each.
        evaluation: the new model's `metrics` and `details`.
        champion_by: the champion with its value of a metric; None where nothing is deployed.
    Returns:
        The champion's model, None where there is none, and a row for each metric. `better` is None where one of the
        two values is on no record.
    """
    rows, model = [], None
    for metric in metrics:
        value = value_of(metric["name"], evaluation["metrics"], evaluation["details"])
        champion = champion_by(metric["name"])
        former = champion.value if champion else None
        model = champion.model if champion else None
        better = None
        if value is not None and former is not None:
            better = value > former if metric["goal"] == "maximize" else value < former
        rows.append({"metric": metric["name"], "value": value, "champion_value": former, "better": better})
    return {"champion": model, "metrics": rows, "words": _words(model, rows)}


def _words(model: str | None, rows: Sequence[Mapping[str, Any]]) -> str:
    if model is None:
        return "There is no champion."
    told = [
        f"{row['metric']} {row['value']:.4g} against {row['champion_value']:.4g}"
        for row in rows
        if row["better"] is not None
    ]
    return f"Champion {model}: {', '.join(told) or 'none of its metrics is on record'}."
