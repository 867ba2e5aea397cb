"""Jobs that start from vectors, as a user sees them."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import fasttext
import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.models.fasttext import FastText, load_facebook_model, save_facebook_model

from blazingtext._engine import CorpusPart, Trainer
from blazingtext.model import Model
from blazingtext.pretrained import PretrainedVectors
from contract import fasttext_format
from contract.channels import InputChannel

from .engine_jobs import JOB

if TYPE_CHECKING:
    from conftest import Host, Jobs, ReadText

# Training moves nothing that a float32 can tell, so that what it began with is seen.
STILL = {"learning_rate": "1e-20", "evaluation": "False"}
SUBWORDS = {"mode": "skipgram", "subwords": "True", "buckets": "500"}
CORPUS = b"alpha beta gamma alpha beta\n" * 30 + b"rare\n"
FEW = "3 12\nalpha " + "0.5 " * 12 + "\nrare " + "0.25 " * 12 + "\nelsewhere " + "2 " * 12 + "\n"


def vectors_channel(**files: bytes | str) -> dict[str, dict[str, bytes]]:
    contents = {name.replace("_", "."): content for name, content in files.items()}
    return {
        "pretrained_vectors": {
            name: content if isinstance(content, bytes) else content.encode() for name, content in contents.items()
        }
    }


def succeeded(host: Host) -> Host:
    assert host.process.returncode == 0, host.output
    return host


def test_words_start_from_the_file_and_the_files_other_words_stay(jobs: Jobs, read_text: ReadText) -> None:
    host = succeeded(jobs.train(CORPUS, {**STILL, "min_count": "5"}, vectors_channel(few_vec=FEW)))
    vectors = read_text(host.model / "vectors.txt")
    assert list(vectors) == ["alpha", "beta", "gamma", "rare", "elsewhere"]
    assert vectors["alpha"] == [0.5] * 12
    assert vectors["rare"] == [0.25] * 12  # occurs, but not min_count times
    assert vectors["elsewhere"] == [2] * 12
    assert max(map(abs, vectors["beta"])) <= 1 / 12  # at random, as without the file
    assert (
        "Channel pretrained_vectors: 2 of the corpus's 4 words start from few.vec; its 1 other words stay as they are."
        in host.output
    )


def test_words_of_the_file_are_trained_where_the_corpus_holds_them_and_the_others_are_not(
    jobs: Jobs, read_text: ReadText
) -> None:
    settings = {"min_count": "5", "sampling_threshold": "0.9", "evaluation": "False"}
    host = succeeded(jobs.train(CORPUS, settings, vectors_channel(few_vec=FEW)))
    vectors = read_text(host.model / "vectors.txt")
    assert vectors["elsewhere"] == [2] * 12
    assert vectors["alpha"] != [0.5] * 12


def test_the_model_with_words_from_elsewhere_loads_in_fasttext_and_gensim(jobs: Jobs) -> None:
    host = succeeded(jobs.train(CORPUS, STILL, vectors_channel(few_vec=FEW)))
    path = str(host.model / "vectors.bin")
    assert fasttext.load_model(path).get_word_vector("elsewhere").tolist() == [2] * 12
    assert load_facebook_model(path).wv["elsewhere"].tolist() == [2] * 12


def test_a_model_of_ours_goes_on_from_both_of_its_matrices(jobs: Jobs, corpus: bytes, trained: Host) -> None:
    content = (trained.model / "vectors.bin").read_bytes()
    again = succeeded(jobs.train(corpus, STILL, vectors_channel(vectors_bin=content)))
    assert (again.model / "vectors.bin").read_bytes() == content


@pytest.mark.parametrize("mode", ["skipgram", "cbow"])
def test_a_subword_model_goes_on_with_its_ngrams(jobs: Jobs, corpus: bytes, mode: str) -> None:
    settings = {**SUBWORDS, "mode": mode, "evaluation": "False"}
    content = (succeeded(jobs.train(corpus, settings)).model / "vectors.bin").read_bytes()
    again = succeeded(jobs.train(corpus, {**settings, **STILL}, vectors_channel(vectors_bin=content)))
    assert (again.model / "vectors.bin").read_bytes() == content


@pytest.mark.parametrize("loss", ["negative sampling", "hierarchical softmax"])
def test_a_model_of_others_goes_on(jobs: Jobs, corpus: bytes, tmp_path: Path, read_text: ReadText, loss: str) -> None:
    """With hierarchical softmax the output matrix holds inner nodes of a tree: it is not taken for the words'."""
    sentences = [line.split() for line in corpus.decode().splitlines()]
    negative_sampling = loss == "negative sampling"
    options = {"vector_size": 12, "min_count": 1, "min_n": 3, "max_n": 6, "bucket": 500, "epochs": 20, "workers": 1}
    model = FastText(
        sentences, sg=1, sample=0, hs=int(not negative_sampling), negative=5 * negative_sampling, **options
    )
    save_facebook_model(model, str(tmp_path / "model.bin"))
    fast, before = fasttext.load_model(str(tmp_path / "model.bin")), Model(tmp_path / "model.bin")
    assert np.abs(before.output.numbers).max() > 1e-3

    content = (tmp_path / "model.bin").read_bytes()
    host = succeeded(jobs.train(corpus, {**SUBWORDS, **STILL}, vectors_channel(model_bin=content)))
    vectors = read_text(host.model / "vectors.txt")
    assert set(vectors) == set(fast.get_words())
    for word, numbers in vectors.items():
        np.testing.assert_allclose(numbers, fast.get_word_vector(word), rtol=1e-5, atol=1e-7)
    after = Model(host.model / "vectors.bin")
    for row, word in enumerate(before.words):
        expected = before.output.numbers[row] if negative_sampling else np.zeros(12)
        np.testing.assert_allclose(after.output.numbers[after.words.index(word)], expected, atol=1e-15)


def test_plain_vectors_start_a_subword_model_as_its_composed_vectors(jobs: Jobs, read_text: ReadText) -> None:
    host = succeeded(jobs.train(CORPUS, {**SUBWORDS, **STILL}, vectors_channel(few_vec=FEW)))
    vectors = read_text(host.model / "vectors.txt")
    np.testing.assert_allclose(vectors["alpha"], [0.5] * 12, rtol=1e-5)
    np.testing.assert_allclose(vectors["elsewhere"], [2] * 12, rtol=1e-5)


def test_a_subword_models_composed_vectors_start_a_plain_model(jobs: Jobs, corpus: bytes, read_text: ReadText) -> None:
    before = succeeded(jobs.train(corpus, {**SUBWORDS, "evaluation": "False"}))
    content = (before.model / "vectors.bin").read_bytes()
    after = succeeded(jobs.train(corpus, STILL, vectors_channel(vectors_bin=content)))
    expected = read_text(before.model / "vectors.txt")
    for word, numbers in read_text(after.model / "vectors.txt").items():
        np.testing.assert_allclose(numbers, expected[word], rtol=1e-5, atol=1e-7)


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_a_models_folder_or_archive_gives_its_vectors_bin(jobs: Jobs, corpus: bytes, trained: Host) -> None:
    files = {path.name.replace(".", "_"): path.read_bytes() for path in trained.model.iterdir()}
    for channel in (vectors_channel(**files), vectors_channel(model_tar_gz=archive(**files))):
        host = succeeded(jobs.train(corpus, STILL, channel))
        assert (host.model / "vectors.bin").read_bytes() == files["vectors_bin"]


def test_words_of_the_binary_format_start_from_it(jobs: Jobs, tmp_path: Path, read_text: ReadText) -> None:
    vectors = KeyedVectors(12)
    vectors.add_vectors(["alpha", "beta"], np.arange(24, dtype=np.float32).reshape(2, 12))
    vectors.save_word2vec_format(str(tmp_path / "vectors.bin"), binary=True)
    content = (tmp_path / "vectors.bin").read_bytes()
    host = succeeded(jobs.train(CORPUS, STILL, vectors_channel(vectors_bin=content)))
    found = read_text(host.model / "vectors.txt")
    np.testing.assert_allclose([found["alpha"], found["beta"]], np.arange(24).reshape(2, 12), atol=1e-15)


def test_a_file_may_be_packed(jobs: Jobs, read_text: ReadText) -> None:
    host = succeeded(jobs.train(CORPUS, STILL, vectors_channel(few_vec_gz=gzip.compress(FEW.encode()))))
    assert read_text(host.model / "vectors.txt")["elsewhere"] == [2] * 12


def test_the_first_of_a_words_vectors_counts(jobs: Jobs, read_text: ReadText) -> None:
    twice = "2 12\nalpha " + "1 " * 12 + "\nalpha " + "9 " * 12 + "\n"
    host = succeeded(jobs.train(CORPUS, STILL, vectors_channel(twice_vec=twice)))
    assert read_text(host.model / "vectors.txt")["alpha"] == [1] * 12


def test_every_host_starts_alike(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_bytes(CORPUS)
    (tmp_path / "channel").mkdir()
    (tmp_path / "channel" / "few.vec").write_text(FEW)
    settings = fasttext_format.Settings(
        architecture="skipgram",
        dim=12,
        window_size=5,
        epochs=1,
        min_count=1,
        negative_samples=5,
        buckets=0,
        min_char=0,
        max_char=0,
        sampling_threshold=1e-4,
    )
    hosts = []
    for rank in range(3):
        pretrained = PretrainedVectors(InputChannel("pretrained_vectors", tmp_path / "channel"), settings, rank + 1)
        parts = [CorpusPart([str(tmp_path / "corpus.txt")], 1, other, 3) for other in range(3)]
        others = [part.counts for other, part in enumerate(parts) if other != rank]
        corpus = parts[rank].encode(1, 1, others, pretrained.words)
        trainer = Trainer(corpus, **{**JOB, "dim": 12, "rank": rank})
        pretrained.start(trainer, corpus)
        hosts.append((trainer.input.copy(), trainer.output.copy()))
    assert hosts[0][0][0].tolist() == [0.5] * 12
    for other in hosts[1:]:
        np.testing.assert_array_equal(hosts[0], other)


def test_two_hosts_go_on_together(jobs: Jobs, read_text: ReadText) -> None:
    """The second half's words, which the second host trains, begin there from the file as well."""
    text = ("sun moon star sky " * 300 + "\n") + ("bread butter milk jam " * 300 + "\n")
    words = sorted(set(text.split()))
    words.append("elsewhere")
    content = f"{len(words)} 12\n" + "".join(f"{word} " + f"{i + 1} " * 12 + "\n" for i, word in enumerate(words))
    hosts = jobs.start(text.encode(), STILL, hosts=2, channels=vectors_channel(all_vec=content))
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    assert read_text(hosts[0].model / "vectors.txt") == {word: [i + 1] * 12 for i, word in enumerate(words)}


@pytest.mark.parametrize(
    ("hyperparameters", "channel", "sentence"),
    [
        (
            {"vector_dim": "100"},
            vectors_channel(few_vec=FEW),
            "few.vec has vectors of 12 dimensions, but vector_dim is 100; set vector_dim to 12.",
        ),
        ({}, vectors_channel(few_vec=FEW + "word 1 2\n"), "few.vec holds 4 vectors, but its first line says 3;"),
        ({}, vectors_channel(v_vec=FEW.replace("2 2 2", "2 2 no")), "v.vec cannot be read: line 4: it has something"),
        ({}, vectors_channel(v_bin=b"\xba\x16\x4f\x2f"), "v.bin is cut short at offset 4: the header has 92 bytes."),
        ({}, vectors_channel(a_vec=FEW, b_vec=FEW), "holds 2 files, none of them vectors.bin; it must hold one file"),
        ({}, vectors_channel(model_tar_gz=archive(vectors_txt=b"1 1\na 1\n")), "model.tar.gz holds no vectors.bin"),
        ({}, vectors_channel(few_vec_gz=gzip.compress(FEW.encode())[:-9]), "few.vec.gz is cut off: its gzip data ends"),
        (
            {},
            vectors_channel(model_tar_gz=archive(vectors_bin=random.Random(1).randbytes(10**6))[: 5 * 10**5]),
            "model.tar.gz is damaged",
        ),
        ({}, vectors_channel(), "channel 'pretrained_vectors' holds no file"),
    ],
)
def test_vectors_that_cannot_be_started_from_are_one_sentence(
    jobs: Jobs, hyperparameters: dict[str, str], channel: dict[str, dict[str, bytes]], sentence: str
) -> None:
    host = jobs.train(CORPUS, hyperparameters, channel)
    assert host.process.returncode == 1
    assert host.failure.startswith("ClientError: channel 'pretrained_vectors'"), host.output
    assert sentence in host.failure
    assert "Traceback" not in host.output
    assert not list(host.model.glob("*"))


def test_subwords_of_another_shape_are_refused(jobs: Jobs, corpus: bytes) -> None:
    content = (succeeded(jobs.train(corpus, SUBWORDS)).model / "vectors.bin").read_bytes()
    host = jobs.train(corpus, {**SUBWORDS, "buckets": "600", "min_char": "2"}, vectors_channel(vectors_bin=content))
    assert host.failure == (
        "ClientError: channel 'pretrained_vectors': vectors.bin was trained with min_char=3, buckets=500,"
        " but this job has min_char=2, buckets=600; set them alike, or subwords to False."
    )
