"""Corpora: what is in them, that they are made once, and what is said when one cannot be had."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from kindling.datasets import botocore_documentation, find, text8
from kindling.datasets.botocore_documentation import paragraphs, paragraphs_of_text
from kindling.datasets.files import whole
from kindling.errors import UserError

TEXT = b"anarchism originated as a term of abuse"
MD5 = hashlib.md5(TEXT, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("marked_up", "expected"),
    [
        ("<p>Creates an <code>S3</code> bucket.</p>", ["creates an s3 bucket"]),
        ("<p>One two three.</p><ul><li>Four five six</li></ul>", ["one two three", "four five six"]),
        ("Tom &amp; Jerry&#39;s cats, 1 &lt; 2", ["tom jerry s cats"]),
        ("Call <a href='x'>ListBuckets</a> twice", ["call list buckets twice"]),
        ("See https://example.com/a/b for more words", ["see for more words"]),
        ("Wait 300 seconds on an EC2 host", ["wait seconds on an ec2 host"]),
        ("<p>Too short</p>", []),
        ("", []),
    ],
)
def test_documentation_becomes_paragraphs_of_lower_case_words(marked_up: str, expected: list[str]) -> None:
    assert list(paragraphs_of_text(marked_up)) == expected


def test_a_paragraph_that_occurs_in_two_services_is_kept_once(tmp_path: Path) -> None:
    model = {"documentation": "<p>Shared by all services.</p>", "shapes": {"A": {"documentation": "Only in {0} here."}}}
    (tmp_path / "a.json").write_text(json.dumps(model).replace("{0}", "one"))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(model).replace("{0}", "two").encode()))
    found = list(paragraphs([tmp_path / "a.json", tmp_path / "b.json.gz"]))
    assert found == ["shared by all services", "only in one here", "only in two here"]


def test_a_shape_that_is_called_documentation_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"shapes": {"documentation": {"documentation": "A real text here."}}}))
    assert list(paragraphs([tmp_path / "a.json"])) == ["a real text here"]


def test_the_corpus_is_not_made_again_while_botocore_and_the_recipe_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore_documentation, "paragraphs", lambda models: iter(["a small corpus"]))
    first = botocore_documentation.build(tmp_path)
    assert first.read_text() == "a small corpus\n"
    monkeypatch.setattr(botocore_documentation, "paragraphs", lambda models: pytest.fail("made again"))
    assert botocore_documentation.build(tmp_path) == first
    monkeypatch.setattr(botocore_documentation, "RECIPE", -1)
    monkeypatch.setattr(botocore_documentation, "paragraphs", lambda models: iter(["another corpus here"]))
    assert botocore_documentation.build(tmp_path).read_text() == "another corpus here\n"


def test_a_file_that_could_not_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with whole(tmp_path / "corpus") as file:
            file.write(b"half of it")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def archive(member: str = "text8", text: bytes = TEXT) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(member, text)
    return packed.getvalue()


def test_text8_is_downloaded_once(tmp_path: Path, server: str) -> None:
    source = tmp_path / "served" / "text8.zip"
    source.write_bytes(archive())
    path = text8.download(tmp_path / "cache", f"{server}/text8.zip", MD5)
    assert path.read_bytes() == TEXT
    source.unlink()
    assert text8.download(tmp_path / "cache", f"{server}/text8.zip", MD5) == path


@pytest.mark.parametrize(
    "sent", [b"<html>sign in to this network</html>", archive("other"), archive(text=b"another text")]
)
def test_what_is_not_text8_is_refused_and_not_kept(tmp_path: Path, server: str, sent: bytes) -> None:
    (tmp_path / "served" / "text8.zip").write_bytes(sent)
    with pytest.raises(UserError, match="is not text8; try again later, or pass a file's path"):
        text8.download(tmp_path / "cache", f"{server}/text8.zip", MD5)
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_without_a_network_the_sentence_names_the_corpus_that_needs_none(tmp_path: Path, server: str) -> None:
    with pytest.raises(UserError, match=r"HTTP 404\); use the botocore corpus, which needs no network"):
        text8.download(tmp_path / "cache", f"{server}/text8.zip", MD5)
    with pytest.raises(UserError, match=r"no connection\); use the botocore corpus"):
        text8.download(tmp_path / "cache", "http://127.0.0.1:9/text8.zip", MD5)


def test_a_file_of_ones_own_is_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a b c")
    corpus = find(str(tmp_path / "mine.txt"), tmp_path / "cache")
    assert (corpus.name, corpus.path) == ("mine", tmp_path / "mine.txt")


def test_a_corpus_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere was not found; name a text file, or botocore or text8"):
        find("nowhere", tmp_path)
    with pytest.raises(UserError, match="is a folder"):
        find(str(tmp_path), tmp_path)
