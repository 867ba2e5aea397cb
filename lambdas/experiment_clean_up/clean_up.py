"""Deleting what an experiment's arms have left: endpoints, their configurations, models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lambdas.hosting.endpoints import IN_MOTION, find_endpoint, unless_missing


class CannotCleanUpError(RuntimeError):
    """Something has to stay. The message is one sentence."""


def clean_up(sagemaker: Any, arms: Sequence[Mapping[str, Any]], longest: int, calls: int) -> bool:
    """One look at all arms: what can be deleted is; whether all is gone. What is gone already is fine.

    Args:
        longest: how many looks there may be, `calls` of which were before this one.
    Raises:
        CannotCleanUpError: an endpoint is still in motion after the last look.
    """
    staying = [name for arm in arms if (name := _delete(sagemaker, arm))]
    if staying and calls + 1 >= longest:
        raise CannotCleanUpError(f"endpoint {', '.join(staying)} could not be deleted in time; delete it by hand.")
    return not staying


def _delete(sagemaker: Any, arm: Mapping[str, Any]) -> str | None:
    """The name of the arm's endpoint if it is still there; without it, what stood behind it is deleted."""
    name = arm["endpoint_name"]
    found = find_endpoint(sagemaker, name)
    if found is not None:
        if found.status not in IN_MOTION:
            sagemaker.delete_endpoint(EndpointName=name)
        return str(name)
    unless_missing(lambda: sagemaker.delete_endpoint_config(EndpointConfigName=arm["config_name"]))
    for model in arm["model_names"]:
        unless_missing(lambda model=model: sagemaker.delete_model(ModelName=model))  # type: ignore[misc]
    return None
