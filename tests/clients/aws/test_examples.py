"""Each script of examples/ runs as it stands; they run side by side, for most of their time the SDK sleeps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import ROOT, Cloud

pytestmark = pytest.mark.slow
SDK = str(ROOT / ".venvs" / "client-sagemaker-v2" / "bin" / "python")
EXAMPLES = {
    "word2vec_text8": SDK,
    "word2vec_metrics": SDK,
    "word2vec_boto3": sys.executable,
    "text_classification": SDK,
    "data_distribution": sys.executable,
}
AIR = ROOT.parent / "shared" / "data" / "beijing-air" / "beijing-air.tar.xz"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the drawing goes."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def air(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stations' hours, one file each; empty without the data set."""
    folder = tmp_path_factory.mktemp("air")
    if AIR.exists():
        with tarfile.open(AIR) as archive:
            for name in ("Tiantan", "Shunyi", "Gucheng"):
                archive.extract(f"./{name}.csv", folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def running(cloud: Cloud, out: Path, air: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The scripts, all of them started, by name."""
    role = subprocess.check_output([sys.executable, "examples/make_role.py"], cwd=ROOT, text=True)
    name, arn = role.removeprefix("export ").strip().split("=", 1)
    further = {"word2vec_text8": ["--out", str(out)], "data_distribution": [str(air)]}
    processes = {
        script: subprocess.Popen(
            [interpreter, str(ROOT / "examples" / f"{script}.py"), *further.get(script, [])],
            cwd=out,
            env={**os.environ, name: arn, "SAGEMAKER_SUPPRESS_V2_WARNING": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for script, interpreter in EXAMPLES.items()
        if script != "data_distribution" or AIR.exists()
    }
    yield processes
    for process in processes.values():
        process.kill()


def said(running: dict[str, subprocess.Popen[str]], script: str) -> str:
    """What a script printed by the time it ended well."""
    printed, complaints = running[script].communicate(timeout=240)
    assert running[script].returncode == 0, printed + complaints
    return printed


def test_two_hosts_train_vectors_that_are_served_downloaded_and_drawn(
    running: dict[str, subprocess.Popen[str]], out: Path
) -> None:
    printed = said(running, "word2vec_text8")
    assert "on 2 hosts" in printed
    assert "Training seconds:" in printed
    assert re.search(r"bucket: 50 numbers, first -?\d", printed)
    assert (out / "vectors.txt").read_text(encoding="utf-8").split("\n", 1)[0].endswith(" 50")
    assert (out / "tsne.png").stat().st_size > 50_000


def test_metrics_are_a_data_frame(running: dict[str, subprocess.Popen[str]]) -> None:
    printed = said(running, "word2vec_metrics")
    assert re.search(r"train:mean_rho +0\.\d+", printed)
    assert re.search(r"train:million_words_a_second +\d", printed)


def test_boto3_alone_goes_all_the_way(running: dict[str, subprocess.Popen[str]], cloud: Cloud) -> None:
    printed = said(running, "word2vec_boto3")
    assert re.search(r"word2vec-\S+: Completed after \d+ s", printed)
    assert "instance: 50 numbers" in printed
    left = cloud.client("sagemaker").list_endpoints(NameContains="word2vec-2")["Endpoints"]
    assert left == []


def test_sentences_are_told_apart(running: dict[str, subprocess.Popen[str]]) -> None:
    printed = said(running, "text_classification")
    accuracy = re.search(r"validation:accuracy = (\S+)", printed)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.7
    assert re.search(r"__label__sqs \(0\.\d+\): deletes the specified queue|__label__sqs \(1\.00\)", printed)
    assert re.search(r"__label__iam \([01]\.\d+\): grants a user", printed)


@pytest.mark.skipif(not AIR.exists(), reason="needs the data set beijing-air beside the checkout")
def test_shards_and_replicas_are_timed_hosted_and_compared(
    running: dict[str, subprocess.Popen[str]], cloud: Cloud
) -> None:
    printed = said(running, "data_distribution")
    seconds = dict(re.findall(r"(\w+): trained for (\d+) s on 2 hosts, \d+\.\d s between", printed))
    errors = {arm: float(error) for arm, error in re.findall(r"(\w+): MSE (\S+) of \d+ rows", printed)}
    assert set(seconds) == set(errors) == {"sharded", "replicated"}
    assert errors["sharded"] == pytest.approx(errors["replicated"], rel=0.05)
    assert errors["sharded"] < 1500, "of a variance above 6000"
    left = cloud.client("sagemaker").list_endpoints(NameContains="distribution-")["Endpoints"]
    assert left == []
