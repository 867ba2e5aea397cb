"""Channels that cannot be trained on: each is refused in one sentence that names the channel."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.record_message import Record, Tensor
from contract.recordio_protobuf import write
from contract.training import installed_algorithm
from linear_learner.settings import Settings
from linear_learner.vectors import CSV, RECORDIO, concatenated, read

from .jobs import as_csv, as_recordio, regression

LABEL = {"values": Tensor(np.ones(1, np.float32))}


def settings(**given: Any) -> Settings:
    values = installed_algorithm("linear_learner").parse_hyperparameters({"predictor_type": "regressor", **given}, 1)
    return Settings.model_validate({**values, "tuned": False})


def channel(folder: Path, content_type: str | None = None, **files: bytes) -> InputChannel:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return InputChannel("train", folder, content_type=content_type)


def records(*found: Record) -> bytes:
    stream = io.BytesIO()
    for record in found:
        write(stream, record)
    return stream.getvalue()


def sparse(keys: list[int], width: int, values: list[float] | None = None) -> Record:
    numbers = np.array(values or [1.0] * len(keys), np.float32)
    return Record({"values": Tensor(numbers, np.array(keys, np.int64), width)}, LABEL)


@pytest.mark.parametrize(
    ("content", "given", "sentence"),
    [
        (
            records(sparse([0, 5], 5)),
            {},
            "channel 'train', a, is not RecordIO-protobuf: at byte 0 of the stream, a tensor",
        ),
        (records(sparse([0], 5, [np.inf])), {}, "channel 'train', a, holds a feature that is not finite (record 1)"),
        (records(sparse([0], 5)), {"feature_dim": 6}, "holds a record of 5 features; feature_dim is 6."),
        (b"nan,1\n", {}, "holds the label nan (record 1); it must be a finite number."),
        (
            b"1,1\n4,1\n",
            {"predictor_type": "multiclass_classifier", "num_classes": 4},
            "holds the label 4 (record 2); it must be an integer from 0 to num_classes - 1 = 3.",
        ),
    ],
)
def test_records_that_cannot_be_trained_on(
    tmp_path: Path, content: bytes, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError, match=re.escape(sentence)):
        list(read(channel(tmp_path, a=content), settings(**given)))


def test_dense_and_sparse_records_are_not_mixed(tmp_path: Path) -> None:
    dense = Record({"values": Tensor(np.ones(5, np.float32))}, LABEL)
    batches = list(read(channel(tmp_path, a=records(sparse([0], 5), dense)), settings()))
    with pytest.raises(ClientError, match="the data are sparse in part; they must be all dense or all sparse"):
        concatenated(batches)


@pytest.mark.parametrize(
    ("content_type", "sentence"),
    [
        ("application/json", "channel 'train' has content type application/json; it must be application/x-recordio"),
        ("text/csv;label_size=0", "channel 'train' has label_size=0; a linear model needs label_size=1."),
        ("text/csv; label_size=2", "channel 'train' has label_size=2; a linear model needs label_size=1."),
    ],
)
def test_content_types_that_are_not_read(tmp_path: Path, content_type: str, sentence: str) -> None:
    with pytest.raises(ClientError, match=sentence):
        list(read(channel(tmp_path, content_type, a=b"1,2\n"), settings()))


@pytest.mark.parametrize("content_type", [None, RECORDIO, CSV, "Text/CSV; label_size=1"])
def test_the_first_bytes_tell_what_an_object_is(tmp_path: Path, content_type: str | None) -> None:
    table = regression(10, 1)
    for content in (as_csv(table), as_recordio(table)):
        (batch,) = read(channel(tmp_path, content_type, a=content), settings())
        assert batch.features == pytest.approx(table[:, 1:])
        assert batch.labels == pytest.approx(table[:, 0])
    with pytest.raises(ClientError, match="is not RecordIO-protobuf"):
        list(read(channel(tmp_path, RECORDIO, a=b"\xff\xfe\xfd\xfc"), settings()))
