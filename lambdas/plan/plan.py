"""An execution's input, checked and completed: all that the later states need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm, InvalidJobError
from lambdas.plan.batch import batch_job
from lambdas.plan.cost import hires, planned_cost
from lambdas.plan.deployment import deployment
from lambdas.plan.inputs import HoldsData
from lambdas.plan.names import base_name, tuning_name
from lambdas.plan.preparation import output_address, preparation_job, prepared_channels
from lambdas.plan.request import Registration, Request
from lambdas.plan.site import Site
from lambdas.plan.training import Values, checkpoints, hyperparameters, planned_gate, training_job
from lambdas.plan.tuning import tuning_job


def plan(algorithm: Algorithm, site: Site, execution: Mapping[str, Any], holds_data: HoldsData) -> dict[str, Any]:
    """The plan of an execution (docs/pipeline.md#plan).

    Args:
        execution: its `name` and its `input`.
        holds_data: whether there is data under (bucket, prefix).
    Raises:
        InvalidJobError: the input cannot be meant, or asks for what the algorithm does not do.
    """
    request = Request.parse(execution["input"])
    base = base_name(site.name_prefix, str(execution["name"]))
    values = hyperparameters(algorithm, request)
    prepared = prepared_channels(algorithm, request, site, base)
    gate = planned_gate(algorithm, request, values, prepared)
    training = training_job(algorithm, request, values, site, base, prepared, holds_data)
    planned = {
        "run": execution["name"],
        "algorithm": algorithm.name,
        "base_name": base,
        "preparation": preparation_job(algorithm, request, site, base, holds_data),
        "tuning": tuning_job(algorithm, request, values, training, site, base, prepared),
        "training": training,
        "gate": gate,
        "comparison": _comparison(algorithm, request, values),
        "registration": _registration(request),
        "approval": request.approval.model_dump() if request.approval else None,
        "deployment": deployment(algorithm, request, site, base),
        "batch": batch_job(algorithm, request, site, base, holds_data),
        "clean_up": left_behind(algorithm, request, site, base),
        "tags": [
            {"Key": "kindling:algorithm", "Value": algorithm.name},
            {"Key": "kindling:run", "Value": execution["name"]},
        ],
    }
    return {**planned, "cost": planned_cost(request, site, hires(planned))}


def _comparison(algorithm: Algorithm, request: Request, values: Values) -> dict[str, Any] | None:
    """The metrics in which the new model is compared with the champion: all that the job emits.

    Raises:
        InvalidJobError: there can be no champion, for no endpoint is named.
    """
    if not request.comparison:
        return None
    if request.endpoint is None and "endpoint" in request.model_fields_set:
        raise InvalidJobError(
            "comparison is true, but endpoint is null; the champion is the model behind the endpoint: name it."
        )
    return {"metrics": [{"name": found.name, "goal": found.goal} for found in algorithm.metrics_with(values)]}


def _registration(request: Request) -> dict[str, Any] | None:
    """What is registered: what waits for an approval must be in the registry."""
    if request.registration is None and request.approval is None:
        return None
    return (request.registration or Registration()).model_dump()


def left_behind(algorithm: Algorithm, request: Request, site: Site, base: str) -> list[str] | None:
    """Addresses of what only the execution itself has use for; None where there is nothing, or it is to be kept."""
    if not request.clean_up:
        return None
    models = f"s3://{site.model_bucket}/{algorithm.name}"
    found = [
        *([f"{output_address(algorithm, site, base)}/"] if request.preparation else []),
        *([f"{checkpoints(algorithm, site, base)}/"] if request.resources.spot else []),
        *([f"{models}/{tuning_name(site.tuning_prefix, base)}"] if request.tuning else []),
    ]
    return found or None
