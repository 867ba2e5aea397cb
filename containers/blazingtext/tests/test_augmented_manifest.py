"""Augmented manifests: records of source and label become fastText's lines."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blazingtext.augmented_manifest import labels_of, write_lines
from contract.channels import InputChannel
from contract.errors import ClientError
from contract.recordio import framed


@pytest.fixture
def lines_of(tmp_path: Path):  # type: ignore[no-untyped-def]
    """What the records of a pipe become."""

    def lines(*records: bytes, wrapper: str = "RecordIO") -> list[bytes]:
        channel = InputChannel("train", tmp_path / "train", input_mode="Pipe", record_wrapper=wrapper)
        pipe = tmp_path / "train_0"

        def feed() -> None:
            with contextlib.suppress(BrokenPipeError), pipe.open("wb") as file:
                file.writelines(map(framed, records))

        os.mkfifo(pipe)
        threading.Thread(target=feed, daemon=True).start()
        (tmp_path / "scratch").mkdir()
        return write_lines(channel, tmp_path / "scratch").read_bytes().splitlines(keepends=True)

    return lines


def test_sources_and_labels_become_lines(lines_of) -> None:  # type: ignore[no-untyped-def]
    assert lines_of(
        b"linux ready for prime time", b"1",
        "bowled by the slower one \u00e9".encode(), b"[1, 3]",
        b"over\nthe\r\nline", b'"sport"',
        b"", b"world",
        b"already", b"__label__known",
    ) == [
        b"__label__1 linux ready for prime time\n",
        b"__label__1 __label__3 bowled by the slower one \xc3\xa9\n",
        b"__label__sport over the  line\n",
        b"__label__world \n",
        b"__label__known already\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "labels"),
    [
        (b"1", ["1"]),
        (b"-7", ["-7"]),
        (b" 12\n", ["12"]),
        (b"007", ["007"]),
        (b"NaN", ["NaN"]),
        (b'"x"', ["x"]),
        (b'"1"', ["1"]),
        (b"science-fiction", ["science-fiction"]),
        ("\u00fcber".encode(), ["\u00fcber"]),
        (b'[1, "x"]', ["1", "x"]),
        (b"[", ["["]),
        (b"[" * 100_000, ["[" * 100_000]),
    ],
)
def test_every_form_of_a_label_is_read(record: bytes, labels: list[str]) -> None:
    assert labels_of(record) == labels


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (b"4.5", "holds 4.5"),
        (b"true", "holds true"),
        (b"null", "holds null"),
        (b'{"class": 1}', 'holds {"class": 1}'),
        (b"[[1]]", "holds [1]"),
        (b"[1, null]", "holds null"),
        (b"[]", "is an empty list"),
        (b"", 'holds ""'),
        (b"New York", 'holds "New York"'),
        (b'["a\\u0000b"]', 'holds "a\\u0000b"'),
        (b"\xff", "is not UTF-8 text"),
        (b"long text " * 50, 'holds "long text long text'),
    ],
)
def test_a_label_of_another_type_is_named_with_its_record(lines_of, label: bytes, found: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ClientError) as refusal:
        lines_of(b"fine", b"1", b"not fine", label)
    assert str(refusal.value).startswith(f"channel 'train': record 4, a label, {found}")
    assert str(refusal.value).endswith("; a label is a whole number, a word without spaces, or a list of these.")
    assert len(str(refusal.value)) < 250


def test_a_source_without_a_label_is_named_with_its_record(lines_of) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ClientError, match=r"^channel 'train': record 3 is a source without a label; .* in this order"):
        lines_of(b"text", b"1", b"more text")


def test_a_source_that_is_not_text_is_named_with_its_record_and_place(lines_of) -> None:  # type: ignore[no-untyped-def]
    sentence = r"^channel 'train': record 3, a source, is not UTF-8 text: byte 0xff at offset 2\.$"
    with pytest.raises(ClientError, match=sentence):
        lines_of(b"text", b"1", b"ab\xff", b"2")


def test_a_channel_without_examples_is_refused(lines_of) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ClientError, match=r"^channel 'train' holds no example; check the manifest"):
        lines_of()


def test_a_pipe_without_records_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    channel = InputChannel("validation", tmp_path / "validation", input_mode="Pipe")
    with pytest.raises(ClientError, match=r"^channel 'validation' comes in Pipe mode with RecordWrapperType None; an"):
        write_lines(channel, tmp_path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    channel = InputChannel("train", tmp_path / "train", input_mode="Pipe", record_wrapper="RecordIO")
    (tmp_path / "scratch" / "train").mkdir(parents=True)
    with pytest.raises(ClientError, match=r"^channel 'train' could not be written to .*; give the job a larger volume"):
        write_lines(channel, tmp_path / "scratch")


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_whatever_stands_for_a_label_gives_labels_or_a_sentence(record: bytes) -> None:
    try:
        labels = labels_of(record)
    except ValueError:
        return
    assert labels
    assert all(label and label.encode().split() == [label.encode()] for label in labels)
