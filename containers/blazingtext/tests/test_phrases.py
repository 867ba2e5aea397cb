"""Phrases: which words are joined, against gensim and against the formula, and the tools as a user calls them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from gensim.models.phrases import Phrases

from blazingtext._engine import join_phrases


def joined(folder: Path, text: str, **settings: object) -> str:
    (folder / "in.txt").write_text(text)
    chosen = {"passes": 1, "threshold": 10.0, "min_count": 1, "delimiter": "_", "threads": 2, **settings}
    join_phrases([str(folder / "in.txt")], str(folder / "out.txt"), **chosen)  # type: ignore[arg-type]
    return (folder / "out.txt").read_text()


def with_phrases(sentences: int = 3000, seed: int = 5) -> list[list[str]]:
    """Zipf's words, among which some pairs and a triple stand more often than chance would have it."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        words = [f"w{number}" for number in random.zipf(1.3, 12) % 500]
        for pair in (["new", "york"], ["san", "jose"], ["new", "york", "city"], ["w1", "york"]):
            if random.random() < 0.05:
                words[3:3] = pair
        lines.append(words)
    return lines


def by_the_formula(lines: list[list[str]], threshold: float, min_count: int) -> list[list[str]]:
    words = Counter(word for line in lines for word in line)
    pairs = Counter(pair for line in lines for pair in pairwise(line))
    total = sum(words.values())
    result = []
    for line in lines:
        made: list[str] = []
        at = 0
        while at < len(line):
            a, b = line[at], line[at + 1] if at + 1 < len(line) else ""
            if b and (pairs[a, b] - min_count) * total / (words[a] * words[b]) > threshold:
                made.append(f"{a}_{b}")
                at += 2
            else:
                made.append(a)
                at += 1
        result.append(made)
    return result


def as_text(lines: list[list[str]]) -> str:
    return "".join(" ".join(line) + "\n" for line in lines)


@pytest.mark.parametrize(("threshold", "min_count"), [(1.0, 0), (2.0, 5), (20.0, 5), (1e9, 0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_pairs_above_the_threshold_are_joined_pass_by_pass(
    tmp_path: Path, threshold: float, min_count: int, threads: int
) -> None:
    lines = with_phrases()
    settings = {"threshold": threshold, "min_count": min_count, "threads": threads}
    once = by_the_formula(lines, threshold, min_count)
    assert joined(tmp_path, as_text(lines), **settings) == as_text(once)
    twice = by_the_formula(once, threshold, min_count)
    assert joined(tmp_path, as_text(lines), passes=2, **settings) == as_text(twice)
    if threshold == 20.0:
        assert "new_york_city" in as_text(twice)


def test_gensims_phrases_are_the_same_where_the_scales_are(tmp_path: Path) -> None:
    """gensim scales the score by the number of its vocabulary's entries, we and word2phrase by that of tokens."""
    lines, threshold, min_count = with_phrases(), 15.0, 5
    model = Phrases(lines, min_count=min_count, threshold=1.0, scoring="default")
    tokens = sum(map(len, lines))
    model = Phrases(lines, min_count=min_count, threshold=threshold * len(model.vocab) / tokens, scoring="default")
    expected = as_text([model[line] for line in lines])
    assert "new_york" in expected
    assert joined(tmp_path, as_text(lines), threshold=threshold, min_count=min_count) == expected


def test_lines_stay_lines_and_nothing_is_joined_across_them(tmp_path: Path) -> None:
    lines = [["x", "a", "b", "y"]] * 30 + [["b", "a"], ["z"], ["a"], ["b"], ["c", "a", "b"]]
    expected = as_text(by_the_formula(lines, 1.5, 1))
    assert "b a\nz\na\nb\nc a_b\n" in expected
    assert joined(tmp_path, "\n\n" + as_text(lines).replace("z\n", "\n z \n\n").rstrip(), threshold=1.5) == expected


def test_one_line_of_any_length_is_joined(tmp_path: Path) -> None:
    line = [word for words in with_phrases(20000) for word in words]
    assert joined(tmp_path, " ".join(line), threshold=20.0, min_count=5) == as_text(by_the_formula([line], 20.0, 5))


def test_a_phrase_that_is_a_word_already_is_that_word(tmp_path: Path) -> None:
    """So that the second pass scores new_york with the counts of both spellings."""
    lines = with_phrases() + [["new_york", "w1", "city"]] * 200
    once = by_the_formula(lines, 15.0, 5)
    twice = by_the_formula(once, 15.0, 5)
    assert twice != once
    assert joined(tmp_path, as_text(lines), threshold=15.0, min_count=5, passes=2) == as_text(twice)


@pytest.mark.parametrize("text", ["", "\n\n", "one", "one\n", "a a a a a"])
def test_corpora_with_nothing_to_join_come_out_as_they_are(tmp_path: Path, text: str) -> None:
    assert joined(tmp_path, text, passes=3, min_count=5).split() == text.split()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blazingtext", *arguments], capture_output=True, text=True, check=False
    )


def test_the_tool_joins_the_files_of_a_folder_and_may_replace_its_input(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "corpus" / name).write_text("in new york now\n" * 3 + "york is new\n" * 3)
    settings = ("threshold=1.5", "min_count=1", "delimiter=-")
    done = run("phrases", str(tmp_path / "corpus"), str(tmp_path / "out.txt"), *settings)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.txt").read_text() == ("in-new york-now\n" * 3 + "york-is new\n" * 3) * 2
    assert "tokens, of 42 read." in done.stdout + done.stderr
    path = str(tmp_path / "corpus" / "a.txt")
    assert run("phrases", path, path, *settings).returncode == 0
    assert "in-new" in Path(path).read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["phrases", "corpus"], "phrases needs an input and an output: python -m blazingtext phrases INPUT OUTPUT."),
        (["phrases", "corpus", "out", "passes=0"], "option passes=0 is out of range; it must be an integer from 1"),
        (["phrases", "corpus", "out", "treshold=1"], "option treshold is unknown; did you mean threshold?"),
        (["phrases", "corpus", "out", "delimiter=a b"], "option delimiter='a b' separates words"),
        (["phrases", "bad", "out"], "bad is not UTF-8 text: byte 0xff at offset 5."),
        (["phrases", "missing", "out"], "No such file or directory"),
        (["phrases", "corpus", "no/such/out"], "No such file or directory"),
        (["quantize", "corpus", "out"], "corpus is cut short at offset 8: the header has 92 bytes."),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").write_text("new york")
    (tmp_path / "bad").write_bytes(b"new y\xffrk")
    done = run(*arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "corpus"]
