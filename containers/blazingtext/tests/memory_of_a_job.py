"""Reads, trains and writes as a job does; prints the most anonymous memory (bytes) that each step had, as JSON.

`python memory_of_a_job.py CORPUS DIM THREADS`. Anonymous memory is what counts against an instance: mapped files are
dropped by the kernel when memory is short. VmHWM holds them, too, so RssAnon is sampled.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blazingtext._engine import Corpus, Trainer

most: dict[str, int] = {}


def anonymous() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


@contextmanager
def sampled(step: str) -> Iterator[None]:
    done = threading.Event()

    def sample() -> None:
        while not done.is_set():
            most[step] = max(most.get(step, 0), anonymous())
            time.sleep(0.0005)

    sampler = threading.Thread(target=sample)
    sampler.start()
    yield
    done.set()
    sampler.join()


def main(path: str, dim: int, threads: int) -> None:
    with sampled("start"):
        pass
    with sampled("read"):
        corpus = Corpus([path], 5, threads)
    with sampled("train"):
        trainer = Trainer(
            corpus,
            mode="batch_skipgram",
            dim=dim,
            window_size=2,
            negative_samples=2,
            batch_size=5,
            epochs=20,  # so many that the threads have as many rows of their own as they may
            learning_rate=0.05,
            sampling_threshold=1e-4,
            subwords=False,
            min_char=3,
            max_char=6,
            buckets=1,
            seed=1,
            threads=threads,
        )
        for _ in range(0, corpus.tokens_read, 10**6):
            trainer.train(10**6)
    with sampled("write"), tempfile.TemporaryDirectory() as folder:
        trainer.write_text_vectors(f"{folder}/vectors.txt")
    print(json.dumps({**most, "tokens": corpus.tokens_read, "words": len(corpus.counts)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
