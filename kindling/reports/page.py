"""A run as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from containers.catalogue import algorithms
from contract.specification import Algorithm
from kindling import runs
from kindling.datasets.files import whole
from kindling.following import Reading, read
from kindling.histories import History
from kindling.joblogs import JobLog
from kindling.reports import classification, figures, linear, translation, vectors
from kindling.reports.classification import Classification
from kindling.reports.linear import LinearModels
from kindling.reports.translation import TranslationScores
from kindling.reports.vectors import Vectors
from kindling.results import duration, metrics, pair_sets, pairs_covered, part
from kindling.runs import Run
from kindling.targets import Target

_TEMPLATES = Path(__file__).parent
_VOCABULARY = 20_000  # words that neighbours are looked for among
_MAPPED = 400
_NEIGHBORS = 8
_FEWEST_MAPPED = 10
_WORST_LABELS = 30
_BEST_MODELS = 8


@dataclass(frozen=True)
class Page:
    """A written report. `words` are those whose neighbours it shows."""

    path: Path
    words: tuple[str, ...] = ()


def write_report(target: Target, run: Run, path: Path, words: Sequence[str] = ()) -> Page:
    """Writes the report of a run.

    Args:
        words: whose neighbours to show; where none of them is in the vocabulary, the vocabulary says which.
    """
    algorithm = algorithms()[run.algorithm]
    history = runs.history(target, run)
    model = part(run.output, "training").get("model_s3_uri")
    scores = classification.of_run(target, model) if model else None
    translated = translation.of_run(target, model) if model and scores is None else None
    fitted = linear.of_run(target, model) if model and scores is None and translated is None else None
    has_words = scores is None and translated is None and fitted is None
    known = vectors.of_model(target, model, _VOCABULARY) if model and has_words else None
    shown = _words_to_show(known, words) if known else ()
    html = template("page.html").render(
        run=run,
        algorithm=algorithm,
        figures=[figures.curves(name, by_host) for name, by_host in _curves(target, history, algorithm)],
        word_map=_word_map(known),
        neighbors={word: known.nearest(word, _NEIGHBORS) for word in shown} if known else {},
        states=_state_rows(history),
        settings=_settings(run, algorithm),
        metrics=_metrics(run, algorithm),
        headline=_headline(run, scores),
        scores=scores,
        worst=scores.worst(_WORST_LABELS) if scores else [],
        confusion=_confusion(scores),
        translated=translated,
        fitted=fitted,
        best_models=fitted.best(_BEST_MODELS) if fitted else [],
        answers=_answers(fitted),
        epochs=[
            *_epochs_of_translation(translated),
            *_epochs_of_classification(scores),
            *_epochs_of_linear_models(fitted),
        ],
        evaluation=pair_sets(run.output),
        written=datetime.now(UTC),
    )
    with whole(path) as file:
        file.write(html.encode())
    return Page(path=path, words=shown)


def template(name: str) -> Any:
    """A page's template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    return environment.get_template(name)


def _words_to_show(known: Vectors, wished: Sequence[str]) -> tuple[str, ...]:
    """The wished words that are known, or words that are neither too frequent to tell anything nor rare."""
    vocabulary = set(known.words)
    found = [word for word in wished if word in vocabulary]
    telling = [word for word in known.words[50:600] if len(word) >= 5] or list(known.words)
    step = max(1, len(telling) // 6)
    found += [word for word in telling[::step] if word not in found]
    return tuple(found[:6])


def _word_map(known: Vectors | None) -> str | None:
    if known is None:
        return None
    rows = [row for row, word in enumerate(known.words) if len(word) > 1][:_MAPPED]
    if len(rows) < _FEWEST_MAPPED:
        return None
    return figures.word_map([known.words[row] for row in rows], known.matrix[rows])


def _confusion(scores: Classification | None) -> str | None:
    if scores is None or not scores.confusion.labels:
        return None
    return figures.confusion(scores.confusion.names, scores.confusion.counts)


def _answers(fitted: LinearModels | None) -> str | None:
    """Scores beside labels of a regression; those of classes are in the metrics."""
    if fitted is None or fitted.answers is None or fitted.predictor_type != "regressor":
        return None
    return figures.answers(fitted.answers.scores, fitted.answers.labels)


def _epochs_of_linear_models(fitted: LinearModels | None) -> Iterator[str]:
    """The losses of each epoch, which have different units."""
    if fitted is None or not fitted.epochs:
        return
    yield figures.epoch_curves("training loss", {"train": [(n, one.train) for n, one in enumerate(fitted.epochs, 1)]})
    validation = [(n, one.validation) for n, one in enumerate(fitted.epochs, 1) if one.validation is not None]
    if validation:
        yield figures.epoch_curves("loss on records held apart", {"validation": validation})


def _curves(
    target: Target, history: History, algorithm: Algorithm
) -> Iterator[tuple[str, dict[str, list[tuple[float, float]]]]]:
    """What the algorithm's progress lines told, number by number and host by host."""
    lines = JobLog(target, history.job).new_lines() if history.job else []
    readings: list[Reading] = [reading for line in lines if (reading := read(algorithm, line)) is not None]
    for name in algorithm.progress.values if algorithm.progress else ():
        by_host: dict[str, list[tuple[float, float]]] = {}
        for reading in readings:
            if name in reading.values:
                by_host.setdefault(reading.host, []).append((reading.percent, reading.values[name]))
        if any(len(curve) > 1 for curve in by_host.values()):
            yield name, dict(sorted(by_host.items()))


def _epochs_of_classification(scores: Classification | None) -> Iterator[str]:
    """Loss and accuracy of each epoch."""
    if scores is None or not scores.epochs:
        return
    for name in ("loss", "accuracy"):
        curves = {}
        for channel in ("train", "validation"):
            values = [(one.epoch, getattr(one, f"{channel}_{name}")) for one in scores.epochs]
            if all(value is not None for _, value in values):
                curves[channel] = values
        yield figures.epoch_curves(name, curves)


def _epochs_of_translation(translated: TranslationScores | None) -> Iterator[str]:
    """Loss and BLEU of each epoch."""
    if translated and translated.epochs:
        losses = {
            "training": [(one.epoch, one.train_loss) for one in translated.epochs],
            "validation": [(one.epoch, one.valid_loss) for one in translated.epochs],
        }
        yield figures.epoch_curves("loss", losses)
        bleu = {"validation": [(one.epoch, one.valid_bleu) for one in translated.epochs]}
        yield figures.epoch_curves("BLEU (greedy search)", bleu)


def _state_rows(history: History) -> list[dict[str, Any]]:
    """Every state once, with its share of the whole time; a waiting loop counts as one."""
    if not history.states:
        return []
    begun = history.states[0].entered
    ended = max(state.exited or state.entered for state in history.states)
    total = max((ended - begun).total_seconds(), 1e-9)
    rows: dict[str, dict[str, Any]] = {}
    for state in history.telling:
        offset = (state.entered - begun).total_seconds() / total * 100
        row = rows.setdefault(state.name, {"name": state.name, "seconds": 0.0, "offset": offset, "failed": False})
        row["seconds"] += state.seconds
        row["failed"] = row["failed"] or state.failed
    for row in rows.values():
        row["share"] = min(row["seconds"] / total * 100, 100 - row["offset"])
    return list(rows.values())


def _settings(run: Run, algorithm: Algorithm) -> list[dict[str, Any]]:
    """Every hyperparameter: its value, whether the user chose it, and what it does; then those of no description."""
    given = run.input.get("hyperparameters") or {}
    described = [
        {"name": name, "value": given.get(name, known.default), "chosen": name in given, "doc": known.doc}
        for name, known in algorithm.hyperparameters.items()
    ]
    further = [
        {"name": name, "value": value, "chosen": True, "doc": ""}
        for name, value in given.items()
        if name not in algorithm.hyperparameters
    ]
    return described + further


def _metrics(run: Run, algorithm: Algorithm) -> list[dict[str, Any]]:
    return [
        {"name": name, "value": value, "doc": metric.doc if (metric := algorithm.metric(name)) else ""}
        for name, value in metrics(run.output)
    ]


def _headline(run: Run, scores: Classification | None) -> list[tuple[str, str]]:
    """The few numbers that a reader looks for first."""
    # What is told again at the end stays in the table of metrics.
    named = [(name.partition(":"), value) for name, value in metrics(run.output) if not name.endswith(":final")]
    if scores and scores.channel == "test":  # what others came to is among the metrics
        named.insert(0, (("test", ":", "accuracy"), scores.accuracy))
    names = [name for (_, _, name), _ in named]
    # What is measured on one channel alone needs no mention of it.
    found = [
        (f"{name}, {channel}" if names.count(name) > 1 else name, f"{value:.4g}") for (channel, _, name), value in named
    ]
    if covered := pairs_covered(run.output):
        found.append(("pairs covered", covered.partition(",")[0]))
    if seconds := part(run.output, "training").get("training_seconds"):
        found.append(("training", duration(float(seconds))))
    return [*found, ("whole run", duration(run.seconds))]
