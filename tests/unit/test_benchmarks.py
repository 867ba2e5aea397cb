"""The word2vec benchmark: what it gives the programs, what it measures, and how it adds up."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import corpus, gluon_fasttext, handover, performance_page, scaling, word2vec
from benchmarks.bars import bars
from benchmarks.corpus import Corpus
from benchmarks.handover import Handover
from benchmarks.kept_scores import KeptScores
from benchmarks.measurement import Case, Run
from benchmarks.processes import run_together
from benchmarks.programs import PROGRAMS, Settings
from benchmarks.results import HEADER, Results, rows
from kindling.errors import UserError

TEXT = Corpus("text", Path("text"), Path("text.lines"), tokens=1000, digest="d")
VERSIONS = {"gensim": "4.4.0", "fasttext": "0.9.3"}


def run(program: str, seconds: float, *, threads: int = 2, **more: Any) -> Run:
    fields: dict[str, Any] = {
        "program": program,
        "threads": threads,
        "hosts": 1,
        "vector_dim": 100,
        "epochs": 5,
        "seed": 1,
        "tokens": 10**6,
        "seconds": {"read": 1.0, "train": seconds, "write": 0.5, "evaluate": 0.1},
        "whole_seconds": seconds + 2,
        "cpu_seconds": 2 * seconds,
        "peak_bytes": 10**8,
    }
    return Run(**(fields | more))


def results(*runs: Run, table: str = "first") -> Results:
    described = {"cpu": "a CPU", "cpu_family": "family 1", "cores": 2, "l2": "1M", "l3": "32M", "memory_bytes": 2**34}
    described |= {"linux": "6.1", "python": "3.11", "compiler": "c++ 12", "instructions": "avx2"}
    described["versions"] = {**VERSIONS, "numpy": "2"}
    return Results(table, Settings(), described, 0.1, "2026-11-20T00:00:00+00:00", "text", 10**6, 1, list(runs))


def found(shown: Results, what: str) -> list[str]:
    (cells,) = [bar.cells() for bar in bars(shown) if bar.what == what]
    return cells[2:]


def test_every_program_gets_the_same_tokens(tmp_path: Path) -> None:
    words = [f"w{number}" * (1 + number % 7) for number in random.Random(5).choices(range(1000), k=250_000)]
    source = tmp_path / "source.txt"
    source.write_text(" ".join(words))
    prepared = corpus.prepare(str(source), 245_001, tmp_path / "made")
    assert prepared.tokens == 245_001
    assert prepared.path.read_text().split() == words[:245_001]
    lines = [line.split() for line in prepared.lines.read_text().splitlines()]
    assert [len(line) for line in lines] == [10_000] * 24 + [5_001]
    assert [word for line in lines for word in line] == words[:245_001]
    whole = corpus.prepare(str(source), None, tmp_path / "made")
    assert (whole.path, whole.tokens) == (source, 250_000)
    assert whole.digest != prepared.digest


def test_a_process_is_measured_from_outside() -> None:
    program = "import time; print('begun', flush=True); x = bytearray(10**8); time.sleep(0.2); print('over')"
    core = min(os.sched_getaffinity(0))
    measured, pinned = run_together(
        [
            ([sys.executable, "-c", program], {}),
            ([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], {}),
        ],
        {core},
    )
    assert measured.when("over") - measured.when("begun") >= 0.2
    assert measured.seconds >= measured.when("over")
    assert measured.peak_bytes > 10**8
    assert 0 < measured.cpu_seconds < measured.seconds
    assert pinned.output == f"{{{core}}}"


def test_a_failed_program_is_told_with_what_it_said() -> None:
    with pytest.raises(UserError, match=r"ended with 3:\nno such corpus$"):
        run_together([([sys.executable, "-c", "import sys; print('no such corpus'); sys.exit(3)"], {})], {0})


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is three times slower in one round changes nothing."""
    rounds = [(1, 1.0), (2, 3.0), (3, 1.0)]
    shown = results(
        *(run("batch_skipgram", 10 * slow, seed=seed) for seed, slow in rounds),
        *(run("gensim-skipgram", 130 * slow, seed=seed) for seed, slow in reversed(rounds)),
    )
    assert found(shown, "batch_skipgram: words/s against gensim-skipgram") == ["13×", "yes"]
    assert found(shown, "cbow: words/s against fasttext-cbow") == ["not measured", ""]
    assert found(shown, "files written") == ["0.5 s", "yes"]


def test_a_score_is_the_mean_over_the_seeds_that_were_scored() -> None:
    shown = results(
        run("batch_skipgram", 10, seed=1, scores={"mean_rho": 0.68}),
        run("batch_skipgram", 10, seed=2, scores={"mean_rho": 0.66}),
        run("batch_skipgram", 10, seed=3),
        run("gensim-skipgram", 100, seed=1, scores={"mean_rho": 0.685}),
    )
    assert found(shown, "batch_skipgram: mean_rho") == ["0.67", "no"]
    assert found(shown, "batch_skipgram: mean_rho minus gensim's") == ["-0.015", "no"]


def test_hosts_are_held_against_threads_of_one_host() -> None:
    shown = results(
        run("batch_skipgram", 20, threads=1, scores={"mean_rho": 0.68}),
        run("batch_skipgram", 10, threads=2),
        run("batch_skipgram", 11, threads=1, hosts=2, scores={"mean_rho": 0.675}),
        run("batch_skipgram", 12, threads=1, hosts=4, scores={"mean_rho": 0.66}),
        table="second",
    )
    assert found(shown, "batch_skipgram: 2 threads against 1") == ["2×", "yes"]
    assert found(shown, "2 hosts × 1 thread: words/s against 1 host × 2 threads") == ["0.909×", "yes"]
    assert found(shown, "mean_rho of 1, 2 and 4 hosts: highest minus lowest") == ["0.02", "no"]


def test_how_long_the_cores_were_apart_is_told() -> None:
    shown = results(run("cbow", 2, apart=0.0), run("cbow", 2, seed=2, apart=0.213), run("skipgram", 2))
    assert [row[HEADER.index("cores apart, %")] for row in rows(shown)] == ["0 – 21", ""]


@pytest.mark.wide
def test_samples_of_the_handover_are_taken_while_something_else_runs() -> None:
    with handover.watched() as samples:
        time.sleep(0.7)
    if len(os.sched_getaffinity(0)) == 1:
        assert samples == []
        return
    times = [sample.time for sample in samples]
    assert len(times) >= 2
    assert times == sorted(times)
    assert time.time() - 5 < times[0] <= time.time()
    assert all(1 < sample.ns < 10**6 for sample in samples)


def test_a_second_core_is_judged_by_whole_trainings_in_turns() -> None:
    told: list[dict[str, Any]] = [
        {"seed": 1, "began": began, "ended": began + 1.5, "one": 4e6, "two": two, "separate": 6e6}
        for began, two in [(0, 8e6), (2, 4e6), (4, 8e6), (9, 8e6)]
    ]
    told += [{"seed": 1, "mean_rho": {"one": 0.68, "two": 0.67}}]
    told += [{**told[0], "seed": 2, "one": 2e6}, {"seed": 2, "mean_rho": {"one": 0.66, "two": None}}]
    times = [0.1, 0.4, 1.2, 2.2, 3.3, 4.3, 5.2]
    samples = [Handover(at, 200 if 2 < at < 5 else 40) for at in times]
    found = scaling.trainings_of(told, samples)
    assert [turns.apart for turns in found[0].rounds] == [0, 1, 0.5, None]
    assert scaling.rows(found) == [
        ["1", "4.00", "6.40", "1.60", "6.00", "1.50", "0.680", "0.670"],
        ["2", "2.00", "8.00", "4.00", "6.00", "3.00", "0.660", ""],
        ["all", "3.33", "6.67", "2.00", "6.00", "1.80", "0.670", "0.670"],
    ]
    assert scaling.rows_of_rounds(found) == [
        ["shared an L3 cache", "2", "3.00", "2.00 – 4.00", "2.25"],
        ["moved between one and two", "1", "2.00", "2.00 – 2.00", "1.50"],
        ["had one each", "1", "1.00", "1.00 – 1.00", "1.50"],
    ]
    assert scaling.bar(found).cells()[2:] == ["2×", "yes"]
    assert scaling.bar(found[:1]).cells()[2:] == ["1.6×", "no"]
    assert scaling.bar([]).cells()[2:] == ["not measured", ""]
    page = performance_page.figures(results(run("cbow", 2)), None, found)
    assert "| all | 3.33 | 6.67 | 2.00 |" in page


def test_a_program_that_trained_fewer_epochs_has_no_whole_process() -> None:
    (short, full) = rows(results(run("fasttext-cbow", 4, epochs=1), run("cbow", 5)))
    assert (short[HEADER.index("M words/s")], short[HEADER.index("whole s")]) == ("0.25", "")
    assert (full[HEADER.index("M words/s")], full[HEADER.index("whole s")]) == ("1.00", "7.0")


def test_fasttext_trains_all_epochs_only_where_its_scores_are_not_known(tmp_path: Path) -> None:
    kept = KeptScores(tmp_path / "scores.json", VERSIONS, rare_words=False)
    kept.keep(Case(PROGRAMS["fasttext-cbow"], Settings(seed=1)), TEXT, {"mean_rho": 0.6})
    arguments = argparse.Namespace(table="first", rounds=3, epochs=5, threads=2, seed=1, quality_seeds=2, peer_epochs=1)
    arguments.only, arguments.quality_only = ["cbow", "fasttext-cbow"], False
    runs = word2vec.plan(arguments, TEXT, kept)
    assert [(p.case.program.name, p.case.settings.seed, p.case.settings.epochs, p.scoring) for p in runs] == [
        ("fasttext-cbow", 1, 1, False),
        ("cbow", 1, 5, True),
        ("fasttext-cbow", 2, 5, True),
        ("cbow", 2, 5, True),
        ("fasttext-cbow", 3, 1, False),
        ("cbow", 3, 5, True),
    ]
    assert [planned.known for planned in runs] == [{"mean_rho": 0.6}, None, None, None, None, None]
    arguments.quality_only = True
    missing = word2vec.plan(arguments, TEXT, kept)
    assert [(p.case.program.name, p.case.settings.seed) for p in missing] == [("fasttext-cbow", 2)]


def test_scores_are_found_again_by_all_that_they_depend_on(tmp_path: Path) -> None:
    case, path = Case(PROGRAMS["fasttext-skipgram"], Settings(threads=1)), tmp_path / "scores.json"
    KeptScores(path, VERSIONS, rare_words=False).keep(case, TEXT, {"mean_rho": 0.6})
    kept = KeptScores(path, VERSIONS, rare_words=False)
    assert kept.find(replace(case, settings=Settings(threads=2)), TEXT) == {"mean_rho": 0.6}
    assert kept.find(replace(case, settings=Settings(seed=2)), TEXT) is None
    assert kept.find(replace(case, settings=Settings(epochs=1)), TEXT) is None
    assert kept.find(case, replace(TEXT, digest="e")) is None
    assert KeptScores(path, {"fasttext": "0.9.4"}, rare_words=False).find(case, TEXT) is None
    assert KeptScores(path, VERSIONS, rare_words=True).find(case, TEXT) is None


def test_the_page_and_the_plot_come_from_the_results(tmp_path: Path) -> None:
    shown = results(run("cbow", 2, scores={"mean_rho": 0.61}), run("fasttext-cbow", 10), run("cbow", 4, threads=1))
    shown.save(tmp_path / "results.json")
    read = Results.read(tmp_path / "results.json")
    assert read == shown
    text = performance_page.figures(read, None, [])
    assert "| cbow | 1 × 2 | 100 | 2.50 |" in text
    assert "| cbow: words/s against fasttext-cbow | ≥ 4× | 5× | yes |" in text
    performance_page.draw(read, tmp_path / "plot.svg")
    plot = (tmp_path / "plot.svg").read_text()
    assert "2.50, mean_rho 0.610" in plot
    assert "fasttext-cbow" in plot
    assert "1.25" not in plot  # one thread is no bar of the plot


def test_sizes_are_measured_once_and_for_a_single_epoch() -> None:
    first, second = (word2vec.cases("second", Settings(), number) for number in (0, 1))
    assert {(case.program.name, case.settings.vector_dim, case.settings.epochs) for case in second} == {
        ("batch_skipgram", 100, 5)
    }
    assert [(case.hosts, case.settings.threads) for case in second] == [(1, 1), (1, 2), (2, 1), (4, 1)]
    assert first[: len(second)] == second
    assert {case.settings.epochs for case in first[len(second) :]} == {1}
    assert {case.label for case in first} >= {
        "cbow-subwords, 2 threads, dim 300",
        "batch_skipgram, 4 hosts × 1 thread, dim 300",
    }


def test_our_gluon_fasttext_is_held_against_each_peer_by_round() -> None:
    runs = [
        gluon_fasttext.Run(program, ngrams, seed, pace * seed, 100, accuracy)
        for seed in (1, 2, 3)
        for ngrams in (1, 2)
        for program, pace, accuracy in (
            ("original", 10.0, 0.8),
            ("fasttext", 80.0, 0.85),
            ("ours", 40.0, 0.84),
            ("ours, as the script", 20.0, 0.84),
        )
    ]
    lines = gluon_fasttext.bars(runs)
    assert lines[0] == "ngrams 1, ours: 4.00 x original's words/s (bar 3.0), 1.00 of its memory, accuracy +0.0400"
    assert lines[1].startswith("ngrams 1, ours, as the script: 2.00 x original's words/s, ")
    assert lines[2].startswith("ngrams 1, ours: 0.50 x fasttext's words/s, ")
    assert len(lines) == 6
