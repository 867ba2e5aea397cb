"""Trains one of the peers as a user of its package would, and says how long each part took.

`python -m benchmarks.peers PACKAGE MODE CORPUS TOKENS FOLDER SETTINGS [--subwords]` runs in BlazingText's environment,
leaves the vectors in the folder and prints one line of JSON: seconds to read, train, write and evaluate. The evaluation
is ours, for all programs.

Training seconds leave out reading and the making of the matrices:
- gensim: `train()` with the vocabulary built before, by `build_vocab()`;
- fastText reads and trains in one call, but its last progress report gives the words a second and thread since the
  start of its threads (`FastText::progressInfo`), counted over the raw tokens of all epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from benchmarks.programs import Settings
from blazingtext.evaluation import evaluate, wordsim353


def train_gensim(corpus: Path, folder: Path, mode: str, settings: Settings) -> dict[str, float]:
    """gensim's Word2Vec from a `corpus_file`, which is its fast way; the vectors go to vectors.txt."""
    from gensim.models import Word2Vec

    begun = time.perf_counter()
    model = Word2Vec(
        vector_size=settings.vector_dim,
        window=settings.window_size,
        negative=settings.negative_samples,
        sample=settings.sampling_threshold,
        min_count=settings.min_count,
        alpha=settings.learning_rate,
        sg=int(mode == "skipgram"),
        seed=settings.seed,
        workers=settings.threads,
    )
    model.build_vocab(corpus_file=str(corpus))
    read = time.perf_counter()
    model.train(
        corpus_file=str(corpus),
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=settings.epochs,
    )
    trained = time.perf_counter()
    model.wv.save_word2vec_format(str(folder / "vectors.txt"))
    written = time.perf_counter()
    evaluate(model.wv.index_to_key, model.wv.vectors)
    return {
        "read": read - begun,
        "train": trained - read,
        "write": written - trained,
        "evaluate": time.perf_counter() - written,
    }


def train_fasttext(
    corpus: Path, tokens: int, folder: Path, mode: str, settings: Settings, *, subwords: bool
) -> dict[str, float]:
    """fastText's `train_unsupervised`; the model goes to vectors.bin."""
    import numpy as np
    from fasttext import FastText

    FastText.unsupervised_default["seed"] = settings.seed  # `train_unsupervised` has no argument for it
    begun = time.perf_counter()
    with stderr_kept() as reports:
        model = FastText.train_unsupervised(
            str(corpus),
            model=mode,
            dim=settings.vector_dim,
            ws=settings.window_size,
            neg=settings.negative_samples,
            t=settings.sampling_threshold,
            minCount=settings.min_count,
            lr=settings.learning_rate,
            epoch=settings.epochs,
            minn=settings.min_char if subwords else 0,
            maxn=settings.max_char if subwords else 0,
            bucket=settings.buckets,
            thread=settings.threads,
            verbose=2,
        )
        trained = time.perf_counter()
        reports.seek(0)
        pace = words_per_second_and_thread(reports.read())
    training = tokens * settings.epochs / (pace * settings.threads)
    model.save_model(str(folder / "vectors.bin"))
    written = time.perf_counter()
    asked = {word.lower() for pair in wordsim353() for word in (pair.first, pair.second)}
    known = [word for word in model.words if word in asked]
    evaluate(known, np.array([model.get_word_vector(word) for word in known]))
    return {
        "read": trained - begun - training,
        "train": training,
        "write": written - trained,
        "evaluate": time.perf_counter() - written,
    }


@contextmanager
def stderr_kept() -> Iterator[IO[bytes]]:
    """A file that what the block writes to stderr goes to, also what C++ writes there."""
    stderr = os.dup(2)
    with TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def words_per_second_and_thread(report: bytes) -> float:
    """The last such figure of fastText's progress reports."""
    figures = re.findall(rb"words/sec/thread:\s+(\d+)", report)
    if not figures:
        sys.exit("fastText reported no words/sec/thread, so that its training time is unknown.")
    return float(figures[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", choices=["gensim", "fasttext"])
    parser.add_argument("mode", choices=["skipgram", "cbow"])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("tokens", type=int, help="raw tokens of the corpus")
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("--subwords", action="store_true")
    arguments = parser.parse_args()
    settings = Settings(**arguments.settings)
    if arguments.package == "gensim":
        seconds = train_gensim(arguments.corpus, arguments.folder, arguments.mode, settings)
    else:
        seconds = train_fasttext(
            arguments.corpus,
            arguments.tokens,
            arguments.folder,
            arguments.mode,
            settings,
            subwords=arguments.subwords,
        )
    print(json.dumps(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
