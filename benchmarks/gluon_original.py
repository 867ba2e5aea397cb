"""GluonNLP's classifier as its script has it, written anew: what benchmarks/gluon_fasttext.py runs in a process.

`python -m benchmarks.gluon_original TRAIN TEST SETTINGS` (in Gluon fastText's environment) trains on lines in
fastText's form and prints one line of JSON: tokens x epochs / training seconds, and accuracy on the test lines.

The script's model and choices: an exact dictionary of all n-grams of the training text, no hashing; an embedding layer
with dense gradients, initialised by Xavier, the masked mean over padded batches of 20 lengths (FixedBucketSampler), a
dense layer of one output for two classes (sigmoid) or of one for each (softmax), dropout of 0.1 on its outputs; adam,
whatever the optimizer; the learning rate halved at every epoch; the loss taken from the device after every batch.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gluon_fasttext.compatibility import load_gluonnlp, load_mxnet

_BUCKETS, _RATIO, _DROPOUT = 20, 0.2, 0.1
Example = tuple[list[int], int]


def main() -> int:
    if len(sys.argv) != 4:
        print("usage: python -m benchmarks.gluon_original TRAIN TEST SETTINGS", file=sys.stderr)
        return 2
    train, test, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    print(json.dumps(run(train, test, settings)))
    return 0


def run(train: Path, test: Path, settings: dict[str, Any]) -> dict[str, float]:
    """Train and score."""
    mx, nlp = load_mxnet(settings["threads"]), load_gluonnlp()
    mx.random.seed(settings["seed"])
    np.random.seed(settings["seed"])
    texts, labels = _read(train)
    tokens = sum(map(len, texts))
    features = [_ngrams(text, settings["ngrams"]) for text in texts]
    vocabulary = nlp.Vocab(Counter(feature for text in features for feature in text))
    classes = sorted(set(labels))
    examples = [(vocabulary[text], classes.index(label)) for text, label in zip(features, labels, strict=True)]
    outputs = 1 if len(classes) == 2 else len(classes)
    network = _network(mx, len(vocabulary), settings["emsize"], outputs)
    network.initialize(mx.init.Xavier())
    network.hybridize()
    loss = mx.gluon.loss.SigmoidBCELoss() if outputs == 1 else mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(network.collect_params(), "adam", {"learning_rate": settings["lr"]})
    began = time.perf_counter()
    for epoch in range(settings["epochs"]):
        if epoch:
            trainer.set_learning_rate(trainer.learning_rate * 0.5)
        for ids, lengths, targets in _batches(mx, nlp, examples, settings["batch_size"]):
            with mx.autograd.record():
                losses = loss(network(ids, lengths), targets).mean()
            losses.backward()
            trainer.step(1)
            losses.asscalar()
    seconds = time.perf_counter() - began
    found, truth = _read(test)
    right = 0
    for text, label in zip(found, truth, strict=True):
        ids = vocabulary[_ngrams(text, settings["ngrams"])]
        scores = network(mx.nd.array([ids]), mx.nd.array([len(ids)]))[0]
        best = int(scores.asscalar() > 0) if outputs == 1 else int(scores.argmax(axis=0).asscalar())
        right += classes[best] == label
    return {"words_per_second": tokens * settings["epochs"] / seconds, "accuracy": right / len(truth)}


def _network(mx: Any, words: int, dim: int, outputs: int) -> Any:
    gluon = mx.gluon

    class Network(gluon.HybridBlock):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.embedding = gluon.nn.Embedding(words, dim)
                self.output = gluon.nn.Dense(outputs)
                self.dropout = gluon.nn.Dropout(_DROPOUT)

        def hybrid_forward(self, F: Any, ids: Any, lengths: Any) -> Any:  # noqa: N803 - Gluon's name
            embedded = self.embedding(ids).transpose((1, 0, 2))
            masked = F.SequenceMask(embedded, sequence_length=lengths, use_sequence_length=True)
            mean = F.broadcast_div(F.sum(masked, axis=0), F.expand_dims(lengths, axis=1))
            return self.dropout(self.output(mean))

    return Network()


def _batches(mx: Any, nlp: Any, examples: Sequence[Example], size: int) -> Iterator[tuple[Any, Any, Any]]:
    sampler = nlp.data.FixedBucketSampler(
        [len(ids) for ids, _ in examples], batch_size=size, num_buckets=_BUCKETS, ratio=_RATIO, shuffle=True
    )
    batchify = nlp.data.batchify.Tuple(
        nlp.data.batchify.Pad(pad_val=0, ret_length=True), nlp.data.batchify.Stack(dtype="float32")
    )
    loader = mx.gluon.data.DataLoader(examples, batch_sampler=sampler, batchify_fn=batchify)
    for (ids, lengths), targets in loader:
        yield (
            ids.as_in_context(mx.cpu()),
            lengths.as_in_context(mx.cpu()).astype("float32"),
            targets.as_in_context(mx.cpu()),
        )


def _ngrams(text: Sequence[str], longest: int) -> list[str]:
    return [
        " ".join(text[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(text) - length + 1)
    ]


def _read(path: Path) -> tuple[list[list[str]], list[str]]:
    texts, labels = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        label, *text = line.split()
        texts.append(text)
        labels.append(label)
    return texts, labels


if __name__ == "__main__":
    sys.exit(main())
