"""Step Functions' integration with itself: arn:aws:states:::states:startExecution, with .sync and .sync:2.

moto's has lost the way between the names that a definition uses (StateMachineArn) and those of the API
(stateMachineArn), so that every such task fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kindling.localcloud.plain_json import with_millisecond_dates
from kindling.localcloud.seams import replace


def install() -> None:
    """Translate names on both ways; dates are milliseconds since 1970, as the service gives them."""
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
        StateTaskServiceSfn,
    )

    def normalise_parameters(self: Any, parameters: dict[str, Any], *_rest: Any, **_named: Any) -> None:  # noqa: ARG001
        given = {name[0].lower() + name[1:]: value for name, value in parameters.items()}
        if not isinstance(given.get("input"), str):
            given["input"] = json.dumps(given.get("input", {}))
        parameters.clear()
        parameters.update(given)

    def normalise_response(self: Any, response: dict[str, Any], *_rest: Any, **_named: Any) -> None:  # noqa: ARG001
        found = _as_a_definition_names_it(response)
        response.clear()
        response.update(found)

    def evaluate(self: Any, env: Any, *rest: Any, **named: Any) -> None:
        original(self, env, *rest, **named)
        env.stack.append(_as_a_definition_names_it(env.stack.pop()))

    replace(StateTaskServiceSfn, "_normalise_parameters", normalise_parameters)
    replace(StateTaskServiceSfn, "_normalise_response", normalise_response)
    original = replace(StateTaskServiceSfn, "_eval_service_task", evaluate)


def _as_a_definition_names_it(response: Mapping[str, Any]) -> dict[str, Any]:
    named = {name[0].upper() + name[1:]: value for name, value in response.items() if name != "ResponseMetadata"}
    plain: dict[str, Any] = with_millisecond_dates(named)
    return plain
