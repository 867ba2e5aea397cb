"""Jobs of a small language, each host a process with a base directory of its own."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from contract.testing import Jobs, run

_SUBJECTS = {"der Hund": "the dog", "die Katze": "the cat", "ein Mann": "a man", "die Frau": "the woman", "er": "he"}
_VERBS = {"sieht": "sees", "kauft": "buys", "sucht": "seeks", "mag": "likes", "hat": "has"}
_OBJECTS = {
    "das Haus": "the house",
    "ein Buch": "a book",
    "den Apfel": "the apple",
    "Brot": "bread",
    "nichts": "nothing",
}
_WHEN = {"heute": "today", "immer": "always", "oft": "often", "am Montag": "on Monday"}

SMALL = {
    "arch": "fconv",
    "encoder-embed-dim": "48",
    "decoder-embed-dim": "48",
    "decoder-out-embed-dim": "48",
    "encoder-layers": "[(48, 3)] * 2",
    "decoder-layers": "[(48, 3)] * 2",
    "dropout": "0.0",
    "lr": "0.5",
    "max-tokens": "800",
    "max-epoch": "12",
    "bpe-symbols": "120",
    "beam": "3",
    "source-lang": "de",
    "target-lang": "en",
}


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences of a language of five hundred, with their translations: the adverb moves, the words are one to one."""
    choice = random.Random(seed).choice
    made = []
    for _ in range(count):
        subject, verb, thing, when = (choice(list(words)) for words in (_SUBJECTS, _VERBS, _OBJECTS, _WHEN))
        german = f"{when} {verb} {subject} {thing}."
        english = f"{_SUBJECTS[subject]} {_VERBS[verb]} {_OBJECTS[thing]} {_WHEN[when]}."
        made.append((german[0].upper() + german[1:], english[0].upper() + english[1:]))
    return made


def parallel(pairs: Sequence[tuple[str, str]], stem: str = "part") -> dict[str, bytes]:
    """The two files of sentence pairs."""
    return {
        f"{stem}.{language}": "".join(f"{pair[side]}\n" for pair in pairs).encode()
        for side, language in enumerate(("de", "en"))
    }


RAW = {"train": parallel(sentences(1200, 1)), "validation": parallel(sentences(60, 2))}


def jobs_below(folder: Path) -> Jobs:
    """Jobs of SMALL on RAW, where they do not say otherwise."""
    return Jobs("translator", folder, SMALL, RAW)


def translator(arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """`python -m translator ARGUMENTS`."""
    return run("translator", arguments, environ)
