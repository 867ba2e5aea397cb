"""Reading corpora: tokens, vocabulary, counts, sentences and bytes that are not text, against plain Python."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blazingtext._engine import Corpus, CorpusPart, Trainer

from .engine_jobs import JOB, part_of, trained

SEPARATORS = " \t\n\r\v\f\0"
TEXT = st.text(alphabet=st.sampled_from(list("ab\u00e9\u4e16\U0001f600\u00a0\u2028") + list(SEPARATORS)), max_size=200)


def expected_vocabulary(texts: list[str], min_count: int) -> list[tuple[str, int]]:
    tokens = [token for text in texts for token in re.split(f"[{SEPARATORS}]", text) if token]
    counts = Counter(tokens)  # keeps the order of first appearance, as does sorting
    return sorted(((w, c) for w, c in counts.items() if c >= min_count), key=lambda entry: -entry[1])


def written(folder: Path, *contents: bytes) -> list[str]:
    paths = []
    for i, content in enumerate(contents):
        path = folder / f"part-{i}.txt"
        path.write_bytes(content)
        paths.append(str(path))
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXT, max_size=3), min_count=st.integers(0, 3), threads=st.integers(1, 3))
def test_tokens_words_and_counts_are_those_of_plain_python(
    folder: Path, texts: list[str], min_count: int, threads: int
) -> None:
    corpus = Corpus(written(folder, *(text.encode() for text in texts)), min_count, threads)

    vocabulary = expected_vocabulary(texts, min_count)
    assert corpus.words == [word for word, _ in vocabulary]
    assert corpus.counts.tolist() == [count for _, count in vocabulary]
    assert corpus.counts.dtype == np.int64
    assert corpus.tokens_read == sum(count for _, count in expected_vocabulary(texts, 0))
    assert corpus.bytes_read == sum(len(text.encode()) for text in texts)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_file_of_many_parts_gives_the_same_vocabulary_with_any_number_of_threads(
    tmp_path: Path, threads: int
) -> None:
    # Several MB, so that the file is cut in parts, with a token longer than a part.
    random = np.random.default_rng(3)
    tokens = [f"w{number}" for number in random.zipf(1.3, 400_000) % 50_000]
    tokens.insert(200_000, "long" * 700_000)
    text = "".join(
        token + " \n"[number] for token, number in zip(tokens, random.integers(0, 2, len(tokens)), strict=True)
    )
    corpus = Corpus(written(tmp_path, text.encode()), 2, threads)

    vocabulary = expected_vocabulary([text], 2)
    assert corpus.words == [word for word, _ in vocabulary]
    assert corpus.counts.tolist() == [count for _, count in vocabulary]
    assert corpus.tokens_read == len(tokens)


def test_empty_files_and_no_files_have_no_words(tmp_path: Path) -> None:
    for paths in ([], written(tmp_path, b""), written(tmp_path, b" \n\n ", b"")):
        corpus = Corpus(paths, 1, 1)
        assert corpus.words == []
        assert corpus.counts.shape == (0,)
        assert corpus.tokens_read == 0


def test_the_counts_outlive_the_corpus(tmp_path: Path) -> None:
    counts = Corpus(written(tmp_path, b"a b a"), 1, 1).counts
    assert counts.tolist() == [2, 1]
    with pytest.raises(ValueError, match="read-only"):
        counts[0] = 5


@settings(max_examples=100, deadline=None)
@given(
    content=st.lists(
        st.one_of(
            st.sampled_from([b"a", b" ", b"\n", b"eight ascii "]),
            st.characters(exclude_categories=["Cs"]).map(lambda c: c.encode()),
            st.binary(min_size=1, max_size=2),
            st.sampled_from([b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98"]),
        ),
        max_size=12,
    ).map(b"".join)
)
def test_bytes_that_are_not_utf8_are_refused_where_python_refuses_them(folder: Path, content: bytes) -> None:
    paths = written(folder, b"a b\n", content)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        message = f"{paths[1]} is not UTF-8 text: byte 0x{content[error.start]:02x} at offset {error.start}."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            Corpus(paths, 1, 2)
    else:
        assert Corpus(paths, 1, 2).tokens_read == sum(c for _, c in expected_vocabulary(["a b\n", content.decode()], 0))


def test_the_first_bad_byte_of_a_large_file_is_named(tmp_path: Path) -> None:
    content = bytearray(b"word " * 1_000_000)
    for offset in (4_500_001, 2_300_001, 3_400_001):
        content[offset] = 0xFF
    paths = written(tmp_path, bytes(content))
    with pytest.raises(ValueError, match=r"byte 0xff at offset 2300001\.$"):
        Corpus(paths, 1, 3)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.txt"
    with pytest.raises(FileNotFoundError) as caught:
        Corpus([str(missing)], 1, 1)
    assert caught.value.filename == str(missing)
    with pytest.raises(IsADirectoryError):
        Corpus([str(tmp_path)], 1, 1)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXT, max_size=3), min_count=st.integers(0, 3), ranks=st.integers(2, 5))
def test_parts_read_by_several_ranks_give_the_vocabulary_of_one(
    folder: Path, texts: list[str], min_count: int, ranks: int
) -> None:
    paths = written(folder, *(text.encode() for text in texts))
    whole = Corpus(paths, min_count, 1)
    parts = [part_of(paths, rank, ranks, min_count=min_count) for rank in range(ranks)]
    for part in parts:
        assert part.words == whole.words
        assert part.counts.tolist() == whole.counts.tolist()
        assert (part.tokens_read, part.bytes_read) == (whole.tokens_read, whole.bytes_read)
    if whole.words:
        assert sum(Trainer(part, **JOB).total_words for part in parts) == whole.tokens_read


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_share_a_large_file_evenly_and_with_all_threads(tmp_path: Path, ranks: int) -> None:
    random = np.random.default_rng(5)
    text = " ".join(f"w{number}" for number in random.zipf(1.3, 600_000) % 50_000)
    paths = written(tmp_path, text[:2_000_000].encode(), text[2_000_000:].encode())
    whole = Corpus(paths, 5, 1)
    parts = [part_of(paths, rank, ranks, min_count=5, threads=2) for rank in range(ranks)]
    assert all(part.words == whole.words for part in parts)
    totals = [Trainer(part, **JOB).total_words for part in parts]
    assert sum(totals) == whole.tokens_read
    assert max(totals) < 1.01 * min(totals)


def test_a_bad_byte_is_found_by_the_rank_whose_part_holds_it(tmp_path: Path) -> None:
    paths = written(tmp_path, b"fine " * 100 + b"caf\xe9 " + b"fine " * 10)
    CorpusPart(paths, 1, 0, 2)
    with pytest.raises(ValueError, match=r"part-0\.txt is not UTF-8 text: byte 0xe9 at offset 503"):
        CorpusPart(paths, 1, 1, 2)


def test_a_part_is_encoded_once_and_with_whole_counts_only(tmp_path: Path) -> None:
    paths = written(tmp_path, b"a b c d")
    first, second = (CorpusPart(paths, 1, rank, 2) for rank in range(2))
    for cut_off in (b"", second.counts[:-1], b"\xff" * 100):
        with pytest.raises(ValueError, match="cut off"):
            CorpusPart(paths, 1, 0, 2).encode(1, 1, [cut_off])
    first.encode(1, 1, [second.counts])
    with pytest.raises(ValueError, match="only once"):
        first.encode(1, 1, [second.counts])


def test_words_that_are_asked_for_are_in_the_vocabulary_however_rare(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("b a a a c c\n" * 2 + "rare\n")
    part = CorpusPart([str(tmp_path / "corpus.txt")], 1, 0, 1)
    corpus = part.encode(4, 1, [], ["zebra", "c", "rare", "nowhere", "zebra"])
    assert corpus.words == ["a", "c", "rare", "zebra", "nowhere"]
    assert corpus.counts.tolist() == [6, 4, 1, 0, 0]
    assert [corpus.words[token & 0x7FFFFFFF] for token in corpus.tokens() if token & 0x7FFFFFFF != 0x7FFFFFFF] == [
        *(["a", "a", "a", "c", "c"] * 2),
        "rare",
    ]


@pytest.mark.parametrize("mode", ["batch_skipgram", "skipgram", "cbow"])
def test_words_that_do_not_occur_are_never_drawn(tmp_path: Path, mode: str) -> None:
    (tmp_path / "corpus.txt").write_text("a b c d e f g h\n" * 300)
    words = [f"elsewhere{number}" for number in range(1000)]
    corpus = CorpusPart([str(tmp_path / "corpus.txt")], 1, 0, 1).encode(1, 1, [], words)
    before = Trainer(corpus, **{**JOB, "mode": mode}).input.copy()
    trainer = trained(corpus, mode=mode, epochs=5)
    np.testing.assert_array_equal(trainer.input[8:], before[8:])
    assert not trainer.output[8:].any()
    assert (np.abs(trainer.output[:8]).max(axis=1) > 0).all()
