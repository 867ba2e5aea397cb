"""Raw text prepared as a Processing job does it, by one host or several, and trained on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.testing import free_port, write_input
from translator.preparation import binarised
from translator.preparation_job import main

from .jobs import SMALL, parallel, sentences, translator

if TYPE_CHECKING:
    import subprocess

SETTINGS = ["source-lang=de", "target-lang=en", "bpe-symbols=60"]
PAIRS = sentences(600, 1)


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def start(folder: Path, parts: list[dict[str, bytes]], *settings: str) -> list[subprocess.Popen[str]]:
    """A host for each part of the training text; all write to folder/output."""
    names = [f"algo-{number + 1}" for number in range(len(parts))]
    environ = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "KINDLING_CPUS_PER_HOST": "1"}
    validation = lay_out(folder / "validation", parallel(sentences(40, 2)))
    started = []
    for name, part in zip(names, parts, strict=True):
        base = folder / name
        (base / "config").mkdir(parents=True)
        (base / "config/resourceconfig.json").write_text(json.dumps({"hosts": names, "current_host": name}))
        arguments = ["--train", str(lay_out(base / "train", part)), "--validation", str(validation)]
        arguments += ["--output", str(folder / "output"), *settings]
        started.append(translator(["prepare", *arguments], {**environ, "SAGEMAKER_BASE_DIR": str(base)}))
    return started


def finished(hosts: list[subprocess.Popen[str]]) -> list[str]:
    outputs = [host.communicate(timeout=120)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0] * len(hosts), outputs
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([parallel(PAIRS), parallel(PAIRS)], id="the same files"),
        pytest.param([parallel(PAIRS[:350], "a"), parallel(PAIRS[350:], "b")], id="files of their own"),
    ],
)
def test_hosts_prepare_shards_with_the_dictionaries_of_all_that_are_trained_on(
    tmp_path: Path, parts: list[dict[str, bytes]]
) -> None:
    finished(start(tmp_path / "one", [parallel(PAIRS)], *SETTINGS))
    finished(start(tmp_path / "two", parts, *SETTINGS))
    whole, shards = tmp_path / "one/output", [tmp_path / f"two/output/shard-{number}" for number in range(2)]
    for name in ("dict.de.txt", "dict.en.txt", "bpecodes"):
        for shard in shards:
            assert (shard / name).read_bytes() == (whole / name).read_bytes(), name
    sizes = [(folder / "train.de-en.en.bin").stat().st_size for folder in (whole, *shards)]
    assert sizes[0] == sizes[1] + sizes[2]
    assert (shards[0] / "valid.de-en.en.bin").read_bytes() == (whole / "valid.de-en.en.bin").read_bytes()
    assert not list(shards[1].glob("valid.*"))
    assert not list(whole.glob("*.log"))

    given = {name: text for name, text in SMALL.items() if name not in ("source-lang", "target-lang", "bpe-symbols")}
    base = tmp_path / "trained"
    write_input(base, {"training": {}}, {**given, "max-epoch": "2"}, ["algo-1"], "algo-1")
    (base / "input/data/training").rmdir()
    (base / "input/data/training").symlink_to(tmp_path / "two/output", target_is_directory=True)
    process = translator(["train"], {"SAGEMAKER_BASE_DIR": str(base), "KINDLING_CPUS_PER_HOST": "1"})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    epochs = json.loads((base / "output/data/evaluation/translation.json").read_text())["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert epochs[1]["valid_loss"] < epochs[0]["valid_loss"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["bpe=5"], "ClientError: hyperparameter bpe is none of the preparation; known are source-lang, "),
        (["bpe-symbols=many"], "ClientError: hyperparameter bpe-symbols='many' is not valid; it must be an integer"),
        (["source-lang=fr", "target-lang=en"], "ClientError: channel 'train' holds part.en but no part.fr; every text"),
    ],
)
def test_a_mistake_becomes_the_jobs_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: list[str], sentence: str
) -> None:
    train, validation = (lay_out(tmp_path / name, parallel(PAIRS[:10])) for name in ("train", "validation"))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "ml"))
    folders = ["--train", str(train), "--validation", str(validation), "--output", str(tmp_path / "output")]
    assert main([*folders, *settings]) == 1
    assert (tmp_path / "ml/output/message").read_text().startswith(sentence)
    assert not (tmp_path / "output").exists()


NAMES = [f"{split}.de-en.{language}.idx" for split in ("train", "valid") for language in ("de", "en")]
DICTIONARIES = {"dict.de.txt": b"haus 3\n", "dict.en.txt": b"house 3\n"}
WHOLE = {**dict.fromkeys(NAMES, b"x"), **DICTIONARIES}


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        ({"": {**WHOLE, "valid.de-en.en.idx": None}}, "holds no valid.de-en.en.idx; it must hold what fairseq-preproc"),
        ({"": {**WHOLE, "dict.en.txt": None}}, "holds no dict.en.txt; it must hold what fairseq-preprocess writes"),
        ({"a": WHOLE, "b": {**WHOLE, "train.de-en.de.idx": None}}, "holds no train.de-en.de.idx; it must hold what"),
        ({"a": WHOLE, "b": {**WHOLE, "dict.de.txt": b"hof 2\n"}}, "holds shards with different dict.de.txt; prepare"),
        (
            {"": {**WHOLE, "train.fr-en.fr.idx": b"x"}},
            "holds several pairs of languages (de-en, fr-en); set source",
        ),
    ],
)
def test_binarised_data_that_is_not_whole_is_refused(
    tmp_path: Path, folders: dict[str, dict[str, bytes | None]], sentence: str
) -> None:
    for folder, files in folders.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, content in files.items():
            if content is not None:
                (tmp_path / folder / name).write_bytes(content)
    given = {"source-lang": "", "target-lang": "", "tokenizer": "moses"}
    with pytest.raises(ClientError, match=re.escape(f"channel 'training' {sentence}")):
        binarised(InputChannel("training", tmp_path), given)


def test_shards_are_taken_together_and_only_the_first_validates(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        lay_out(tmp_path / folder, {n: c for n, c in WHOLE.items() if folder == "a" or not n.startswith("valid")})
    data = binarised(InputChannel("training", tmp_path), {"source-lang": "", "target-lang": "", "tokenizer": "moses"})
    assert data.argument == f"{tmp_path}/a:{tmp_path}/b"
    assert (data.pipeline.source_lang, data.pipeline.target_lang) == ("de", "en")


@pytest.mark.slow
def test_a_host_that_fails_ends_the_others(tmp_path: Path) -> None:
    hosts = start(tmp_path, [parallel(PAIRS[:50]), {"part.de": b"eins\n", "part.en": b"\xff\n"}], *SETTINGS)
    outputs = [host.communicate(timeout=120)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [1, 1], outputs
    assert "host algo-2 failed: channel 'train': part.de or part.en is not UTF-8" in outputs[0]
