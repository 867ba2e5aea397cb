"""A translator over HTTP: the original container's protocol, and one with instances, scores and a configuration.

A JSON string is answered by a JSON string, the best translation; both are HTML-escaped, as the original's clients
expect. `{"instances": [...], "configuration": {"beam": 5, "nbest": 1, "lenpen": 1.0}}` and JSON Lines of
`{"source": ...}` are answered with scores, and nothing in them is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from contract.errors import ClientError
from contract.serving import (
    JSON,
    JSON_LINES,
    Handler,
    Handlers,
    InstanceError,
    at_least_one,
    encode,
    instances_handler,
    kind,
    lines_handler,
    run_server,
    short,
)
from translator import artifact
from translator.compatibility import silence
from translator.translation import Search, Translation, Translator

_LARGEST_BEAM = 200
_ENTRIES = ("beam", "nbest", "lenpen")


def serve() -> int:
    """Serve the model folder until SIGTERM."""
    silence()
    return run_server(load)


def load(folder: Path) -> Handlers:
    """The request handlers of the model in a folder.

    Raises:
        ClientError: there is no model, or it is damaged.
    """
    import torch

    torch.set_num_threads(1)  # a worker per core; and threads of OpenMP do not outlive a fork
    translator = artifact.read(folder)

    def predict(instances: Sequence[Any], options: Sequence[tuple[Search, int]]) -> list[dict[str, Any]]:
        for number, instance in enumerate(instances):
            if not isinstance(instance, str):
                raise InstanceError(number, f"is {kind(instance)}; it must be a string.")
        return [_answer(translation) for translation in translator.translate(instances, options)]

    def configure(configuration: Mapping[str, Any]) -> tuple[Search, int]:
        return configured(configuration, translator.search)

    general = instances_handler(predict, configure)

    def answer(body: bytes) -> bytes:
        text = _original_request(body)
        return general.answer(body) if text is None else encode(_original_answer(translator, text))

    return {JSON: Handler(answer), JSON_LINES: lines_handler(predict, configure)}


def configured(configuration: Mapping[str, Any], search: Search) -> tuple[Search, int]:
    """The search that a request asks for, and how many hypotheses it wants.

    Raises:
        ClientError: an entry is unknown or out of range; the sentence begins with its name.
    """
    for name in configuration:
        if name not in _ENTRIES:
            raise ClientError(f"{name} is unknown; known are {', '.join(_ENTRIES)}.")
    nbest = at_least_one("nbest", configuration.get("nbest", 1))
    beam = at_least_one("beam", configuration.get("beam", max(search.beam, nbest)))
    lenpen = configuration.get("lenpen", search.lenpen)
    if beam > _LARGEST_BEAM:
        raise ClientError(f"beam={beam} is not valid; it must be an integer from 1 to {_LARGEST_BEAM}.")
    if nbest > beam:
        raise ClientError(f"nbest={nbest} is not valid; it must be at most beam={beam}.")
    if not isinstance(lenpen, int | float) or isinstance(lenpen, bool) or not -100 <= lenpen <= 100:
        raise ClientError(f"lenpen={short(lenpen)} is not valid; it must be a number from -100 to 100.")
    return replace(search, beam=beam, lenpen=float(lenpen)), nbest


def _answer(translation: Translation) -> dict[str, Any]:
    translations = [{"text": one.text, "score": round(one.score, 6)} for one in translation.hypotheses]
    return {"translations": translations, "truncated": translation.truncated}


def _original_request(body: bytes) -> str | None:
    """The text of a request of the original's kind, None of any other."""
    if not body.lstrip().startswith(b'"'):
        return None
    try:
        text = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError(
            f"the request is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    return str(text)


def _original_answer(translator: Translator, text: str) -> str:
    found = translator.translate([html.unescape(text)], [(translator.search, 1)])
    return html.escape(found[0].hypotheses[0].text)
