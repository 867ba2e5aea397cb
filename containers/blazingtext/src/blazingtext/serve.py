"""A trained model over HTTP: a text classifier, or word vectors, as the model's files say."""

from __future__ import annotations

import struct
from pathlib import Path

from blazingtext import fasttext_format, text_requests, word_requests
from blazingtext.word_vectors import WordVectors
from contract.errors import ClientError
from contract.serving import Handlers, run_server

CLASSIFIERS, VECTORS = ("model.bin", "model.ftz"), ("vectors.bin", "vectors.ftz")

_ARCHITECTURE_AT, _SUPERVISED = 36, 3


def serve() -> int:
    """Serve the model folder, or the models that the service loads, until SIGTERM."""
    return run_server(load)


def load(folder: Path) -> Handlers:
    """Map the model in a folder: its request handlers by content type.

    Raises:
        ClientError: there is none, or it is no model that can be served.
    """
    path = next((folder / name for name in CLASSIFIERS + VECTORS if (folder / name).exists()), None)
    if path is None:
        raise ClientError(
            f"the model holds none of {', '.join(CLASSIFIERS + VECTORS)}; one must be at the root of model.tar.gz."
        )
    if path.name in VECTORS:
        return word_requests.handlers(WordVectors.read(folder))  # type: ignore[arg-type, unused-ignore]
    if _is_classifier(path):
        from blazingtext.text_classifier import TextClassifier  # type: ignore[import-not-found, unused-ignore]

        return text_requests.handlers(TextClassifier.read(folder))
    try:
        return word_requests.handlers(WordVectors.of(fasttext_format.read(path)))  # type: ignore[arg-type, unused-ignore]
    except fasttext_format.FormatError as error:
        raise ClientError(str(error)) from None


def _is_classifier(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_ARCHITECTURE_AT + 4)
    return len(head) == _ARCHITECTURE_AT + 4 and struct.unpack_from("<i", head, _ARCHITECTURE_AT)[0] == _SUPERVISED
