"""The filters and the join of batch transform, and the part of JSONPath that they understand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.transform.jsonpath import JsonPath
from tests.localcloud.sagemaker.conftest import Account
from tests.localcloud.sagemaker.transform_jobs import done, transform

CSV = {"given": {"ContentType": "text/csv", "SplitType": "Line"}, "wanted": {"Accept": "text/csv; charset=utf-8"}}
CSV["wanted"]["AssembleWith"] = "Line"
JSON_LINES = {
    "given": {"ContentType": "application/jsonlines", "SplitType": "Line"},
    "wanted": {"Accept": "application/jsonlines", "AssembleWith": "Line"},
}
VALUE = {"id": 7, "name": {"first": "Ada", "last": "L"}, "features": [1, 2, 3, 4], "rows": [{"a": 1}, {"a": 2}]}


@pytest.fixture(scope="module")
def length(account: Account) -> str:
    """A model that answers each line with its length and its number of columns."""
    return account.model({"TRANSFORM": "length"})


@pytest.fixture(scope="module")
def label(account: Account) -> str:
    """A model that answers each line of JSON with a label: the length of what it holds."""
    return account.model({"TRANSFORM": "label"})


def made(account: Account, model: str, body: bytes, processing: dict[str, str], **options: Any) -> bytes:
    """What a job with filters makes of one object."""
    return done(account, transform(account, model, {"a": body}, DataProcessing=processing, **options))["a.out"]


def reason(account: Account, model: str, body: bytes, processing: dict[str, str], **options: Any) -> str:
    """Why a job with filters fails."""
    return str(transform(account, model, {"a": body}, DataProcessing=processing, **options)["FailureReason"])


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_columns_are_left_out_of_what_is_sent_and_joined_to_the_answer(
    account: Account, length: str, strategy: str
) -> None:
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    body = b'id1,"a, b",3\nid2,c,4\n'
    assert made(account, length, body, processing, BatchStrategy=strategy, **CSV) == b"id1,3\nid2,2\n"
    joined = made(account, length, body, {"InputFilter": "$[1:]", "JoinSource": "Input"}, BatchStrategy=strategy, **CSV)
    assert joined == b'id1,"a, b",3,8,3\nid2,c,4,3,2\n'


def test_an_output_filter_alone_is_applied_to_the_answers(account: Account, length: str) -> None:
    assert made(account, length, b"a,b\nccc\n", {"OutputFilter": "$[1]"}, **CSV) == b"2\n1\n"


def test_attributes_of_json_lines_are_left_out_and_joined(account: Account, label: str) -> None:
    body = b'{"id": 1, "features": [1, 2]}\n{"id": 2, "features": [3]}\n'
    processing = {"InputFilter": "$.features", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
    lines = made(account, label, body, processing, **JSON_LINES).splitlines()
    assert lines == [b'{"id":1,"SageMakerOutput":{"label":2}}', b'{"id":2,"SageMakerOutput":{"label":1}}']


def test_a_whole_json_object_is_joined_and_what_is_no_object_is_put_beside_its_answer(
    account: Account, label: str
) -> None:
    options = {"given": {"ContentType": "application/json"}, "wanted": {"Accept": "application/json"}}
    found = made(account, label, b'{"key": 1}', {"JoinSource": "Input"}, **options)
    assert json.loads(found) == {"key": 1, "SageMakerOutput": {"label": 1}}
    found = made(account, label, b"[1, 2]", {"JoinSource": "Input"}, **options)
    assert json.loads(found) == {"SageMakerInput": [1, 2], "SageMakerOutput": {"label": 2}}


def test_records_that_cannot_be_filtered_or_joined_fail_their_object_with_their_number(
    account: Account, length: str, label: str
) -> None:
    assert "/in/a: record 2: it is not JSON" in reason(
        account, label, b'{"a": 1}\n{\n', {"InputFilter": "$.a"}, **JSON_LINES
    )
    sentence = "record 2: JsonPath $[2] finds nothing: there is no element 2 among 1."
    assert sentence in reason(account, length, b"1,2,3\n4\n", {"InputFilter": "$[2]"}, **CSV)
    few = account.model({"TRANSFORM": "too few"})
    joined = reason(account, few, b"1\n2\n3\n", {"JoinSource": "Input"}, **CSV)
    assert "the container answered 1 records to 3; they cannot be joined." in joined
    ranges = reason(account, length, b"1\n", {"OutputFilter": "$[0:2,246:]"}, **CSV)
    assert ranges == (
        "ClientError: Invalid JsonPath: $[0:2,246:]: only single range filters of format (eg: [1:5]) are supported. "
        "Format [0:2,246:] is not supported"
    )


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", VALUE),
        ("$.id", 7),
        ("$['id']", 7),
        ("$.name.last", "L"),
        ("$.name.*", ["Ada", "L"]),
        ("$['id','features']", {"id": 7, "features": [1, 2, 3, 4]}),
        ("$.name.['first','last']", {"first": "Ada", "last": "L"}),
        ("$.features[-1]", 4),
        ("$.features[0, 2]", [1, 3]),
        ("$.features[1:3]", [2, 3]),
        ("$.features[:-1]", [1, 2, 3]),
        ("$.features[*]", [1, 2, 3, 4]),
        ("$.rows[*].a", [1, 2]),
        ("$.rows[0:1].a", [1]),
    ],
)
def test_a_path_finds(path: str, found: Any) -> None:
    assert JsonPath(path).select(VALUE) == found


@pytest.mark.parametrize(
    "path", ["", "id", "$.", "$..id", "$[?(@.a)]", "$.features[1:3:2]", "$.a b", "$['a", "$[0,1:]", "$.length()"]
)
def test_a_path_that_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(DataError, match="Invalid JsonPath"):
        JsonPath(path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("$.gone", "no attribute 'gone'"),
        ("$['id','gone']", "no attribute 'gone'"),
        ("$.id.x", "no attribute 'x'"),
        ("$.features[4]", "no element 4 among 4"),
        ("$.id[0]", "no element 0 among 0"),
        ("$.id[1:]", "no list"),
        ("$.id.*", "neither a list nor an object"),
    ],
)
def test_a_path_that_finds_nothing_says_what_is_not_there(path: str, why: str) -> None:
    with pytest.raises(DataError, match="finds nothing") as error:
        JsonPath(path).select(VALUE)
    assert why in str(error.value)
