"""Text to what a model reads, and back: words by Moses' rules, subwords by byte-pair encoding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

CONTINUES = "@@"
"""Ends a subword that the next one continues (Sennrich et al. 2016, subword-nmt's separator)."""

# What fairseq and subword-nmt take for the end of a word or line, and Moses' tokeniser drops or keeps by turns.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class TextPipeline:
    """Both languages' way into the model and out of it.

    Args:
        tokenizer: moses, or space for text that is tokenised already.
        codes: the file of the byte-pair encoding, None where words are not split.
        escaped: whether the model knows Moses' entities (`&apos;`) instead of the characters, as the data of the
            original's recipes do.
    """

    source_lang: str
    target_lang: str
    tokenizer: str
    codes: Path | None
    escaped: bool = False
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def encode(self, text: str) -> str:
        """A line of the source language as tokens between single spaces; empty for text without any."""
        return self.split(self.tokenise(text, self.source_lang))

    def tokenise(self, text: str, language: str) -> str:
        """Words between single spaces, before they are split."""
        text = " ".join(_CONTROL.sub(" ", text).split())
        if self.tokenizer == "space" or not text:
            return text
        if language not in self._cache:
            from sacremoses import MosesTokenizer

            self._cache[language] = MosesTokenizer(language)
        words = self._cache[language].tokenize(text, aggressive_dash_splits=True, escape=self.escaped)
        return " ".join(" ".join(words).split())

    def split(self, words: str) -> str:
        """Words as subwords."""
        return str(self._bpe.process_line(words)) if self._bpe and words else words

    def decode(self, tokens: str) -> str:
        """Tokens of the target language as text."""
        words = self.join(tokens)
        if self.tokenizer == "space" or not words:
            return words
        return str(self._detokenizer.detokenize(words.split(), unescape=self.escaped))

    @staticmethod
    def join(tokens: str) -> str:
        """Subwords as words, as fairseq's --post-process removes them."""
        return f"{tokens} ".replace(f"{CONTINUES} ", "").rstrip()

    @cached_property
    def _detokenizer(self) -> Any:
        from sacremoses import MosesDetokenizer

        return MosesDetokenizer(self.target_lang)

    @cached_property
    def _bpe(self) -> Any:
        if self.codes is None:
            return None
        from subword_nmt.apply_bpe import BPE

        with self.codes.open(encoding="utf-8") as file:
            return BPE(file, separator=CONTINUES)


def dictionary_words(path: Path) -> list[str]:
    """The words of a dictionary of fairseq's, whose lines are `word count`."""
    return [line.rpartition(" ")[0] for line in path.read_text(encoding="utf-8").split("\n") if line]


def knows_entities(words: Sequence[str]) -> bool:
    """Whether a dictionary's words are of text that Moses escaped."""
    return any(word.startswith(("&apos;", "&quot;", "&amp;")) for word in words)
