"""The text form of vectors: exact, complete or not there."""

import resource
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from numpy.typing import NDArray

from blazingtext._engine import Trainer

from .engine_jobs import JOB, corpus_of


def trainer_of(folder: Path, words: list[str], matrix: NDArray[np.float32], threads: int = 1) -> Trainer:
    corpus = corpus_of(folder / "corpus.txt", " ".join(words))
    assert corpus.words == words
    trainer = Trainer(corpus, **{**JOB, "dim": matrix.shape[1], "threads": threads})
    trainer.input[:] = matrix
    return trainer


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_numbers_read_back_the_same(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "vectors.txt"
    random = np.random.default_rng(5)
    matrix = (random.standard_normal((3000, 50)) * 10.0 ** random.integers(-30, 30, (3000, 50))).astype(np.float32)
    # The longest numbers there are stand side by side.
    matrix[0] = -1.1754944e-38
    matrix[1, :4] = [0, -0.0, 1, np.finfo(np.float32).max]
    words = [f"w\u00f6rd{i}" for i in range(3000)]
    trainer_of(tmp_path, words, matrix, threads).write_text_vectors(str(path))

    lines = path.read_text().splitlines()
    assert lines[0] == "3000 50"
    assert [line.split(" ")[0] for line in lines[1:]] == words
    read = np.array([[float(number) for number in line.split(" ")[1:]] for line in lines[1:]], np.float32)
    assert read.tobytes() == matrix.tobytes()
    assert lines[1].startswith("w\u00f6rd0 -1.1754944e-38 -1.1754944e-38 ")
    assert lines[2].startswith("w\u00f6rd1 0 -0 1 3.4028235e+38 ")


def test_gensim_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
    trainer_of(tmp_path, ["a", "b", "c", "d"], matrix).write_text_vectors(str(path))
    read = KeyedVectors.load_word2vec_format(str(path))
    assert read.index_to_key == ["a", "b", "c", "d"]
    assert (read.vectors == matrix).all()


def test_some_words_vectors_are_those_of_all(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    trainer = trainer_of(tmp_path, ["a", "b", "c", "d"], matrix)
    assert (trainer.word_vectors() == matrix).all()
    assert (trainer.word_vectors([3, 0, 3]) == matrix[[3, 0, 3]]).all()
    assert trainer.word_vectors([]).shape == (0, 3)
    with pytest.raises(IndexError, match="below the number of words"):
        trainer.word_vectors([4])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "vectors.txt").mkdir(parents=True)  # a file cannot take a folder's name
    trainer = trainer_of(tmp_path, ["a"], np.zeros((1, 2), np.float32))
    with pytest.raises(IsADirectoryError) as caught:
        trainer.write_text_vectors(str(folder / "vectors.txt"))
    assert caught.value.filename == str(folder / "vectors.txt")
    assert [file.name for file in folder.iterdir()] == ["vectors.txt"]


def test_a_file_that_may_not_grow_ends_all_threads_and_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    trainer = trainer_of(tmp_path, [f"w{i}" for i in range(500)], np.full((500, 300), 1 / 3, np.float32), threads=3)
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, kept[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            trainer.write_text_vectors(str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith("vectors.txt")]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "vectors.txt"
    with pytest.raises(FileNotFoundError) as caught:
        trainer_of(tmp_path, ["a"], np.zeros((1, 2), np.float32)).write_text_vectors(str(path))
    assert caught.value.filename == str(path)
