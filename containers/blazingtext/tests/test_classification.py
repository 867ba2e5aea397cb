"""A supervised job, as a user sees it: log, model, scores, mistakes."""

from __future__ import annotations

import json
import random
import re
import signal
from typing import TYPE_CHECKING

import fasttext
import pytest

from .conftest import Jobs

if TYPE_CHECKING:
    from .conftest import Host

_WORDS = {"good": ["fine", "nice", "lovely", "bright", "warm"], "bad": ["dull", "cold", "grim", "bleak", "awful"]}
SUPERVISED = {"mode": "supervised", "epochs": "8", "learning_rate": "0.5"}


def examples(count: int, seed: int) -> bytes:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        label = draw.choice(list(_WORDS))
        rows.append(f"__label__{label} the film was {' '.join(draw.choices(_WORDS[label], k=3))} and long\n")
    return "".join(rows).encode()


CHANNELS = {"validation": {"valid.txt": examples(60, 2)}, "test": {"a.txt": examples(40, 3), "b.txt": examples(40, 4)}}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A finished job with all channels."""
    jobs = Jobs(tmp_path_factory.mktemp("classifier"))
    host = jobs.train(examples(200, 1), {**SUPERVISED, "quantize": "True"}, CHANNELS)
    assert host.process.returncode == 0, host.output
    return host


def test_the_log_has_blazingtexts_lines_in_their_order(classifier: Host) -> None:
    expected = [
        r"^\[.* INFO \d+\] Running single machine CPU BlazingText training using supervised mode\.$",
        r"^Processing \S+/input/data/train/corpus\.txt \. File size: [\d.e-]+ MB$",
        r"^Read 0M words$",
        r"^Number of words:  \d+$",
        r"^-------------- End of epoch: 1$",
        r"^##### Alpha: 0\.\d{4}  Progress: \d+\.\d\d%  Million Words/sec: \d+\.\d\d #####$",
        r"^-------------- End of epoch: 8$",
        r"^##### Alpha: 0\.0000  Progress: 100\.00%  Million Words/sec: \d+\.\d\d #####$",
        r"^Training finished\.$",
        r"^Average throughput in Million words/sec: \d+\.\d\d$",
        r"^Total training time in seconds: \d+\.\d\d$",
        r"^#train_accuracy: 1\.0000$",
        r"^Number of train examples: 200$",
        r"^#validation_accuracy: 1\.0000$",
        r"^Number of validation examples: 60$",
        r"^#test_accuracy: 1\.0000$",
        r"^Number of test examples: 80$",
    ]
    position = 0
    for pattern in expected:
        found = re.compile(pattern, re.MULTILINE).search(classifier.output, position)
        assert found, f"no {pattern!r} after {classifier.output[:position]!r} in\n{classifier.output}"
        position = found.end()
    assert "Validation accuracy:" not in classifier.output  # that is early stopping's


@pytest.mark.parametrize("name", ["model.bin", "model.ftz"])
def test_fasttext_loads_the_model(classifier: Host, name: str) -> None:
    model = fasttext.load_model(str(classifier.model / name))
    assert sorted(model.labels) == ["__label__bad", "__label__good"]
    for text, label in (("a nice warm film", "__label__good"), ("so grim and cold", "__label__bad")):
        assert model.f.predict(f"{text}\n", 1, 0.0, "strict")[0][1] == label


def test_the_test_channel_is_scored_by_label(classifier: Host) -> None:
    report = json.loads((classifier.base / "output/data/evaluation/classification.json").read_text())
    assert (report["examples"], report["accuracy"]) == (80, 1.0)
    assert {label["label"]: label["recall"] for label in report["labels"]} == {"__label__good": 1, "__label__bad": 1}


def test_early_stopping_keeps_the_best_epoch(jobs: Jobs) -> None:
    """Validation whose labels are wrong gets worse with every epoch."""
    wrong = examples(60, 2).replace(b"__label__good", b"__label__x").replace(b"__label__bad", b"__label__good")
    wrong = wrong.replace(b"__label__x", b"__label__bad")
    hyperparameters = {**SUPERVISED, "early_stopping": "True", "min_epochs": "1", "patience": "2", "epochs": "30"}
    hyperparameters["learning_rate"] = "0.05"
    host = jobs.train(examples(200, 1), hyperparameters, {"validation": {"valid.txt": wrong}})
    assert host.process.returncode == 0, host.output
    scores = [float(score) for score in re.findall(r"^Validation accuracy: (\S+)$", host.output, re.MULTILINE)]
    best = scores.index(max(scores)) + 1
    assert len(scores) == best + 2 < 30
    assert host.output.count("Storing best weights...") == sum(
        score > max(scores[:place], default=-1) for place, score in enumerate(scores)
    )
    assert f"Reached patience. Terminating training.\nBest epoch: {best}\n" in host.output
    assert f"#validation_accuracy: {max(scores):.4f}" in host.output


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "sentence"),
    [
        ({"early_stopping": "True"}, {}, "early_stopping=True needs channel 'validation'; give it, or"),
        ({"min_count": "1000", "word_ngrams": "1"}, {}, "channel 'train' holds no line with a label and a word that"),
        ({"class_weights": "even"}, {}, "class_weights='even' is not valid; it must be balanced, or a JSON object"),
        ({"class_weights": '{"ugly": 2}'}, {}, "class_weights names 'ugly', but channel 'train' has no label of that"),
        ({"class_weights": '{"bad": -1}'}, {}, "class_weights gives 'bad' -1; a weight must be a number from 0."),
        ({"learning_rate": "1e30"}, {}, "learning_rate=1e+30 is too high for this corpus"),
        ({}, {"validation": {"v": b"__label__ugly a\n"}}, "channel 'validation' holds no line with a label that"),
        ({}, {"test": {"t": b"no label\n"}}, "channel 'test' holds no line with a label."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(
    jobs: Jobs, hyperparameters: dict[str, str], channels: dict[str, dict[str, bytes]], sentence: str
) -> None:
    host = jobs.train(examples(50, 1), {**SUPERVISED, **hyperparameters}, channels)
    assert host.process.returncode == 1
    assert host.failure.startswith("ClientError: ")
    assert sentence in host.failure
    assert "\n" not in host.failure.strip()
    assert "Traceback" not in host.output


def test_text_without_labels_is_named(jobs: Jobs) -> None:
    host = jobs.train(b"just words\n", SUPERVISED)
    assert host.failure == (
        "ClientError: channel 'train' holds no label (2 tokens read); a label is a token that begins with __label__."
    )


def test_the_quantised_model_keeps_the_most_important_rows_and_trains_again_with_them(jobs: Jobs) -> None:
    chosen = {**SUPERVISED, "quantize": "True", "quantize_cutoff": "14", "quantize_retrain": "True"}
    host = jobs.train(examples(200, 1), chosen)
    assert host.process.returncode == 0, host.output
    assert "Training again with the 14 rows that model.ftz keeps." in host.output
    small, whole = (fasttext.load_model(str(host.model / f"model.{end}")) for end in ("ftz", "bin"))
    assert "</s>" in small.get_words()
    assert len(small.get_words()) < 14 < len(whole.get_words()) + 20
    test = host.base / "test.txt"
    test.write_bytes(examples(100, 5))
    assert small.test(str(test))[1] > 0.95


def test_training_starts_from_pretrained_vectors(jobs: Jobs) -> None:
    """A word that training never meets keeps its vector, and a word of the text starts from its own."""
    vectors = b"3 12\nnice " + b"0.5 " * 12 + b"\nunheard " + b"0.25 " * 12 + b"\nfine " + b"-0.5 " * 12 + b"\n"
    chosen = {**SUPERVISED, "min_count": "1000000", "learning_rate": "1e-6", "word_ngrams": "1"}
    host = jobs.train(examples(50, 1), chosen, {"pretrained_vectors": {"a.vec": vectors}})
    assert host.process.returncode == 0, host.output
    assert "2 of the corpus's 2 words start from a.vec; its 1 other words stay as they are." in host.output
    model = fasttext.load_model(str(host.model / "model.bin"))
    assert sorted(model.get_words()) == ["fine", "nice", "unheard"]
    assert model.get_word_vector("unheard") == pytest.approx([0.25] * 12)
    assert model.get_word_vector("nice") == pytest.approx([0.5] * 12, abs=1e-3)


def test_balanced_weights_help_the_rare_label(jobs: Jobs) -> None:
    text = b"__label__often x y\n" * 50 + b"__label__rare x y\n__label__rare x z\n" * 5
    plain, balanced = (
        jobs.train(text, {**SUPERVISED, "class_weights": weights, "epochs": "20"}) for weights in ("", "balanced")
    )
    scores = []
    for host in (plain, balanced):
        model = fasttext.load_model(str(host.model / "model.bin"))
        found = model.f.predict("x z\n", 2, 0.0, "strict")
        scores.append(next(probability for probability, label in found if label == "__label__rare"))
    assert scores[1] > scores[0]


def test_a_job_that_is_stopped_keeps_the_model_so_far(jobs: Jobs) -> None:
    (host,) = jobs.start(examples(5000, 1), {**SUPERVISED, "epochs": "10000", "vector_dim": "100"})
    host.read_until("-------------- End of epoch: 2")
    host.process.send_signal(signal.SIGTERM)
    assert host.finish() == 0
    assert "The job was asked to stop; keeping what was trained so far." in host.output
    assert fasttext.load_model(str(host.model / "model.bin")).labels
