"""The text form of vectors: exact, complete or not there."""

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from blazingtext._engine import write_text_vectors


def test_numbers_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    random = np.random.default_rng(5)
    matrix = (random.standard_normal((3000, 50)) * 10.0 ** random.integers(-30, 30, (3000, 50))).astype(np.float32)
    matrix[0, :4] = [0, -0.0, 1, np.finfo(np.float32).tiny]
    words = [f"w\u00f6rd{i}" for i in range(3000)]
    write_text_vectors(str(path), words, matrix)

    lines = path.read_text().splitlines()
    assert lines[0] == "3000 50"
    assert [line.split(" ")[0] for line in lines[1:]] == words
    read = np.array([[float(number) for number in line.split(" ")[1:]] for line in lines[1:]], np.float32)
    assert read.tobytes() == matrix.tobytes()
    assert lines[1].startswith("w\u00f6rd0 0 -0 1 1.1754944e-38 ")


def test_gensim_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
    write_text_vectors(str(path), ["a", "b", "c", "d"], matrix)
    read = KeyedVectors.load_word2vec_format(str(path))
    assert read.index_to_key == ["a", "b", "c", "d"]
    assert (read.vectors == matrix).all()


def test_rows_may_be_strided(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    matrix = np.arange(24, dtype=np.float32).reshape(4, 6)
    write_text_vectors(str(path), ["a", "b"], matrix[::2, 1::2])
    assert path.read_text() == "2 3\na 1 3 5\nb 13 15 17\n"
    write_text_vectors(str(path), ["a", "b"], matrix.T[:2])
    assert path.read_text() == "2 4\na 0 6 12 18\nb 1 7 13 19\n"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="same number"):
        write_text_vectors(str(path), ["a", "b"], np.zeros((3, 2), np.float32))
    with pytest.raises(UnicodeEncodeError):
        write_text_vectors(str(path), ["\ud800"], np.zeros((1, 2), np.float32))
    assert [file.name for file in tmp_path.iterdir()] == ["vectors.txt"]
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "vectors.txt"
    with pytest.raises(FileNotFoundError) as caught:
        write_text_vectors(str(path), ["a"], np.zeros((1, 2), np.float32))
    assert caught.value.filename == str(path)
