"""Quantised vectors: what fastText makes of them, how near they are, how small, and how they are served."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import fasttext
import numpy as np
import pytest
from numpy.typing import NDArray

from blazingtext._engine import FormatError, quantise
from blazingtext.model import Model
from blazingtext.quantised import QuantisedMatrix
from blazingtext.quantised_model import write_quantised
from blazingtext.word_vectors import WordVectors
from contract import fasttext_format

if TYPE_CHECKING:
    from conftest import Host, Jobs, ReadText

SUBWORDS = {"mode": "skipgram", "subwords": "True", "buckets": "500", "evaluation": "False"}


def clustered(rows: int, dim: int, seed: int = 1) -> NDArray[np.float32]:
    """Rows of very different lengths around forty directions."""
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((40, dim))[random.integers(0, 40, rows)] + 0.5 * random.standard_normal((rows, dim))
    return (matrix * random.lognormal(0, 1, (rows, 1))).astype(np.float32)


def decoded(matrix: NDArray[np.float32], block: int, threads: int = 1, seed: int = 1) -> NDArray[np.float32]:
    return QuantisedMatrix.of(matrix, block, seed=seed, threads=threads)[np.arange(len(matrix))]


@pytest.mark.parametrize(("dim", "block"), [(10, 2), (10, 3), (10, 10), (10, 1), (7, 4), (1, 1)])
def test_256_rows_or_fewer_lose_nothing_whatever_the_blocks(dim: int, block: int) -> None:
    for rows in (1, 200, 256):
        matrix = clustered(rows, dim)
        np.testing.assert_allclose(decoded(matrix, block), matrix, rtol=1e-5, atol=1e-6)


def test_smaller_blocks_are_nearer_and_near() -> None:
    matrix = clustered(5000, 24)
    lengths = np.linalg.norm(matrix, axis=1)
    errors = [
        float(np.mean(np.linalg.norm(decoded(matrix, block) - matrix, axis=1) / lengths)) for block in (1, 2, 4, 8)
    ]
    assert errors == sorted(errors)
    assert errors[0] < 0.03
    assert errors[1] < 0.12
    assert errors[3] < 0.7


def test_threads_change_nothing_and_the_seed_does() -> None:
    matrix = clustered(3000, 10)
    np.testing.assert_array_equal(decoded(matrix, 2, threads=1), decoded(matrix, 2, threads=5))
    assert (decoded(matrix, 2, seed=1) != decoded(matrix, 2, seed=2)).any()


def test_rows_may_be_strided_alike_or_zero() -> None:
    padded = np.zeros((600, 16), np.float32)
    padded[:300, :10] = clustered(300, 10)
    for part in (padded[:, :10], padded.T[:10].T):
        np.testing.assert_array_equal(decoded(part, 2), decoded(np.ascontiguousarray(part), 2))
    assert np.abs(decoded(padded[:, :10], 2)[300:]).max() < 0.05
    np.testing.assert_allclose(decoded(np.ones((1000, 4), np.float32), 2), 1, rtol=1e-3)


def test_what_cannot_be_quantised_is_refused() -> None:
    for matrix, block, threads in (((0, 4), 2, 1), ((4, 0), 2, 1), ((4, 4), 0, 1), ((4, 4), 2, 0)):
        with pytest.raises(ValueError, match="there must be rows, dimensions, a block of at least 1 and a thread"):
            quantise(np.zeros(matrix, np.float32), block, 1, threads)


@pytest.mark.parametrize("block", ["2", "5", "2048"])
def test_fasttext_loads_the_ftz_with_our_vectors_of_it(jobs: Jobs, corpus: bytes, block: str) -> None:
    host = jobs.train(corpus, {"quantize": "True", "quantized_block": block, "evaluation": "False"})
    assert host.process.returncode == 0, host.output
    path = host.model / "vectors.ftz"
    fast, model = fasttext.load_model(str(path)), Model(path)
    assert fast.is_quantized()
    assert fast.get_words() == model.words == Model(host.model / "vectors.bin").words
    ours = WordVectors(model)
    for word in [*model.words, "unheard-of"]:
        np.testing.assert_allclose(fast.get_word_vector(word), ours.lookup([word])[0], rtol=1e-5, atol=1e-7)
    assert [word for _, word in fast.get_nearest_neighbors("tiger", 3)] == [
        item["word"] for item in ours.neighbors("tiger", 3)
    ]


def test_ngrams_are_kept_and_unused_buckets_are_not(jobs: Jobs, corpus: bytes, read_text: ReadText) -> None:
    host = jobs.train(corpus, {**SUBWORDS, "buckets": "100000", "quantize": "True"})
    assert host.process.returncode == 0, host.output
    path = host.model / "vectors.ftz"
    fast, full, ours = (
        fasttext.load_model(str(path)),
        read_text(host.model / "vectors.txt"),
        WordVectors.read(host.model),
    )
    quantised = WordVectors(Model(path))
    for word in [*full, "tigerish", "q"]:
        vector = quantised.lookup([word])[0]
        np.testing.assert_allclose(vector, fast.get_word_vector(word), rtol=1e-4, atol=1e-6)
        if vector.any():
            assert cosine(vector, ours.lookup([word])[0]) > 0.95
    assert path.stat().st_size < (host.model / "vectors.bin").stat().st_size / 50


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("lengths_apart", [False, True])
@pytest.mark.parametrize("block", [1, 3, 10])
def test_fasttext_reads_and_writes_the_same_bytes(tmp_path: Path, lengths_apart: bool, block: int) -> None:
    """Also for rows that were quantised as they are, which fastText does by default."""
    matrix = QuantisedMatrix.of(clustered(400, 10), block, seed=1, threads=1)
    if not lengths_apart:
        matrix = replace(matrix, length_codes=None, lengths=None)
    settings = fasttext_format.Settings(
        architecture="skipgram",
        dim=10,
        window_size=5,
        epochs=1,
        min_count=1,
        negative_samples=5,
        buckets=1000,
        min_char=2,
        max_char=3,
        sampling_threshold=1e-4,
    )
    words, kept = [f"word{number}" for number in range(300)], np.arange(900, 1000, dtype=np.uint32)
    fasttext_format.write_quantised(
        tmp_path / "ours.ftz",
        settings,
        words=words,
        counts=np.ones(300, dtype=np.int64),
        tokens=300,
        input=matrix,
        bucket_ids=kept,
    )
    model = fasttext.load_model(str(tmp_path / "ours.ftz"))
    model.save_model(str(tmp_path / "its.ftz"))
    # fastText keeps the list of buckets in a table without order.
    for name in ("ours.ftz", "its.ftz"):
        read = Model(tmp_path / name)
        assert read.kept_buckets is not None
        assert sorted(read.kept_buckets.tolist()) == [[900 + place, place] for place in range(100)]
        assert read.words == words
        assert read.quantised
        np.testing.assert_array_equal(read.input[np.arange(400)], matrix[np.arange(400)])
    assert (tmp_path / "its.ftz").stat().st_size == (tmp_path / "ours.ftz").stat().st_size
    ours = WordVectors(read)
    for word in [*words[:20], "unheard"]:
        np.testing.assert_allclose(ours.lookup([word])[0], model.get_word_vector(word), rtol=1e-4, atol=1e-6)


QUANTISER = struct.pack("<4i", 12, 6, 2, 2)


def damaged(content: bytes, offset: int, replacement: bytes) -> bytes:
    return content[:offset] + replacement + content[offset + len(replacement) :]


@pytest.fixture(scope="module")
def quantised(trained: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `trained` as a .ftz."""
    path = tmp_path_factory.mktemp("quantised") / "vectors.ftz"
    write_quantised(Model(trained.model / "vectors.bin"), path, block=2, seed=1, threads=1)
    return path


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content, matrix: content[:-1], "the file ends inside the output matrix, 1 bytes early"),
        (lambda content, matrix: content[: matrix + 40], "the file ends inside the quantised input matrix"),
        (lambda content, matrix: content + b"!", "1 bytes follow the end of the model"),
        (lambda content, matrix: damaged(content, matrix, b"\x02"), "the flag before the input matrix is 2"),
        (lambda content, matrix: damaged(content, matrix + 2, b"\xff"), "the input matrix has shape (255, 12)"),
        (lambda content, matrix: damaged(content, matrix + 10, b"\x0d"), ", 13); it must be"),
        (lambda content, matrix: damaged(content, matrix + 18, b"\x01"), "sizes make no sense"),
        (lambda content, matrix: damaged(content, matrix + 21, b"\xff"), "sizes make no sense"),
        (lambda content, matrix: damaged(content, content.index(QUANTISER), b"\x0d"), "does not fit 12 dimensions"),
    ],
)
def test_a_damaged_ftz_is_refused_with_the_offset_and_the_reason(
    quantised: Path, tmp_path: Path, damage: Callable[[bytes, int], bytes], reason: str
) -> None:
    content = quantised.read_bytes()
    rows = len(Model(quantised).words)
    matrix = content.index(struct.pack("<2b2q", 1, 1, rows, 12))
    path = tmp_path / "vectors.ftz"
    path.write_bytes(damage(content, matrix))
    with pytest.raises(FormatError, match="at offset") as refusal:
        Model(path)
    assert reason in str(refusal.value)


def test_training_does_not_go_on_from_a_ftz(jobs: Jobs, corpus: bytes, quantised: Path) -> None:
    host = jobs.train(corpus, None, {"pretrained_vectors": {"vectors.ftz": quantised.read_bytes()}})
    assert host.failure == (
        "ClientError: channel 'pretrained_vectors': vectors.ftz is quantised;"
        " training goes on from the .bin that it was made from."
    )


def test_the_tool_quantises_a_model_that_exists(trained: Host, quantised: Path, tmp_path: Path) -> None:
    made = tmp_path / "vectors.ftz"
    command = [sys.executable, "-m", "blazingtext", "quantize", str(trained.model / "vectors.bin"), str(made)]
    subprocess.run([*command, "threads=1"], check=True)
    assert made.read_bytes() == quantised.read_bytes()
    again = subprocess.run([*command[:4], str(made), str(made)], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr == f"{made} is quantised already; name the .bin that it was made from.\n"
