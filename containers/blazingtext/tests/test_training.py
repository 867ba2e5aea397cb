"""A training job on one host, as a user sees it: log, artifacts, failures."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import fasttext
import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_model, load_facebook_vectors

if TYPE_CHECKING:
    from conftest import Host, Jobs, ReadText


def test_the_log_has_blazingtexts_lines_in_their_order(trained: Host) -> None:
    expected = [
        r"^\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] Running single machine CPU BlazingText training using"
        r" batch_skipgram mode\.$",
        r"^Processing \S+/input/data/train/corpus\.txt \. File size: [\d.e-]+ MB$",
        r"^Read 0M words$",
        r"^Number of words:  \d+$",
        r"^##### Alpha: 0\.04\d\d  Progress: \d+\.\d\d%  Million Words/sec: \d+\.\d\d #####$",
        r"^##### Alpha: 0\.0000  Progress: 100\.00%  Million Words/sec: \d+\.\d\d #####$",
        r"^Training finished!$",
        r"^Average throughput in Million words/sec: \d+\.\d\d$",
        r"^Total training time in seconds: \d+\.\d\d$",
        r"^Evaluating word embeddings\.\.\.\.$",
        r"^Vectors read from: \S+/model/vectors\.txt$",
        r"^\[.* INFO \d+\] #mean_rho: -?[\d.e-]+$",
    ]
    position = 0
    for pattern in expected:
        found = re.compile(pattern, re.MULTILINE).search(trained.output, position)
        assert found, f"no {pattern!r} after {trained.output[:position]!r} in\n{trained.output}"
        position = found.end()
    assert trained.output.count("Progress: 100.00%") == 1


def test_batch_sizes_other_than_the_recommended_one_draw_blazingtexts_warning(trained: Host, jobs: Jobs) -> None:
    warning = "It is recommended that you set batch_size as 2*window_size + 1 which is 7 in this case."
    assert "It is recommended" not in trained.output
    assert warning in jobs.train(b"a b c a b c", {"window_size": "3"}).output


def test_words_stand_in_descending_frequency(trained: Host, corpus: bytes, read_text: ReadText) -> None:
    tokens = corpus.decode().split()
    words = list(read_text(trained.model / "vectors.txt"))
    counts = [tokens.count(word) for word in words]
    assert counts == sorted(counts, reverse=True)
    assert set(words) == set(tokens)


def test_fasttext_and_gensim_load_vectors_bin_with_the_vectors_of_vectors_txt(
    trained: Host, read_text: ReadText
) -> None:
    expected = read_text(trained.model / "vectors.txt")
    path = str(trained.model / "vectors.bin")
    fast, full, vectors = fasttext.load_model(path), load_facebook_model(path), load_facebook_vectors(path)
    assert fast.get_words() == list(expected) == full.wv.index_to_key
    for word, numbers in expected.items():
        vector = np.array(numbers, dtype=np.float32)
        assert np.array_equal(fast.get_word_vector(word), vector)
        assert np.array_equal(full.wv[word], vector)
        assert np.array_equal(vectors[word], vector)
    assert not fast.get_word_vector("unheard-of").any()
    assert full.sg == 1
    assert full.syn1neg.shape == (len(expected), 12)
    assert full.syn1neg.any()


def test_gensim_loads_vectors_txt(trained: Host, read_text: ReadText) -> None:
    loaded = KeyedVectors.load_word2vec_format(str(trained.model / "vectors.txt"), binary=False)
    expected = read_text(trained.model / "vectors.txt")
    assert {word: loaded[word].tolist() for word in expected} == {
        word: np.float32(numbers).tolist() for word, numbers in expected.items()
    }


@pytest.mark.parametrize("mode", ["skipgram", "cbow"])
def test_subword_models_give_fasttexts_vectors_for_known_and_unknown_words(
    jobs: Jobs, corpus: bytes, read_text: ReadText, mode: str
) -> None:
    host = jobs.train(corpus, {"mode": mode, "subwords": "True", "buckets": "500"})
    assert host.process.returncode == 0, host.output
    path = str(host.model / "vectors.bin")
    fast, loaded = fasttext.load_model(path), load_facebook_vectors(path)
    for word, numbers in read_text(host.model / "vectors.txt").items():
        np.testing.assert_allclose(fast.get_word_vector(word), numbers, rtol=2e-5, atol=1e-7)
        np.testing.assert_allclose(loaded[word], numbers, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(loaded["tigerish"], fast.get_word_vector("tigerish"), rtol=2e-5, atol=1e-7)
    assert fast.get_word_vector("tigerish").any()


def test_eval_json_holds_the_object_in_the_log(trained: Host) -> None:
    content = json.loads((trained.model / "eval.json").read_text())
    assert list(content) == ["EN-WS-353-ALL.txt", "EN-WS-353-REL.txt", "EN-WS-353-SIM.txt", "mean_rho"]
    assert [content[name]["total_pairs"] for name in list(content)[:3]] == [353, 252, 203]
    logged = re.search(r"^\{.*?^\}$", trained.output, re.MULTILINE | re.DOTALL)
    assert logged
    assert json.loads(logged[0]) == content
    assert f"#mean_rho: {content['mean_rho']}" in trained.output


def test_a_corpus_without_the_pairs_words_gets_no_score_and_no_metric(jobs: Jobs) -> None:
    host = jobs.train(b"x y z x y z\n" * 10)
    assert host.process.returncode == 0
    assert json.loads((host.model / "eval.json").read_text())["mean_rho"] is None
    assert "#mean_rho" not in host.output
    assert "WordSim-353 gives no score: both words are known of only 0 of its 353 pairs." in host.output


def test_without_evaluation_there_is_no_eval_json(jobs: Jobs, corpus: bytes) -> None:
    host = jobs.train(corpus, {"evaluation": "False"})
    assert host.process.returncode == 0
    assert sorted(path.name for path in host.model.iterdir()) == ["vectors.bin", "vectors.txt"]
    assert "#mean_rho" not in host.output


def test_the_same_seed_gives_the_same_files(jobs: Jobs, corpus: bytes, trained: Host) -> None:
    again, other = jobs.train(corpus), jobs.train(corpus, {"seed": "2"})
    assert (again.model / "vectors.bin").read_bytes() == (trained.model / "vectors.bin").read_bytes()
    assert (other.model / "vectors.bin").read_bytes() != (trained.model / "vectors.bin").read_bytes()


def test_every_file_of_the_channel_is_read_but_hidden_ones(jobs: Jobs) -> None:
    host = jobs.train({"a.txt": b"one two one two", "below/b.txt": b"three three", ".hidden": b"four four"})
    assert "Number of words:  3\n" in host.output


@pytest.mark.parametrize(
    ("corpus", "hyperparameters", "sentence"),
    [
        (b"", {}, "channel 'train' holds only empty files (1 found); check the input."),
        ({}, {}, "channel 'train' holds no file; give it an S3 prefix with at least one object."),
        (
            b"a b c",
            {"min_count": "5"},
            "channel 'train' holds no word that occurs at least min_count=5 times (3 tokens read);"
            " lower min_count or check the corpus.",
        ),
        (b"word \xff word", {}, "channel 'train': corpus.txt is not UTF-8 text: byte 0xff at offset 5."),
        (
            b"a",
            {"vector_dim": "0"},
            "hyperparameter vector_dim=0 is out of range; it must be an integer from 1 to 2048.",
        ),
        (
            b"a",
            {"mode": "glove"},
            "hyperparameter mode=glove is out of range; it must be one of batch_skipgram, skipgram, cbow, supervised.",
        ),
        (
            b"a",
            {"subwords": "True"},
            "subwords=True is not supported with mode=batch_skipgram; use skipgram or cbow, or set subwords to False.",
        ),
        (b"a", {"vectordim": "5"}, "hyperparameter vectordim is unknown to blazingtext; did you mean vector_dim?"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_1(
    jobs: Jobs, corpus: bytes | dict[str, bytes], hyperparameters: dict[str, str], sentence: str
) -> None:
    host = jobs.train(corpus, hyperparameters)
    assert host.process.returncode == 1
    assert host.failure == f"ClientError: {sentence}"
    assert "Traceback" not in host.output
    assert not list(host.model.glob("*")) if host.model.exists() else True


def test_an_overlong_reason_is_cut_to_what_the_service_keeps(jobs: Jobs) -> None:
    host = jobs.train(b"a", {"x" * 3000: "1"})
    assert host.process.returncode == 1
    assert len(host.failure) == 1024


def test_a_learning_rate_beyond_all_bounds_is_named(jobs: Jobs, corpus: bytes) -> None:
    host = jobs.train(corpus * 20, {"learning_rate": "1e30"})
    assert host.process.returncode == 1
    assert host.failure.startswith("ClientError: learning_rate=1e+30 is too high for this corpus")


def test_a_stopped_job_keeps_what_was_trained_so_far(jobs: Jobs, corpus: bytes, read_text: ReadText) -> None:
    (host,) = jobs.start(corpus * 500, {"epochs": "10000"})
    host.read_until("Number of words:")
    host.process.send_signal(signal.SIGTERM)
    assert host.finish() == 0
    vectors = read_text(host.model / "vectors.txt")
    assert len(vectors) == len(set(corpus.split()))
    assert fasttext.load_model(str(host.model / "vectors.bin")).get_words() == list(vectors)
    assert not (host.base / "output" / "failure").exists()
    assert "The job was asked to stop" in host.output


def test_an_unknown_command_is_refused_with_the_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "blazingtext", "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "usage: python -m blazingtext train | serve | phrases INPUT OUTPUT | quantize INPUT OUTPUT, not trian\n"
    )
