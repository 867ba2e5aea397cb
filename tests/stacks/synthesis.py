"""Synthesises the app the way the CDK's command line does, and reads what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]

Template = dict[str, Any]


@dataclass(frozen=True)
class Assembly:
    """A folder of synthesised templates."""

    path: Path

    @cached_property
    def templates(self) -> dict[str, Template]:
        """Every template by its stack's name."""
        paths = sorted(self.path.glob("*.template.json"))
        return {path.name.removesuffix(".template.json"): json.loads(path.read_text()) for path in paths}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        return manifest

    def resources(self, type: str, stack: str | None = None) -> Iterator[dict[str, Any]]:
        """Every resource of a type, in all stacks or in one."""
        for name, template in self.templates.items():
            if stack in (None, name):
                yield from (resource for resource in template["Resources"].values() if resource["Type"] == type)

    def violations(self) -> set[tuple[str, str]]:
        """What the validation plugins found, cdk-nag among them: (path of the construct, rule)."""
        report = json.loads((self.path / "validation-report.json").read_text())
        return {
            (resource["constructPath"], violation["ruleName"])
            for plugin in report["pluginReports"]
            for violation in plugin["violations"]
            for resource in violation["violatingConstructs"]
        }


def run_app(
    out: Path, *, prefix: Sequence[str] = (), program: str = "app.py", **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run app.py, or another program of the CDK, with cdk.json's context and these settings over it, no credentials."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "JSII_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CDK_CONTEXT_JSON": json.dumps({**CONTEXT, "aws:cdk:enable-path-metadata": True, **settings}),
        "CDK_OUTDIR": str(out),
    }
    return subprocess.run(
        [*prefix, sys.executable, program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
