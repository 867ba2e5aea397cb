"""A model's translations beside fairseq's own, of the same checkpoint."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from translator import artifact
from translator.text import TextPipeline
from translator.translation import Search, Translator

from .jobs import sentences

if TYPE_CHECKING:
    from contract.testing import Host

pytestmark = pytest.mark.filterwarnings("ignore")  # of fairseq's imports, which a job silences by itself

_FAIRSEQ = (
    "from translator.compatibility import import_fairseq; import_fairseq();"
    "from fairseq_cli.{0} import cli_main; cli_main()"
)


@pytest.fixture(scope="module")
def translator(trained: Host) -> Translator:
    return artifact.read(trained.model)


@pytest.fixture(scope="module")
def unseen() -> list[str]:
    """Sentences of the language, and others that it does not have, on which the model is unsure."""
    strange = [
        "Hund Katze Mann.",
        "heute heute heute sieht er",
        "Xylophon!",
        "ein Buch ein Buch ein Buch ein Buch",
        ".",
    ]
    return [source for source, _ in sentences(40, 3)] + strange


def fairseq(command: str, *arguments: str) -> str:
    made = subprocess.run(
        [sys.executable, "-c", _FAIRSEQ.format(command), *arguments],
        env={"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def of_fairseq(
    trained: Host, translator: Translator, unseen: list[str], tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[float, str]]:
    """Score and tokens of each sentence's best hypothesis, by fairseq-generate."""
    folder = tmp_path_factory.mktemp("generate")
    tokens = "".join(f"{translator.pipeline.encode(source)}\n" for source in unseen)
    for language in ("de", "en"):
        (folder / f"test.{language}").write_text(tokens)
    data = folder / "data"
    dictionaries = [
        f"--{side}dict={trained.model / f'dict.{lang}.txt'}" for side, lang in (("src", "de"), ("tgt", "en"))
    ]
    languages = ["--source-lang=de", "--target-lang=en"]
    fairseq("preprocess", *languages, f"--testpref={folder / 'test'}", *dictionaries, f"--destdir={data}")
    checkpoint = trained.base / "checkpoints" / "checkpoint_best.pt"
    out = fairseq("generate", str(data), f"--path={checkpoint}", "--beam=3", "--batch-size=7", "--cpu", "--nbest=1")
    found = {int(n): (float(s), t) for n, s, t in re.findall(r"^H-(\d+)\t(\S+)\t(.*)$", out, re.MULTILINE)}
    return [found[number] for number in range(len(unseen))]


def test_translations_and_scores_are_those_of_fairseq_generate(
    translator: Translator, unseen: list[str], of_fairseq: list[tuple[float, str]]
) -> None:
    ours = translator.translate(unseen, [(translator.search, 1)] * len(unseen))
    assert [one.hypotheses[0].tokens for one in ours] == [tokens for _, tokens in of_fairseq]
    assert [one.hypotheses[0].score for one in ours] == pytest.approx([score for score, _ in of_fairseq], abs=1e-3)


def test_a_sentence_is_translated_alike_alone_and_among_others(translator: Translator, unseen: list[str]) -> None:
    together = translator.translate(unseen, [(translator.search, 1)] * len(unseen))
    for source, expected in zip(unseen[-8:], together[-8:], strict=True):
        (alone,) = translator.translate([source], [(translator.search, 1)])
        assert alone.hypotheses[0].text == expected.hypotheses[0].text


def test_each_text_is_searched_as_it_asks(translator: Translator) -> None:
    source = "Hund Katze Mann."
    few, many = translator.translate([source, source], [(Search(beam=1), 1), (Search(beam=6), 4)])
    assert len(few.hypotheses) == 1
    assert len(many.hypotheses) == 4
    scores = [one.score for one in many.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] >= few.hypotheses[0].score - 1e-5
    assert len({one.text for one in many.hypotheses}) > 1


def test_a_high_length_penalty_makes_translations_no_shorter(translator: Translator) -> None:
    source = "heute heute heute sieht er"
    short, long = translator.translate([source] * 2, [(Search(beam=6, lenpen=-3), 1), (Search(beam=6, lenpen=3), 1)])
    assert len(long.hypotheses[0].tokens.split()) >= len(short.hypotheses[0].tokens.split())


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00\x1f", "\u2028", "\t \n "])
def test_text_without_a_word_stays_empty(translator: Translator, text: str) -> None:
    (found,) = translator.translate([text], [(translator.search, 1)])
    assert not found.truncated
    assert found.hypotheses[0].text.strip() == ""


def test_lines_are_translated_one_by_one(translator: Translator) -> None:
    first, second = sentences(2, 4)
    (found,) = translator.translate([f"{first[0]}\n\n{second[0]}"], [(translator.search, 1)])
    assert found.hypotheses[0].text == f"{first[1]}\n\n{second[1]}"


def test_a_text_that_is_longer_than_the_model_reads_is_said_to_be_cut(translator: Translator) -> None:
    (found,) = translator.translate(["Haus " * 5000], [(Search(beam=1, max_len_b=20), 1)])
    assert found.truncated
    (whole,) = translator.translate(["Haus " * 100], [(Search(beam=1), 1)])
    assert whole.truncated == (len(whole.hypotheses[0].tokens.split()) >= 200)


def test_a_translation_that_is_cut_is_said_to_be(translator: Translator) -> None:
    source, target = sentences(1, 9)[0]
    whole, cut = translator.translate([source] * 2, [(translator.search, 1), (Search(max_len_b=2), 1)])
    assert whole.hypotheses[0].text == target
    assert not whole.truncated
    assert cut.truncated
    assert len(cut.hypotheses[0].tokens.split()) == 2


@pytest.mark.parametrize(
    "text",
    [
        'Er sagt: "Das ist\'s" & geht (heute) nach Köln-Deutz.',
        "AT&amp;T <b>kauft</b> 3,5 % | von `x` [sic]",
        "Größe: 10.000,50 €; z. B. „so“ – oder?",
        "日本語 и русский عربى",
    ],
)
def test_moses_gives_back_what_it_has_split(text: str) -> None:
    pipeline = TextPipeline("de", "de", "moses", None)
    words = pipeline.encode(text)
    assert "&quot;" not in words
    assert pipeline.decode(words).replace(" ", "") == text.replace(" ", "")


def test_text_that_is_tokenised_already_is_only_joined(tmp_path: Path) -> None:
    codes = tmp_path / "bpecodes"
    codes.write_text("#version: 0.2\nn e\nne u\n")
    pipeline = TextPipeline("de", "en", "space", codes)
    assert pipeline.encode("  ein   neues ") == "e@@ i@@ n neu@@ e@@ s"
    assert pipeline.decode("e@@ i@@ n neu@@ e@@ s") == "ein neues"


def test_a_model_of_escaped_text_reads_and_writes_entities() -> None:
    pipeline = TextPipeline("en", "en", "moses", None, escaped=True)
    assert pipeline.encode("it's") == "it &apos;s"
    assert pipeline.decode("it &apos;s") == "it's"
