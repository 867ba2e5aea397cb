"""The code of the functions as Lambda wants it: nothing but the modules that a function imports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

ROOT = Path(__file__).resolve().parents[2]


def function_modules(*folders: str) -> dict[str, Path]:
    """The modules of folders of lambdas/, by their paths in the function's code."""
    found = (path for folder in folders for path in sorted((ROOT / "lambdas" / folder).glob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path for path in found}


def contract_modules() -> dict[str, Path]:
    """The contract package by paths in a layer; a function imports the description of an algorithm and its errors."""
    package = ROOT / "containers" / "contract" / "src" / "contract"
    return {f"python/contract/{path.name}": path for path in sorted(package.glob("*.py"))}


def contract_layer(scope: Construct) -> lambda_.LayerVersion:
    """The contract package as a layer of functions that check what a user asks for."""
    with laid_out(contract_modules()) as code:
        return lambda_.LayerVersion(
            scope,
            "Contract",
            description="The description of an algorithm and the check of hyperparameters",
            code=lambda_.Code.from_asset(code),
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_11],
        )


@contextmanager
def laid_out(files: Mapping[str, Path]) -> Iterator[str]:
    """A folder with copies of just these files, gone again afterwards; the CDK copies an asset when it is made."""
    with TemporaryDirectory(prefix="kindling-code-") as folder:
        for name, source in files.items():
            target = Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        yield folder
