"""Translating with a trained model: sentences batched by length, beam search by fairseq's own generator."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from translator.text import TextPipeline

_BATCH_TOKENS = 4_000  # source tokens x beam of one batch: beyond it a CPU gains nothing
_KEPT_GENERATORS = 16


@dataclass(frozen=True)
class Search:
    """How hypotheses are searched and scored; the names are fairseq's.

    A hypothesis has at most max_len_a x (source tokens) + max_len_b tokens. Its score is the mean of its tokens'
    log-probabilities, base 2, where lenpen is 1.
    """

    beam: int = 5
    lenpen: float = 1.0
    unkpen: float = 0.0
    max_len_a: float = 0.0
    max_len_b: int = 200
    min_len: int = 1
    no_repeat_ngram_size: int = 0


@dataclass(frozen=True)
class Hypothesis:
    """A translation. `tokens` are as fairseq-generate prints them, `score` is its H line's."""

    text: str
    score: float
    tokens: str


@dataclass(frozen=True)
class Translation:
    """The best hypotheses of one text, best first.

    `truncated`: the text was longer than the model reads, or the best hypothesis was cut where the search ends.
    """

    hypotheses: tuple[Hypothesis, ...]
    truncated: bool = False


_EMPTY = Translation((Hypothesis("", 0.0, ""),))


class Translator:
    """A model with its dictionaries and text pipeline; many threads may ask at once, and take turns.

    Args:
        model: fairseq's, on the CPU.
        source, target: fairseq's dictionaries.
    """

    def __init__(self, model: Any, source: Any, target: Any, pipeline: TextPipeline, search: Search) -> None:
        self._model, self._source, self._target = model, source, target
        self.pipeline, self.search = pipeline, search
        model.eval()
        model.make_generation_fast_(need_attn=False)  # folds the norms of weights in
        _keep_linearized_weights(model)
        # The end-of-sentence token takes a place, too, and positions are counted from the padding token on.
        self._longest = int(min(model.max_positions()[0], 1_000_000)) - source.pad() - 2
        self._longest_target = int(min(model.max_decoder_positions(), 1_000_000)) - 1
        self._generator = lru_cache(_KEPT_GENERATORS)(self._make_generator)
        self._turn = threading.Lock()

    def translate(self, texts: Sequence[str], searches: Sequence[tuple[Search, int]]) -> list[Translation]:
        """Translations of texts, each by its own search and with its own number of hypotheses at most.

        A text's lines are translated one by one and joined again; what holds no word stays empty.
        """
        lines: list[str] = []
        options: list[tuple[Search, int]] = []
        counts = []
        for text, option in zip(texts, searches, strict=True):
            found = text.splitlines() or [""]
            counts.append(len(found))
            lines += found
            options += [option] * len(found)
        encoded = [self.pipeline.encode(line) for line in lines]
        translated = iter(self.translate_tokens(encoded, options))
        return [_joined([next(translated) for _ in range(count)]) for count in counts]

    def translate_tokens(self, lines: Sequence[str], searches: Sequence[tuple[Search, int]]) -> list[Translation]:
        """The same of lines that have passed the text pipeline: subwords between single spaces."""
        answers: list[Translation] = [_EMPTY] * len(lines)
        by_search: dict[tuple[Search, int], list[tuple[int, Any, bool]]] = {}
        for number, (line, option) in enumerate(zip(lines, searches, strict=True)):
            if not line:
                continue
            ids = self._source.encode_line(line, add_if_not_exist=False).long()
            truncated = len(ids) - 1 > self._longest
            if truncated:
                ids = ids[: self._longest + 1].clone()
                ids[-1] = self._source.eos()
            by_search.setdefault(option, []).append((number, ids, truncated))
        for (search, nbest), items in by_search.items():
            for batch in _batches(items, search.beam):
                found = self._search([ids for _, ids, _ in batch], search)
                longest = max(len(ids) for _, ids, _ in batch)
                limit = min(int(search.max_len_a * longest + search.max_len_b), self._longest_target - 1)
                for (number, _, truncated), hypotheses in zip(batch, found, strict=True):
                    ended = len(hypotheses[0].tokens.split()) < limit
                    answers[number] = Translation(tuple(hypotheses[:nbest]), truncated or not ended)
        return answers

    def _search(self, sentences: list[Any], search: Search) -> list[list[Hypothesis]]:
        import torch
        from fairseq.data import data_utils

        lengths = torch.tensor([len(ids) for ids in sentences])
        tokens = data_utils.collate_tokens(sentences, self._source.pad(), self._source.eos(), left_pad=True)
        sample = {"net_input": {"src_tokens": tokens, "src_lengths": lengths}}
        with self._turn, torch.inference_mode():
            found = self._generator(search).generate([self._model], sample)
        return [[self._hypothesis(one) for one in hypotheses] for hypotheses in found]

    def _hypothesis(self, found: dict[str, Any]) -> Hypothesis:
        tokens = self._target.string(found["tokens"])
        return Hypothesis(self.pipeline.decode(tokens), float(found["score"]) / math.log(2), tokens)

    def _make_generator(self, search: Search) -> Any:
        from fairseq.sequence_generator import SequenceGenerator

        return SequenceGenerator(
            [self._model],
            self._target,
            beam_size=search.beam,
            max_len_a=search.max_len_a,
            max_len_b=search.max_len_b,
            max_len=self._longest_target,
            min_len=search.min_len,
            len_penalty=search.lenpen,
            unk_penalty=search.unkpen,
            no_repeat_ngram_size=search.no_repeat_ngram_size,
        )


def _keep_linearized_weights(model: Any) -> None:
    """Lay out a convolutional decoder's weights for single steps once; fairseq would do so at every step."""
    from fairseq.modules import LinearizedConvolution

    for module in model.modules():
        if isinstance(module, LinearizedConvolution):
            module._linearized_weight = module._get_linearized_weight().detach()


def _batches(items: list[tuple[int, Any, bool]], beam: int) -> Iterator[list[tuple[int, Any, bool]]]:
    """Sentences of about the same length, so many that their tokens fill a batch."""
    batch: list[tuple[int, Any, bool]] = []
    for item in sorted(items, key=lambda item: len(item[1])):
        if batch and (len(batch) + 1) * len(item[1]) * beam > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _joined(lines: list[Translation]) -> Translation:
    """The translations of a text's lines as one; where a line has fewer hypotheses, its last stands in."""
    if len(lines) == 1:
        return lines[0]
    count = max(len(line.hypotheses) for line in lines)
    columns = [[line.hypotheses[min(rank, len(line.hypotheses) - 1)] for line in lines] for rank in range(count)]
    joined = [
        Hypothesis("\n".join(h.text for h in column), sum(h.score for h in column), "\n".join(h.tokens for h in column))
        for column in columns
    ]
    return replace(lines[0], hypotheses=tuple(joined), truncated=any(line.truncated for line in lines))
