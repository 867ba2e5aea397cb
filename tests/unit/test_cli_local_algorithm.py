"""One algorithm alone on local files: the contract's layout, every host, its exit code and its reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from containers.catalogue import algorithms
from kindling import local_algorithm
from kindling.errors import UserError

# Stands for an algorithm's package: writes down what it was given, as its model or as its failure.
PROGRAM = """
import json, os, pathlib, sys
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
read = lambda name: json.loads((base / "input" / "config" / f"{name}.json").read_text())
hyperparameters, resources = read("hyperparameters"), read("resourceconfig")
files = sorted(path.name for path in (base / "input" / "data" / "train").iterdir())
print("trained on", resources["current_host"])
checkpoints = base / "checkpoints"
if checkpoints.is_dir():
    print("found", *sorted(path.name for path in checkpoints.iterdir()))
    (checkpoints / f"of-{resources['current_host']}").touch()
if hyperparameters["epochs"] == "7" and resources["current_host"] == "algo-2":
    (base / "output" / "failure").write_text("ClientError: seven is too many.")
    sys.exit(3)
if resources["current_host"] == resources["hosts"][0]:
    model = {"files": files, "hosts": resources["hosts"], "master": os.environ.get("MASTER_ADDR"), "argv": sys.argv[1:]}
    (base / "model" / "model.json").write_text(json.dumps(model))
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code" / "blazingtext").mkdir(parents=True)
    (tmp_path / "code" / "blazingtext" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "corpus.txt").write_text("a small corpus")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    monkeypatch.setattr(local_algorithm, "python_of", lambda name: Path(sys.executable))


def train(tmp_path: Path, hosts: int = 1, **hyperparameters: str) -> int:
    given = {"mode": "batch_skipgram", "epochs": "1", **hyperparameters}
    channels = {"train": tmp_path / "corpus.txt"}
    return local_algorithm.train(algorithms()["blazingtext"], channels, given, tmp_path / "model", hosts)


def test_one_host_writes_its_model_where_it_was_asked_to(tmp_path: Path) -> None:
    assert train(tmp_path) == 0
    written = (tmp_path / "model" / "model.json").read_text()
    assert written == '{"files": ["corpus.txt"], "hosts": ["algo-1"], "master": null, "argv": ["train"]}'


def test_several_hosts_meet_on_the_loopback_device_and_their_lines_bear_their_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, hosts=2) == 0
    assert '"hosts": ["algo-1", "algo-2"], "master": "127.0.0.1"' in (tmp_path / "model" / "model.json").read_text()
    assert sorted(capfd.readouterr().out.splitlines()) == [
        "algo-1 | trained on algo-1",
        "algo-2 | trained on algo-2",
    ]


def test_checkpoints_are_kept_where_they_were_asked_to_and_found_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given, channels = {"mode": "cbow"}, {"train": tmp_path / "corpus.txt"}
    for found in ("", "of-algo-1"):
        code = local_algorithm.train(
            algorithms()["blazingtext"],
            channels,
            {**given, "epochs": "1"},
            tmp_path / "model",
            1,
            tmp_path / "new" / "checkpoints",
        )
        assert code == 0
        assert capfd.readouterr().out.splitlines()[1].split()[1:] == found.split()
    assert [path.name for path in (tmp_path / "new" / "checkpoints").iterdir()] == ["of-algo-1"]


def test_a_hosts_failure_is_the_exit_code_and_its_reason_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, hosts=2, epochs="7") == 3
    assert capfd.readouterr().err == "ClientError: seven is too many.\n"


def test_what_cannot_be_meant_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode=cbow runs on one host, but this job has 2"):
        train(tmp_path, hosts=2, mode="cbow")
    with pytest.raises(UserError, match="needs channel train"):
        local_algorithm.train(algorithms()["blazingtext"], {}, {"mode": "cbow"}, tmp_path / "model", 1)
    with pytest.raises(UserError, match=r"the model folder .* does not exist"):
        local_algorithm.serve(algorithms()["blazingtext"], tmp_path / "nowhere", 8080)
    assert not (tmp_path / "model").exists()


def test_a_tool_gets_its_files_and_options(tmp_path: Path) -> None:
    program = "import json, pathlib, sys; pathlib.Path(sys.argv[3]).write_text(json.dumps(sys.argv[1:]))"
    (tmp_path / "code" / "blazingtext" / "__main__.py").write_text(program)
    corpus, made = tmp_path / "corpus.txt", tmp_path / "made.txt"
    blazingtext = algorithms()["blazingtext"]
    assert local_algorithm.use_tool(blazingtext, "phrases", corpus, made, {"passes": "2"}) == 0
    assert json.loads(made.read_text()) == ["phrases", str(corpus), str(made), "passes=2"]
    with pytest.raises(ValueError, match="option passes=0 is out of range"):
        local_algorithm.use_tool(blazingtext, "phrases", corpus, made, {"passes": "0"})
    with pytest.raises(UserError, match=r"the input .*nowhere does not exist"):
        local_algorithm.use_tool(blazingtext, "phrases", tmp_path / "nowhere", made, {})
    with pytest.raises(UserError, match=r"the output's folder .* does not exist"):
        local_algorithm.use_tool(blazingtext, "phrases", corpus, tmp_path / "no" / "made.txt", {})
