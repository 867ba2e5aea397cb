"""Scores the vectors that a program left in its folder by how people judge pairs of words.

`python -m benchmarks.similarity FOLDER [--rare-words FILE]` runs in BlazingText's environment and prints JSON:
`mean_rho` and the three WordSim-353 correlations as our evaluation computes them, Spearman's rho on SimLex-999 (Hill et
al. 2015, in gensim's package) and on the Stanford rare words (Luong et al. 2013, a file of word, word, score, parted by
tabs). Models without subwords are scored on the pairs whose words both are in the vocabulary, and so is every model on
WordSim-353; with subwords every word has a vector.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext.evaluation import cosine, evaluate, spearman_rho, wordsim353

Pairs = list[tuple[str, str, float]]
Lookup = Callable[[str], NDArray[np.float32] | None]


def read_pairs(path: Path) -> Pairs:
    """Word, word, score a line, parted by tabs; lines that begin with # are comments."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [(first.lower(), second.lower(), float(score)) for first, second, score in lines]


def open_vectors(folder: Path) -> tuple[set[str], Lookup]:
    """The vocabulary, and each word's vector; None for a word that has none.

    A fastText .bin is read by the fastText package, whoever wrote it.
    """
    if (folder / "vectors.bin").exists():
        import fasttext

        model = fasttext.load_model(str(folder / "vectors.bin"))
        words, subwords = set(model.words), model.f.getArgs().maxn > 0
        return words, lambda word: model.get_word_vector(word) if subwords or word in words else None
    from gensim.models import KeyedVectors

    vectors = KeyedVectors.load_word2vec_format(str(folder / "vectors.txt"))
    return set(vectors.key_to_index), lambda word: vectors[word] if word in vectors.key_to_index else None


def wordsim_scores(vocabulary: set[str], lookup: Lookup) -> dict[str, float | None]:
    """mean_rho, and rho on WordSim-353 ALL, REL and SIM."""
    spellings = {form for pair in wordsim353() for word in (pair.first, pair.second) for form in (word, word.lower())}
    known = sorted(spellings & vocabulary)
    evaluation = evaluate(known, np.array([lookup(word) for word in known]))
    sets = {name.split("-")[-1].removesuffix(".txt"): found["spearmans_rho"] for name, found in evaluation.sets.items()}
    return {"mean_rho": evaluation.mean_rho, **sets}


def rho(pairs: Pairs, lookup: Lookup) -> tuple[float | None, int]:
    """Spearman's rho over the pairs whose words both have a vector, and how many pairs those are."""
    found = [
        (score, cosine(x, y))
        for first, second, score in pairs
        if (x := lookup(first)) is not None and (y := lookup(second)) is not None
    ]
    if len(found) < 2:
        return None, len(found)
    people, model = np.array(found, dtype=np.float64).T
    return spearman_rho(people, model), len(found)


def score(folder: Path, rare_words: Path | None) -> dict[str, Any]:
    """All scores of the vectors in a folder."""
    from gensim.test.utils import datapath

    vocabulary, lookup = open_vectors(folder)
    scores: dict[str, Any] = {"words": len(vocabulary), **wordsim_scores(vocabulary, lookup)}
    scores["simlex"], scores["simlex_pairs"] = rho(read_pairs(Path(datapath("simlex999.txt"))), lookup)
    if rare_words is not None:
        scores["rare_words"], scores["rare_words_pairs"] = rho(read_pairs(rare_words), lookup)
    return scores


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rare-words", type=Path)
    arguments = parser.parse_args()
    print(json.dumps(score(arguments.folder, arguments.rare_words)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
