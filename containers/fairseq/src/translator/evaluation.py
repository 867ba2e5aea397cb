"""What a job tells of its model: the curves of its epochs, BLEU by the model's own search, sample translations.

`eval.json`, at the root of the model, has the few numbers that a pipeline carries; `evaluation/translation.json`, in
the job's output, all of it.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from translator import artifact
from translator.preparation import PreparedData

logger = logging.getLogger(__name__)

HISTORY = "history.jsonl"
_SAMPLES = 12


def write(model: Path, output: Path, data: PreparedData, history: Path, *, measured: bool) -> None:
    """Write both files, and print `valid:bleu` of the model as it will be served.

    Args:
        output: the folder of the job's output.
        history: lines of JSON, one an epoch; may not exist.
        measured: whether to translate the validation sentences, which takes a while.
    """
    epochs = [json.loads(line) for line in history.read_text("utf-8").splitlines()] if history.exists() else []
    summary: dict[str, Any] = {}
    samples: list[dict[str, str]] = []
    if epochs:
        summary |= {"loss": epochs[-1]["valid_loss"], "wps": epochs[-1]["train_wps"]}
    if measured:
        scores, samples = _scores(model, data)
        summary |= scores
        logger.info("#valid_bleu: %.2f", scores["bleu"])
    _dump(model / "eval.json", summary)
    (output / "evaluation").mkdir(parents=True, exist_ok=True)
    _dump(output / "evaluation" / "translation.json", {**summary, "epochs": epochs, "samples": samples})


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _scores(model: Path, data: PreparedData) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """BLEU of all validation sentences, and translations of some, which are taken at even distances."""
    from sacrebleu.metrics import BLEU

    translator = artifact.read(model)
    if data.references is None:
        tokens, targets = (_binarised_lines(data, language) for language in _languages(data))
        sources = [data.pipeline.join(line) for line in tokens]
        references = [data.pipeline.decode(line) for line in targets]
    else:
        sources, references = [source for source, _ in data.references], [target for _, target in data.references]
        tokens = [data.pipeline.encode(source) for source in sources]
    translations = translator.translate_tokens(tokens, [(translator.search, 1)] * len(tokens))
    hypotheses = [translation.hypotheses[0].text for translation in translations]
    metric = BLEU()
    score = metric.corpus_score(hypotheses, [references])
    step = max(1, len(sources) // _SAMPLES)
    samples = [
        {"source": sources[number], "translation": hypotheses[number], "reference": references[number]}
        for number in range(0, len(sources), step)
    ]
    found = {"bleu": round(score.score, 2), "signature": str(metric.get_signature()), "sentences": len(sources)}
    return found, samples[:_SAMPLES]


def _languages(data: PreparedData) -> tuple[str, str]:
    return data.pipeline.source_lang, data.pipeline.target_lang


def _binarised_lines(data: PreparedData, language: str) -> list[str]:
    """The validation sentences of binarised data as tokens."""
    from fairseq.data import Dictionary, data_utils

    pair = "-".join(_languages(data))
    dictionary = Dictionary.load(str(data.folder / f"dict.{language}.txt"))
    dataset = data_utils.load_indexed_dataset(str(data.folder / f"valid.{pair}.{language}"), dictionary)
    return [dictionary.string(dataset[number], unk_string="<<unk>>") for number in range(len(dataset))]
