"""An existing fairseq checkpoint as a model that the endpoint serves. It is unpickled, so it must be trusted."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path

from contract.errors import ClientError
from contract.specification import Value
from translator import artifact
from translator.compatibility import import_fairseq
from translator.preparation import CODES
from translator.text import CONTINUES, TextPipeline, dictionary_words, knows_entities
from translator.translation import Search

logger = logging.getLogger(__name__)

_CODES = (CODES, "code")


def convert(source: Path, target: Path, options: Mapping[str, Value | None]) -> None:
    """Make a model folder of a checkpoint beside its dictionaries and codes.

    Args:
        source: a folder with checkpoint_best.pt, or the .pt itself.
        target: a folder, made if it is not there.
        options: tokenizer, beam and lenpen.
    Raises:
        ClientError: no checkpoint, no dictionaries, or no translation model.
    """
    import torch

    path = source / "checkpoint_best.pt" if source.is_dir() else source
    if not path.is_file():
        raise ClientError(f"{source} holds no checkpoint_best.pt and is no checkpoint; name a fairseq checkpoint.")
    import_fairseq()
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ClientError(f"{path} is no checkpoint that torch can load: {error}") from None
    if not isinstance(checkpoint, dict) or "model" not in checkpoint:
        raise ClientError(f"{path} is no checkpoint of fairseq: it holds no model.")
    languages = _languages(checkpoint)
    folder = path.parent
    for language in languages:
        if not (folder / f"dict.{language}.txt").is_file():
            raise ClientError(f"{folder} holds no dict.{language}.txt; put the checkpoint's dictionaries beside it.")
    words = dictionary_words(folder / f"dict.{languages[1]}.txt")
    codes = next((folder / name for name in _CODES if (folder / name).is_file()), None)
    if codes is None and any(word.endswith(CONTINUES) for word in words):
        raise ClientError(f"{folder} holds no {CODES}, but the model's words are split; put its BPE codes beside it.")
    pipeline = TextPipeline(*languages, str(options["tokenizer"]), codes, knows_entities(words))
    beam, lenpen = options["beam"], options["lenpen"]
    assert isinstance(beam, int)
    assert isinstance(lenpen, int | float)
    target.mkdir(parents=True, exist_ok=True)
    artifact.write(target, checkpoint, folder, pipeline, Search(beam=beam, lenpen=float(lenpen)))
    artifact.read(target)  # what cannot be read must not be found out at the endpoint
    logger.info("%s holds the model; `tar -czf model.tar.gz -C %s .` packs it for an endpoint.", target, target)


def _languages(checkpoint: Mapping[str, object]) -> tuple[str, str]:
    arguments = artifact.arguments(checkpoint)
    found = arguments.get("source_lang"), arguments.get("target_lang")
    if not all(found):
        raise ClientError("the checkpoint does not tell its languages (source_lang, target_lang).")
    return str(found[0]), str(found[1])
