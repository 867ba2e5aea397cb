"""An algorithm's tools: each makes a local file of another, `python -m PACKAGE TOOL INPUT OUTPUT [NAME=VALUE ...]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from contract import logs
from contract.errors import ClientError, is_users_mistake
from contract.paths import Paths
from contract.processing import tell_reason
from contract.specification import Value
from contract.training import installed_algorithm

ToolFunction = Callable[[Path, Path, Mapping[str, Value | None]], None]


def run_tool(package: str, name: str, use: ToolFunction, arguments: Sequence[str]) -> int:
    """Use a tool as the command line asks, and give the exit code: 0, or 1 with the reason on stderr.

    Args:
        package: the algorithm's package, which holds algorithm.toml.
        use: from (input, output, options), where algorithm.toml describes the options.
        arguments: the input, the output and options as NAME=VALUE.
    """
    logs.set_up()
    try:
        if len(arguments) < 2:
            raise ClientError(f"{name} needs an input and an output: python -m {package} {name} INPUT OUTPUT.")
        source, target, *given = arguments
        options = {option: value for option, _, value in (text.partition("=") for text in given)}
        use(Path(source), Path(target), installed_algorithm(package).tools[name].parse(options))
    except Exception as error:
        if not is_users_mistake(error) and not isinstance(error, OSError):
            raise
        print(error, file=sys.stderr)
        paths = Paths.from_environ()
        if paths.processing_config.exists():  # the tool is a Processing job's work
            tell_reason(paths, error)
        return 1
    return 0
