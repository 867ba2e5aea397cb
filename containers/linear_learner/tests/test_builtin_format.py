"""The built-in's model_algo-1, written and read; MXNet itself reads it in tests/clients."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from contract.errors import ClientError
from linear_learner import builtin_format
from linear_learner.model import LinearModel

from .test_serving import BINARY, MULTICLASS, REGRESSOR, ROWS


@pytest.mark.parametrize("model", [REGRESSOR, BINARY, MULTICLASS], ids=["regressor", "binary", "multiclass"])
def test_what_is_exported_is_imported(tmp_path: Path, model: LinearModel) -> None:
    model.write(tmp_path)
    tool = [sys.executable, "-m", "linear_learner"]
    subprocess.run([*tool, "export", str(tmp_path), str(tmp_path / "model_algo-1")], check=True)
    subprocess.run([*tool, "import", str(tmp_path / "model_algo-1"), str(tmp_path / "again")], check=True)
    again = LinearModel.read(tmp_path / "again")
    assert np.array_equal(again.weights, model.weights)
    assert np.array_equal(again.scores(ROWS), model.scores(ROWS))
    assert again.description.threshold == model.description.threshold


def rewritten(source: Path, name: str, content: bytes | None) -> None:
    """The archive with another content of one of its files, or without it."""
    with zipfile.ZipFile(source) as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(source, "w") as archive:
        for entry, old in contents.items():
            if entry != name or content is not None:
                archive.writestr(entry, content if entry == name and content is not None else old)


def test_what_the_file_does_not_say_is_told_by_its_network(tmp_path: Path) -> None:
    path = tmp_path / "model_algo-1"
    for model in (REGRESSOR, BINARY, MULTICLASS):
        builtin_format.write(model, path)
        rewritten(path, "additional-params.json", None)
        found = builtin_format.read(path, usual_threshold=0.7)
        assert found.description.predictor_type == model.description.predictor_type
        assert found.scores(ROWS) == pytest.approx(model.scores(ROWS))
        if model is BINARY:
            assert found.description.threshold == 0.7


def import_of_another_output(path: Path) -> None:
    """An output layer that is not known, and more outputs than a regressor has."""
    builtin_format.write(MULTICLASS, path)
    with zipfile.ZipFile(path) as archive:
        symbol = json.loads(archive.read("mx-mod-symbol.json"))
    for output, sentence in (
        ("SVMOutput", "ends in SVMOutput; known are"),
        ("LinearRegressionOutput", "a regressor has one"),
    ):
        symbol["nodes"][-1]["op"] = output
        builtin_format.write(MULTICLASS, path)
        rewritten(path, "additional-params.json", None)
        rewritten(path, "mx-mod-symbol.json", json.dumps(symbol).encode())
        with pytest.raises(ClientError, match=sentence):
            builtin_format.read(path)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model_algo-1"
    builtin_format.write(REGRESSOR, path)
    with zipfile.ZipFile(path) as archive:
        symbol = json.loads(archive.read("mx-mod-symbol.json"))
        parameters = archive.read("mx-mod-0000.params")
    symbol["nodes"].append(symbol["nodes"][3])
    cases = [
        ("mx-mod-symbol.json", json.dumps(symbol).encode(), "a network of 2 layers and 1 matrices"),
        ("mx-mod-symbol.json", b"[]", "is not MXNet's description of a network"),
        ("mx-mod-symbol.json", b"{", "is not the built-in's"),
        ("mx-mod-symbol.json", None, "has no mx-mod-symbol.json"),
        ("mx-mod-0000.params", b"abc", "cut off or damaged at byte 0"),
        ("mx-mod-0000.params", bytes(64), "is not a file of MXNet's parameters"),
    ]
    for name, content, sentence in cases:
        builtin_format.write(REGRESSOR, path)
        rewritten(path, name, content)
        with pytest.raises(ClientError, match=sentence):
            builtin_format.read(path)
    for length in range(len(parameters)):
        builtin_format.write(REGRESSOR, path)
        rewritten(path, "mx-mod-0000.params", parameters[:length])
        with pytest.raises(ClientError, match=r"mx-mod-0000.params|matrices"):
            builtin_format.read(path)
    import_of_another_output(path)
    path.write_bytes(b"no zip")
    with pytest.raises(ClientError, match="model_algo-1 is not the built-in's"):
        builtin_format.read(path)
