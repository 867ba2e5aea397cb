"""Deleting what an endpoint served before, once its successor has passed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lambdas.hosting.endpoints import models_of, unless_missing


def retire(sagemaker: Any, config_name: str, ours: str, kept: Collection[str] = ()) -> list[str]:
    """Deletes an endpoint configuration and its models; what is gone already is fine.

    The configuration goes first: while it stands, its models stand too, and the endpoint can still be put back on it.

    Args:
        ours: what the names of the pipeline's own resources begin with; others made by hand are left alone.
        kept: models that the endpoint goes on serving.
    Returns:
        The names that were left alone.
    """
    models = [name for name in models_of(sagemaker, config_name) or [] if name not in kept]
    names = [config_name, *models]
    if config_name.startswith(ours):
        unless_missing(lambda: sagemaker.delete_endpoint_config(EndpointConfigName=config_name))
        for model in filter(lambda name: name.startswith(ours), models):
            _delete_model(sagemaker, model)
        return [name for name in names if not name.startswith(ours)]
    return names


def _delete_model(sagemaker: Any, name: str) -> None:
    unless_missing(lambda: sagemaker.delete_model(ModelName=name))
