"""Stanford sentiment through the deployed pipeline to an endpoint that is as right as fastText."""

from __future__ import annotations

import json
import lzma
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import fasttext
import pytest

from kindling.environments import python_of
from kindling.reports import classification
from tests.e2e.conftest import Deployment

ALGORITHM = "gluon_fasttext"
SST2 = Path(__file__).resolve().parents[3] / "shared" / "data" / "sst2"
pytestmark = pytest.mark.skipif(not SST2.is_dir(), reason="needs the data set sst2 beside the checkout")

DIM, NGRAMS, BUCKETS, EPOCHS = 50, 2, 200_000, 5
HELD_OUT = 5_000


def labelled(name: str) -> list[str]:
    with lzma.open(SST2 / f"sst2.{name}.xz", "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n") for line in file]


def as_csv(lines: list[str]) -> str:
    """The script's form: `label,text`."""
    pairs = (line.partition(" ") for line in lines)
    return "".join(f"{label.removeprefix('__label__')},{text}\n" for label, _, text in pairs)


def asked(deployed: Deployment, endpoint: str, texts: list[str]) -> list[dict[str, Any]]:
    """The endpoint's answer to each text: both labels and their probabilities."""
    runtime, found = deployed.client("sagemaker-runtime"), []
    for start in range(0, len(texts), 500):
        body = json.dumps({"instances": texts[start : start + 500], "configuration": {"k": 2}})
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body)
        found += json.loads(answer["Body"].read())
    return found


# Run by BlazingText's interpreter, on the model that its endpoint would load.
BLAZINGTEXT = """
import json, pathlib, sys
from blazingtext.text_classifier import TextClassifier
folder = pathlib.Path(sys.argv[1])
texts = json.loads((folder / "texts.json").read_text())
print(json.dumps(TextClassifier.read(folder).predict(texts, 2)))
"""


def exported_and_asked(deployed: Deployment, model: str, folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    """What BlazingText's server makes of the texts by the model's fastText .bin."""
    bucket, _, key = model.removeprefix("s3://").partition("/")
    deployed.client("s3").download_file(bucket, key, str(folder / "model.tar.gz"))
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder / "model", filter="data")
    exported = folder / "exported"
    exported.mkdir()
    command = [str(python_of(ALGORITHM)), "-m", "gluon_fasttext", "export", "model", "exported/model.bin"]
    subprocess.run(command, cwd=folder, check=True)
    (exported / "texts.json").write_text(json.dumps(texts))
    command = [str(python_of("blazingtext")), "-c", BLAZINGTEXT, str(exported)]
    answers: list[dict[str, Any]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answers


def accuracies(deployed: Deployment, folder: Path, count: int, hosts: int) -> tuple[float, float, dict[str, Any]]:
    """Of the endpoint that a run makes, and of fastText at the same settings; and the run's output.

    Args:
        count: of the texts to train on.
    """
    everything = labelled("train")
    held_out = everything[-HELD_OUT:] + labelled("dev")
    train = everything[: min(count, len(everything) - HELD_OUT)]
    name = f"sst2-{count}-{hosts}"
    addresses = {}
    for channel, lines in (("train", train), ("validation", held_out[::2]), ("test", held_out[1::2])):
        path = folder / f"{channel}.csv"
        path.write_text(as_csv(lines), encoding="utf-8")
        addresses[channel] = deployed.upload(path, f"{name}/{channel}", ALGORITHM)
    execution = deployed.run(
        {
            "name": name,
            "inputs": addresses,
            "hyperparameters": {
                "emsize": str(DIM),
                "ngrams": str(NGRAMS),
                "buckets": str(BUCKETS),
                "epochs": str(EPOCHS),
                "batch_size": str(512 // hosts),
            },
            "resources": {"instance_count": hosts},
            "gate": {"metric": "validation:accuracy", "at_least": 0.8},
            "endpoint": {"name": name},
        },
        deployed.found.state_machine(ALGORITHM),
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")

    (folder / "fasttext.txt").write_text("".join(f"{line}\n" for line in train), encoding="utf-8")
    theirs = fasttext.train_supervised(
        str(folder / "fasttext.txt"),
        dim=DIM,
        wordNgrams=NGRAMS,
        bucket=BUCKETS,
        epoch=EPOCHS,
        lr=0.25,
        thread=1,
        verbose=0,
    )
    (folder / "held-out.txt").write_text("".join(f"{line}\n" for line in held_out), encoding="utf-8")
    _, precision, _ = theirs.test(str(folder / "held-out.txt"))
    labels, texts = zip(*((label, text) for label, _, text in (line.partition(" ") for line in held_out)), strict=True)
    found = asked(deployed, name, list(texts))
    ours = sum(one["label"][0] == wanted for one, wanted in zip(found, labels, strict=True)) / len(labels)
    return ours, precision, json.loads(execution["output"])


def test_a_slice_of_sst2_becomes_an_endpoint_as_right_as_fasttext(deployed: Deployment, tmp_path: Path) -> None:
    ours, theirs, output = accuracies(deployed, tmp_path, 20_000, hosts=1)
    print(f"accuracy on {HELD_OUT + 872} held-out texts: {ours:.4f}, fastText's {theirs:.4f}")
    assert ours >= theirs - 0.01
    assert output["evaluation"]["gate"]["passed"] is True
    assert output["training"]["metrics"]["validation:accuracy"] == pytest.approx(ours, abs=0.02)

    scores = classification.of_run(deployed.target, output["training"]["model_s3_uri"])
    assert scores is not None
    assert scores.channel == "test"
    assert len(scores.epochs) == EPOCHS
    assert scores.epochs[-1].train_loss < scores.epochs[0].train_loss

    texts = [line.partition(" ")[2] for line in labelled("dev")]
    by_endpoint = asked(deployed, "sst2-20000-1", texts)
    by_blazingtext = exported_and_asked(deployed, output["training"]["model_s3_uri"], tmp_path, texts)
    for one, other in zip(by_endpoint, by_blazingtext, strict=True):
        assert one["prob"] == pytest.approx(other["prob"], abs=1e-4)
        assert one["label"] == other["label"] or one["prob"][0] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.slow
def test_two_hosts_reach_on_all_of_sst2_what_one_reaches(deployed: Deployment, tmp_path: Path) -> None:
    found = []
    for hosts in (1, 2):
        folder = tmp_path / f"{hosts}-hosts"
        folder.mkdir()
        ours, theirs, _ = accuracies(deployed, folder, 100_000, hosts)
        print(f"{hosts} host(s): {ours:.4f}, fastText's {theirs:.4f}")
        assert ours >= theirs - 0.01
        found.append(ours)
    assert found[1] == pytest.approx(found[0], abs=0.01)
