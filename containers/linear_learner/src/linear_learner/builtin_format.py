"""The built-in Linear Learner's artifact, `model_algo-1`: a zip of MXNet's symbol and parameters, read and written.

    mx-mod-symbol.json      the network: a FullyConnected layer `fc0` of `data`, and an output layer `out`
    mx-mod-0000.params      `arg:fc0_weight`, shape (outputs, features), and `arg:fc0_bias`, shape (outputs,), float32
    additional-params.json  what the network does not say; of it, only a threshold and the predictor_type are read
    manifest.json           the names of the other files

Both formats are MXNet's (1.x: src/ndarray/ndarray.cc, NDArray::Save; nnvm's graph JSON). Nothing in them is unpickled.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import ClientError
from contract.specification import Value
from linear_learner.model import Description, LinearModel

NAME = "model_algo-1"

_SYMBOL, _PARAMETERS = "mx-mod-symbol.json", "mx-mod-0000.params"
_FURTHER, _MANIFEST = "additional-params.json", "manifest.json"
_LARGEST = 4 * 2**30  # bytes of a file in the zip

_LIST, _V1, _V2, _V3 = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _CPU, _FLOAT32 = 0, 1, 0
_DTYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}

_OUTPUTS = {
    "LinearRegressionOutput": "regressor",
    "MAERegressionOutput": "regressor",
    "LogisticRegressionOutput": "binary_classifier",
    "SoftmaxOutput": "multiclass_classifier",
    "softmax": "multiclass_classifier",
    "sigmoid": "binary_classifier",
}
_LOSSES = {"regressor": "squared_loss", "binary_classifier": "logistic", "multiclass_classifier": "softmax_loss"}


def export_model(source: Path, target: Path, _options: Mapping[str, Value | None]) -> None:
    """Write the model of a folder as model_algo-1.

    Raises:
        ClientError: the folder holds no model.
    """
    write(LinearModel.read(source), target)


def import_model(source: Path, target: Path, options: Mapping[str, Value | None]) -> None:
    """Write the model of a model_algo-1 into a folder, which is made.

    Raises:
        ClientError: the file is not what the built-in writes, or holds another network than a linear one.
    """
    threshold = options["threshold"]
    assert isinstance(threshold, float)
    model = read(source, threshold)
    target.mkdir(parents=True, exist_ok=True)
    model.write(target)


def write(model: LinearModel, path: Path) -> None:
    """Write a model as model_algo-1."""
    description = model.description
    arrays = {"arg:fc0_weight": model.weights, "arg:fc0_bias": model.bias}
    further = {
        "predictor_type": description.predictor_type,
        "loss": description.loss,
        "feature_dim": description.feature_dim,
        "threshold": description.threshold,
    }
    contents = {
        _SYMBOL: json.dumps(_symbol(description), indent=2).encode(),
        _PARAMETERS: _dump(arrays),
        _FURTHER: json.dumps(further).encode(),
    }
    contents[_MANIFEST] = json.dumps({"files": list(contents)}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def read(path: Path, usual_threshold: float = 0.5) -> LinearModel:
    """The model of a model_algo-1.

    Args:
        usual_threshold: of a binary classifier where the file says none.
    Raises:
        ClientError: it is not what the built-in writes, or holds another network than a linear one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            symbol = json.loads(_content(archive, _SYMBOL))
            arrays = _load(_content(archive, _PARAMETERS))
            further = json.loads(_content(archive, _FURTHER)) if _FURTHER in archive.namelist() else {}
    except (zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError, OSError) as error:
        raise ClientError(f"{path.name} is not the built-in's: {error}.") from None
    further = further if isinstance(further, dict) else {}
    weights, bias, output = _linear(symbol, arrays)
    said = further.get("predictor_type")
    kind: Any = said if said in _LOSSES else _OUTPUTS.get(output)
    if kind is None:
        raise ClientError(f"{path.name} ends in {output}; known are {', '.join(_OUTPUTS)}.")
    loss = further.get("loss", _LOSSES[kind])
    threshold = next(
        (float(value) for name, value in further.items() if "threshold" in name and isinstance(value, int | float)),
        usual_threshold,
    )
    description = Description(
        predictor_type=kind,
        loss=loss if isinstance(loss, str) else _LOSSES[kind],
        feature_dim=weights.shape[1],
        outputs=weights.shape[0],
        threshold=threshold if kind == "binary_classifier" else None,
    )
    if kind != "multiclass_classifier" and len(weights) != 1:
        raise ClientError(f"{path.name} has {len(weights)} outputs; a {kind} has one.")
    return LinearModel(description, weights, bias)


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise ClientError(f"{NAME} has no {name}; it must be the artifact of the built-in Linear Learner.") from None
    if entry.file_size > _LARGEST:
        raise ClientError(f"{name} in {NAME} has {entry.file_size} bytes; it may have {_LARGEST}.")
    return archive.read(entry)


def _symbol(description: Description) -> dict[str, Any]:
    """The network, in nnvm's JSON."""
    output = {
        "regressor": "LinearRegressionOutput",
        # A margin is answered as it is.
        "binary_classifier": "LogisticRegressionOutput" if description.loss == "logistic" else "LinearRegressionOutput",
        "multiclass_classifier": "SoftmaxOutput",
    }[description.predictor_type]
    layer = {"num_hidden": f"{description.outputs}"}
    nodes: list[dict[str, Any]] = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "null", "name": "fc0_weight", "attrs": layer, "inputs": []},
        {"op": "null", "name": "fc0_bias", "attrs": layer, "inputs": []},
        {"op": "FullyConnected", "name": "fc0", "attrs": layer, "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]},
        {"op": "null", "name": "out_label", "inputs": []},
        {"op": output, "name": "out", "inputs": [[3, 0, 0], [4, 0, 0]]},
    ]
    return {
        "nodes": nodes,
        "arg_nodes": [number for number, node in enumerate(nodes) if node["op"] == "null"],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10100]},
    }


def _linear(symbol: Any, arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Weights, shape (outputs, features), bias and the output layer's name of a network with one layer."""
    try:
        nodes = symbol["nodes"]
        output = str(nodes[symbol["heads"][0][0]]["op"])
        layers = [node for node in nodes if node["op"] in ("FullyConnected", "dot")]
    except (KeyError, IndexError, TypeError):
        raise ClientError(f"{_SYMBOL} is not MXNet's description of a network.") from None
    matrices = [array for array in arrays.values() if array.ndim == 2 and min(array.shape) > 0]
    if len(layers) != 1 or len(matrices) != 1:
        raise ClientError(
            f"{NAME} holds a network of {len(layers)} layers and {len(matrices)} matrices; a linear model has one of"
            " each."
        )
    weights = matrices[0].astype(np.float32)
    if layers[0]["op"] == "dot":
        weights = weights.T
    vectors = [array for array in arrays.values() if array.shape == (len(weights),)]
    bias = vectors[0].astype(np.float32) if vectors else np.zeros(len(weights), np.float32)
    return np.ascontiguousarray(weights), bias, output


def _dump(arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    stream = io.BytesIO()
    stream.write(struct.pack("<QQQ", _LIST, 0, len(arrays)))
    for array in arrays.values():
        stream.write(struct.pack(f"<Iii{array.ndim}q", _V2, _DENSE, array.ndim, *array.shape))
        stream.write(struct.pack("<iii", _CPU, 0, _FLOAT32))
        stream.write(np.ascontiguousarray(array, "<f4").tobytes())
    stream.write(struct.pack("<Q", len(arrays)))
    for name in arrays:
        stream.write(struct.pack("<Q", len(name)) + name.encode())
    return stream.getvalue()


class _Reader:
    """Takes values off the beginning of some bytes; says where they end too soon."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._content) - self._at:
            raise ClientError(f"{_PARAMETERS} is cut off or damaged at byte {self._at}.")
        self._at += count
        return self._content[self._at - count : self._at]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))


def _load(content: bytes) -> dict[str, NDArray[Any]]:
    reader = _Reader(content)
    magic, _, count = reader.numbers("QQQ")
    if magic != _LIST or count > 1000:
        raise ClientError(f"{_PARAMETERS} is not a file of MXNet's parameters.")
    arrays = [_load_array(reader) for _ in range(count)]
    (names,) = reader.numbers("Q")
    if names != count:
        raise ClientError(f"{_PARAMETERS} has {count} arrays, but {names} names.")
    return {reader.take(reader.numbers("Q")[0]).decode("utf-8", "replace"): array for array in arrays}


def _load_array(reader: _Reader) -> NDArray[Any]:
    (magic,) = reader.numbers("I")
    if magic in (_V2, _V3):
        (stored,) = reader.numbers("i")
        if stored not in (-1, _DENSE):
            raise ClientError(f"{_PARAMETERS} holds a sparse array; only dense ones are read.")
    dimensions = reader.numbers("i")[0] if magic in (_V1, _V2, _V3) else magic
    if not 1 <= dimensions <= 8:
        raise ClientError(f"{_PARAMETERS} holds an array of {dimensions} dimensions.")
    shape = reader.numbers(f"{dimensions}{'q' if magic in (_V1, _V2, _V3) else 'I'}")
    _, _, kind = reader.numbers("iii")
    if kind not in _DTYPES or min(shape) < 0:
        raise ClientError(f"{_PARAMETERS} holds an array of type {kind} and shape {shape}, which cannot be read.")
    dtype = np.dtype(_DTYPES[kind])
    size = dtype.itemsize
    for length in shape:
        size *= length
    return np.frombuffer(reader.take(size), dtype).reshape(shape)
