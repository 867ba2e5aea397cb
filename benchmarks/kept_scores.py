"""Scores of peers' vectors, kept from run to run: fastText takes minutes to train what a seed decides anyway.

A score is found again by all that it depends on: the program, its package's version, the corpus, the settings and the
seed. The number of threads is not part of that, since Hogwild training makes no difference that noise does not make.
Speed is never kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus
from benchmarks.measurement import Case
from kindling.datasets.files import whole


class KeptScores:
    """A JSON file of scores.

    Args:
        versions: of the packages, by name.
        rare_words: whether runs are scored on the rare words.
    """

    def __init__(self, path: Path, versions: dict[str, str], *, rare_words: bool) -> None:
        self._path, self._versions, self._rare_words = path, versions, rare_words
        self._kept: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []

    def find(self, case: Case, corpus: Corpus) -> dict[str, Any] | None:
        """The scores of an earlier run like this one."""
        key = self._key(case, corpus)
        for kept in self._kept:
            scores: dict[str, Any] = kept["scores"]
            if kept["key"] == key and ("rare_words" in scores or not self._rare_words):
                return scores
        return None

    def keep(self, case: Case, corpus: Corpus, scores: dict[str, Any]) -> None:
        key = self._key(case, corpus)
        self._kept = [kept for kept in self._kept if kept["key"] != key]
        self._kept.append({"key": key, "threads": case.settings.threads, "scores": scores})
        with whole(self._path) as file:
            file.write(json.dumps(self._kept, indent=1).encode())

    def _key(self, case: Case, corpus: Corpus) -> dict[str, Any]:
        settings = case.settings.as_json()
        del settings["threads"]
        package = case.program.package
        return {
            "program": case.program.name,
            "version": self._versions.get(package),
            "corpus": corpus.digest,
            **settings,
        }
