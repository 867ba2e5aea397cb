"""Making a quantised model, fastText's .ftz, of a trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blazingtext import fasttext_format
from blazingtext.quantised import QuantisedMatrix
from blazingtext.word_vectors import used_buckets


def write_quantised(model: fasttext_format.Model, path: Path, *, block: int, seed: int, threads: int) -> None:
    """Write the vectors of a model as a .ftz.

    While it works it holds a copy of the rows that are used of the input matrix.

    Args:
        model: not quantised.
        block: dimensions that share one code of one byte.
    """
    buckets = used_buckets(model.words, model.settings)
    words = len(model.words)
    used = np.concatenate([np.arange(words), words + buckets])
    rows = np.ascontiguousarray(model.input[used])
    block = min(block, model.settings.dim)
    fasttext_format.write_quantised(
        path,
        model.settings,
        words=model.words,
        counts=model.counts,
        tokens=model.tokens,
        input=QuantisedMatrix.of(rows, block, seed=seed, threads=threads),
        bucket_ids=buckets.astype(np.uint32),
    )
