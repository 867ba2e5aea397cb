"""Filters and the join of a transform job: what is sent of a record, and what is stored of it with its answer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.transform.jsonpath import JsonPath
from kindling.localcloud.sagemaker.transform.records import media_type

_OUTPUT, _INPUT = "SageMakerOutput", "SageMakerInput"


class DataProcessing:
    """The DataProcessing of a request; without one, it changes nothing.

    Raises:
        DataError: a filter is not a JSONPath that the service understands.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        asked = request.get("DataProcessing", {})
        self._input_filter = JsonPath(asked.get("InputFilter") or "$")
        self._output_filter = JsonPath(asked.get("OutputFilter") or "$")
        self._joins = asked.get("JoinSource") == "Input"
        self._input_is_csv = media_type(request["TransformInput"].get("ContentType", "")) == "text/csv"
        self._output_is_csv = media_type(request["TransformOutput"].get("Accept", "")) == "text/csv"

    @property
    def filters_input(self) -> bool:
        """Whether `sent` changes a record."""
        return not self._input_filter.is_root

    @property
    def changes_output(self) -> bool:
        """Whether `stored` changes an answer."""
        return self._joins or not self._output_filter.is_root

    def sent(self, record: bytes) -> bytes:
        """What the container gets of a record.

        Raises:
            DataError: the record is not what ContentType says, or the filter finds nothing.
        """
        read, write = (_row, _csv) if self._input_is_csv else (_json, _dumped)
        return write(self._input_filter.select(read(record)))

    def stored(self, records: Sequence[bytes], answer: bytes) -> list[bytes]:
        """What is stored for the records of a batch, one after the other.

        Raises:
            DataError: the answer is not what Accept says, has another number of records, or the filter finds nothing.
        """
        answers = _answers(answer, len(records))
        if not self._joins:
            return [self._filtered(one) for one in answers]
        if len(answers) != len(records):
            raise DataError(f"the container answered {len(answers)} records to {len(records)}; they cannot be joined.")
        join = _joined_rows if self._output_is_csv else _joined_objects
        return [self._filtered(join(record, one)) for record, one in zip(records, answers, strict=True)]

    def _filtered(self, text: bytes) -> bytes:
        if self._output_filter.is_root:
            return text
        read, write = (_row, _csv) if self._output_is_csv else (_json, _dumped)
        return write(self._output_filter.select(read(text)))


def _answers(answer: bytes, expected: int) -> list[bytes]:
    """The records of an answer: its lines, or all of it where one record was asked about."""
    text = answer.strip(b"\r\n")
    return [text] if expected == 1 else text.splitlines()


def _joined_rows(record: bytes, answer: bytes) -> bytes:
    return record + b"," + answer


def _joined_objects(record: bytes, answer: bytes) -> bytes:
    given, found = _json(record), _json(answer)
    return _dumped({**given, _OUTPUT: found} if isinstance(given, dict) else {_INPUT: given, _OUTPUT: found})


def _row(record: bytes) -> list[str]:
    try:
        rows = list(csv.reader([record.decode()], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"it is not CSV: {error}.") from None
    return rows[0] if rows else []


def _csv(found: Any) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(found if isinstance(found, list) else [found])
    return line.getvalue().encode()


def _json(record: bytes) -> Any:
    try:
        return json.loads(record)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not JSON: {error}.") from None


def _dumped(found: Any) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
