"""How many threads may train on the same matrices.

Threads add to rows without locks, which does no harm where they rarely hold the same row (Niu et al. 2011, "Hogwild!").
In a corpus of few different words they always do, and what one of them adds is lost or comes when the others have gone
on: the vectors are then worse than those of one thread.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORDS_PER_THREAD = 32  # by trial: with ten words three threads spoil the vectors, with three hundred they do not


def most_threads(counts: NDArray[np.int64], sampling_threshold: float) -> int:
    """How many threads may train, at least one.

    Args:
        counts: shape (V,), of the words in the corpus, not all zero.
        sampling_threshold: of the job; frequent words are dropped as word2vec does.
    """
    frequencies = counts[counts > 0] / counts.sum()
    kept = frequencies * np.minimum(
        1.0, (np.sqrt(frequencies / sampling_threshold) + 1) * sampling_threshold / frequencies
    )
    kept /= kept.sum()
    # The chance that two tokens are the same word is that of so many words that are equally frequent.
    different_words = 1.0 / float((kept**2).sum())
    return max(1, int(different_words / _WORDS_PER_THREAD))
