"""Quantised vectors: what fastText makes of them, how near they are, how small, and how they are served."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fasttext
import numpy as np
import pytest
from numpy.typing import NDArray

from blazingtext import fasttext_format
from blazingtext._engine import quantise
from blazingtext.quantised import QuantisedMatrix
from blazingtext.quantised_model import write_quantised
from blazingtext.word_vectors import WordVectors

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
    fast, model = fasttext.load_model(str(path)), fasttext_format.read(path)
    assert fast.is_quantized()
    assert fast.get_words() == model.words == fasttext_format.read(host.model / "vectors.bin").words
    ours = WordVectors.of(model)
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
    quantised = WordVectors.of(fasttext_format.read(path))
    for word in [*full, "tigerish", "q"]:
        vector = quantised.lookup([word])[0]
        np.testing.assert_allclose(vector, fast.get_word_vector(word), rtol=1e-4, atol=1e-6)
        if vector.any():
            assert cosine(vector, ours.lookup([word])[0]) > 0.95
    assert path.stat().st_size < (host.model / "vectors.bin").stat().st_size / 50


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


class Bytes:
    """Bytes, read from an offset on."""

    def __init__(self, content: bytes, offset: int) -> None:
        self.content, self.offset = content, offset

    def take(self, length: int, what: str) -> memoryview:
        self.offset += length
        return memoryview(self.content)[self.offset - length : self.offset]

    def refuse(self, reason: str) -> Exception:
        return AssertionError(reason)


def classifier(corpus: Path) -> Any:
    """A classifier of fastText's, whose training meets NaN now and then on so small a corpus."""
    options = {"dim": 10, "epoch": 1, "minn": 2, "maxn": 3, "bucket": 1000, "thread": 1, "verbose": 0}
    for _ in range(30):
        with contextlib.suppress(RuntimeError):
            return fasttext.train_supervised(str(corpus), **options)
    pytest.fail("fastText trained no classifier")


@pytest.mark.parametrize("lengths_apart", [False, True])
def test_a_matrix_that_fasttext_quantised_is_read(tmp_path: Path, lengths_apart: bool) -> None:
    """fastText quantises nothing but classifiers; their input matrix is laid out alike."""
    corpus = tmp_path / "corpus"
    corpus.write_text("".join(f"__label__{i % 2} word{i % 300} word{i * 7 % 300} common\n" for i in range(3000)))
    model = classifier(corpus)
    model.quantize(qnorm=lengths_apart, dsub=3)
    model.save_model(str(tmp_path / "model.ftz"))
    content, words = (tmp_path / "model.ftz").read_bytes(), model.get_words()
    begin = content.index(struct.pack("<?2q", lengths_apart, len(words) + 1000, 10))
    matrix = QuantisedMatrix.read(Bytes(content, begin))
    assert matrix.shape == (len(words) + 1000, 10)
    for word in [*words[:20], "unheard"]:
        rows = np.array(model.get_subwords(word)[1])
        np.testing.assert_allclose(matrix[rows].mean(axis=0), model.get_word_vector(word), rtol=1e-4, atol=1e-6)


def damaged(content: bytes, offset: int, replacement: bytes) -> bytes:
    return content[:offset] + replacement + content[offset + len(replacement) :]


@pytest.fixture(scope="module")
def quantised(trained: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `trained` as a .ftz."""
    path = tmp_path_factory.mktemp("quantised") / "vectors.ftz"
    write_quantised(fasttext_format.read(trained.model / "vectors.bin"), path, block=2, seed=1, threads=1)
    return path


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content, matrix: content[:-1], "the file ends inside the output matrix, 1 bytes early"),
        (lambda content, matrix: content[: matrix + 40], "the file ends inside the quantised matrix"),
        (lambda content, matrix: content + b"!", "1 bytes follow the end of the model"),
        (lambda content, matrix: damaged(content, matrix, b"\x02"), "the flag before the input matrix is 2"),
        (lambda content, matrix: damaged(content, matrix + 2, b"\xff"), "sizes make no sense"),
        (lambda content, matrix: damaged(content, matrix + 10, b"\x0d"), "does not fit 13 dimensions in 6 blocks"),
    ],
)
def test_a_damaged_ftz_is_refused_with_the_offset_and_the_reason(
    quantised: Path, tmp_path: Path, damage: Callable[[bytes, int], bytes], reason: str
) -> None:
    content = quantised.read_bytes()
    rows = len(fasttext_format.read(quantised).words)
    matrix = content.index(struct.pack("<2b2q", 1, 1, rows, 12))
    path = tmp_path / "vectors.ftz"
    path.write_bytes(damage(content, matrix))
    with pytest.raises(fasttext_format.FormatError, match="at offset") as refusal:
        fasttext_format.read(path)
    assert reason in str(refusal.value)


def test_training_does_not_go_on_from_a_ftz(jobs: Jobs, corpus: bytes, quantised: Path) -> None:
    host = jobs.train(corpus, None, {"pretrained_vectors": {"vectors.ftz": quantised.read_bytes()}})
    assert host.failure == (
        "ClientError: channel 'pretrained_vectors': vectors.ftz is quantised;"
        " training goes on from the .bin that it was made from."
    )
