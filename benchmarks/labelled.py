"""Trains fastText's classifier, or scores a model of either's: what benchmarks/supervised.py runs in a process.

`python -m benchmarks.labelled train TEXT FOLDER SETTINGS` leaves model.bin in the folder and prints one line of JSON:
words a second, by fastText's own report. `... score MODEL TEXT` prints precision at 1 and recall at 5, both counted by
the fastText package.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import stderr_kept, words_per_second_and_thread


def train(text: Path, folder: Path, settings: dict[str, Any]) -> dict[str, float]:
    """fastText's `train_supervised`; the model goes to model.bin."""
    import fasttext

    with stderr_kept() as reports:
        model = fasttext.train_supervised(
            str(text),
            dim=settings["vector_dim"],
            lr=settings["learning_rate"],
            epoch=settings["epochs"],
            wordNgrams=settings["word_ngrams"],
            minCount=settings["min_count"],
            bucket=settings["buckets"],
            thread=settings["threads"],
            seed=settings["seed"],
            verbose=2,
        )
        reports.seek(0)
        pace = words_per_second_and_thread(reports.read())
    model.save_model(str(folder / "model.bin"))
    return {"words_per_second": pace * settings["threads"]}


def score(model: Path, text: Path) -> dict[str, float]:
    """Precision at 1 and recall at 5 of a model on labelled lines."""
    import fasttext

    loaded = fasttext.load_model(str(model))
    return {"precision_at_1": loaded.test(str(text), 1)[1], "recall_at_5": loaded.test(str(text), 5)[2]}


def main() -> int:
    match sys.argv[1:]:
        case ["train", text, folder, settings]:
            found = train(Path(text), Path(folder), json.loads(settings))
        case ["score", model, text]:
            found = score(Path(model), Path(text))
        case _:
            print("usage: python -m benchmarks.labelled train TEXT FOLDER SETTINGS | score MODEL TEXT", file=sys.stderr)
            return 2
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
