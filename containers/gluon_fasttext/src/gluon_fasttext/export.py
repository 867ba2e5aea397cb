"""A trained model as a fastText .bin, which gives the same labels and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from contract import fasttext_format
from contract.specification import Value
from gluon_fasttext.classifier import TextClassifier


def export(source: Path, target: Path, _options: Mapping[str, Value | None]) -> None:
    """Write the model in the folder `source` as the file `target`.

    fastText neither normalises nor shortens texts: where the model does, whoever asks the .bin must do so before.

    Raises:
        ClientError: there is no model in the folder, or it is damaged.
    """
    model = TextClassifier.read(source)
    config, words = model.config, model.vocabulary
    settings = fasttext_format.classifier_settings(
        dim=model.output.shape[1],
        epochs=config.epochs,
        min_count=config.min_count,
        word_ngrams=config.ngrams,
        buckets=config.buckets,
        loss="softmax",
    )
    fasttext_format.write(
        target,
        settings,
        words=words.words,
        counts=np.concatenate([words.counts, words.label_counts]),
        tokens=words.tokens,
        input=model.embedding,
        bucket_ids=model.used_buckets.astype(np.uint32),
        output=model.output,
        labels=words.labels,
    )
    print(f"{target}: {len(words.words)} words, {len(words.labels)} labels")
