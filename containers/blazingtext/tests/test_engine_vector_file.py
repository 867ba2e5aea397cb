"""Reading word vectors: what others write is read as they meant it, and what is broken is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from numpy.typing import NDArray

from blazingtext._engine import VectorFile


def read(path: Path, threads: int = 2) -> tuple[list[str], NDArray[np.float32]]:
    file = VectorFile(str(path), threads)
    matrix = np.full((len(file.words), file.dim), np.nan, np.float32)
    file.copy(matrix, np.arange(len(file.words)))
    return file.words, matrix


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_numbers_are_read_to_the_bit(tmp_path: Path) -> None:
    """Over several parts of the file, each read by another thread."""
    random = np.random.default_rng(3)
    matrix = (random.standard_normal((40000, 20)) * 10.0 ** random.integers(-44, 30, (40000, 20))).astype(np.float32)
    words = [f"w\u00f6rd{number}" for number in range(len(matrix))]
    path = tmp_path / "vectors.txt"
    lines = [f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, matrix.tolist(), strict=True)]
    path.write_text(f"{len(words)} 20\n" + "".join(lines))
    assert path.stat().st_size > 2 * 4 * 2**20
    found, numbers = read(path, threads=3)
    assert found == words
    assert numbers.tobytes() == matrix.tobytes()


@pytest.mark.parametrize("binary", [False, True])
def test_what_gensim_writes_is_read(tmp_path: Path, binary: bool) -> None:
    vectors = KeyedVectors(7)
    words = ["the", "\u4e16\u754c", "x" * 300, "don't"]
    vectors.add_vectors(words, np.random.default_rng(1).standard_normal((4, 7)).astype(np.float32))
    path = tmp_path / ("vectors.bin" if binary else "vectors.vec")
    vectors.save_word2vec_format(str(path), binary=binary)
    found, numbers = read(path)
    assert found == words
    np.testing.assert_array_equal(numbers, vectors.vectors)


def test_binary_records_may_stand_on_lines_as_word2vec_writes_them(tmp_path: Path) -> None:
    row = np.array([1, -2], "<f4").tobytes()
    found, numbers = read(written(tmp_path / "v.bin", b"2 2\na " + row + b"\nb " + row + b"\n"))
    assert found == ["a", "b"]
    assert numbers.tolist() == [[1, -2], [1, -2]]


@pytest.mark.parametrize(
    "content",
    [
        "2 3\na 1 2 3\nb 4 5 6\n",
        "2 3 \na 1 2 3 \nb 4 5 6 \n",  # fastText ends each line with a space
        "2 3\r\na 1 2 3\r\nb 4 5 6\r\n",
        "2 3\na\t1\t2\t3\nb 4 5.0e0 6\n\n\n",
        "a 1 2 3\nb 4 5 6",  # GloVe writes no first line
    ],
)
def test_spellings_of_the_text_format(tmp_path: Path, content: str) -> None:
    found, numbers = read(written(tmp_path / "v.vec", content))
    assert found == ["a", "b"]
    assert numbers.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_only_the_rows_that_are_asked_for_change_and_padding_stays(tmp_path: Path) -> None:
    file = VectorFile(str(written(tmp_path / "v.vec", "3 2\na 1 2\nb 3 4\nc 5 6\n")), 1)
    padded = np.zeros((2, 4), np.float32)
    file.copy(padded[:, :2], np.array([1, -1, 0]))
    assert padded.tolist() == [[5, 6, 0, 0], [1, 2, 0, 0]]
    with pytest.raises(ValueError, match="not so many rows"):
        file.copy(padded[:, :2], np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="contiguous rows of the file's dimension"):
        file.copy(padded, np.array([0, 1, -1]))
    with pytest.raises(ValueError, match="as many as the file's words"):
        file.copy(padded[:, :2], np.array([0]))


def test_words_that_no_corpus_can_hold_are_left_out(tmp_path: Path) -> None:
    file = VectorFile(str(written(tmp_path / "v.vec", b"4 2\nwell 1 2\ncu\xc3 3 4\nver\x0btical 5 6\nend 7 8\n")), 1)
    assert file.words == ["well", "end"]
    assert file.skipped == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("2 3\na 1 2 3\nb 4 5\n", "line 3: it has 2 numbers; it must have 3."),
        ("2 3\na 1 2 3 4\nb 4 5 6\n", "line 2: it has 4 numbers; it must have 3."),
        ("a 1 2\nb 4\n", "line 2: it has 1 numbers; it must have 2."),
        ("2 2\na 1 x\nb 4 5\n", "line 2: it has something that is not a number."),
        ("2 2\na 1 2\nb 4 5e\n", "line 3: it has something that is not a number."),
        ("2 2\na 1 2\nb nan 2\n", "line 3: it has a number that is not finite."),
        ("2 2\na 1 2\nb 1e99 2\n", "line 3: it has a number that is not finite."),
        ("2 2\na 1 2\n\nb 3 4\n", "line 3: it does not begin with a word."),
        ("2 2\na 1 2\n 3 4\n", "line 3: it does not begin with a word."),
        ("3 2\na 1 2\nb 4 5\n", "holds 2 vectors, but its first line says 3; is it cut short?"),
        ("1 2\na 1 2\nb 4 5\n", "holds 2 vectors, but its first line says 1; is it cut short?"),
        ("just words\n", "line 1: it has something that is not a number."),
        ("word\n", "line 1: it has no numbers."),
        ("0 5\n", "holds no vectors."),
        ("", "holds no vectors."),
        (b"2 2\na " + b"\0\0\x80\x3f" * 2 + b"b \0\0\0", "ends inside word 2 of 2; is it cut short?"),
        (b"2 2\na " + b"\0\0\x80\x3f" * 2 + b"b" + b"\0" * 100, "ends inside word 2 of 2; is it cut short?"),
        (b"1 2\na " + b"\0\0\x80\x7f" * 2, "word 'a': it has a number that is not finite."),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=r"v\.vec") as refusal:
        read(written(tmp_path / "v.vec", content))
    assert reason in str(refusal.value)
