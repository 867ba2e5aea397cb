"""Air quality through the deployed pipeline to an endpoint as right as least squares; MXNet reads its model."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kindling.environments import python_of
from kindling.reports import linear
from tests.e2e.conftest import Deployment

ALGORITHM = "linear_learner"
AIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "beijing-air" / "beijing-air.tar.xz"
GDELT = AIR.parents[1] / "gdelt"

BATCH = 2_000

# Run by Gluon fastText's interpreter, which has MXNet, as the users of AWS's artifact load it.
MXNET = """
import json, sys, zipfile
import mxnet as mx, numpy as np
zipfile.ZipFile("model_algo-1").extractall(".")
rows = mx.nd.array(np.load("rows.npy"))
with open("mx-mod-symbol.json") as file:
    network = mx.gluon.nn.SymbolBlock(mx.sym.load_json(file.read()), mx.sym.var("data"))
network.load_parameters("mx-mod-0000.params", allow_missing=True)
network.initialize()
module = mx.module.Module.load("mx-mod", 0, label_names=["out_label"])
shape = module._arg_params["fc0_weight"].shape
print(json.dumps({"scores": network(rows).asnumpy().ravel().tolist(), "shape": shape}))
"""


def stations(folder: Path) -> list[Path]:
    """One file a station: the label, PM2.5, and 14 features."""
    with tarfile.open(AIR) as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.glob("*.csv"))


def asked(deployed: Deployment, endpoint: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The endpoint's scores, by CSV."""
    runtime, found = deployed.client("sagemaker-runtime"), []
    for start in range(0, len(rows), BATCH):
        body = "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows[start : start + BATCH])
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body)
        assert answer["ContentType"] == "application/json"
        found += [one["score"] for one in json.loads(answer["Body"].read())["predictions"]]
    return np.array(found)


def asked_of_mxnet(deployed: Deployment, model: str, folder: Path, rows: NDArray[np.float64]) -> dict[str, Any]:
    """What MXNet makes of the rows by the model that was exported for the built-in."""
    bucket, _, key = model.removeprefix("s3://").partition("/")
    deployed.client("s3").download_file(bucket, key, str(folder / "model.tar.gz"))
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder / "model", filter="data")
    np.save(folder / "rows.npy", rows.astype(np.float32))
    command = [str(python_of(ALGORITHM)), "-m", "linear_learner", "export", "model", "model_algo-1"]
    subprocess.run(command, cwd=folder, check=True)
    command = [str(python_of("gluon_fasttext")), "-c", MXNET]
    found: dict[str, Any] = json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout)
    return found


@pytest.mark.skipif(not AIR.exists(), reason="needs the data set beijing-air beside the checkout")
def test_air_quality_becomes_an_endpoint_as_right_as_least_squares(deployed: Deployment, tmp_path: Path) -> None:
    data = tmp_path / "stations"
    addresses, held_out, train = {}, [], []
    for path in stations(data):
        table = np.loadtxt(path, delimiter=",")
        chosen = np.random.default_rng(1).random(len(table)) < 0.1
        held_out.append(table[chosen])
        train.append(table[~chosen])
        np.savetxt(data / f"train-{path.name}", table[~chosen], "%g", ",")
        addresses["train"] = deployed.upload(data / f"train-{path.name}", "air/train", ALGORITHM)
    test = np.concatenate(held_out)
    for channel, part in (("validation", test[::2]), ("test", test[1::2])):
        np.savetxt(data / f"{channel}.csv", part, "%g", ",")
        addresses[channel] = deployed.upload(data / f"{channel}.csv", f"air/{channel}", ALGORITHM)
    execution = deployed.run(
        {
            "name": "air",
            "inputs": {**addresses, "train": {"s3_uri": addresses["train"], "distribution": "ShardedByS3Key"}},
            "hyperparameters": {"predictor_type": "regressor"},
            "resources": {"instance_count": 2},
            "gate": {"metric": "validation:mse", "at_most": 2000},
            "endpoint": {"name": "air"},
        },
        deployed.found.state_machine(ALGORITHM),
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    model = output["training"]["model_s3_uri"]

    rows, labels = test[1::2, 1:], test[1::2, 0]
    scores = asked(deployed, "air", rows)
    mse = float(np.mean((scores - labels) ** 2))
    whole = np.concatenate(train)
    extended = np.column_stack((whole[:, 1:], np.ones(len(whole))))
    exact = np.linalg.lstsq(extended, whole[:, 0], rcond=None)[0]
    least = float(np.mean((rows @ exact[:-1] + exact[-1] - labels) ** 2))
    print(f"MSE of {len(labels)} held-out hours: {mse:.1f}, least squares' {least:.1f}")
    assert mse <= 1.01 * least
    assert output["training"]["metrics"]["test:mse"] == pytest.approx(mse, rel=1e-3)

    fitted = linear.of_run(deployed.target, model)
    assert fitted is not None
    assert len(fitted.models) == 32
    assert fitted.best(1)[0]["chosen"]
    assert fitted.epochs[-1].train < fitted.epochs[0].train

    by_mxnet = asked_of_mxnet(deployed, model, tmp_path, rows[:1000])
    assert by_mxnet["shape"] == [1, 14]
    assert by_mxnet["scores"] == pytest.approx(scores[:1000].tolist(), rel=1e-4, abs=1e-2)


@pytest.mark.skipif(not GDELT.is_dir(), reason="needs the data set gdelt beside the checkout")
def test_a_processing_job_prepares_gdelts_events_for_a_training_job(deployed: Deployment) -> None:
    """As docs/algorithms/linear_learner.md has it: raw events in S3 to CSV in S3, an object a year."""
    for path in GDELT.iterdir():
        raw = deployed.upload(path, "gdelt/raw", ALGORITHM)
    made = raw.replace("/raw", "/made")
    folders = ["--input", "/opt/ml/processing/events", "--output", "/opt/ml/processing/output"]
    command = ["python", "-m", "linear_learner", "prepare", "gdelt", *folders]
    deployed.process("gdelt", ALGORITHM, command, {"events": raw}, made)
    execution = deployed.run(
        {
            "name": "tone",
            "inputs": {"train": f"{made}/train", "test": f"{made}/test"},
            "hyperparameters": {"predictor_type": "regressor", "feature_dim": "25", "mini_batch_size": "100"},
            "gate": None,
            "endpoint": None,
        },
        deployed.found.state_machine(ALGORITHM),
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    metrics = json.loads(execution["output"])["training"]["metrics"]
    # Where, what and how often tell little of so few events' tone.
    assert 5 < metrics["test:mse"] < 60
