"""A trained model over HTTP, by the protocol of the built-in."""

from __future__ import annotations

from pathlib import Path

from contract.serving import Handlers, run_server
from linear_learner import builtin_format
from linear_learner.model import LinearModel
from linear_learner.requests import handlers


def serve() -> int:
    """Serve the model folder, or the models that the service loads, until SIGTERM."""
    return run_server(load)


def load(folder: Path) -> Handlers:
    """The request handlers of the model in a folder: one of ours, or the built-in's model_algo-1.

    Raises:
        ClientError: there is none, or it is damaged.
    """
    if (folder / builtin_format.NAME).exists():
        return handlers(builtin_format.read(folder / builtin_format.NAME))
    return handlers(LinearModel.read(folder))
