"""Joining words into phrases before training: the tool `phrases`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from blazingtext._engine import join_phrases
from contract.channels import InputChannel
from contract.cores import available_cpus
from contract.errors import ClientError
from contract.specification import Value

logger = logging.getLogger(__name__)

_SEPARATORS = " \t\n\r\v\f\0"


class _Options(BaseModel):
    """The tool's options, typed; defaults and ranges are in algorithm.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    passes: int
    threshold: float
    min_count: int
    delimiter: str
    threads: int


def join(source: Path, target: Path, options: Mapping[str, Value | None]) -> None:
    """Write a corpus, a file or a folder of files, into one file with its phrases joined.

    Raises:
        ClientError: the corpus is empty or not UTF-8, or the delimiter would part the words again.
    """
    chosen = _Options.model_validate(options)
    if any(separator in chosen.delimiter for separator in _SEPARATORS):
        raise ClientError(f"option delimiter={chosen.delimiter!r} separates words; it must hold no white space.")
    files = InputChannel("input", source).files() if source.is_dir() else [source]
    try:
        read, written, kinds = join_phrases(
            [str(path) for path in files],
            str(target),
            passes=chosen.passes,
            threshold=chosen.threshold,
            min_count=chosen.min_count,
            delimiter=chosen.delimiter,
            threads=chosen.threads or available_cpus(),
        )
    except ValueError as error:
        raise ClientError(str(error)) from error
    for number, count in enumerate(kinds, 1):
        logger.info("Pass %d of %d: %d kinds of pairs joined.", number, len(kinds), count)
    logger.info("%s: %d tokens, of %d read.", target, written, read)
