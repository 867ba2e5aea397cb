"""Training jobs of one host, from the channels to the model folder and the log."""

from __future__ import annotations

import gzip
import json
import math
import re
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from contract.specification import Algorithm
from contract.testing import Channels, Host
from contract.training import installed_algorithm
from linear_learner import data
from linear_learner.model import LinearModel

from .jobs import (
    REGRESSION,
    WEIGHTS,
    Finished,
    QuickJobs,
    as_csv,
    as_recordio,
    as_sparse_recordio,
    classes,
    losses,
    quality,
    regression,
    sparse_classes,
    two_classes,
)

BINARY: Channels = {
    "train": {"train.csv": as_csv(two_classes(3000, 1))},
    "validation": {"validation.csv": as_csv(two_classes(1000, 2))},
    "test": {"test.csv": as_csv(two_classes(1000, 3))},
}


@pytest.fixture
def algorithm() -> Algorithm:
    return installed_algorithm("linear_learner")


def metrics(algorithm: Algorithm, output: str) -> dict[str, list[float]]:
    """What the service finds in a log by the metric definitions."""
    return {metric.name: [float(text) for text in re.findall(metric.regex, output)] for metric in algorithm.metrics}


def succeeded(host: Host | Finished) -> LinearModel:
    assert host.code == 0, host.output
    return LinearModel.read(host.model)


def test_regression_finds_the_plane_and_reports_it(jobs: QuickJobs, algorithm: Algorithm) -> None:
    host = jobs.train()
    model = succeeded(host)
    # The last feature hardly varies, so that its weight is hardly determined.
    assert model.weights[0, :3] == pytest.approx(WEIGHTS[:3], abs=0.02)
    found = metrics(algorithm, host.output)
    assert found["validation:mse"] == [pytest.approx(0.01, rel=0.3)]
    assert found["test:objective_loss"] == [pytest.approx(found["test:mse"][0], rel=1e-3)]
    assert found["validation:rmse"][0] ** 2 == pytest.approx(found["validation:mse"][0])
    assert found["test:r2"][0] > 0.999
    epochs = len(found["validation:objective_loss"])
    assert len(found["train:objective_loss"]) == len(found["train:throughput"]) == epochs
    assert found["train:objective_loss"][-1] < found["train:objective_loss"][0]
    assert found["validation:objective_loss:final"] == [min(found["validation:objective_loss"])]
    assert found["train:progress"][-1] == pytest.approx(100 * epochs / 15)
    test = regression(400, 3)
    errors = model.scores(test[:, 1:]) - test[:, 0]
    assert found["test:mse"] == [pytest.approx(float(np.mean(errors**2)), rel=1e-4)], "the model that was written"


def test_the_log_has_the_built_ins_lines(jobs: QuickJobs) -> None:
    output = jobs.train({"num_models": "3", "epochs": "2"}).output
    told = [json.loads(line.removeprefix("#metrics ")) for line in output.splitlines() if line.startswith("#metrics ")]
    assert {(line["Dimensions"]["model"], line["Dimensions"]["epoch"]) for line in told} == {
        (model, epoch) for model in range(3) for epoch in range(2)
    }
    assert {name for line in told for name in line["Metrics"]} == {"train_mse_objective", "validation_mse_objective"}
    assert re.search(r"#early_stopping_criteria_metric: host=algo-1, epoch=1, criteria=mse_objective, value=\d", output)
    assert "Epoch 0: Loss has not improved for 0 epochs." in output
    assert "#progress_metric: host=algo-1, completed 100 % of epochs" in output
    assert re.search(r"#throughput_metric: host=algo-1, train throughput=\S+ records/second", output)
    assert 'Best model found for hyperparameters: {"optimizer": "adam", "learning_rate": ' in output
    assert re.search(r"#validation_score \(algo-1\) : \('mse', \d", output)
    assert not re.search("warning|deprecat|traceback", output, re.IGNORECASE), output


def test_a_binary_classifier_is_calibrated_and_scored(jobs: QuickJobs, algorithm: Algorithm) -> None:
    host = jobs.train({"predictor_type": "binary_classifier"}, BINARY)
    model = succeeded(host)
    test = two_classes(1000, 3)
    scores = model.scores(test[:, 1:])
    labels = model.labels(scores)
    assert labels is not None
    found = metrics(algorithm, host.output)
    assert found["test:binary_classification_accuracy"] == [pytest.approx(np.mean(labels == test[:, 0]))]
    assert found["test:binary_classification_accuracy"][0] > 0.9
    assert found["test:roc_auc_score"][0] > 0.97
    assert found["test:binary_f_beta"][0] > 0.8
    assert 0 < scores.min() < scores.max() < 1


@pytest.mark.parametrize(
    ("criterion", "given", "measure"),
    [
        ("precision_at_target_recall", {"target_recall": "0.95"}, "recall"),
        ("recall_at_target_precision", {"target_precision": "0.95"}, "precision"),
        ("f1", {"f_beta": "1"}, "binary_f_1.000"),
    ],
)
def test_the_threshold_serves_the_criterion(
    jobs: QuickJobs, criterion: str, given: dict[str, str], measure: str
) -> None:
    settings = {"predictor_type": "binary_classifier", "epochs": "5", "num_models": "4", **given}
    host = jobs.train({**settings, "binary_classifier_model_selection_criteria": criterion}, BINARY)
    usual = jobs.train(settings, BINARY)
    assert host.code == 0, host.output
    reached, before = (quality(job.output, f"validation {measure}") for job in (host, usual))
    if measure.startswith("binary_f"):
        assert reached >= before
    else:
        assert reached >= 0.95 > before
    name = {"f1": "f_beta"}.get(criterion, criterion)
    assert f"criteria={name}, value=-" in host.output, "early stopping looks at it, too"


def test_weights_of_rare_labels_raise_their_recall(jobs: QuickJobs) -> None:
    settings = {
        "predictor_type": "binary_classifier",
        "num_models": "1",
        "binary_classifier_model_selection_criteria": "loss_function",
    }
    plain = jobs.train(settings, BINARY)
    heavy = jobs.train({**settings, "positive_example_weight_mult": "20"}, BINARY)
    assert quality(heavy.output, "test recall") > quality(plain.output, "test recall") + 0.02
    assert json.loads((heavy.model / "model.json").read_text())["threshold"] == 0.5
    both = jobs.train({**settings, "num_models": "2", "positive_example_weight_mult": "auto"}, BINARY)
    report = json.loads((both.base / "output" / "data" / "evaluation" / "linear.json").read_text())
    assert [model["positive_example_weight_mult"] for model in report["models"]] == [1.0, "balanced"]


def test_a_multiclass_classifier_is_scored(jobs: QuickJobs, algorithm: Algorithm) -> None:
    channels = {name: {"a.csv": as_csv(classes(2000, seed))} for seed, name in enumerate(("train", "test"))}
    host = jobs.train({"predictor_type": "multiclass_classifier", "num_classes": "4", "accuracy_top_k": "2"}, channels)
    model = succeeded(host)
    test = classes(2000, 1)
    scores = model.scores(test[:, 1:])
    assert scores.sum(axis=1) == pytest.approx(1)
    found = metrics(algorithm, host.output)
    assert found["test:multiclass_accuracy"] == [pytest.approx(np.mean(scores.argmax(1) == test[:, 0]))]
    assert found["test:multiclass_accuracy"][0] > 0.8
    assert found["test:multiclass_top_k_accuracy"][0] > found["test:multiclass_accuracy"][0]
    assert 0.8 < found["test:macro_f_beta"][0] < 1
    assert found["test:dcg"][0] > found["test:multiclass_accuracy"][0]


def test_without_validation_the_best_of_several_models_is_chosen_by_records_held_back(jobs: QuickJobs) -> None:
    host = jobs.train({"num_models": "4"}, {"train": REGRESSION["train"]})
    succeeded(host)
    assert len(losses(host.output, "validation")) > 1
    assert "validation mse " not in host.output, "there is no such channel"
    alone = jobs.train({"num_models": "1"}, {"train": REGRESSION["train"]})
    assert losses(alone.output, "validation") == []


def test_rows_pairs_and_packed_files_of_both_formats_are_the_same_data(jobs: QuickJobs) -> None:
    table = regression(1000, 1)
    forms: list[dict[str, bytes]] = [
        {"a.csv": as_csv(table)},
        {"a.csv": b"\xef\xbb\xbf" + as_csv(table[:400]), "b/c.csv.gz": gzip.compress(as_csv(table[400:]))},
        {"a.pbr": as_recordio(table)},
        {"a.pbr": as_recordio(table[:1]), "b.pbr.gz": gzip.compress(as_recordio(table[1:]))},
        {"a.pbr": as_sparse_recordio(table)},
    ]
    # Sparse data cannot be shifted: with all features shifted by none, both are the same.
    settings = {"num_models": "2", "epochs": "3", "normalize_data": "False", "unbias_data": "False"}
    models = [succeeded(jobs.train(settings, {"train": form})) for form in forms]
    for model in models[1:]:
        assert model.weights == pytest.approx(models[0].weights, rel=1e-3, abs=1e-4)


def test_sparse_records_of_many_features_are_learnt(jobs: QuickJobs) -> None:
    channels = {
        "train": {"a.pbr": as_sparse_recordio(sparse_classes(4000, 1))},
        "validation": {"a.pbr": as_sparse_recordio(sparse_classes(1000, 2))},
        "test": {"a.pbr": as_sparse_recordio(sparse_classes(1000, 3))},
    }
    host = jobs.train({"predictor_type": "binary_classifier", "num_models": "8", "epochs": "10"}, channels)
    succeeded(host)
    assert quality(host.output, "test binary_classification_accuracy") > 0.95


def test_early_stopping_ends_after_epochs_without_improvement(jobs: QuickJobs) -> None:
    stopped = jobs.train({"epochs": "200", "num_models": "1", "early_stopping_patience": "2"})
    count = len(losses(stopped.output, "validation"))
    assert 3 <= count < 200
    assert f"Epoch {count - 1}: Loss has not improved for 2 epochs." in stopped.output
    never = jobs.train({"epochs": "20", "num_models": "1", "early_stopping_patience": "21"})
    assert len(losses(never.output, "validation")) == 20


def test_one_seed_gives_one_model(jobs: QuickJobs) -> None:
    settings = {"epochs": "2", "num_models": "4"}
    first, again, other = (succeeded(jobs.train({**settings, "seed": seed})) for seed in ("5", "5", "6"))
    assert np.array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)


def test_a_tuning_job_trains_one_model(jobs: QuickJobs) -> None:
    host = jobs.train({"_tuning_objective_metric": "validation:objective_loss", "epochs": "1"})
    succeeded(host)
    assert "Training 1 models of 4 features side by side." in host.output


def test_an_interrupted_job_goes_on_where_it_was(jobs: QuickJobs, tmp_path: Path) -> None:
    settings = {"epochs": "40", "early_stopping_patience": "41", "num_models": "2"}
    whole = jobs.train(settings)
    often = {"KINDLING_CHECKPOINT_INTERVAL_S": "0"}
    (host,) = jobs.start(settings, checkpoints=tmp_path, environ=often)
    host.read_until("epoch=9, validation")
    host.process.send_signal(signal.SIGKILL)
    host.finish()
    (host,) = jobs.start(settings, checkpoints=tmp_path, environ=often)
    assert host.finish() == 0, host.output
    assert "Going on after epoch" in host.output
    assert len(losses(host.output, "validation")) < 40
    assert losses(host.output, "validation")[-1] == losses(whole.output, "validation")[-1]
    assert np.array_equal(succeeded(host).weights, succeeded(whole).weights)


def test_a_stopped_job_writes_the_best_model_so_far(jobs: QuickJobs) -> None:
    (host,) = jobs.start({"epochs": "1000000", "early_stopping_patience": "1000001"})
    host.read_until("epoch=3, validation")
    host.process.terminate()
    assert host.finish() == 0, host.output
    assert succeeded(host).weights[0, :3] == pytest.approx(WEIGHTS[:3], abs=0.1)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_channel_in_pipe_mode_is_read_anew_in_every_epoch(jobs: QuickJobs, sparse: bool) -> None:
    table = regression(2000, 1)
    written = as_sparse_recordio(table) if sparse else as_recordio(table)
    validation = regression(400, 2)
    channels = {"validation": {"a": as_sparse_recordio(validation) if sparse else as_csv(validation)}}
    settings = {"epochs": "6", "num_models": "2", "early_stopping_patience": "7"}
    (host,) = jobs.start(settings, channels, piped=["train"])

    def feed() -> None:
        for epoch in range(6):
            (host.base / "input" / "data" / f"train_{epoch}").write_bytes(written)

    threading.Thread(target=feed, daemon=True).start()
    assert host.finish() == 0, host.output
    assert len(losses(host.output, "validation")) == 6
    assert losses(host.output, "validation")[-1] < (
        20 if sparse else 0.05
    )  # of a variance above 1000; what cannot be shifted is learnt slowly
    if not sparse:
        assert succeeded(host).weights[0, :3] == pytest.approx(WEIGHTS[:3], abs=0.05)


def test_files_that_do_not_fit_into_memory_are_read_in_every_epoch(
    jobs: QuickJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = jobs.train({"num_models": "4"})
    monkeypatch.setattr(data, "_MEMORY_SHARE", 0.0)
    streamed = jobs.train({"num_models": "4"})
    assert "its files are read in every epoch" in streamed.output
    assert quality(streamed.output, "test mse") == pytest.approx(quality(kept.output, "test mse"), rel=0.2)
    # Without a channel to validate by, every tenth record of the stream is held back, the same ones in every epoch.
    alone = jobs.train({"num_models": "4", "epochs": "3"}, {"train": REGRESSION["train"]})
    assert len(losses(alone.output, "validation")) == 3
    assert succeeded(alone).weights[0, :3] == pytest.approx(WEIGHTS[:3], abs=0.05)


@pytest.mark.parametrize(
    ("hyperparameters", "train", "sentence"),
    [
        ({}, b"1,2,3\n4,5\n", "Expected 3 columns, got 2: 4,5."),
        ({}, b"y,x\n1,2\n", "is not CSV of numbers after 0 records: In CSV column #.*'[xy]'"),
        ({}, b"1,2\n3,nan\n", r"holds a feature that is not finite \(record 2\); give a number."),
        ({}, b"1\n2\n", "holds rows of one column; they must have the label and at least one feature."),
        ({"feature_dim": "3"}, b"1,2,3\n" * 200, "holds a record of 2 features; feature_dim is 3."),
        ({}, b"1,2\n" * 5, "mini_batch_size=100 is more than the 5 records to train on; lower it."),
        (
            {"predictor_type": "binary_classifier"},
            b"1,2\n2,3\n" * 200,
            r"holds the label 2 \(record 2\); it must be 0 or 1.",
        ),
        (
            {"predictor_type": "multiclass_classifier"},
            b"1,2\n",
            "num_classes=1 is not valid with predictor_type=multiclass_classifier",
        ),
        ({"num_classes": "4"}, b"1,2\n", "num_classes=4 is not valid with predictor_type=regressor"),
        (
            {"learning_rate": "0.001", "lr_scheduler_minimum_lr": "0.01"},
            b"1,2\n",
            "lr_scheduler_minimum_lr=0.01 is above",
        ),
        ({"loss": "logistic"}, b"1,2\n", "loss=logistic is for classifiers"),
        ({"learning_rate": "1e30", "num_models": "1"}, as_csv(regression(500, 1)), "all 1 models diverged in epoch"),
        ({}, as_recordio(regression(200, 1))[:-3], "is not RecordIO-protobuf: .* is cut off"),
        ({}, gzip.compress(as_csv(regression(200, 1)))[:-20], "is no whole gzip file: "),
        ({}, gzip.compress(as_csv(regression(200, 1)))[:100] + bytes(500), "is no whole gzip file: "),
        ({}, as_recordio(regression(200, 1), labels=2), "holds a record with 2 labels; every record must have one."),
        (
            {"predictor_type": "binary_classifier", "positive_example_weight_mult": "balanced"},
            b"1,2\n" * 200,
            "all labels are 1, so they cannot be balanced",
        ),
    ],
)
def test_a_users_mistake_is_one_sentence(
    jobs: QuickJobs, hyperparameters: dict[str, str], train: bytes, sentence: str
) -> None:
    host = jobs.train(hyperparameters, {"train": {"data": train}})
    assert host.code == 1, host.output
    assert host.failure.startswith("ClientError: ")
    assert re.search(sentence, host.failure), host.failure
    assert not list(host.model.glob("*"))


def test_dense_validation_of_sparse_training_data_is_refused(jobs: QuickJobs) -> None:
    host = jobs.train({}, {"train": {"a": as_sparse_recordio(regression(200, 1))}, "validation": {"a": b"1,2,3,4,5\n"}})
    assert "channel 'validation' is dense, but the training data are sparse." in host.failure
    host = jobs.train({"unbias_data": "True"}, {"train": {"a": as_sparse_recordio(regression(200, 1))}})
    assert "unbias_data=True would make sparse data dense" in host.failure


def test_models_beside_the_first_are_near_it() -> None:
    from linear_learner.settings import Settings

    algorithm = installed_algorithm("linear_learner")

    def models(**given: object) -> list[tuple[float, float, float]]:
        values = algorithm.parse_hyperparameters({"predictor_type": "regressor", **given}, 1)
        grid = Settings.model_validate({**values, "tuned": False}).models(14)
        return [(model.learning_rate, model.l1, model.wd) for model in grid]

    usual = models()
    assert len(usual) == len(set(usual)) == 32
    assert usual[0] == (0.1, 0.0, 1e-4)
    assert models(num_models=1, learning_rate=0.02, l1=0.5, wd=0.0) == [(0.02, 0.5, 0.0)]
    near = models(learning_rate=0.02, wd=0.01)
    assert near[0] == (0.02, 0.0, 0.01)
    assert all(math.isclose(rate / 0.02, 1) or rate < 0.02 for rate, _, _ in near)
    assert {wd for _, _, wd in near} == {0.01, 0.1, 0.001, 0.0001}
    assert len(models(num_models=100)) == len(set(models(num_models=100))) == 100
