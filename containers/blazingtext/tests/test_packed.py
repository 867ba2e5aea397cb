"""Corpora packed with gzip, alone and among plain files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blazingtext.packed import is_packed, unpack
from contract.channels import InputChannel
from contract.errors import ClientError

if TYPE_CHECKING:
    from conftest import Jobs, ReadText

PACKED = gzip.compress(b"one two three\n" * 1000)


def channel_of(folder: Path, **files: bytes) -> InputChannel:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return InputChannel("train", folder)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 3)), max_size=5))
def test_all_members_of_packed_files_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, contents: list[tuple[bytes, int]]
) -> None:
    source, scratch = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("scratch")
    expected = []
    for number, (content, members) in enumerate(contents):
        plain = b"text" + content
        expected.append(plain * max(1, members))
        (source / str(number)).write_bytes(gzip.compress(plain) * members or plain)
    files = [source / str(number) for number in range(len(contents))]
    unpacked = unpack(InputChannel("train", source), files, scratch, threads=2)
    assert [path.read_bytes() for path in unpacked] == expected
    assert [path.is_relative_to(scratch) for path in unpacked] == [members > 0 for _, members in contents]


def test_files_are_told_apart_by_content_and_not_by_name(tmp_path: Path) -> None:
    channel_of(tmp_path, text=PACKED, gz=b"plain", empty=b"")
    assert [is_packed(tmp_path / name) for name in ("text", "gz", "empty")] == [True, False, False]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (PACKED[:-9], r"corpus is cut off: its gzip data ends early; pack or upload it again\."),
        (PACKED[:5], r"corpus is cut off: its gzip data ends early; pack or upload it again\."),
        (PACKED[:-8] + bytes(4) + PACKED[-4:], r"corpus is damaged gzip data \(CRC check failed .*\); pack or upload"),
        (PACKED[:20] + b"\xff" * 20 + PACKED[40:], r"corpus is damaged gzip data \(.*invalid.*\); pack or upload"),
        (PACKED + b"rest", r"corpus is damaged gzip data \(Not a gzipped file .*\); pack or upload"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "source").mkdir()
    channel = channel_of(tmp_path / "source", corpus=content)
    with pytest.raises(ClientError, match=rf"^channel 'train': {sentence}"):
        unpack(channel, [tmp_path / "source" / "corpus"], tmp_path, threads=1)


def test_a_copy_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    channel = channel_of(tmp_path, corpus=PACKED)
    (tmp_path / "scratch" / "corpus").mkdir(parents=True)
    with pytest.raises(ClientError, match=r"^channel 'train': corpus could not be unpacked to .*; give the job"):
        unpack(channel, [tmp_path / "corpus"], tmp_path / "scratch", threads=1)


def test_a_job_on_packed_and_plain_files_gives_the_vectors_of_the_plain_ones(
    jobs: Jobs, corpus: bytes, read_text: ReadText
) -> None:
    half = corpus.index(b"\n", len(corpus) // 2) + 1
    plain = jobs.train({"a.txt": corpus[:half], "b/c.txt": corpus[half:]})
    packed = jobs.train({"a.txt.gz": gzip.compress(corpus[:half]), "b/c.txt": corpus[half:]})
    assert packed.process.returncode == 0, packed.output
    assert read_text(packed.model / "vectors.txt") == read_text(plain.model / "vectors.txt")


def test_what_is_wrong_in_a_packed_file_is_told_by_the_channels_name_of_it(jobs: Jobs, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    host = jobs.train({"below/corpus.gz": gzip.compress(b"word \xff word")}, TMPDIR=str(scratch))
    assert host.process.returncode == 1
    assert host.failure == "ClientError: channel 'train': below/corpus.gz is not UTF-8 text: byte 0xff at offset 5."
    assert not list(scratch.iterdir())
