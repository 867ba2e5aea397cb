"""The app synthesised once, for every check of its templates."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kindling.iam_matrix import WIDEST
from tests.stacks.synthesis import Assembly, Template, run_app

# Constructs that a test makes in this process need the environment's Node, too.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """What cdk.json's own settings give."""
    return _synthesised(tmp_path_factory.mktemp("cdk") / "out")


@pytest.fixture(scope="session")
def account_assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """What account.py gives with everything that the settings can want of it."""
    wanted = {
        "monthly_budget_usd": "200",
        "sagemaker_budget_usd": "150",
        "alarm_email": "ml@example.org, money@example.org",
        "idle_endpoint_action": "delete",
        "registry_scanning": "enhanced",
    }
    return _synthesised(tmp_path_factory.mktemp("account") / "out", program="account.py", **wanted)


@pytest.fixture(scope="session")
def widest_assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The app with all that settings can add: a private network, dashboards, a trigger."""
    return _synthesised(tmp_path_factory.mktemp("widest") / "out", **WIDEST["app.py"])


@pytest.fixture(scope="session")
def widest(widest_assembly: Assembly, account_assembly: Assembly) -> dict[str, Template]:
    """The templates that docs/iam.md is made of: roles have in them all that settings can give them."""
    # What else is wanted there, budgets and the like, gives no role anything.
    return {**widest_assembly.templates, **account_assembly.templates}


def _synthesised(out: Path, **options: Any) -> Assembly:
    process = run_app(out, **options)
    # A refusal by the validation plugins still leaves the templates, and tests say which stack is at fault.
    assert process.returncode == 0 or (out / "validation-report.json").exists(), process.stderr
    return Assembly(out)


# The templates under other settings than the defaults.
_WIDE = {"account_assembly", "widest_assembly", "other", "private", "existing", "triggered"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make check` has time for the templates under the default settings; `make test` looks at the others, too."""
    for item in items:
        if _WIDE & set(getattr(item, "fixturenames", ())):
            item.add_marker("wide")
