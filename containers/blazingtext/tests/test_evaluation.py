"""The scores on WordSim-353, against SciPy and against the published gold files where they are at hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from blazingtext.evaluation import cosine, evaluate, spearman_rho, wordsim353

GOLD = Path(__file__).resolve().parents[4] / "shared" / "data" / "wordsim"


def test_the_subsets_have_their_published_sizes() -> None:
    letters = "".join(pair.membership for pair in wordsim353())
    assert len(letters) == 353
    assert sum(letter in "rb" for letter in letters) == 252
    assert sum(letter in "sb" for letter in letters) == 203


@pytest.mark.skipif(not GOLD.exists(), reason="the gold files are not there")
@pytest.mark.parametrize(("name", "letters"), [("ALL", "rsb-"), ("REL", "rb"), ("SIM", "sb")])
def test_every_set_is_that_of_the_gold_file(name: str, letters: str) -> None:
    lines = (GOLD / f"EN-WS-353-{name}.txt").read_text().splitlines()
    gold = sorted((first, second, float(score)) for first, second, score in (line.split("\t") for line in lines))
    ours = sorted((pair.first, pair.second, pair.score) for pair in wordsim353() if pair.membership in letters)
    assert ours == gold


def test_rho_is_scipys_with_ties() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        x, y = random.integers(0, 5, (2, 30)).astype(np.float64)
        assert spearman_rho(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_rho_of_a_constant_sample_is_nan_and_of_one_value_an_error() -> None:
    assert math.isnan(spearman_rho(np.ones(3), np.arange(3.0)))
    with pytest.raises(ValueError, match="at least 2"):
        spearman_rho(np.ones(1), np.ones(1))


def test_vectors_that_rank_pairs_as_people_do_score_1() -> None:
    """Two-dimensional vectors at angles that fall with the score; no word stands in two of the known pairs."""
    spelled = [(pair, {pair.first.lower(), pair.second.lower()}) for pair in wordsim353()]
    pairs, words = [], list[str]()
    for pair, both in spelled:
        together = {*words, *both}
        if not both & set(words) and sum(other <= together for _, other in spelled) == len(pairs) + 1:
            pairs.append(pair)
            words += [pair.first.lower(), pair.second.lower()]
    angles = [angle for pair in pairs for angle in (0.0, (10 - pair.score) / 10)]
    vectors = np.array([[math.cos(angle), math.sin(angle)] for angle in angles], dtype=np.float32)
    found = evaluate(words, vectors)
    assert found.found == len(pairs) > 50
    assert found.mean_rho == pytest.approx(1.0)


def test_words_are_found_in_lower_case_and_else_as_they_are_written() -> None:
    pair = next(pair for pair in wordsim353() if pair.first == "Jerusalem")
    total = len(wordsim353())
    for words in (["jerusalem", "israel"], ["Jerusalem", "Israel"], ["jerusalem", "Israel"]):
        assert evaluate(words, np.eye(2, dtype=np.float32)).sets["EN-WS-353-ALL.txt"]["not_found"] == total - 1
    assert (pair.first, pair.second) == ("Jerusalem", "Israel")
    assert evaluate(["JERUSALEM", "ISRAEL"], np.eye(2, dtype=np.float32)).found == 0


def test_too_few_pairs_give_no_score() -> None:
    scores = evaluate(["tiger", "cat"], np.eye(2, dtype=np.float32))
    assert scores.mean_rho is None
    assert scores.as_json()["mean_rho"] is None


def test_the_cosine_with_a_zero_vector_is_0() -> None:
    assert cosine(np.zeros(3, dtype=np.float32), np.ones(3, dtype=np.float32)) == 0.0
