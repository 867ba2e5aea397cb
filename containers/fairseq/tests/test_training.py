"""Jobs as the service starts them: raw or binarised data in, a model, its scores and every mistake named."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contract.environment import TrainingEnvironment
from contract.errors import ClientError, InvalidJobError
from contract.paths import Paths
from contract.testing import Host, Jobs, write_input
from contract.training import installed_algorithm
from translator.train import train

from .jobs import RAW, SMALL, parallel, sentences, translator

QUICK = {"KINDLING_HOST_SILENCE_S": "4", "KINDLING_HOST_JOIN_S": "120"}
LONG = {"max-epoch": "400"}


def evaluation(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((host.base / "output/data/evaluation/translation.json").read_text())
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def losses(host: Host) -> list[float]:
    return [epoch["valid_loss"] for epoch in evaluation(host)["epochs"]]


def test_raw_text_becomes_a_model_without_pickles_that_translates(trained: Host) -> None:
    names = ["bpecodes", "config.json", "dict.de.txt", "dict.en.txt", "eval.json", "model.safetensors"]
    assert sorted(path.name for path in trained.model.iterdir()) == names
    found = evaluation(trained)
    assert found["bleu"] > 90
    assert found["sentences"] == 60
    summary = json.loads((trained.model / "eval.json").read_text())
    assert summary == {name: found[name] for name in ("bleu", "loss", "sentences", "signature", "wps")}
    assert len(found["epochs"]) == 12
    assert found["samples"][0].keys() == {"source", "translation", "reference"}
    assert any(sample["translation"] == sample["reference"] for sample in found["samples"])


def test_each_epoch_prints_its_metrics_and_the_last_progress_is_whole(trained: Host) -> None:
    for name in ("valid_loss", "train_loss", "train_wps"):
        assert len(re.findall(rf"#{name}: (\d+\.\d+)$", trained.output, re.MULTILINE)) == 12
    assert len(re.findall(r"#valid_bleu: ", trained.output)) == 13  # and once of the model that is kept
    told = [float(percent) for percent in re.findall(r"^Progress: ([\d.]+)% epoch: ", trained.output, re.MULTILINE)]
    assert told == sorted(told)
    assert told[-1] == 100.0


def test_a_log_has_no_warnings_of_libraries(trained: Host) -> None:
    assert "Warning" not in trained.output
    assert "deprecated" not in trained.output


def preprocessed(folder: Path) -> Path:
    """What fairseq-preprocess makes of sentences whose words are left whole."""
    words = folder / "words"
    words.mkdir()
    for name, count, seed in (("train", 300, 1), ("valid", 20, 2)):
        for path, content in parallel(sentences(count, seed), name).items():
            (words / path).write_bytes(content)
    code = (
        "from translator.compatibility import import_fairseq; import_fairseq();"
        "from fairseq_cli.preprocess import cli_main; cli_main()"
    )
    flags = ["-s", "de", "-t", "en", f"--trainpref={words / 'train'}", f"--validpref={words / 'valid'}"]
    made = folder / "data-bin"
    subprocess.run([sys.executable, "-c", code, *flags, f"--destdir={made}"], check=True, capture_output=True)
    return made


def test_the_originals_notebook_runs_unchanged_on_binarised_data(trained: Host, jobs: Jobs, tmp_path: Path) -> None:
    """Its hyperparameters as the SageMaker SDK sends them, on what fairseq-preprocess wrote."""
    data = preprocessed(tmp_path)
    notebook = {"lr": "0.5", "clip-norm": "0.1", "dropout": "0.1", "max-tokens": "3000", "no-progress-bar": "True"}
    notebook |= {"criterion": "label_smoothed_cross_entropy", "label-smoothing": "0.1"}
    notebook |= {"lr-scheduler": "fixed", "force-anneal": "50", "arch": "fconv_wmt_en_fr"}
    layers = {"encoder-layers": "[(48, 3)]", "decoder-layers": "[(48, 3)]"}
    smaller = {"encoder-embed-dim": "48", "decoder-embed-dim": "48", "decoder-out-embed-dim": "48", "max-epoch": "2"}
    none = dict.fromkeys(["bpe-symbols", "source-lang", "target-lang"])
    binarised = {"training": {path.name: path.read_bytes() for path in data.iterdir()}}
    host = jobs.train({**none, **notebook, **layers, **smaller, "beam": "1", "tokenizer": "space"}, binarised)
    assert host.process.returncode == 0, host.output
    assert len(evaluation(host)["epochs"]) == 2
    assert evaluation(host)["samples"][0]["source"] == sentences(20, 2)[0][0]


@pytest.mark.slow
def test_two_hosts_learn_as_one_with_twice_the_batches(jobs: Jobs) -> None:
    short = {"max-epoch": "3", "max-tokens": "400"}
    first, second = jobs.start(short, hosts=2, environ=QUICK)
    assert [first.finish(), second.finish()] == [0, 0], first.output + second.output
    alone = jobs.train({**short, "update-freq": "2"})
    assert alone.process.returncode == 0, alone.output
    assert [e["updates"] for e in evaluation(alone)["epochs"]] == [e["updates"] for e in evaluation(first)["epochs"]]
    assert losses(first) == pytest.approx(losses(alone), rel=0.01)
    assert not list(second.model.iterdir())


@pytest.mark.slow
def test_several_processes_on_a_host_learn_as_several_hosts(jobs: Jobs) -> None:
    host = jobs.train({"processes": "2", "max-epoch": "2", "max-tokens": "800"})
    assert host.process.returncode == 0, host.output
    assert losses(host)[1] < losses(host)[0]


def test_a_killed_host_ends_the_job_on_the_other_with_its_name(jobs: Jobs) -> None:
    first, second = jobs.start(LONG, hosts=2, environ=QUICK)
    first.read_until("Progress: ")
    for pid in second.children("fairseq_process"):
        os.kill(pid, signal.SIGKILL)
    second.process.kill()
    assert first.finish(timeout=60) == 1
    assert first.failure == "AlgorithmError: host algo-2 stopped answering, so the job ends on every host."


@pytest.mark.slow
def test_a_killed_process_ends_the_job_on_every_host_with_the_reason(jobs: Jobs) -> None:
    first, second = jobs.start(LONG, hosts=2, environ=QUICK)
    first.read_until("Progress: ")
    for pid in second.children("fairseq_process"):
        os.kill(pid, signal.SIGKILL)
    assert [first.finish(timeout=60), second.finish(timeout=60)] == [1, 1]
    assert second.failure == "AlgorithmError: training process 0 was killed by SIGKILL."
    assert first.failure == "AlgorithmError: host algo-2 failed: training process 0 was killed by SIGKILL."


def test_an_interrupted_job_goes_on_at_the_same_update(jobs: Jobs, trained: Host, tmp_path: Path) -> None:
    """The loss curve of a job that was stopped and one that was killed continues: it is that of one that was not."""
    folder = tmp_path / "checkpoints"
    often = {"KINDLING_CHECKPOINT_INTERVAL_S": "0.2"}
    (stopped,) = jobs.start(checkpoints=folder, environ=often)
    stopped.read_until("#train_wps")
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.finish() == 0, stopped.output
    assert "The job was asked to stop" in stopped.output
    done = len(history(folder / "algo-1"))
    assert 1 <= done < 12

    (killed,) = jobs.start(checkpoints=folder, environ=often)
    killed.read_until("Going on from the checkpoint at update ")
    killed.read_until("#train_wps")
    for pid in killed.children("fairseq_process"):
        os.kill(pid, signal.SIGKILL)
    killed.process.kill()
    killed.finish()

    (resumed,) = jobs.start(checkpoints=folder, environ=often)
    assert resumed.finish() == 0, resumed.output
    assert [epoch["epoch"] for epoch in evaluation(resumed)["epochs"]] == list(range(1, 13))
    assert [e["updates"] for e in evaluation(resumed)["epochs"]] == [
        e["updates"] for e in evaluation(trained)["epochs"]
    ]
    assert losses(resumed) == pytest.approx(losses(trained), rel=0.02)


@pytest.mark.slow
def test_patience_ends_training_and_keeps_the_best_checkpoint(jobs: Jobs) -> None:
    host = jobs.train({"patience": "1", "lr": "0.5,0.5,0.5,0.5,0.000011", "max-epoch": "30", "force-anneal": "1000"})
    assert host.process.returncode == 0, host.output
    epochs = evaluation(host)["epochs"]
    assert len(epochs) < 30
    assert max(e["valid_bleu"] for e in epochs) >= epochs[-1]["valid_bleu"]


@pytest.mark.slow
def test_packed_files_in_several_parts_are_read_and_tell_the_languages(jobs: Jobs) -> None:
    pairs = sentences(400, 1)
    parts = {**parallel(pairs[:200], "a.de-en"), **parallel(pairs[200:], "b.de-en")}
    packed = {f"{name}.gz": gzip.compress(content) for name, content in parts.items()}
    host = jobs.train({"max-epoch": "1", "source-lang": None, "target-lang": None}, {**RAW, "train": packed})
    assert host.process.returncode == 0, host.output
    assert "train: 400 sentence pairs with words on both sides." in host.output
    assert json.loads((host.model / "config.json").read_text())["source_lang"] == "de"


UNEQUAL = {"part.de": b"ein Haus\nein Hund\n", "part.en": b"a house\n"}


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "sentence"),
    [
        ({"arhc": "fconv"}, RAW, "hyperparameter arhc is unknown to fairseq; did you mean arch?"),
        ({"lr": "fast"}, RAW, "hyperparameter lr='fast' is not valid; it must be numbers separated by commas, such as"),
        ({"arch": "fconv_iwslt_de"}, RAW, "hyperparameter arch='fconv_iwslt_de' is unknown to fairseq; did you mean"),
        ({"encoder-embed-dim": "many"}, RAW, "hyperparameter encoder-embed-dim='many' is not valid; it must be an int"),
        ({"fp16": "perhaps"}, RAW, "hyperparameter fp16='perhaps' is not valid; it must be True or False."),
        ({"save-dir": "/tmp"}, RAW, "hyperparameter save-dir cannot be set: the job decides it itself; leave it out."),
        ({"dropout": "2"}, RAW, "hyperparameter dropout=2 is out of range; it must be a number from 0 to 1."),
        ({"source-lang": None}, RAW, "hyperparameter source-lang is missing; set both source-lang and target-lang"),
        ({"source-lang": "fr"}, RAW, "channel 'train' holds part.en but no part.fr; every text needs its translation"),
        ({}, {"train": RAW["train"]}, "channel 'validation' is missing; give raw text in train and validation, or"),
        (
            {},
            {**RAW, "train": UNEQUAL},
            "channel 'train': part.de and part.en have different numbers of lines; line by",
        ),
        (
            {},
            {**RAW, "train": {**RAW["train"], "part.en": b"\xff\n"}},
            "channel 'train': part.de or part.en is not UTF-8",
        ),
        (
            {},
            {**RAW, "train": {"part.de": b"\n", "part.en": b"a\n"}},
            "channel 'train' holds no sentence pair with words",
        ),
        ({}, {"training": {"x": b"1"}}, "channel 'training' holds no dict.*.txt; it must hold what fairseq-prep"),
        (
            {},
            {"training": {"x": b"1"}, "train": RAW["train"]},
            "channel 'training' (binarised) and channel 'train' (raw",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of fairseq's imports, which a job silences by itself
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path, hyperparameters: dict[str, str | None], channels: dict[str, dict[str, bytes]], sentence: str
) -> None:
    given = {name: text for name, text in {**SMALL, **hyperparameters}.items() if text is not None}
    write_input(tmp_path, channels, given, ["algo-1"], "algo-1")
    with pytest.raises((ClientError, InvalidJobError)) as refused:
        train(TrainingEnvironment.read(installed_algorithm("translator"), Paths(tmp_path)))
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_training_that_diverges_ends_with_advice(jobs: Jobs) -> None:
    host = jobs.train({"lr": "1e9", "clip-norm": "0", "max-epoch": "3"})
    assert host.process.returncode == 1, host.output
    assert host.failure.startswith("ClientError: training diverged (gradients are Nan/Inf); lower lr or clip-norm.")


@pytest.mark.slow
def test_a_job_that_is_stopped_before_it_trains_writes_nothing_and_ends_well(jobs: Jobs) -> None:
    (host,) = jobs.start()
    host.read_until("sentence pairs")
    host.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert host.finish() == 0, host.output
    assert time.monotonic() - began < 60
    assert not (host.model / "model.safetensors").exists()
    assert "The job was asked to stop before there was anything worth keeping." in host.output


@pytest.mark.slow
def test_checkpoints_of_another_model_are_refused_and_kept(jobs: Jobs, trained: Host, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "algo-1"
    shutil.copytree(trained.base / "checkpoints", folder)
    (host,) = jobs.start({"decoder-layers": "[(48, 3)]"}, checkpoints=tmp_path / "checkpoints")
    assert host.finish() == 1
    assert host.failure.startswith("ClientError: the checkpoints that were found are of another model; give this job a")
    assert (folder / "checkpoint_best.pt").read_bytes() == (
        trained.base / "checkpoints/checkpoint_best.pt"
    ).read_bytes()


def test_the_command_line_says_what_it_takes() -> None:
    process = translator(["translate"], {})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output == "usage: python -m translator train | serve | prepare ... | convert INPUT OUTPUT, not translate\n"
