"""A small job of each algorithm, for what is tested of every image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_WORDS = "\n".join(["the cat and the dog", "a king and a queen", "the river and the sea"] * 8000)
_PAIRS = [("das Haus", "the house"), ("der Hund", "the dog"), ("ein Buch", "a book"), ("die Katze", "the cat")] * 30
_PARALLEL = {f"text.{language}": "".join(f"{pair[n]}\n" for pair in _PAIRS) for n, language in enumerate(("de", "en"))}

_VECTORS = "".join(f"{3 * n % 17},{n % 17},{n % 5}\n" for n in range(2000))

_LABELLED = "".join(f"animals,the cat and dog {n}\nwater,the river and the sea {n}\n" for n in range(500))


@dataclass(frozen=True)
class ExampleJob:
    """Texts by channel and file, a job that takes seconds, what makes it long, and a request to what it makes.

    `mistake` is a hyperparameter out of range, with the sentence that refuses it; `answers` is in any right answer.
    """

    package: str
    channels: Mapping[str, Mapping[str, str]]
    hyperparameters: Mapping[str, str]
    long: str
    request: str
    answers: str
    model: str
    mistake: tuple[str, str, str]


EXAMPLES = {
    "blazingtext": ExampleJob(
        package="blazingtext",
        channels={"train": {"corpus.txt": _WORDS}},
        hyperparameters={
            "mode": "skipgram",
            "vector_dim": "10",
            "min_count": "1",
            "epochs": "1",
            "evaluation": "False",
        },
        long="epochs=10000",
        request='{"instances": ["king"]}',
        answers='"word":"king"',
        model="vectors.bin",
        mistake=("vector_dim", "0", "it must be an integer from 1 to 2048."),
    ),
    "gluon_fasttext": ExampleJob(
        package="gluon_fasttext",
        channels={"train": {"train.csv": _LABELLED}, "validation": {"validation.csv": _LABELLED}},
        hyperparameters={"emsize": "10", "epochs": "2", "batch_size": "64", "buckets": "1000"},
        long="epochs=100000",
        request='{"instances": ["the cat"]}',
        answers='"label":["__label__animals"]',
        model="embedding.npy",
        mistake=("dropout", "2", "it must be a number from 0 to 0.95."),
    ),
    "linear_learner": ExampleJob(
        package="linear_learner",
        channels={"train": {"train.csv": _VECTORS}, "validation": {"validation.csv": _VECTORS}},
        hyperparameters={"predictor_type": "regressor", "epochs": "2", "early_stopping_patience": "1000000"},
        long="epochs=100000",
        request='{"instances": [{"features": [1, 2]}]}',
        answers='{"predictions":[{"score":',
        model="weights.npy",
        mistake=("f_beta", "0", "it must be a number above 0."),
    ),
    "fairseq": ExampleJob(
        package="translator",
        channels={"train": _PARALLEL, "validation": _PARALLEL},
        hyperparameters={
            "arch": "fconv",
            "encoder-layers": "[(16, 3)]",
            "decoder-layers": "[(16, 3)]",
            "bpe-symbols": "50",
            "encoder-embed-dim": "16",
            "decoder-embed-dim": "16",
            "decoder-out-embed-dim": "16",
            "max-epoch": "1",
            "max-tokens": "500",
            "source-lang": "de",
            "target-lang": "en",
        },
        long="max-epoch=100000",
        request='{"instances": ["das Haus"]}',
        answers='"translations"',
        model="model.safetensors",
        mistake=("dropout", "2", "it must be a number from 0 to 1."),
    ),
}
