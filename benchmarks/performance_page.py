"""The figures of docs/performance.md and its plot, made from the results of benchmarks/word2vec.py.

`python -m benchmarks.performance_page [--results FOLDER]` rewrites the part of the page between the two markers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import scaling
from benchmarks.bars import Bar, bars
from benchmarks.results import HEADER, Results, mean_score, median_speed, rounds_of_each, rows
from benchmarks.word2vec import RESULTS
from kindling.environments import ROOT
from kindling.errors import UserError
from kindling.reference import markdown_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "word2vec.svg"
BEGIN, END = "<!-- figures: by `python -m benchmarks.performance_page` -->", "<!-- end of figures -->"

_OURS, _PEER, _INK, _FAINT = "#1f6fb4", "#a3abb5", "#1c2024", "#6a7380"  # the report's, on white
_GROUPS = {
    "skip-gram": ["batch_skipgram", "skipgram", "gensim-skipgram", "fasttext-skipgram"],
    "CBOW": ["cbow", "fasttext-cbow"],
    "skip-gram with subwords": ["skipgram-subwords", "fasttext-skipgram-subwords"],
}


def figures(first: Results, second: Results | None, in_turns: Sequence[scaling.Training]) -> str:
    """What stands between the page's markers, in Markdown; `in_turns` is of scaling.py."""
    picture = f"![Million words a second of each program]({PLOT.relative_to(PAGE.parent)})"
    parts = [conditions(first), picture, *tables(first)]
    if second:
        parts += ["## By threads, dimension and hosts", conditions(second), *tables(second)]
    if in_turns:
        parts += [
            "## A second core",
            "Jobs of one thread, of two threads, and two jobs that share nothing, all trained in turns of half a second"
            " (`python -m benchmarks.scaling`); speeds by the sum of the turns.",
            markdown_table(scaling.HEADER, scaling.rows(in_turns)),
            _shown([scaling.bar(in_turns)]),
            markdown_table(scaling.HEADER_OF_ROUNDS, scaling.rows_of_rounds(in_turns)),
        ]
    return "\n\n".join(parts)


def tables(results: Results) -> list[str]:
    """The figures, and what is to be shown of them."""
    return [
        markdown_table(HEADER, rows(results)),
        "What the engine is held to, and what this run showed:",
        _shown(bars(results)),
    ]


def _shown(held_to: Sequence[Bar]) -> str:
    return markdown_table(["", "bar", "found", "reached"], [bar.cells() for bar in held_to])


def conditions(results: Results) -> str:
    """On what the results were measured, in words."""
    machine, settings, versions = results.machine, results.settings, results.machine["versions"]
    rounds = f"{results.rounds} rounds" if results.rounds > 1 else "one round"
    return (
        f"{results.started[:10]}, {rounds}: {results.tokens:,} tokens of {results.corpus} x {settings.epochs} epochs on"
        f" {machine['cores']} cores of a {machine['cpu']} ({machine['cpu_family']}; L2 {machine['l2']} a core, L3"
        f" {machine['l3']}; {machine['memory_bytes'] / 2**30:.0f} GiB), our {machine['instructions']} kernels; Linux"
        f" {machine['linux']}, Python {machine['python']}, gensim {versions.get('gensim', 'absent')}, fastText"
        f" {versions.get('fasttext', 'absent')}, numpy {versions['numpy']}, {machine['compiler']}. Load average at the"
        f" start: {results.load:.2f}."
    )


def draw(results: Results, path: Path) -> None:
    """Bars of the speed of every program of the first table that ran on all threads, by what they train."""
    import matplotlib
    from matplotlib.figure import Figure

    settings = results.settings
    found = {
        runs[0].program: (median_speed(runs), mean_score(runs, "mean_rho"))
        for runs in rounds_of_each(results.runs)
        if runs[0].threads == settings.threads
    }
    groups = {title: [name for name in names if name in found] for title, names in _GROUPS.items()}
    groups = {title: names for title, names in groups.items() if names}
    heights = [len(names) for names in groups.values()]
    figure = Figure(figsize=(8, 0.9 + 0.36 * sum(heights) + 0.35 * len(heights)), layout="constrained")
    panels = figure.subplots(len(groups), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, names) in zip(panels, groups.items(), strict=True):
        _draw_group(axes, title, [(name, *found[name]) for name in names])
    panels[0].set_xlim(0, 1.3 * max(speed for speed, _ in found.values()))
    panels[-1].set_xlabel(
        f"million words a second, {settings.threads} threads, dim {settings.vector_dim}", color=_FAINT, fontsize=9
    )
    shape: Any = {"svg.hashsalt": "word2vec", "svg.fonttype": "none", "font.family": "sans-serif"}
    with matplotlib.rc_context(shape):
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def _draw_group(axes: Axes, title: str, programs: list[tuple[str, float, float | None]]) -> None:
    names = [name for name, _, _ in programs]
    speeds = [speed for _, speed, _ in programs]
    colours = [_PEER if name.startswith(("gensim", "fasttext")) else _OURS for name in names]
    axes.barh(names, speeds, color=colours, height=0.66)
    axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    for row, (_, speed, rho) in enumerate(programs):
        text = f"{speed:.2f}" + ("" if rho is None else f", mean_rho {rho:.3f}")
        # Moved, not indented: a browser drops the blanks at a text's beginning.
        axes.annotate(
            text, (speed, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, color=_INK
        )
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(_FAINT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    folder = parser.parse_args().results
    try:
        first = Results.read(folder / "word2vec-first.json")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    second_file = folder / "word2vec-second.json"
    second = Results.read(second_file) if second_file.exists() else None
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures(first, second, scaling.read())}\n\n{END}{after}", encoding="utf-8")
    draw(first, PLOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
