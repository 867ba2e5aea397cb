"""Hyperparameters become fairseq's flags."""

from __future__ import annotations

import pytest

from contract.errors import ClientError
from translator.flags import Flags, parsed

pytestmark = pytest.mark.filterwarnings("ignore")  # of fairseq's imports, which a job silences by itself

DESCRIBED = {"arch": "fconv", "optimizer": "nag", "lr": "0.25", "max-tokens": 6000, "stop-min-lr": "1e-5", "beam": 5}


def test_underscores_and_the_originals_names_are_the_same_flags() -> None:
    found = Flags.of({**DESCRIBED, "max_tokens": "100", "min-lr": "0.001", "max-sentences": "7"})
    assert found.values["max-tokens"] == "100"
    namespace = parsed(["data", *found.arguments()])
    assert (namespace.max_tokens, namespace.stop_min_lr, namespace.batch_size, namespace.beam) == (100, 0.001, 7, 5)


def test_a_scheduler_with_a_min_lr_of_its_own_gets_it() -> None:
    given = {**DESCRIBED, "lr-scheduler": "cosine", "min-lr": "0.001", "warmup-updates": "10", "max-update": "100"}
    namespace = parsed(["data", *Flags.of(given).arguments()])
    assert (namespace.min_lr, namespace.stop_min_lr) == (0.001, 1e-05)


@pytest.mark.parametrize(("text", "on"), [("True", True), ("true", True), ("1", True), ("False", False), ("0", False)])
def test_switches_are_sagemakers_strings(text: str, on: bool) -> None:
    arguments = Flags.of({**DESCRIBED, "sentence-avg": text}).arguments()
    assert ("--sentence-avg" in arguments) == on


def test_every_architecture_for_translation_is_known_by_its_flags() -> None:
    given = {**DESCRIBED, "arch": "transformer_iwslt_de_en", "optimizer": "adam", "adam-betas": "(0.9, 0.98)"}
    namespace = parsed(["data", *Flags.of({**given, "share-decoder-input-output-embed": "True"}).arguments()])
    assert namespace.share_decoder_input_output_embed
    assert namespace.encoder_ffn_embed_dim == 1024


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"max_tokns": "5"}, "hyperparameter max_tokns is unknown to fairseq; did you mean max-tokens"),
        ({"save_dir": "x"}, "hyperparameter save_dir cannot be set"),
        ({"max_sentences": "5", "max-sentences": "5"}, "hyperparameters max_sentences and max-sentences are the same"),
        ({"optimizer": "nagg"}, "hyperparameter optimizer='nagg' is unknown to fairseq; did you mean nag"),
        (
            {"lr": "__import__('os')"},
            "hyperparameter lr=\"__import__('os')\" is not valid; it must be numbers separated",
        ),
        ({"fp16": ""}, "hyperparameter fp16='' is not valid; it must be True or False."),
        ({"clip-norm": "soft"}, "hyperparameter clip-norm='soft' is not valid; it must be a number."),
    ],
)
def test_a_mistake_is_named_as_it_was_written(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ClientError) as refused:
        Flags.of({**DESCRIBED, **given}).arguments()
    assert str(refused.value).startswith(sentence)
