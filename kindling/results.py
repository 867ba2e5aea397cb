"""What the output of an execution says, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PairSet:
    """How well the vectors did on one word-similarity set, and how many of its pairs the vocabulary has."""

    name: str
    rho: float
    covered: int
    pairs: int


def pair_sets(output: Mapping[str, Any] | None) -> list[PairSet]:
    """The word-similarity sets in the details of the evaluation; none for an algorithm without."""
    details = part(output, "evaluation").get("details") or {}
    return [
        PairSet(
            name=name.removesuffix(".txt"),
            rho=entry["spearmans_rho"],
            covered=entry["total_pairs"] - entry["not_found"],
            pairs=entry["total_pairs"],
        )
        for name, entry in details.items()
        if isinstance(entry, dict) and "total_pairs" in entry
    ]


def pairs_covered(output: Mapping[str, Any] | None) -> str:
    """`ALL 94 of 353, REL 60 of 252, ...`; empty where no word pairs were evaluated."""
    return ", ".join(f"{found.name.rpartition('-')[2]} {found.covered} of {found.pairs}" for found in pair_sets(output))


def metrics(output: Mapping[str, Any] | None) -> Iterator[tuple[str, float]]:
    """Every metric of training and evaluation, each once."""
    found = {**(part(output, "training").get("metrics") or {}), **(part(output, "evaluation").get("metrics") or {})}
    yield from ((name, value) for name, value in found.items() if isinstance(value, int | float))


def part(output: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """A part of the output, empty where the run has none."""
    return (output or {}).get(name) or {}


def duration(seconds: float) -> str:
    """`0.8 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
