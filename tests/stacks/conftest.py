"""The app synthesised once, for every check of its templates."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.stacks.synthesis import Assembly, run_app

# Constructs that a test makes in this process need the environment's Node, too.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """What cdk.json's own settings give."""
    out = tmp_path_factory.mktemp("cdk") / "out"
    process = run_app(out)
    # A refusal by the validation plugins still leaves the templates, and tests say which stack is at fault.
    assert process.returncode == 0 or (out / "validation-report.json").exists(), process.stderr
    return Assembly(out)
