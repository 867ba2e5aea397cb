"""How well word vectors agree with people: Spearman's rho on WordSim-353, whole and in its two subsets.

Pairs and scores come with gensim (Finkelstein et al. 2002). Which pairs measure similarity (SIM) and which relatedness
(REL) follows Agirre et al. 2009; pairs that are unrelated belong to both.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

# One letter a pair, in the order of gensim's file: (r)elated, (s)imilar, (b)oth, or neither.
_MEMBERSHIP = (
    "rssrrrssrssrsssssbsrrbbbbrbbrrssbbsssrrbsrsssrrrsrrrrrrsbrssbbrsrbssssssssssssrrbbrbbsbbbbbbbbbbs-sr"
    "rrrrrrbsssssssrsrrrrrrrrssrsrssrrrsbbrbbsrsbsssrbbrssbrrrrrrbbrrrbrrbbsbrbbrrssbbbrsbbbrbbbrbrrsbrrr"
    "rbsrrbbrrssrrrsbbbbrbbrsrbbbbrrrrrrbsrrrbbrbsssbbrsbbbbsrsrrrbrbsssrrrrsrrbbrsrrrsrrbrssssrrbbrrsrbr"
    "rrrrrrsssrsrbrrrbbbbbsrrrbbbbrrrrbbbssbrrssbrrrsrrrrb"
)
_SETS = {"EN-WS-353-ALL.txt": "rsb-", "EN-WS-353-REL.txt": "rb", "EN-WS-353-SIM.txt": "sb"}


class SetScore(TypedDict):
    """One set's part of eval.json. `spearmans_rho` is None where too few pairs are known to give one."""

    not_found: int
    spearmans_rho: float | None
    total_pairs: int


@dataclass(frozen=True)
class Evaluation:
    """Scores by set, and their plain mean; the mean is None when a set has no score."""

    sets: dict[str, SetScore]
    mean_rho: float | None

    @property
    def found(self) -> int:
        """Pairs of the whole set of which both words are known."""
        whole = next(iter(self.sets.values()))
        return whole["total_pairs"] - whole["not_found"]

    @property
    def total(self) -> int:
        """Pairs of the whole set."""
        return next(iter(self.sets.values()))["total_pairs"]

    def as_json(self) -> dict[str, SetScore | float | None]:
        """The content of eval.json."""
        return {**self.sets, "mean_rho": self.mean_rho}


@dataclass(frozen=True)
class Pair:
    """Two words, people's score of them from 0 to 10, and the letter of the subsets it belongs to."""

    first: str
    second: str
    score: float
    membership: str


def rows_of_pairs(words: Sequence[str]) -> list[int]:
    """Where the pairs' words stand among `words`: all that `evaluate` has a use for."""
    wanted = _spellings(wordsim353())
    return [row for row, word in enumerate(words) if word in wanted]


def evaluate(words: Sequence[str], vectors: NDArray[np.float32]) -> Evaluation:
    """Score vectors on WordSim-353.

    A pair's words are looked up in lower case, as BlazingText does, and as they are written where that is not known.

    Args:
        words: V words.
        vectors: shape (V, dim), finite.
    """
    pairs = wordsim353()
    index = {words[row]: row for row in rows_of_pairs(words)}

    def row(word: str) -> int | None:
        return index.get(word.lower(), index.get(word))

    known = [
        (pair, cosine(vectors[first], vectors[second]))
        for pair in pairs
        if (first := row(pair.first)) is not None and (second := row(pair.second)) is not None
    ]
    sets = {name: _score(letters, pairs, known) for name, letters in _SETS.items()}
    scores = [score["spearmans_rho"] for score in sets.values()]
    defined = [score for score in scores if score is not None]
    return Evaluation(sets, float(np.mean(defined)) if len(defined) == len(scores) else None)


def cosine(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """Cosine of the angle between two vectors of shape (dim,); 0 when either is zero."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else 0.0


def spearman_rho(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two samples.

    Args:
        x, y: shape (n,), n >= 2, finite; ties get their mean rank.
    Returns:
        rho in [-1, 1]; NaN when either sample is constant.
    Raises:
        ValueError: lengths differ or n < 2.
    """
    if x.shape != y.shape or len(x) < 2:
        raise ValueError(f"two samples of one length, at least 2, are needed; there are {len(x)} and {len(y)} values.")
    a, b = (ranks - ranks.mean() for ranks in (mean_ranks(x), mean_ranks(y)))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip((a @ b) / spread, -1.0, 1.0)) if spread else float("nan")


def mean_ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, shape (n,); equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


@cache
def wordsim353() -> tuple[Pair, ...]:
    """The 353 pairs, read from gensim's test data without importing gensim, which takes seconds.

    Raises:
        RuntimeError: gensim's file is not the one that the table of subsets was made for.
    """
    package = importlib.util.find_spec("gensim")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("gensim is not installed; it holds the pairs of WordSim-353.")
    path = Path(package.submodule_search_locations[0]) / "test" / "test_data" / "wordsim353.tsv"
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    if len(lines) != len(_MEMBERSHIP):
        raise RuntimeError(f"{path} holds {len(lines)} pairs; it must hold {len(_MEMBERSHIP)}.")
    return tuple(
        Pair(first, second, float(score), membership)
        for (first, second, score), membership in zip(lines, _MEMBERSHIP, strict=True)
    )


def _spellings(pairs: Sequence[Pair]) -> set[str]:
    return {spelling for pair in pairs for word in (pair.first, pair.second) for spelling in (word.lower(), word)}


def _score(letters: str, pairs: Sequence[Pair], known: Sequence[tuple[Pair, float]]) -> SetScore:
    total = sum(pair.membership in letters for pair in pairs)
    found = [(pair.score, similarity) for pair, similarity in known if pair.membership in letters]
    rho = None
    if len(found) >= 2:
        people, model = np.array(found, dtype=np.float64).T
        rho = spearman_rho(people, model)
    return {
        "not_found": total - len(found),
        "spearmans_rho": None if rho is None or np.isnan(rho) else rho,
        "total_pairs": total,
    }
