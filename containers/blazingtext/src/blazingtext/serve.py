"""A trained model over HTTP: a text classifier, or word vectors, as the model's files say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from blazingtext import text_classifier, word_requests, word_vectors
from blazingtext._engine import FormatError
from blazingtext.model import Model, model_file
from blazingtext.text_classifier import TextClassifier
from blazingtext.word_vectors import WordVectors
from contract.errors import ClientError
from contract.memory import container_bytes
from contract.serving import Handlers, run_server
from contract.text_classification import requests as text_requests

_HELD_SHARE = 0.25  # of the container's memory


def serve() -> int:
    """Serve the model folder, or the models that the service loads, until SIGTERM."""
    return run_server(load, partial(load, alone=True))


def load(folder: Path, *, alone: bool = False) -> Handlers:
    """Map the model in a folder: its request handlers by content type.

    A model.bin that holds word vectors, as fastText's users may have named it, is served as such.

    Args:
        alone: there is no other model, so that a classifier may be held in memory, which is faster.
    Raises:
        ClientError: there is none, or it is no model that can be served.
    """
    path = model_file(folder, text_classifier.MODEL_FILES + word_vectors.MODEL_FILES)
    try:
        if path.name in word_vectors.MODEL_FILES:
            return word_requests.handlers(WordVectors(Model.of_word_vectors(path)))
        model = Model(path)
    except FormatError as error:
        raise ClientError(str(error)) from None
    if model.supervised:
        if alone and path.stat().st_size <= container_bytes() * _HELD_SHARE:
            model.hold_input()
        classifier = TextClassifier(model)
        return text_requests.handlers(classifier, classifier.answer)
    return word_requests.handlers(WordVectors(model))
