"""The forms of labelled text, and how a text becomes tokens."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from contract.channels import InputChannel
from contract.errors import ClientError
from gluon_fasttext.texts import Tokeniser, labelled_texts, normalized


def read(folder: Path, **files: bytes) -> list[tuple[list[bytes], list[bytes]]]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    channel = InputChannel("train", folder)
    return [(labels, Tokeniser().tokens(text)[:-1]) for labels, text in labelled_texts(channel)]


def test_the_scripts_form_is_split_at_the_first_comma(tmp_path: Path) -> None:
    content = b'2,good, and "cheap"\n\n1 , bad\nvery good,yes\n'
    assert read(tmp_path, part=content) == [
        ([b"__label__2"], [b"good,", b"and", b'"cheap"']),
        ([b"__label__1"], [b"bad"]),
        ([b"__label__very_good"], [b"yes"]),
    ]


def test_quoted_fields_are_csv_and_joined(tmp_path: Path) -> None:
    content = '"3","Title, one","He said ""no""\nand left \u00e9"\n"4","b",""\n'.encode()
    assert read(tmp_path, part=content) == [
        ([b"__label__3"], [b"Title,", b"one", b"He", b"said", b'"no"', b"and", b"left", "\u00e9".encode()]),
        ([b"__label__4"], [b"b"]),
    ]


def test_fasttexts_form_may_have_several_labels_anywhere_and_lines_without_one(tmp_path: Path) -> None:
    content = b"__label__a __label__b one two\n\nno label\n  __label__a\tthree __label__c four\n__label__d\n"
    assert read(tmp_path, part=content) == [
        ([b"__label__a", b"__label__b"], [b"one", b"two"]),
        ([b"__label__a", b"__label__c"], [b"three", b"four"]),
        ([b"__label__d"], []),
    ]


def test_files_of_both_forms_and_packed_ones_may_lie_beside_each_other(tmp_path: Path) -> None:
    found = read(tmp_path, a=b"__label__x one\n", b=gzip.compress(b"y,two\n"), c=b'"z","three"\n')
    assert [labels for labels, _ in found] == [[b"__label__x"], [b"__label__y"], [b"__label__z"]]


@pytest.mark.parametrize("line", [b"__label__x one\n", b"x,one\n", b'"x","one"\n'])
def test_a_byte_order_mark_is_no_part_of_the_first_label(tmp_path: Path, line: bytes) -> None:
    assert read(tmp_path, part=b"\xef\xbb\xbf" + line) == [([b"__label__x"], [b"one"])]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"1,fine\nno comma here\n",
            r"channel 'train': line 2 of part has no label; a line is label,text, or fastText's",
        ),
        (b" ,empty\n", "line 1 of part has no label"),
        (b'"1"\n', "line 1 of part has no label"),
        (b'"1","unclosed\n', "part is damaged: unexpected end of data"),
        (gzip.compress(b"1,text\n" * 1000)[:-12], "part is damaged: "),
        (b"\x1f\x8bnot gzip", "part is damaged: "),
    ],
)
def test_other_lines_and_damaged_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        read(tmp_path, part=content)


def test_normalisation_is_that_of_fasttexts_scripts() -> None:
    text = b'It\'s "GREAT"! (Really?) Yes; no: a,b.<br />End.'
    expected = b"it ' s great ! ( really ? ) yes no a , b . end ."
    assert b" ".join(normalized(text).split()) == expected


def test_a_text_is_cut_and_ends_with_its_mark_and_labels_in_it_are_no_words() -> None:
    tokeniser = Tokeniser(normalize=True, max_length=2)
    assert tokeniser.tokens(b"One __label__x two\0three") == [b"one", b"two", b"</s>"]
    assert Tokeniser().tokens(b"") == [b"</s>"]
