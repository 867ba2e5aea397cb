"""The report: self-contained, escaped, readable; and the parts it is made of."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from kindling import runs
from kindling.histories import History, State
from kindling.reports import classification, figures, write_report
from kindling.reports.experiment import write_experiment
from kindling.reports.labels import Box, place
from kindling.reports.vectors import Vectors, of_model, read
from kindling.runs import Run
from kindling.targets import EmbeddedTarget

BEGUN = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORDS = [f"word{number}" for number in range(40)]
OUTPUT: dict[str, Any] = {
    "training": {
        "model_s3_uri": "s3://the-models/blazingtext/job/output/model.tar.gz",
        "training_seconds": 20,
        "metrics": {"train:mean_rho": 0.4312},
    },
    "evaluation": {
        "metrics": {"train:mean_rho": 0.4312},
        "details": {"EN-WS-353-ALL.txt": {"not_found": 259, "spearmans_rho": 0.4, "total_pairs": 353}},
        "gate": {"passed": True, "reason": "train:mean_rho=0.4312 is at least 0.4."},
    },
    "endpoint": {"name": "words", "arn": "arn:endpoint", "status": "InService", "action": "created"},
    "smoke_test": {"passed": True, "latency_ms": 4.2},
}
RUN = Run(
    name="demo-1",
    algorithm="blazingtext",
    arn="arn:execution",
    status="SUCCEEDED",
    started=BEGUN,
    stopped=BEGUN + timedelta(seconds=30),
    input={"inputs": {"train": "s3://data/p"}, "hyperparameters": {"mode": "cbow"}, "resources": {"instance_count": 2}},
    output=OUTPUT,
)


LABELS = ("__label__<b>spam</b>", "__label__ham", "__label__rare")
SCORES: dict[str, Any] = {
    "examples": 2000,
    "accuracy": 0.8765,
    "at_k": [{"k": k, "precision": 0.8765 / k, "recall": 0.9} for k in range(1, 6)],
    "labels": [
        {"label": label, "precision": score, "recall": score, "f1": score, "support": support}
        for label, score, support in zip(LABELS, (0.9, 0.4, 0.0), (1500, 500, 0), strict=True)
    ],
    "confusion": {"labels": LABELS, "counts": [[1400, 99, 1], [300, 200, 0], [0, 0, 0]]},
}
EPOCHS = [
    {"epoch": n, "train_accuracy": 0.8, "train_loss": 1 / n, "validation_accuracy": 0.7, "validation_loss": 2 / n}
    for n in (1, 2, 3)
]
CLASSIFIER = replace(
    RUN,
    output={
        **OUTPUT,
        "evaluation": {"metrics": {}, "details": {}, "gate": None},
        "training": {
            "model_s3_uri": "s3://the-models/blazingtext/classifier/output/model.tar.gz",
            "training_seconds": 20,
            "metrics": {"train:accuracy": 0.9533, "validation:accuracy": 0.8912, "train:throughput": 12.5},
        },
    },
)


TRANSLATOR = replace(
    RUN,
    algorithm="fairseq",
    input={**RUN.input, "hyperparameters": {"arch": "fconv", "encoder-layers": "[(64, 3)]"}},
    output={
        **OUTPUT,
        "evaluation": {"metrics": {}, "details": {"bleu": 21.5}, "gate": None},
        "training": {
            "model_s3_uri": "s3://the-models/blazingtext/translator/output/model.tar.gz",
            "training_seconds": 20,
            "metrics": {"valid:bleu": 21.5, "valid:loss": 4.25},
        },
    },
)
TRANSLATED: dict[str, Any] = {
    "bleu": 21.5,
    "signature": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
    "sentences": 5000,
    "epochs": [
        {"epoch": n, "updates": 90 * n, "train_loss": 8 / n, "valid_loss": 9 / n, "valid_bleu": 7.0 * n, "train_wps": 9}
        for n in range(1, 4)
    ],
    "samples": [{"source": "Wie <b>geht</b> es?", "translation": "How are you?", "reference": "How is it going?"}],
}


def packed(**files: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return content.getvalue()


def text_vectors() -> bytes:
    matrix = np.random.default_rng(1).normal(size=(len(WORDS), 5))
    lines = [f"{len(WORDS)} 5", *(f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, matrix, strict=True))]
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTarget]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    found = EmbeddedTarget(tmp_path_factory.mktemp("state"), f"http://{host}:{port}", names)
    s3 = found.client("s3")
    s3.create_bucket(Bucket="the-models")
    for key, body in {
        "job/output/model.tar.gz": packed(**{"eval.json": b"{}", "vectors.txt": text_vectors()}),
        "translator/output/model.tar.gz": packed(**{"model.safetensors": b"x"}),
        "translator/output/output.tar.gz": packed(**{"evaluation/translation.json": json.dumps(TRANSLATED).encode()}),
        "classifier/output/model.tar.gz": packed(**{"model.bin": b"x"}),
        "classifier/output/output.tar.gz": packed(
            **{"plot.txt": b"x", "evaluation/classification.json": json.dumps(SCORES).encode()}
        ),
    }.items():
        s3.put_object(Bucket="the-models", Key=f"blazingtext/{key}", Body=body)
    yield found
    server.stop()


@pytest.fixture(autouse=True)
def history(monkeypatch: pytest.MonkeyPatch) -> None:
    train = State(name="Train", entered=BEGUN, exited=BEGUN + timedelta(seconds=25))
    monkeypatch.setattr(runs, "history", lambda target, run: History(states=(train,)))


@pytest.mark.wide
def test_a_report_tells_the_run_and_needs_nothing_else(target: EmbeddedTarget, tmp_path: Path) -> None:
    page = write_report(target, RUN, tmp_path / "deep" / "report.html", ["word3", "unheard-of"])
    html = page.path.read_text()
    for told in (
        "demo-1",
        "SUCCEEDED",
        "0.4312",
        "ALL 94 of 353",
        "words · InService",
        "at least 0.4",
        "Train",
        "25 s",
    ):
        assert told in html
    assert page.words[0] == "word3"
    assert "unheard-of" not in page.words
    assert html.count("<svg") == 1
    assert re.search(r"<text[^>]*>word0</text>", html), "the words of the map are text"
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)|(src|href)=\"(?!#)", html)


def test_the_same_run_gives_the_same_picture(target: EmbeddedTarget, tmp_path: Path) -> None:
    pictures = [
        re.findall(r"<svg.*?</svg>", write_report(target, RUN, tmp_path / f"{n}.html").path.read_text(), re.DOTALL)
        for n in range(2)
    ]
    assert pictures[0] == pictures[1]


def test_a_failed_run_has_a_report_with_its_cause_escaped(target: EmbeddedTarget, tmp_path: Path) -> None:
    failed = replace(RUN, status="FAILED", output=None, cause="Train: <script>alert(1)</script>")
    html = write_report(target, failed, tmp_path / "report.html").path.read_text()
    assert "Train: &lt;script&gt;" in html
    assert "<script>" not in html
    assert "<svg" not in html


def test_a_classifiers_report_tells_what_it_reached_on_the_test_channel(target: EmbeddedTarget, tmp_path: Path) -> None:
    html = write_report(target, CLASSIFIER, tmp_path / "report.html").path.read_text()
    cards = re.findall(r'<div class="card"><b>(.*?)</b><span[^>]*>(.*?)</span>', html)
    assert cards[:4] == [
        ("0.8765", "accuracy, test"),
        ("0.9533", "accuracy, train"),
        ("0.8912", "accuracy, validation"),
        ("12.5", "throughput"),
    ]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)]
    assert ["2", "0.4382", "0.9000"] in rows
    assert not [row for row in rows if row[:1] == ["4"]], "there are three labels"
    worst = [row for row in rows if row and row[-1] in ("1,500", "500", "0")]
    assert worst == [
        ["ham", "0.400", "0.400", "0.400", "500"],
        ["&lt;b&gt;spam&lt;/b&gt;", "0.900", "0.900", "0.900", "1,500"],
    ]
    (drawn,) = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert 'aria-label="True labels by predicted labels"' in drawn
    assert re.search(r"<text[^>]*>1400</text>", drawn), "cells have numbers"
    assert "<b>spam" not in html
    assert not re.search(r"<(script|link|img|image|iframe)|@import|url\((?!#)|(src|href)=\"(?!#)", html)


def test_a_classifier_that_tells_its_epochs_has_their_curves(target: EmbeddedTarget, tmp_path: Path) -> None:
    measured = {**SCORES, "channel": "validation", "epochs": EPOCHS}
    body = packed(**{"evaluation/classification.json": json.dumps(measured).encode()})
    target.client("s3").put_object(Bucket="the-models", Key="odd/output/output.tar.gz", Body=body)
    training = {**CLASSIFIER.output["training"], "model_s3_uri": "s3://the-models/odd/output/model.tar.gz"}
    run = replace(CLASSIFIER, output={**CLASSIFIER.output, "training": training})
    html = write_report(target, run, tmp_path / "report.html").path.read_text()
    assert "Classification of the validation channel" in html
    assert "accuracy, test" not in html
    for name in ("loss", "accuracy"):
        assert f'aria-label="{name} by epoch"' in html


def test_a_translators_report_has_its_curves_and_samples_beside_their_references(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    page = write_report(target, TRANSLATOR, tmp_path / "report.html")
    html = page.path.read_text()
    assert page.words == ()
    assert "BLEU 21.50 of 5,000 sentences" in html
    assert TRANSLATED["signature"] in html
    assert 'aria-label="loss by epoch"' in html
    assert 'aria-label="BLEU (greedy search) by epoch"' in html
    assert "[(64, 3)]" in html, "a hyperparameter that only fairseq knows"
    row = re.search(r"<tr><td[^>]*>Wie &lt;b&gt;geht.*?</tr>", html)
    assert row is not None
    assert "How are you?" in row[0]
    assert "How is it going?" in row[0]


FITTED = {
    "predictor_type": "regressor",
    "loss": "squared_loss",
    "epochs": [{"train": 0.5, "validation": 12.0}, {"train": 0.25, "validation": 11.0}],
    "models": [
        {"learning_rate": 0.1, "l1": 0.0, "wd": 0.01, "value": 11.5, "chosen": False},
        {"learning_rate": 0.02, "l1": 0.0001, "wd": 0.0, "value": 11.0, "chosen": True},
        {"learning_rate": 9.0, "l1": 0.0, "wd": 0.0, "value": None, "chosen": False},
    ],
    "measures": {},
    "answers": {"scores": [1.0, 2.5], "labels": [1.0, 2.0]},
}


def test_linear_models_have_their_curves_answers_and_the_best_of_them(target: EmbeddedTarget, tmp_path: Path) -> None:
    body = packed(**{"evaluation/linear.json": json.dumps(FITTED).encode()})
    target.client("s3").put_object(Bucket="the-models", Key="linear/output/output.tar.gz", Body=body)
    metrics = {"validation:mse": 11.0, "validation:objective_loss:final": 11.0}
    training = {
        **CLASSIFIER.output["training"],
        "model_s3_uri": "s3://the-models/linear/output/model.tar.gz",
        "metrics": metrics,
    }
    run = replace(
        CLASSIFIER,
        algorithm="linear_learner",
        input={**CLASSIFIER.input, "hyperparameters": {"predictor_type": "regressor"}},
        output={**CLASSIFIER.output, "training": training, "evaluation": {"metrics": metrics, "gate": None}},
    )
    html = write_report(target, run, tmp_path / "report.html").path.read_text()
    for drawn in ("training loss by epoch", "loss on records held apart by epoch", "Scores by labels"):
        assert f'aria-label="{drawn}"' in html
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.DOTALL)]
    assert [row for row in rows if row[-1:] == ["chosen"]] == [["11", "0.02", "0.0001", "0", "chosen"]]
    assert "The best of 3 models" in html
    assert not any("9" in row[1:2] for row in rows), "one that diverged is none of the best"
    cards = re.findall(r'<div class="card"><b>(.*?)</b><span[^>]*>(.*?)</span>', html)
    assert cards[0] == ("11", "mse")
    assert not any("final" in name for _, name in cards)


@pytest.mark.wide
def test_an_experiments_page_draws_times_costs_and_quality(tmp_path: Path) -> None:
    def group(name: str, mean: float) -> dict[str, Any]:
        return {
            "name": name,
            "seconds": {"download": 1.0, "training": 20.0, "upload": 2.0},
            "instance_seconds": 46,
            "quality": {"mean": mean, "half_width": 0.5, "count": 100},
        }

    arm = {
        "run": "air-arm-0",
        "distribution": "FullyReplicated",
        "instance_count": 2,
        "seed": None,
        "instance_seconds": 46,
    }
    arm |= {"seconds": {"download": 1.0, "training": 20.0, "upload": 2.0}, "metrics": {"train:loss": 0.25}}
    result = {
        "run": "air",
        "algorithm": "linear_learner",
        "measure": "MSE",
        "smaller_is_better": True,
        "records": None,
        "groups": [group("FullyReplicated on 2 hosts", 3.0), group("ShardedByS3Key on 2 hosts", 2.5)],
        "arms": [arm],
        "verdict": ["It is <faster>."],
    }
    html = write_experiment(result, tmp_path / "page.html").read_text()
    for drawn in ("seconds", "instance-seconds", "MSE"):
        assert f'aria-label="{drawn}"' in html
    assert "It is &lt;faster&gt;." in html
    assert "train:loss 0.25" in html
    alone = {**result, "groups": [{**group("FullyReplicated on 2 hosts", 3.0), "quality": None}]}
    assert 'aria-label="MSE"' not in write_experiment(alone, tmp_path / "page.html").read_text()


@pytest.mark.parametrize("body", [b"no archive", packed(**{"evaluation/classification.json": b"{}"}), packed(a=b"")])
def test_scores_that_cannot_be_read_are_left_out(target: EmbeddedTarget, body: bytes) -> None:
    target.client("s3").put_object(Bucket="the-models", Key="odd/output/output.tar.gz", Body=body)
    assert classification.of_run(target, "s3://the-models/odd/output/model.tar.gz") is None


def test_a_large_table_of_confusions_is_drawn_without_numbers() -> None:
    names = [f"label {number}" for number in range(50)] + ["a name that is much longer than there is room for"]
    counts = [[10 if row == column else row % 2 for column in range(51)] for row in range(51)]
    drawn = figures.confusion(names, counts)
    assert "a name that is much l…" in drawn
    assert ">10</text>" not in drawn
    assert len(drawn) < 1_000_000


def test_vectors_are_read_out_of_the_archive_as_it_streams(target: EmbeddedTarget) -> None:
    vectors = of_model(target, OUTPUT["training"]["model_s3_uri"], limit=10)
    assert vectors is not None
    assert vectors.words == tuple(WORDS[:10])
    np.testing.assert_allclose(np.linalg.norm(vectors.matrix, axis=1), 1, rtol=1e-6)


def test_the_nearest_words_come_first_and_the_word_itself_never() -> None:
    vectors = read(io.BytesIO(b"4 2\na 1 0\nb 0.9 0.1\nc 0 1\nzero 0 0\n"), limit=10)
    assert [word for word, _ in vectors.nearest("a", 3)] == ["b", "c", "zero"] or [
        word for word, _ in vectors.nearest("a", 3)
    ] == ["b", "zero", "c"]
    assert vectors.nearest("a", 1)[0][1] == pytest.approx(0.9 / np.hypot(0.9, 0.1), rel=1e-6)
    assert len(vectors.nearest("a", 100)) == 3
    assert Vectors(("only",), np.ones((1, 1), dtype=np.float32)).nearest("only", 5) == []


POINTS = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), min_size=1, max_size=40)


@settings(deadline=None, max_examples=50)
@given(POINTS)
def test_no_label_covers_another_or_leaves_the_frame(points: list[tuple[float, float]]) -> None:
    frame = Box(0, 0, 300, 200)
    boxes = [box for box in place(points, ["label"] * len(points), [10.0] * len(points), frame) if box]
    assert all(box.within(frame) for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
