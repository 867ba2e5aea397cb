"""What every state machine of the app has: states as literal text, logs and traces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.log_group import log_group
from stacks.settings import Settings


def state_machine(
    scope: Construct,
    *,
    settings: Settings,
    comment: str,
    definition: Mapping[str, Any],
    substitutions: Mapping[str, str],
    role: iam.IRole,
) -> sfn.StateMachine:
    """A state machine that is logged and traced.

    Args:
        definition: in Amazon States Language; names in ${...} are keys of `substitutions`.
    """
    return sfn.StateMachine(
        scope,
        "StateMachine",
        comment=f"{settings.name}: {comment}",
        # A literal text, so that a linter of templates sees the states; what is known only later is substituted.
        definition_body=sfn.DefinitionBody.from_string(json.dumps(definition, indent=1)),
        definition_substitutions=dict(substitutions),
        role=role,
        logs=sfn.LogOptions(
            destination=log_group(scope, "Executions", settings), level=sfn.LogLevel.ALL, include_execution_data=True
        ),
        tracing_enabled=True,
    )
