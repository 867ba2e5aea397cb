"""Served models, asked over HTTP in every format."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from contract.errors import ClientError
from contract.record_message import Record, Tensor, decode
from contract.recordio import read_records
from contract.recordio_protobuf import Rows, write, write_dense, write_sparse
from contract.serving import JSON, JSON_LINES, Handlers
from contract.testing import serving
from linear_learner import builtin_format
from linear_learner.model import Description, LinearModel
from linear_learner.requests import handlers
from linear_learner.serve import load
from linear_learner.vectors import CSV, RECORDIO

ROWS = np.array([[1, 2, 3], [0, -1, 0], [0.5, 0, -2]], np.float32)


def model(kind: str, outputs: int = 1) -> LinearModel:
    draw = np.random.default_rng(1)
    losses = {"regressor": "squared_loss", "binary_classifier": "logistic", "multiclass_classifier": "softmax_loss"}
    description = Description(
        predictor_type=kind,  # type: ignore[arg-type]
        loss=losses[kind],
        feature_dim=3,
        outputs=outputs,
        threshold=0.4 if kind == "binary_classifier" else None,
    )
    return LinearModel(description, draw.normal(size=(outputs, 3)).astype("f"), draw.normal(size=outputs).astype("f"))


REGRESSOR, BINARY, MULTICLASS = model("regressor"), model("binary_classifier"), model("multiclass_classifier", 4)


def csv(rows: Any = ROWS) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist()).encode()


def recordio(rows: Any = ROWS) -> bytes:
    stream = io.BytesIO()
    write_dense(stream, rows)
    return stream.getvalue()


def sparse_recordio() -> bytes:
    stream = io.BytesIO()
    numbers, keys = np.nonzero(ROWS)
    write_sparse(stream, Rows(ROWS[numbers, keys], keys.astype(np.int64), np.array([0, 3, 4, 6]), 3))
    return stream.getvalue()


BODIES: list[tuple[str, bytes]] = [
    (CSV, csv()),
    (CSV, csv().replace(b"\n", b"\r\n").rstrip()),
    (JSON, json.dumps({"instances": [{"features": row} for row in ROWS.tolist()]}).encode()),
    (JSON, json.dumps({"instances": [{"data": {"features": {"values": row}}} for row in ROWS.tolist()]}).encode()),
    (
        JSON,
        json.dumps(
            {
                "instances": [
                    {"data": {"features": {"keys": [0, 1, 2], "shape": [3], "values": [1, 2, 3]}}},
                    {"data": {"features": {"keys": [1], "shape": [3], "values": [-1]}}},
                    {"features": [0.5, 0, -2]},
                ]
            }
        ).encode(),
    ),
    (JSON_LINES, b"".join(json.dumps({"features": row}).encode() + b"\n" for row in ROWS.tolist())),
    (JSON_LINES, b"\n".join(json.dumps({"data": {"features": {"values": r}}}).encode() for r in ROWS.tolist())),
    (RECORDIO, recordio()),
    (RECORDIO, sparse_recordio()),
    (RECORDIO, recordio(ROWS[:2]) + sparse_recordio()[-56:]),
]


def answered(found: Handlers, content_type: str, body: bytes, accept: str = JSON) -> Any:
    handler = found[content_type].for_accept(accept)
    assert handler.content_type == accept
    return handler.answer(body)


@pytest.mark.parametrize(("content_type", "body"), BODIES[:9])
@pytest.mark.parametrize("asked", [REGRESSOR, BINARY, MULTICLASS], ids=["regressor", "binary", "multiclass"])
def test_every_format_is_the_same_question(asked: LinearModel, content_type: str, body: bytes) -> None:
    predictions = json.loads(answered(handlers(asked), content_type, body))["predictions"]
    scores = asked.scores(ROWS)
    assert [found["score"] for found in predictions] == [pytest.approx(score, rel=1e-6) for score in scores]
    labels = asked.labels(scores)
    if labels is None:
        assert all(list(found) == ["score"] for found in predictions)
    else:
        assert [found["predicted_label"] for found in predictions] == labels.tolist()
        assert all(list(found) == ["score", "predicted_label"] for found in predictions)


def test_scores_are_those_of_the_formulas() -> None:
    raw = ROWS @ MULTICLASS.weights.T + MULTICLASS.bias
    shares = np.exp(raw) / np.exp(raw).sum(1, keepdims=True)
    assert MULTICLASS.scores(ROWS) == pytest.approx(shares, rel=1e-5)
    margins = ROWS @ BINARY.weights[0] + BINARY.bias[0]
    assert BINARY.scores(ROWS) == pytest.approx(1 / (1 + np.exp(-margins)), rel=1e-5)
    huge = LinearModel(BINARY.description, BINARY.weights * np.float32(1e6), BINARY.bias)
    assert np.isfinite(huge.scores(ROWS)).all()
    hinge = LinearModel(BINARY.description.model_copy(update={"loss": "hinge_loss"}), BINARY.weights, BINARY.bias)
    assert hinge.scores(ROWS) == pytest.approx(margins, rel=1e-5)


def test_answers_come_in_the_format_that_is_accepted() -> None:
    found = handlers(BINARY)
    scores = BINARY.scores(ROWS)
    lines = answered(found, CSV, csv(), JSON_LINES).splitlines()
    assert [json.loads(line)["score"] for line in lines] == pytest.approx(scores, rel=1e-6)
    records = [
        decode(payload) for payload in read_records(io.BytesIO(answered(found, JSON_LINES, BODIES[5][1], RECORDIO)))
    ]
    assert [record.label["score"].values.tolist() for record in records] == [
        [pytest.approx(s, rel=1e-6)] for s in scores
    ]
    assert [record.label["predicted_label"].values.tolist() for record in records] == [[s >= 0.4] for s in scores]
    assert records[0].label["score"].values.dtype == np.float32
    many = [
        decode(payload) for payload in read_records(io.BytesIO(answered(handlers(MULTICLASS), CSV, csv(), RECORDIO)))
    ]
    assert many[0].label["score"].values == pytest.approx(MULTICLASS.scores(ROWS)[0], rel=1e-6)


def test_large_csv_is_read_as_small_is() -> None:
    rows = np.random.default_rng(1).normal(size=(5000, 3)).astype(np.float32)
    predictions = json.loads(answered(handlers(REGRESSOR), CSV, csv(rows)))["predictions"]
    assert [found["score"] for found in predictions] == pytest.approx(REGRESSOR.scores(rows), rel=1e-5)
    with pytest.raises(ClientError, match="the body is not CSV of numbers: "):
        answered(handlers(REGRESSOR), CSV, csv(rows) + b"1,2,x\n")


def test_nothing_asked_is_nothing_answered() -> None:
    for content_type, body in ((CSV, b""), (JSON, b'{"instances": []}'), (JSON_LINES, b"\n"), (RECORDIO, b"")):
        for asked in (REGRESSOR, MULTICLASS):
            assert json.loads(answered(handlers(asked), content_type, body)) == {"predictions": []}


@pytest.mark.parametrize(
    ("content_type", "body", "sentence"),
    [
        (CSV, b"1,2\n", "the vectors have 2 features; the model takes 3."),
        (CSV, b"1,2,3\n4,5\n", "the body is not CSV of numbers: "),
        (CSV, b"1,2,x\n", "the body is not CSV of numbers: "),
        (CSV, b"1,2,nan\n", "a feature is not finite"),
        (JSON, b"{", "the request is not JSON"),
        (JSON, b'{"instances": 3}', 'the request has no list "instances"'),
        (JSON, b'{"instances": [[1,2,3]]}', 'instance 0 has a list, no object with "features"'),
        (JSON, b'{"instances": [{"features": [1,2]}]}', "instance 0 has 2 features; the model takes 3."),
        (JSON, b'{"instances": [{"features": [1,2,"x"]}]}', "instance 0 has features that are not all numbers."),
        (JSON, b'{"instances": [{"features": [1,2,[3]]}]}', "instance 0 has features that are not all numbers."),
        (JSON, b'{"instances": [{"features": [1,2,1e300]}]}', "a feature is not finite"),
        (
            JSON,
            b'{"instances": [{"data": {"features": {"keys": [3], "values": [1]}}}]}',
            "instance 0 has keys that do not fit",
        ),
        (
            JSON,
            b'{"instances": [{"data": {"features": {"keys": [-1], "values": [1]}}}]}',
            "instance 0 has keys that do not",
        ),
        (JSON_LINES, b'{"features": [1,2,3]}\n{"feature": 1}\n', 'line 2 has no "features"'),
        (JSON_LINES, b'{"features": [1,2,3]}\n\n{"features": {"values": 3}}\n', 'line 3 has "features" without a list'),
        (RECORDIO, b"abc", "the body is not RecordIO-protobuf"),
        (RECORDIO, recordio()[:-2], "the body is not RecordIO-protobuf: .*cut off"),
    ],
)
def test_a_wrong_request_is_refused_in_one_sentence(content_type: str, body: bytes, sentence: str) -> None:
    with pytest.raises(ClientError, match=sentence):
        answered(handlers(REGRESSOR), content_type, body)


def test_a_sparse_record_with_a_key_too_great_is_refused() -> None:
    stream = io.BytesIO()
    write(stream, Record({"values": Tensor(np.ones(1, np.float32), np.array([7], np.int64), 10)}))
    with pytest.raises(ClientError, match=r"a vector has key 7; the model takes keys from 0 to 2\."):
        answered(handlers(REGRESSOR), RECORDIO, stream.getvalue())


def test_dense_and_sparse_records_may_follow_each_other() -> None:
    body = recordio() + sparse_recordio()
    predictions = json.loads(answered(handlers(REGRESSOR), RECORDIO, body))["predictions"]
    expected = REGRESSOR.scores(np.concatenate((ROWS, ROWS)))
    assert [found["score"] for found in predictions] == pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    base = tmp_path_factory.mktemp("served")
    (base / "model").mkdir()
    BINARY.write(base / "model")
    with serving("linear_learner", base) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_a_served_model_honours_accept(client: httpx.Client) -> None:
    def ask(accept: str | None, body: bytes = csv()) -> httpx.Response:
        headers = {"Content-Type": "text/csv", "Accept": accept or "*/*"}
        return client.post("/invocations", content=body, headers=headers)

    for body in (csv(), csv() * 20_000):  # answered at once, and in a thread
        plain, lines = ask(None, body), ask("application/jsonlines; verbose=true", body)
        assert plain.headers["Content-Type"] == "application/json"
        assert lines.headers["Content-Type"] == "application/jsonlines"
        predictions = plain.json()["predictions"]
        assert [json.loads(line) for line in lines.text.splitlines()] == predictions
        assert len(predictions) == body.count(b"\n")
        assert ask("text/html", body).json() == plain.json(), "what cannot be given is ignored"
        assert ask("text/html, application/x-recordio-protobuf", body).headers["Content-Type"] == RECORDIO
    assert client.post("/invocations", content=b"1,2\n", headers={"Content-Type": "text/csv"}).status_code == 400
    assert client.post("/invocations", content=b"1", headers={"Content-Type": "text/html"}).status_code == 415


def test_a_model_of_the_built_in_is_served_as_it_is(tmp_path: Path) -> None:
    builtin_format.write(BINARY, tmp_path / builtin_format.NAME)
    own = json.loads(answered(handlers(BINARY), CSV, csv()))
    assert json.loads(answered(load(tmp_path), CSV, csv())) == own


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.json", None, "the model folder has no model.json"),
        ("model.json", b"{}", "model.json is damaged: predictor_type: Field required"),
        ("weights.npy", None, "the model folder has no weights.npy"),
        ("weights.npy", b"\x93NUMPY", "weights.npy is damaged"),
        ("bias.npy", "weights.npy", "bias.npy is float32 of shape"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, name: str, content: bytes | str | None, sentence: str) -> None:
    BINARY.write(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((tmp_path / content).read_bytes() if isinstance(content, str) else content)
    with pytest.raises(ClientError, match=sentence):
        load(tmp_path)
