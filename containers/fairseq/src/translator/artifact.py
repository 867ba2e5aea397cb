"""A translation model as files that nobody has to unpickle.

model.safetensors   weights, by fairseq's names
config.json         architecture, languages, text pipeline, search
dict.<language>.txt fairseq's dictionaries
bpecodes            subword-nmt's codes, where words are split
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contract.errors import ClientError
from translator.compatibility import import_fairseq
from translator.preparation import CODES
from translator.text import TextPipeline
from translator.translation import Search, Translator

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_FORMAT = 1
_LITERAL = (
    *(ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Load),
    *(ast.BinOp, ast.Add, ast.Mult, ast.UnaryOp, ast.USub),
)


@dataclass(frozen=True)
class Artifact:
    """What config.json holds. `model` are fairseq's arguments of the architecture, as JSON."""

    arch: str
    model: Mapping[str, Any]
    source_lang: str
    target_lang: str
    tokenizer: str
    escaped: bool
    search: Search


def write(
    folder: Path, checkpoint: Mapping[str, Any], dictionaries: Path, pipeline: TextPipeline, search: Search
) -> None:
    """Write a model into a folder.

    Args:
        checkpoint: as fairseq wrote it, loaded.
        dictionaries: folder of dict.<language>.txt.
    Raises:
        ClientError: the checkpoint is no translation model of a known architecture.
    """
    from safetensors.torch import save_file

    built_with = arguments(checkpoint)
    weights = {name: tensor.detach().clone().contiguous() for name, tensor in checkpoint["model"].items()}
    save_file(weights, folder / WEIGHTS)
    for language in (pipeline.source_lang, pipeline.target_lang):
        shutil.copyfile(dictionaries / f"dict.{language}.txt", folder / f"dict.{language}.txt")
    if pipeline.codes:
        shutil.copyfile(pipeline.codes, folder / CODES)
    artifact = Artifact(
        arch=built_with["arch"],
        model=built_with,
        source_lang=pipeline.source_lang,
        target_lang=pipeline.target_lang,
        tokenizer=pipeline.tokenizer,
        escaped=pipeline.escaped,
        search=search,
    )
    content = {"format": _FORMAT, **asdict(artifact)}
    (folder / CONFIG).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read(folder: Path) -> Translator:
    """The model in a folder, ready to translate on the CPU.

    Raises:
        ClientError: a file is missing or damaged, or the architecture is unknown.
    """
    artifact = _config(folder)
    import_fairseq()
    pipeline = TextPipeline(
        artifact.source_lang,
        artifact.target_lang,
        artifact.tokenizer,
        folder / CODES if (folder / CODES).exists() else None,
        artifact.escaped,
    )
    source, target = (_dictionary(folder, language) for language in (artifact.source_lang, artifact.target_lang))
    return Translator(_model(folder, artifact, source, target), source, target, pipeline, artifact.search)


def _dictionary(folder: Path, language: str) -> Any:
    from fairseq.data import Dictionary

    path = folder / f"dict.{language}.txt"
    try:
        return Dictionary.load(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise ClientError(f"the model's {path.name} cannot be read: {error}.") from None


def _config(folder: Path) -> Artifact:
    path = folder / CONFIG
    if not path.exists():
        hint = ""
        if any(folder.glob("*.pt")):
            hint = " It holds a fairseq checkpoint, which `python -m translator convert` makes a model of."
        raise ClientError(f"the model folder holds no {CONFIG}, so it is no translation model.{hint}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ClientError(f"the model's {CONFIG} is of another format than {_FORMAT}.")
        languages = (content["source_lang"], content["target_lang"])
        if any("/" in language for language in languages):
            raise ClientError(f"the model's {CONFIG} names languages {languages}, which no file can be named after.")
        for name, value in content["model"].items():
            if isinstance(value, str) and not _is_literal(value):
                raise ClientError(f"the model's {CONFIG} has {name}={value[:100]!r}, which is more than a value.")
        return Artifact(**{**content, "search": Search(**content["search"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClientError(f"the model's {CONFIG} is damaged: {error}.") from None


def _model(folder: Path, artifact: Artifact, source: Any, target: Any) -> Any:
    from fairseq import models, tasks
    from fairseq.tasks.translation import TranslationConfig
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if artifact.arch not in models.ARCH_MODEL_REGISTRY:
        raise ClientError(f"the model's architecture {artifact.arch!r} is unknown to fairseq.")
    namespace = argparse.Namespace(**artifact.model)
    task = tasks.get_task("translation")(TranslationConfig.from_namespace(namespace), source, target)
    model = models.build_model(namespace, task, from_checkpoint=True)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS), strict=True, model_cfg=namespace)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ClientError(f"the model's {WEIGHTS} cannot be loaded: {reason}") from None
    return model


def arguments(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a checkpoint's model was built with, those that JSON can hold.

    Raises:
        ClientError: it holds no translation model of an architecture that fairseq knows.
    """
    from fairseq import models

    found: dict[str, Any] = {}
    config = checkpoint.get("cfg")
    if config is not None:
        for section in ("task", "model"):
            found |= _plain(config[section])
    elif checkpoint.get("args") is not None:  # of fairseq before 1.0
        found |= vars(checkpoint["args"])
    arch = found.get("arch") or found.get("_name")
    if "model" not in checkpoint or arch not in models.ARCH_MODEL_REGISTRY:
        raise ClientError(f"the checkpoint holds no model of an architecture that fairseq knows ({arch!r}).")
    if found.get("task", "translation") != "translation":
        raise ClientError(f"the checkpoint's task is {found['task']!r}; it must be translation.")
    plain = {name: value for name, value in found.items() if _is_json(value)}
    # Where the data lay and what else only training needs.
    for name in ("data", "save_dir", "distributed_init_method", "eval_bleu", "restore_file"):
        plain.pop(name, None)
    paths = {name: None for name in plain if name.endswith("_path")}  # of vectors to begin with, say
    return {**plain, **paths, "arch": arch, "eval_bleu": False}


def _plain(section: Any) -> dict[str, Any]:
    """A section of a checkpoint's configuration, which fairseq writes as one of three types."""
    from omegaconf import DictConfig, OmegaConf

    if isinstance(section, argparse.Namespace):
        return vars(section)
    made: Any = OmegaConf.to_container(section) if isinstance(section, DictConfig) else section
    return dict(made or {})


def _is_literal(text: str) -> bool:
    """Whether a text is harmless where fairseq evaluates it as Python, as it does with `[(512, 3)] * 20`.

    Nothing can be called or looked up without brackets, so what has none is.
    """
    if not any(bracket in text for bracket in "([{"):
        return True
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return True  # fairseq cannot evaluate it either
    except (RecursionError, MemoryError):
        return False
    return all(isinstance(node, _LITERAL) for node in ast.walk(tree))


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
