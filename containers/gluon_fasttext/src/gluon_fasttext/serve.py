"""A trained classifier over HTTP, by the protocol of BlazingText's text classification."""

from __future__ import annotations

from pathlib import Path

from contract.serving import Handlers, run_server
from contract.text_classification.requests import handlers
from gluon_fasttext.classifier import TextClassifier


def serve() -> int:
    """Serve the model folder, or the models that the service loads, until SIGTERM."""
    return run_server(load, load)


def load(folder: Path) -> Handlers:
    """The request handlers of the model in a folder; it is read without MXNet.

    Raises:
        ClientError: there is none, or it is damaged.
    """
    return handlers(TextClassifier.read(folder))
