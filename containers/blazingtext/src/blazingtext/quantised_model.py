"""Making a quantised model, fastText's .ftz, of a trained one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from blazingtext._engine import FormatError
from blazingtext.model import Model
from blazingtext.quantised import QuantisedMatrix
from blazingtext.word_vectors import used_buckets
from contract import fasttext_format
from contract.cores import available_cpus
from contract.errors import ClientError
from contract.specification import Value

logger = logging.getLogger(__name__)


class _Options(BaseModel):
    """The options of the tool `quantize`, typed; defaults and ranges are in algorithm.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    quantized_block: int
    seed: int
    threads: int


def quantise_file(source: Path, target: Path, options: Mapping[str, Value | None]) -> None:
    """Write a vectors.bin, ours or fastText's, as a .ftz.

    Raises:
        ClientError: the file is no model that can be quantised.
    """
    chosen = _Options.model_validate(options)
    try:
        model = Model.of_word_vectors(source)
    except FormatError as error:
        raise ClientError(str(error)) from None
    if model.quantised:
        raise ClientError(f"{source} is quantised already; name the .bin that it was made from.")
    threads = chosen.threads or available_cpus()
    write_quantised(model, target, block=chosen.quantized_block, seed=chosen.seed, threads=threads)
    logger.info("%s: %.1f MB, of %.1f MB.", target, target.stat().st_size / 1e6, source.stat().st_size / 1e6)


def write_quantised(model: Model, path: Path, *, block: int, seed: int, threads: int) -> None:
    """Write the vectors of a model as a .ftz.

    While it works it holds a copy of the rows that are used of the input matrix.

    Args:
        model: not quantised.
        block: dimensions that share one code of one byte.
    """
    words = model.words
    buckets = used_buckets(words, model.settings)
    used = np.concatenate([np.arange(len(words)), len(words) + buckets])
    rows = model.input[used]
    block = min(block, model.settings.dim)
    fasttext_format.write_quantised(
        path,
        model.settings,
        words=words,
        counts=model.counts,
        tokens=model.tokens,
        input=QuantisedMatrix.of(rows, block, seed=seed, threads=threads),
        bucket_ids=buckets.astype(np.uint32),
    )
