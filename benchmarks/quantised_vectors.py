"""What quantised vectors lose: size, recall of nearest neighbours and mean_rho of a .ftz by the dimensions of a block.

`.venvs/blazingtext/bin/python -m benchmarks.quantised_vectors MODEL/vectors.bin` quantises a trained model anew for
each block and asks 1,000 of its 20,000 most frequent words for their neighbours.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blazingtext.evaluation import evaluate
from blazingtext.model import Model
from blazingtext.quantised_model import write_quantised
from blazingtext.word_vectors import WordVectors

BLOCKS = (1, 2, 4, 8)
ASKED, AMONG, NEIGHBOURS = 1_000, 20_000, 10


def vectors_of(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """A model's words and their vectors, shape (words, dim)."""
    model = Model(path)
    return model.words, WordVectors(model).lookup(model.words)


def nearest(vectors: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of greatest cosine with each row that is asked for, itself left out; shape (len(asked), NEIGHBOURS)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarities = unit[asked] @ unit.T
    similarities[np.arange(len(asked)), asked] = -np.inf
    best: NDArray[np.int64] = np.argpartition(-similarities, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return best


def recall(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    """The share of the expected neighbours that were found."""
    pairs = zip(found.tolist(), expected.tolist(), strict=True)
    return sum(len({*one} & {*other}) for one, other in pairs) / expected.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a vectors.bin")
    path: Path = parser.parse_args().model
    words, full = vectors_of(path)
    asked = np.random.default_rng(0).choice(min(AMONG, len(words)), min(ASKED, len(words)), replace=False)
    expected = nearest(full, asked)
    print("| file | MB | recall@10 | mean_rho | seconds to make |\n| --- | --- | --- | --- | --- |")
    print(f"| {path.name} | {path.stat().st_size / 1e6:.1f} | 1 | {evaluate(words, full).mean_rho} | |")
    with tempfile.TemporaryDirectory() as scratch:
        for block in BLOCKS:
            made = Path(scratch) / f"block-{block}.ftz"
            begun = time.monotonic()
            write_quantised(Model(path), made, block=block, seed=1, threads=os.cpu_count() or 1)
            seconds = time.monotonic() - begun
            _, quantised = vectors_of(made)
            found = recall(nearest(quantised, asked), expected)
            rho = evaluate(words, quantised).mean_rho
            print(
                f"| {made.name} | {made.stat().st_size / 1e6:.1f} | {found:.3f} | {rho} | {seconds:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()
