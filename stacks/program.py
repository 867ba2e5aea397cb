"""Running a CDK app: its settings are read once and its stacks wired."""

from __future__ import annotations

import sys
from collections.abc import Callable

import aws_cdk as cdk

from stacks.settings import InvalidSettingError, Settings


def run(wire: Callable[[cdk.App, Settings], None]) -> None:
    """Synthesises what `wire` puts into an app; exits with 1 and a sentence where the settings cannot be meant."""
    app = cdk.App()
    try:
        wire(app, Settings.from_context(app.node.get_all_context()))
    except InvalidSettingError as error:
        sys.exit(str(error))
    app.synth()
