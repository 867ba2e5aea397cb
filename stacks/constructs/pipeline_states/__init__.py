"""The training pipeline's states, in Amazon States Language with JSONPath.

The document that runs through them: `execution` (name, input) and `made` (what optional states have made), then one
part per state that succeeded: `plan`, `chosen`, `job`, `evaluation`, `model`, `former`, `begun`, `check`,
`smoke_test`, `deployment`; after a failure `failed` and `rollback`. Names in ${...} are the state machine's definition
substitutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm
from stacks.constructs.pipeline_states.deployment import batch_states, deployment_states
from stacks.constructs.pipeline_states.ending import failure_states, success_states
from stacks.constructs.pipeline_states.release import release_states
from stacks.constructs.pipeline_states.training import training_states
from stacks.constructs.state_kinds import State, function, receive

# What only optional states make, for the states that come after them whether they ran or not.
_MADE: Mapping[str, Any] = {
    "tuning": None,
    "comparison": {"champion": None, "metrics": [], "words": "No comparison was asked for."},
    "package": None,
    "approval": None,
    "batch": None,
}


def definition(algorithm: Algorithm, site: Mapping[str, Any]) -> dict[str, Any]:
    """The state machine of one algorithm.

    Args:
        site: what the Plan function needs to know of the deployment (lambdas/plan/site.py).
    """
    networked = "vpc" in site
    return {
        "Comment": f"Train, evaluate and deploy {algorithm.name}",
        "StartAt": "Receive",
        "States": {
            **_beginning(algorithm, site),
            **training_states(algorithm, networked=networked),
            **release_states(algorithm),
            **batch_states(networked=networked),
            **deployment_states(algorithm, str(site["name_prefix"]), networked=networked),
            **success_states(algorithm),
            **failure_states(algorithm),
        },
    }


def _beginning(algorithm: Algorithm, site: Mapping[str, Any]) -> dict[str, State]:
    described = algorithm.model_dump(mode="json", exclude_defaults=True)
    return {
        "Receive": receive("Plan", made=_MADE),
        "Plan": function(
            "Plan",
            "${PlanFunction}",
            {"algorithm": described, "site": dict(site), "execution.$": "$.execution"},
            "$.plan",
            "Choose",
        ),
        # A tuning job may choose others.
        "Choose": {
            "Type": "Pass",
            "Parameters": {"hyperparameters.$": "$.plan.training.HyperParameters"},
            "ResultPath": "$.chosen",
            "Next": "IsToBePrepared",
        },
    }
