"""A server whose model measures strings: `python lengths_server.py`, with the environment of an endpoint.

The model is a folder with factor.txt, by which lengths are multiplied. `times` in a configuration multiplies once more,
`seconds` lets the answer wait.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.errors import ClientError
from contract.serving import (
    JSON,
    JSON_LINES,
    Handler,
    InstanceError,
    at_least_one,
    instances_handler,
    lines_handler,
    run_server,
    short,
)

CHEAP_INSTANCES = 50


def load(folder: Path) -> dict[str, Handler]:
    """The handlers of the model in a folder."""
    try:
        factor = int((folder / "factor.txt").read_text())
    except FileNotFoundError:
        raise ClientError("the model has no factor.txt; it must be at the root of model.tar.gz.") from None

    def predict(instances: Sequence[Any], options: Sequence[Mapping[str, Any]]) -> list[Any]:
        answers = []
        for number, (instance, option) in enumerate(zip(instances, options, strict=True)):
            if not isinstance(instance, str):
                raise InstanceError(number, f"is {short(instance)}; it must be a string.")
            time.sleep(option.get("seconds", 0))
            answers.append({"length": len(instance) * factor * option.get("times", 1)})
        return answers

    return {JSON: instances_handler(predict, configure, cheap), JSON_LINES: lines_handler(predict, configure, cheap)}


def configure(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check a configuration."""
    for name, value in configuration.items():
        if name == "times":
            at_least_one(name, value)
        elif name != "seconds" or not isinstance(value, int | float) or not 0 <= value <= 5:
            raise ClientError(f"{short(name)} is unknown; known are times and seconds.")
    return configuration


def cheap(instances: Sequence[Any], options: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing waits."""
    return len(instances) <= CHEAP_INSTANCES and not any("seconds" in option for option in options)


if __name__ == "__main__":
    sys.exit(run_server(load))
