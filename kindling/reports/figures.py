"""The pictures of a report, as SVG whose colours are the page's CSS variables, so that they follow light and dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kindling.reports.labels import Box, place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# matplotlib wants colours; these stand for the page's variables and are replaced in the SVG that it writes.
_INK, _FAINT, _GRID, _PAPER = "#010101", "#020202", "#030303", "#050505"
_SERIES = tuple(f"#0404{number:02x}" for number in range(8))
_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--faint)", _GRID: "var(--grid)", _PAPER: "var(--paper)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES)
}
_FONT = "'Inter','Segoe UI',system-ui,-apple-system,'Helvetica Neue',Arial,sans-serif"

_CELLS_WITH_NUMBERS = 16  # labels of a confusion table whose cells have room for their numbers
_LONGEST_NAME = 22
_CHARACTER = 0.6  # width of a character in its size

Curve = Sequence[tuple[float, float]]  # per cent of training done, or epoch; and the value


def word_map(words: Sequence[str], matrix: NDArray[np.float32]) -> str:
    """t-SNE of word vectors (van der Maaten & Hinton 2008), coloured by k-means clusters of the vectors themselves.

    Args:
        words: the most frequent first: their labels win where there is no room for all.
        matrix: shape (len(words), dim), rows of length 1; at least 10 rows.
    Returns:
        An <svg> element.
    """
    from sklearn.cluster import KMeans
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = len(words)
    tsne = TSNE(perplexity=min(30, (count - 1) / 3), init="pca", learning_rate="auto", max_iter=600, random_state=0)
    kmeans = KMeans(n_clusters=min(len(_SERIES), count), n_init=3, random_state=0)
    # For so few points the threads of OpenMP wait for each other ten times longer than they work.
    with threadpool_limits(1):
        points, clusters = tsne.fit_transform(matrix), kmeans.fit_predict(matrix)
    return _svg(_draw_words(words, _in_unit_square(points), clusters), "t-SNE of the most frequent words")


def curves(name: str, by_host: Mapping[str, Curve]) -> str:
    """One number of the progress lines over the course of training, a line for each host, as an <svg> element."""
    figure, axes = _drawn_curves(name, by_host)
    axes.set_xlim(0, 100)
    axes.set_xlabel("training done, %", color=_FAINT, fontsize=8)
    return _svg(figure, f"{name} over the course of training")


def epoch_curves(name: str, by_label: Mapping[str, Curve]) -> str:
    """One number of each epoch, a line for each label, as an <svg> element."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _drawn_curves(name, by_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch", color=_FAINT, fontsize=8)
    return _svg(figure, f"{name} by epoch")


def answers(scores: Sequence[float], labels: Sequence[float]) -> str:
    """A point for each score at its label, and the line on which all would lie, as an <svg> element."""
    figure, axes = _axes(width=5.4, height=4.2)
    ends = (min(labels), max(labels))
    axes.plot(ends, ends, color=_FAINT, linewidth=1)
    axes.scatter(labels, scores, s=7, color=_SERIES[0], alpha=0.5, linewidths=0)
    axes.set_xlabel("label", color=_FAINT, fontsize=8)
    axes.set_ylabel("score", color=_FAINT, fontsize=8)
    return _svg(figure, "Scores by labels")


def stacked_bars(name: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A bar for each row, the first on top, made of its parts one after the other, as an <svg> element."""
    figure, axes = _axes(width=7.6, height=0.9 + 0.42 * len(rows))
    places = np.arange(len(rows))[::-1]
    begun = np.zeros(len(rows))
    parts = list(next(iter(rows.values())))
    for number, part in enumerate(parts):
        lengths = np.array([row[part] for row in rows.values()])
        axes.barh(places, lengths, 0.62, begun, color=_SERIES[number], label=part)
        begun += lengths
    axes.set_yticks(places, list(rows), fontsize=9, color=_INK)
    axes.set_xlabel(name, color=_FAINT, fontsize=8)
    axes.grid(axis="y", visible=False)
    if len(parts) > 1:
        axes.legend(
            frameon=False, fontsize=8, labelcolor=_INK, ncols=len(parts), loc="lower right", bbox_to_anchor=(1, 1)
        )
    return _svg(figure, name)


def intervals(name: str, rows: Mapping[str, tuple[float, float | None]]) -> str:
    """A point for each row, the first on top, with a line over its interval, as an <svg> element.

    Args:
        rows: means and half widths; None where there is no interval.
    """
    figure, axes = _axes(width=7.6, height=0.9 + 0.42 * len(rows))
    for row, (mean, half_width) in zip(range(len(rows))[::-1], rows.values(), strict=True):
        axes.errorbar(mean, row, xerr=half_width, fmt="o", color=_SERIES[0], capsize=4, linewidth=1.6, markersize=5)
    axes.set_yticks(range(len(rows))[::-1], list(rows), fontsize=9, color=_INK)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(name, color=_FAINT, fontsize=8)
    axes.grid(axis="y", visible=False)
    return _svg(figure, name)


def _drawn_curves(name: str, by_label: Mapping[str, Curve]) -> tuple[Figure, Any]:
    figure, axes = _axes(width=5.4, height=2.5)
    for number, (label, curve) in enumerate(by_label.items()):
        places, values = zip(*curve, strict=True)
        marker = "o" if len(curve) == 1 else None  # a line of one point is none
        colour = _SERIES[number % len(_SERIES)]
        axes.plot(places, values, color=colour, linewidth=1.8, label=label, marker=marker)
    axes.set_ylim(bottom=0)
    axes.set_title(name, color=_INK, fontsize=9, loc="left")
    if len(by_label) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=_INK)
    return figure, axes


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A heat map of true labels (rows) by predicted ones (columns), as an <svg> element.

    The greater a cell's share of its row, the stronger its colour; right ones and wrong ones have one each.

    Args:
        counts: shape (len(names), len(names)).
    """
    from matplotlib.collections import PolyCollection

    size = len(names)
    cell, font = (30.0, 9.0) if size <= _CELLS_WITH_NUMBERS else (15.0, 7.5)  # in points
    margin = font * (4.5 + _CHARACTER * max(map(len, map(_shortened, names))))
    side = margin + cell * size + 8
    figure, axes = _axes(side / 72, side / 72, layout=None)
    axes.set_position((margin / side, 8 / side, cell * size / side, cell * size / side))
    corners, colours = [], []
    for row, of_row in enumerate(counts):
        for column, count in enumerate(of_row):
            if count:
                corners.append([(column + x, row + y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))])
                share = count / sum(of_row)
                colours.append((_SERIES[0 if row == column else 1], 0.08 + 0.92 * share))
                if size <= _CELLS_WITH_NUMBERS:
                    ink = _PAPER if share > 0.5 else _INK
                    axes.text(column + 0.5, row + 0.5, f"{count}", color=ink, fontsize=8, ha="center", va="center")
    axes.add_collection(PolyCollection(corners, facecolors=colours, linewidths=0))
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    places = np.arange(size) + 0.5
    axes.set_xticks(places, [_shortened(name) for name in names], rotation=90, fontsize=font, color=_INK)
    axes.set_yticks(places, [_shortened(name) for name in names], fontsize=font, color=_INK)
    axes.set_xlabel("predicted", color=_FAINT, fontsize=9, labelpad=10)
    axes.set_ylabel("true", color=_FAINT, fontsize=9, labelpad=10)
    axes.grid(visible=False)
    drawn = _svg(figure, "True labels by predicted labels")
    return drawn.replace("<svg ", f'<svg style="max-width: {side * 96 / 72:.0f}px" ', 1)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _in_unit_square(points: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = points.min(axis=0), points.max(axis=0)
    scaled: NDArray[np.float32] = (points - low) / np.where(high == low, 1, high - low)
    return scaled


def _draw_words(words: Sequence[str], points: NDArray[np.float32], clusters: NDArray[np.int32]) -> Figure:
    from matplotlib.figure import Figure

    width, height = 1100.0, 820.0  # in points: the SVG's user units
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    places = points * (width - 120, height - 40) + (50, 20)
    sizes = [_label_size(rank, len(words)) for rank in range(len(words))]
    boxes = place([(float(x), float(y)) for x, y in places], words, sizes, Box(0, 0, width, height))
    axes.scatter(places[:, 0], places[:, 1], s=7, c=[_SERIES[cluster] for cluster in clusters], linewidths=0)
    for word, size, box, cluster in zip(words, sizes, boxes, clusters, strict=True):
        if box is not None:
            axes.text(box.left, box.bottom, word, fontsize=size, color=_SERIES[cluster], va="bottom", ha="left")
    return figure


def _label_size(rank: int, count: int) -> float:
    """Points: from 14 for the most frequent word to 9 for the last."""
    return 14 - 5 * math.sqrt(rank / max(count - 1, 1))


def _axes(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_FAINT, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def _svg(figure: Figure, title: str) -> str:
    """The figure as an <svg> element with text as text, without the random identifiers and dates of a file."""
    import matplotlib

    text = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"font(-family)?: ([0-9.]+px )?[^;\"]*", lambda found: _font(found), svg)
    svg = re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*"', rf'\1role="img" aria-label="{title}"', svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg


def _font(found: re.Match[str]) -> str:
    return f"font: {found[2]}{_FONT}" if found[2] else f"font-family: {_FONT}"
