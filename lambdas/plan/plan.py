"""An execution's input, checked and completed: all that the later states need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm
from lambdas.plan.deployment import deployment
from lambdas.plan.inputs import HoldsData
from lambdas.plan.names import base_name
from lambdas.plan.request import Request
from lambdas.plan.site import Site
from lambdas.plan.training import hyperparameters, planned_gate, training_job


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
    gate = planned_gate(algorithm, request, values)
    deployed = deployment(algorithm, request, base)
    training = training_job(algorithm, request, values, site, base, holds_data)
    return {
        "run": execution["name"],
        "algorithm": algorithm.name,
        "base_name": base,
        "training": training,
        "gate": gate,
        "deployment": deployed,
        "tags": [
            {"Key": "kindling:algorithm", "Value": algorithm.name},
            {"Key": "kindling:run", "Value": execution["name"]},
        ],
    }
