"""Training jobs, as the service starts them."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from contract.testing import Host, Jobs
from gluon_fasttext.classifier import TextClassifier

from .jobs import TOPICS, as_csv, as_fasttext, topics


def metric(output: str, name: str) -> list[float]:
    """The values of a metric line, in order."""
    return [float(value) for value in re.findall(rf"#{name}: (\S+)", output)]


def test_a_job_learns_and_tells_its_metrics_after_each_epoch(trained: Host) -> None:
    for name in ("train_accuracy", "train_loss", "validation_accuracy", "validation_loss"):
        assert len(metric(trained.output, name)) == 6, name
    assert metric(trained.output, "validation_accuracy")[-1] > 0.97
    losses = metric(trained.output, "train_loss")
    assert losses == sorted(losses, reverse=True)
    assert "Progress: 100.00%" in trained.output
    assert re.search(r"Average throughput in Million words/sec: [0-9.]+", trained.output)


def test_the_test_channel_is_scored_by_the_written_model(trained: Host) -> None:
    report = json.loads((trained.base / "output" / "data" / "evaluation" / "classification.json").read_text())
    assert report["examples"] == 300
    assert report["accuracy"] == pytest.approx(metric(trained.output, "test_accuracy")[0], abs=1e-4)
    assert {score["label"] for score in report["labels"]} == {"__label__sport", "__label__trade", "__label__art"}


def test_a_log_has_no_warnings_of_libraries(trained: Host) -> None:
    for line in trained.output.splitlines():
        assert not re.search(r"warning|deprecat|lazy_update|np\.bool|retired|fallback", line, re.IGNORECASE), line


@pytest.mark.parametrize("optimizer", ["adagrad", "groupadagrad", "sgd"])
def test_every_optimizer_learns(jobs: Jobs, optimizer: str) -> None:
    lr = "20" if optimizer == "sgd" else "0.2"
    host = jobs.train({"optimizer": optimizer, "lr": lr, "epochs": "8", "lr_schedule": "constant"})
    assert metric(host.output, "validation_accuracy")[-1] > 0.9, host.output


def test_the_gpu_minus_one_is_the_cpu(jobs: Jobs) -> None:
    host = jobs.train({"epochs": "1", "gpu": "-1"})
    assert host.process.returncode == 0
    assert "Training on cpu(0) of 1 host(s)." in host.output


def test_the_same_seed_gives_the_same_model_on_one_host_and_another_seed_another(jobs: Jobs) -> None:
    models = [
        np.load(jobs.train({"epochs": "1", "dropout": "0.2", "seed": seed}).model / "embedding.npy") for seed in "112"
    ]
    assert (models[0] == models[1]).all()
    assert (models[0] != models[2]).any()


def test_both_forms_give_the_same_model(jobs: Jobs) -> None:
    one, other = (
        jobs.train({"epochs": "1"}, {"train": {"part": form(topics(400, 1))}}) for form in (as_csv, as_fasttext)
    )
    assert (np.load(one.model / "embedding.npy") == np.load(other.model / "embedding.npy")).all()


def test_several_labels_are_learnt_by_turns(jobs: Jobs) -> None:
    lines = b"".join(b"__label__one __label__two a b\n__label__three c d\n" for _ in range(300))
    host = jobs.train({"epochs": "6"}, {"train": {"part": lines}, "validation": {"part": lines}})
    (answer,) = TextClassifier.read(host.model).predict(["a b"], 3)
    assert set(answer["label"][:2]) == {"__label__one", "__label__two"}
    assert answer["prob"][1] > 0.3
    assert metric(host.output, "validation_accuracy")[-1] == 1.0, "either label is right"


def test_early_stopping_keeps_the_best_epoch(jobs: Jobs) -> None:
    # Labels that nothing tells: what is learnt of them does not last on others.
    noise = [(label, text) for (label, _), (_, text) in zip(topics(300, 1), topics(300, 5), strict=True)]
    channels = {"train": {"part.csv": as_csv(noise)}, "validation": {"part.csv": as_csv(topics(300, 2))}}
    host = jobs.train(
        {"early_stopping": "true", "patience": "2", "epochs": "50", "lr": "0.1", "lr_schedule": "constant"}, channels
    )
    accuracies = metric(host.output, "validation_accuracy")
    assert len(accuracies) < 50
    assert "Reached patience. Best epoch: " in host.output
    assert accuracies[-1] == max(accuracies), "the last line is the kept model's"
    model = TextClassifier.read(host.model)
    answers = model.predict([text for _, text in topics(300, 2)])
    right = [
        answer["label"][0] == f"__label__{label}" for answer, (label, _) in zip(answers, topics(300, 2), strict=True)
    ]
    assert np.mean(right) == pytest.approx(max(accuracies), abs=0.004)


def test_normalisation_and_length_are_kept_with_the_model(jobs: Jobs) -> None:
    lines = b"".join(b"a,GOOD! then noise%d\nb,Bad. then noise%d\n" % (number, number) for number in range(200))
    host = jobs.train({"normalize": "true", "max_length": "2"}, {"train": {"part": lines}})
    model = TextClassifier.read(host.model)
    assert set(model.vocabulary.words) == {"</s>", "good", "!", "bad", "."}
    assert [answer["label"][0] for answer in model.predict(["gOOd!", "BAD."])] == ["__label__a", "__label__b"]


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "reason"),
    [
        ({"early_stopping": "true"}, {"train": TOPICS["train"]}, "early_stopping=True needs channel 'validation'"),
        ({"gpu": "3"}, TOPICS, "hyperparameter gpu=3 is not valid; this host has 0 GPUs"),
        (
            {"optimizer": "adamm"},
            TOPICS,
            "hyperparameter optimizer=adamm is out of range; it must be one of adam, adagrad",
        ),
        ({"min_count": "5000"}, TOPICS, "channel 'train' holds no word that occurs at least min_count=5000 times"),
        ({}, {"train": {"part": b"__label__a one\n__label__b tw\xff\n"}}, "which is not UTF-8"),
        (
            {},
            {"train": TOPICS["train"], "validation": {"part": b"unknown,text\n"}},
            "no line with a label that channel",
        ),
        ({}, {"train": {"part": b"\n\n"}}, "channel 'train' holds no label (0 tokens read)"),
        ({"lr": "1e30", "optimizer": "sgd"}, TOPICS, "training diverged with lr=1e+30; lower lr."),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    jobs: Jobs, hyperparameters: dict[str, str], channels: dict[str, dict[str, bytes]], reason: str
) -> None:
    host = jobs.train(hyperparameters, channels)
    assert host.process.returncode == 1
    assert host.failure.startswith("ClientError: ")
    assert reason in host.failure
    assert "Traceback" not in host.output
    assert not list(host.base.glob("model/*"))


def test_an_interrupted_job_ends_as_one_that_was_not(jobs: Jobs, tmp_path: Path) -> None:
    settings = {"epochs": "6", "ngrams": "2", "batch_size": "32", "early_stopping": "true", "patience": "6"}
    whole = jobs.train(settings)
    often = {"KINDLING_CHECKPOINT_INTERVAL_S": "0"}
    (stopped,) = jobs.start(settings, checkpoints=tmp_path, environ=often)
    stopped.read_until("End of epoch: 2")
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.finish() == 0
    assert "The job was asked to stop; keeping what was trained so far." in stopped.output
    assert TextClassifier.read(stopped.model).predict(["goal"])[0]["label"] == ["__label__sport"]
    (killed,) = jobs.start(settings, checkpoints=tmp_path, environ=often)
    killed.read_until("Resuming from checkpoint")
    killed.read_until("End of epoch")
    killed.process.kill()
    killed.finish()
    (last,) = jobs.start(settings, checkpoints=tmp_path, environ=often)
    assert last.finish() == 0
    assert "Resuming from checkpoint" in last.output
    assert metric(last.output, "validation_loss")[-1] == pytest.approx(metric(whole.output, "validation_loss")[-1])
    assert np.allclose(np.load(last.model / "embedding.npy"), np.load(whole.model / "embedding.npy"), atol=1e-5)


def test_a_checkpoint_of_another_job_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    often = {"KINDLING_CHECKPOINT_INTERVAL_S": "0"}
    (first,) = jobs.start({"epochs": "1"}, checkpoints=tmp_path, environ=often)
    assert first.finish() == 0
    (other,) = jobs.start({"epochs": "1", "emsize": "8"}, checkpoints=tmp_path, environ=often)
    assert other.finish() == 1
    assert "the checkpoints that were found are of a job with emsize=16, but this one has emsize=8" in other.failure
