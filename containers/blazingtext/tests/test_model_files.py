"""Model files of every kind, whole and damaged: each is read or refused with the offset and the reason."""

from __future__ import annotations

import random
import re
import resource
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import fasttext
import numpy as np
import pytest

from blazingtext._engine import Classifier, FormatError, usable_instructions
from blazingtext.model import Model
from blazingtext.word_vectors import WordVectors

from .fasttext_models import WORDS, Draw, trained_by

HEADER = "<2i12id3i2q"
HEADER_BYTES = struct.calcsize(HEADER)
FIELDS = [*range(0, 56, 4), *range(64, 76, 4)]  # offsets of 32 bits
LONG_FIELDS = [56, 76, 84]
MOST_MEMORY_KB = 64 * 1024


def softmax(folder: Path) -> Path:
    corpus = Draw(1).labelled(folder / "corpus", 3)
    trained_by(fasttext.train_supervised, corpus, dim=2, bucket=20, wordNgrams=2).save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def tree(folder: Path) -> Path:
    corpus = Draw(2).labelled(folder / "corpus", 9)
    model = trained_by(fasttext.train_supervised, corpus, dim=3, bucket=20, minn=2, maxn=3, loss="hs")
    model.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def pruned(folder: Path) -> Path:
    corpus = Draw(3).labelled(folder / "corpus", 300, lines=3000)
    model = trained_by(fasttext.train_supervised, corpus, dim=3, wordNgrams=2)
    model.quantize(input=str(corpus), cutoff=270, qnorm=True, qout=True, retrain=False, thread=19)
    model.save_model(str(folder / "model.ftz"))
    return folder / "model.ftz"


def subwords(folder: Path) -> Path:
    corpus = Draw(4).plain(folder / "corpus")
    model = trained_by(fasttext.train_unsupervised, corpus, dim=2, bucket=20, minn=2, maxn=3)
    model.save_model(str(folder / "vectors.bin"))
    return folder / "vectors.bin"


@pytest.fixture(scope="module", params=[softmax, tree, pruned, subwords])
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    make: Callable[[Path], Path] = request.param
    return make(tmp_path_factory.mktemp("whole")).read_bytes()


def use(model: Model) -> None:
    """All that can be done with a model; numbers may be any, crashes none."""
    texts = [*Draw(5).texts(), "</s", "é"]
    model.vectors([*WORDS, "unseen", ""])
    model.sentence_vectors(texts)
    _ = model.words, model.labels, model.counts, model.kept_buckets
    if not model.supervised:
        with np.errstate(all="ignore"):
            WordVectors(model).neighbors("w1", 5)
        return
    with suppress(FloatingPointError):  # damaged weights
        Classifier(model).predict(texts, 3)


def opened(path: Path, content: bytes) -> str | None:
    """Read and use a model; the reason when it is refused."""
    path.write_bytes(content)
    try:
        model = Model(path)
    except FormatError as error:
        reason = str(error)
    else:
        use(model)
        return None
    told = re.fullmatch(rf"{re.escape(str(path))} .*at offset (\d+)[,:] .+\.", reason)
    assert told, reason
    assert int(told[1]) <= len(content)
    return reason


def most_memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_file_cut_short_anywhere_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model"
    assert opened(path, content) is None
    for length in sorted({*range(min(len(content), 1500)), *range(0, len(content), 7), len(content) - 1}):
        assert opened(path, content[:length]), length
    assert opened(path, content + b"\0")


def test_random_damage_is_refused_or_harmless(content: bytes, tmp_path: Path) -> None:
    drawn, path, before = random.Random(1), tmp_path / "model", most_memory_kb()
    refused = 0
    for _ in range(1500):
        damaged = bytearray(content)
        # Half of the damage is where the structure is: the header and the first entries.
        within = drawn.choice([HEADER_BYTES, HEADER_BYTES + 100, len(content), len(content)])
        for _ in range(drawn.randint(1, 4)):
            damaged[drawn.randrange(within)] = drawn.choice([0, 1, 0x7F, 0x80, 0xFF, drawn.randrange(256)])
        refused += opened(path, bytes(damaged)) is not None
    assert 150 < refused < 1500
    assert most_memory_kb() - before < MOST_MEMORY_KB


def test_a_hostile_header_costs_no_memory(content: bytes, tmp_path: Path) -> None:
    path, before = tmp_path / "model", most_memory_kb()
    for offset in FIELDS:
        for value in (-(2**31), -1, 0, 1, 2**16, 2**30, 2**31 - 1):
            opened(path, content[:offset] + struct.pack("<i", value) + content[offset + 4 :])
    for offset in LONG_FIELDS:
        for long in (-(2**63), -1, 0, 2**31, 2**61, 2**63 - 1):
            opened(path, content[:offset] + struct.pack("<q", long) + content[offset + 8 :])
    for first, second in ((64, 68), (64, 72), (8, 48)):  # sizes that agree
        damaged = bytearray(content)
        for offset in (first, second):
            struct.pack_into("<i", damaged, offset, 2**31 - 1)
        assert opened(path, bytes(damaged))
    assert most_memory_kb() - before < MOST_MEMORY_KB


def test_sizes_that_overflow_are_refused(content: bytes, tmp_path: Path) -> None:
    """A matrix of 2^62 rows of 2^2 dimensions has 2^66 bytes, which is 0 where one does not look."""
    path = tmp_path / "model"
    model = Model(tmp_path / "whole") if (tmp_path / "whole").write_bytes(content) else None
    assert model
    shape = struct.pack("<2q", *model.input.shape)
    at = content.index(shape)
    for rows in (2**62, 2**63 - 1, -1, 2**32):
        assert opened(path, content[:at] + struct.pack("<q", rows) + content[at + 8 :])


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (4, 13, "at offset 4, the format's version is 13; it must be 11 or 12."),
        (8, 0, "at offset 8, the vectors have 0 dimensions."),
        (32, 5, "at offset 32, the loss is 5; it must be 1 (hs), 2 (ns), 3 (softmax) or 4 (ova)."),
        (36, 0, "at offset 36, the architecture is 0; it must be 1 (cbow), 2 (skipgram) or 3 (supervised)."),
        (40, 0, "at offset 40, the model has n-grams, but no hash buckets for them."),
        (40, -1, "at offset 40, the n-grams make no sense (-1 hash buckets, 0 to 0 characters)."),
        (72, 0, "at offset 64, the sizes make no sense (60 entries, 57 words, 0 labels)."),
    ],
)
def test_the_reason_is_told(tmp_path: Path, offset: int, value: int, reason: str) -> None:
    content = softmax(tmp_path).read_bytes()
    found = opened(tmp_path / "damaged", content[:offset] + struct.pack("<i", value) + content[offset + 4 :])
    assert found is not None
    assert re.sub(r"\d+ entries, \d+ words", "60 entries, 57 words", found).endswith(reason)


def test_settings_words_labels_and_counts_are_those_of_fasttext(tmp_path: Path) -> None:
    path = softmax(tmp_path)
    fast, model = fasttext.load_model(str(path)), Model(path)
    words, counts = fast.get_words(include_freq=True)
    labels = fast.get_labels()
    assert (model.words, model.labels, model.counts.tolist()) == (words, labels, counts.tolist())
    assert [model.word(row) for row in range(len(words))] == words
    assert [model.find(word) for word in [*words, "unseen", labels[0]]] == [*range(len(words)), -1, -1]
    settings = model.settings
    assert (settings.architecture, settings.loss) == ("supervised", "softmax")
    assert (settings.dim, settings.word_ngrams, settings.buckets, settings.max_char) == (2, 2, 20, 0)
    np.testing.assert_array_equal(model.input.numbers, fast.get_input_matrix())
    np.testing.assert_array_equal(model.output.numbers, fast.get_output_matrix())
    assert not model.input.numbers.flags.writeable
    rows = np.array([3, 0, 3])
    np.testing.assert_array_equal(model.input[rows], fast.get_input_matrix()[rows])
    for row in (-1, len(words) + 20):
        with pytest.raises(IndexError):
            model.input[np.array([row])]
    with pytest.raises(IndexError):
        model.word(len(words))


def test_words_that_are_not_utf8_do_not_keep_a_model_from_being_served(tmp_path: Path) -> None:
    """fastText trains on any bytes."""
    (tmp_path / "corpus").write_bytes(b"__label__\xff caf\xe9 noir\n" * 20 + b"__label__b the vert\n" * 20)
    model = trained_by(fasttext.train_supervised, tmp_path / "corpus", dim=4)
    model.save_model(str(tmp_path / "model.bin"))
    read = Model(tmp_path / "model.bin")
    assert "caf\ufffd" in read.words
    assert sorted(read.labels) == ["__label__b", "__label__\ufffd"]
    use(read)


def test_quantised_matrices_have_no_view(tmp_path: Path) -> None:
    model = Model(pruned(tmp_path))
    with pytest.raises(ValueError, match="the matrix is quantised; take rows of it"):
        _ = model.input.numbers
    assert model.input[np.array([0, 269])].shape == (2, 3)


def test_instructions_that_the_processor_lacks_are_refused(tmp_path: Path) -> None:
    path = softmax(tmp_path)
    for instructions in usable_instructions():
        Model(path, instructions)
    with pytest.raises(ValueError, match="instructions=neon2 cannot be used here"):
        Model(path, "neon2")


def test_a_file_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Model(tmp_path / "model.bin")
    with pytest.raises(IsADirectoryError):
        Model(tmp_path)
