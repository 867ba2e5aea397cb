"""What the model is asked over HTTP, and how it answers: vectors as CSV, JSON, JSON Lines or RecordIO-protobuf.

CSV is answered as JSON and everything else as it came, unless Accept names JSON, JSON Lines or RecordIO-protobuf.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.errors import ClientError
from contract.record_message import Record, Tensor
from contract.recordio import RecordIOError
from contract.recordio_protobuf import Rows, read_batches, write
from contract.serving import JSON, JSON_LINES, Handler, decode, encode, kind
from linear_learner.model import LinearModel
from linear_learner.vectors import CSV, RECORDIO, csv_mistake, parse_csv

Features = NDArray[np.float32] | Rows

_AT_ONCE_BYTES = 32 * 2**10  # of a body that is read and answered in about a millisecond
_LARGE_CSV = 64 * 2**10  # bytes from which pyarrow is quicker than NumPy


def handlers(model: LinearModel) -> dict[str, Handler]:
    """The request handlers by content type; the first is that of a request that gives none."""
    readers: dict[str, tuple[Callable[[bytes, LinearModel], Features], str]] = {
        JSON: (_read_json, JSON),
        CSV: (_read_csv, JSON),
        JSON_LINES: (_read_lines, JSON_LINES),
        RECORDIO: (_read_recordio, RECORDIO),
    }
    return {given: _handler(model, read, usual) for given, (read, usual) in readers.items()}


def _handler(model: LinearModel, read: Callable[[bytes, LinearModel], Features], usual: str) -> Handler:
    writers = {JSON: _as_json, JSON_LINES: _as_lines, RECORDIO: _as_recordio}

    def answer(body: bytes, write_answers: Callable[..., bytes]) -> bytes:
        scores = model.scores(_checked(read(body, model), model))
        return write_answers(scores.astype(np.float32), model.labels(scores))

    def at_once(body: bytes, write_answers: Callable[..., bytes]) -> bytes | None:
        return answer(body, write_answers) if len(body) <= _AT_ONCE_BYTES else None

    accepting = {
        accepted: Handler(
            partial(answer, write_answers=writer), partial(at_once, write_answers=writer), content_type=accepted
        )
        for accepted, writer in writers.items()
    }
    return replace(accepting[usual], accepting=accepting)


def _checked(features: Features, model: LinearModel) -> Features:
    """The features themselves, if the model can take them."""
    needed = model.description.feature_dim
    if isinstance(features, Rows):
        if len(features.keys) and not 0 <= features.keys.min() <= features.keys.max() < needed:
            raise ClientError(f"a vector has key {features.keys.max()}; the model takes keys from 0 to {needed - 1}.")
        numbers = features.values
    else:
        features = features if len(features) else np.zeros((0, needed), np.float32)
        numbers = features
        if features.shape[1] != needed:
            raise ClientError(f"the vectors have {features.shape[1]} features; the model takes {needed}.")
    if not np.isfinite(numbers).all():
        raise ClientError("a feature is not finite or too great for float32; every feature must be a finite number.")
    return features


def _read_csv(body: bytes, _model: LinearModel) -> Features:
    if not body.strip():
        return np.zeros((0, 0), np.float32)
    try:
        if len(body) >= _LARGE_CSV:
            return parse_csv(body, threads=False)
        return np.loadtxt(io.BytesIO(body), np.float32, comments=None, delimiter=",", ndmin=2)
    except (ValueError, pa.ArrowInvalid) as error:
        raise ClientError(f"the body is not CSV of numbers: {csv_mistake(error)}") from None


def _read_json(body: bytes, model: LinearModel) -> Features:
    request = decode(body, "the request")
    if not isinstance(request, dict) or not isinstance(request.get("instances"), list):
        raise ClientError('the request has no list "instances"; it must be {"instances": [{"features": [...]}, ...]}.')
    return _stacked(request["instances"], model, lambda number: f"instance {number}")


def _read_lines(body: bytes, model: LinearModel) -> Features:
    numbered = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    instances = [decode(line, f"line {number}") for number, line in numbered]
    return _stacked(instances, model, lambda place: f"line {numbered[place][0]}")


def _read_recordio(body: bytes, model: LinearModel) -> Features:
    try:
        batches = [batch.features for batch in read_batches(io.BytesIO(body))]
    except RecordIOError as error:
        raise ClientError(f"the body is not RecordIO-protobuf: {error}") from None
    if len(batches) == 1:
        return batches[0]
    # Dense and sparse records may follow each other.
    width = model.description.feature_dim
    parts = [
        _dense(part, width) if isinstance(part, Rows) else part for part in map(partial(_checked, model=model), batches)
    ]
    return np.concatenate([part for part in parts if len(part)]) if parts else np.zeros((0, width), np.float32)


def _dense(rows: Rows, width: int) -> NDArray[np.float32]:
    found = np.zeros((len(rows.bounds) - 1, width), np.float32)
    found[np.repeat(np.arange(len(found)), np.diff(rows.bounds)), rows.keys] = rows.values
    return found


def _stacked(instances: Sequence[Any], model: LinearModel, name: Callable[[int], str]) -> Features:
    """The features of decoded instances: {"features": [...]}, or {"data": {"features": {"values": [...]}}}."""
    width = model.description.feature_dim
    rows = [_numbers(instance, width, name, number) for number, instance in enumerate(instances)]
    if rows and all(keys is None for keys, _ in rows):
        # What is wrong is said below, with the instance's number.
        with suppress(ValueError, TypeError, OverflowError), np.errstate(over="ignore"):
            return np.array([values for _, values in rows], np.float32)
    found = np.zeros((len(rows), width), np.float32)
    for number, (keys, values) in enumerate(rows):
        try:
            with np.errstate(over="ignore"):  # what is too great is infinite, and refused as such
                found[number, slice(None) if keys is None else keys] = np.array(values, np.float32)
        except (ValueError, TypeError, OverflowError):
            raise ClientError(f"{name(number)} has features that are not all numbers.") from None
    return found


def _numbers(
    instance: Any, width: int, name: Callable[[int], str], number: int
) -> tuple[NDArray[np.int64] | None, list[Any]]:
    """The keys of an instance, if it is sparse, and its values."""
    if isinstance(instance, dict) and isinstance(data := instance.get("data"), dict):
        instance = data
    if not isinstance(instance, dict) or "features" not in instance:
        found = "no" if isinstance(instance, dict) else f"{kind(instance)}, no object with"
        raise ClientError(f'{name(number)} has {found} "features"; it must be {{"features": [...]}}.')
    features: Any = instance["features"]
    keys = None
    if isinstance(features, dict):
        keys, features = features.get("keys") or None, features.get("values")
    if not isinstance(features, list):
        raise ClientError(f'{name(number)} has "features" without a list of numbers.')
    if keys is None:
        if len(features) != width:
            raise ClientError(f"{name(number)} has {len(features)} features; the model takes {width}.")
        return None, features
    if not isinstance(keys, list) or len(keys) != len(features) or not all(_is_key(key, width) for key in keys):
        raise ClientError(
            f"{name(number)} has keys that do not fit; there must be one for each value, from 0 to {width - 1}."
        )
    return np.array(keys, np.int64), features


def _is_key(key: Any, width: int) -> bool:
    return isinstance(key, int) and not isinstance(key, bool) and 0 <= key < width


def _answers(scores: NDArray[np.float32], labels: NDArray[np.int64] | None) -> list[Mapping[str, Any]]:
    # Numbers and rows stay NumPy's: the encoder writes float32 in the fewest digits.
    if labels is None:
        return [{"score": score} for score in scores]
    return [{"score": score, "predicted_label": label} for score, label in zip(scores, labels.tolist(), strict=True)]


def _as_json(scores: NDArray[np.float32], labels: NDArray[np.int64] | None) -> bytes:
    return encode({"predictions": _answers(scores, labels)})


def _as_lines(scores: NDArray[np.float32], labels: NDArray[np.int64] | None) -> bytes:
    return b"".join(encode(answer) + b"\n" for answer in _answers(scores, labels))


def _as_recordio(scores: NDArray[np.float32], labels: NDArray[np.int64] | None) -> bytes:
    stream = io.BytesIO()
    for number, score in enumerate(scores):
        found = {"score": Tensor(np.atleast_1d(score))}
        if labels is not None:
            found["predicted_label"] = Tensor(labels[number : number + 1].astype(np.float32))
        write(stream, Record({}, found))
    return stream.getvalue()
