"""The CUDA kernels, run on the CPU under an emulation: what they compute, draw and count."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blazingtext import gpu
from blazingtext import train as train_job
from blazingtext._engine import Corpus, CorpusPart, Trainer
from blazingtext.model import Model
from contract.environment import TrainingEnvironment
from contract.paths import Paths
from contract.testing import write_input
from contract.training import installed_algorithm

from .conftest import SMALL
from .emulated_device import EmulatedDevice
from .engine_jobs import FRUIT, JOB, TOOLS, corpus_of, random_words, similarities, two_groups
from .gpu_reference import Draws, Reference, trained_words

WAYS: list[dict[str, Any]] = [
    {"mode": "batch_skipgram"},
    {"mode": "skipgram"},
    {"mode": "cbow"},
    {"mode": "skipgram", "subwords": True},
    {"mode": "cbow", "subwords": True},
]
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))

MakeTrainer = Callable[..., gpu.Trainer]


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled kernels are kept."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def trainer_on(kernels: Path) -> MakeTrainer:
    """Makes a trainer on an emulated GPU."""

    def make(corpus: Corpus, job: dict[str, Any], **device: Any) -> gpu.Trainer:
        return gpu.Trainer(Trainer(corpus, **{**JOB, **job}), corpus, EmulatedDevice(kernels, **device))

    return make


def train(trainer: gpu.Trainer, portion: int = 10**9) -> gpu.Trainer:
    while trainer.train(portion):
        pass
    return trainer


def sentences_without_repetition(path: Path, *, sentences: int = 60) -> Corpus:
    """No word is twice in any thirty neighbouring ones; some sentences are short, one word is unknown."""
    words, lines = [f"w{number:02}" for number in range(30)], []
    lengths = np.random.default_rng(3).integers(1, 20, sentences)
    at = 0
    for number, length in enumerate(lengths):
        sentence = [words[(at + i) % 30] for i in range(length)]
        lines.append(" ".join([*sentence, f"once{number}"]))
        at += int(length)
    return corpus_of(path, "\n".join(lines), min_count=2)


# How many contexts and targets are worked on at a time: all of them where shared memory has room.
@pytest.mark.parametrize(
    ("job", "contexts", "targets"),
    [
        ({"mode": "batch_skipgram", "dim": 20}, 11, 6),
        ({"mode": "batch_skipgram", "dim": 100, "batch_size": 4}, 4, 6),
        ({"mode": "batch_skipgram", "dim": 1, "negative_samples": 40, "window_size": 2}, 4, 16),
        ({"mode": "batch_skipgram", "dim": 700, "epochs": 1}, 5, 5),
        ({"mode": "batch_skipgram", "dim": 2048, "epochs": 1}, 2, 1),
        ({"mode": "skipgram", "dim": 20}, 1, 16),
        ({"mode": "skipgram", "dim": 300, "negative_samples": 2, "epochs": 1}, 1, 16),
        ({"mode": "skipgram", "dim": 2048, "epochs": 1}, 1, 3),
        ({"mode": "cbow", "dim": 7}, 1, 6),
        ({"mode": "cbow", "dim": 2048, "epochs": 1}, 1, 3),
        ({"mode": "skipgram", "subwords": True, "dim": 33}, 1, 16),
        ({"mode": "cbow", "subwords": True, "dim": 33}, 1, 6),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_the_kernels_take_the_engines_steps(
    tmp_path: Path,
    trainer_on: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
    job: dict[str, Any],
    contexts: int,
    targets: int,
) -> None:
    monkeypatch.setattr(gpu, "_PORTION", 512)  # more than one
    corpus = sentences_without_repetition(tmp_path / "corpus.txt")
    assert corpus.tokens_read > 512
    job = {**JOB, "epochs": 2, "sampling_threshold": 0.02, "seed": 5, **job}
    reference = Reference(corpus, job, contexts=contexts, targets=targets)
    reference.train(512)

    trainer = train(trainer_on(corpus, job, order_seed=3))
    np.testing.assert_allclose(trainer.input, reference.input, rtol=2e-4, atol=2e-6)
    np.testing.assert_allclose(trainer.output, reference.output, rtol=2e-4, atol=2e-6)
    assert np.abs(trainer.output).max() > 0


@each_way
@pytest.mark.parametrize("blocks", [1, 200])
def test_words_that_share_contexts_get_similar_vectors(
    tmp_path: Path, trainer_on: MakeTrainer, way: dict[str, Any], blocks: int
) -> None:
    corpus = two_groups(tmp_path / "corpus.txt", sentences=1000)
    trainer = trainer_on(corpus, {**way, "epochs": 12}, blocks=blocks, threads=2)
    alike = similarities(train(trainer).word_vectors())
    fruit = [corpus.words.index(word) for word in FRUIT]
    tools = [corpus.words.index(word) for word in TOOLS]
    assert min(alike[np.ix_(fruit, fruit)].min(), alike[np.ix_(tools, tools)].min()) > 0.5
    assert alike[np.ix_(fruit, tools)].max() < 0.3


@each_way
def test_no_barrier_is_missing(tmp_path: Path, trainer_on: MakeTrainer, way: dict[str, Any]) -> None:
    """Between barriers a block's threads may run in any order."""
    corpus = random_words(tmp_path / "corpus.txt", words=40, tokens=600)
    orders = [train(trainer_on(corpus, {**way, "dim": 70}, order_seed=seed, blocks=2)) for seed in (0, 1, 2)]
    for other in orders[1:]:
        assert other.input.tobytes() == orders[0].input.tobytes()
        assert other.output.tobytes() == orders[0].output.tobytes()


def test_the_number_of_threads_does_not_matter(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=40, tokens=600)
    matrices = [train(trainer_on(corpus, {}, threads=threads)).input for threads in (1, 7, 32, 256)]
    for matrix in matrices[1:]:
        np.testing.assert_allclose(matrix, matrices[0], rtol=1e-4, atol=1e-6)


def test_frequent_words_are_sampled_and_sentences_end_where_they_should(
    tmp_path: Path, trainer_on: MakeTrainer
) -> None:
    rare = [" ".join([f"w{number % 60}"] + ["often"] * 9) for number in range(400)]
    corpus = corpus_of(tmp_path / "corpus.txt", "\n\n".join([*rare, "once often", "often often often"]), min_count=2)
    job = {**JOB, "sampling_threshold": 0.001, "epochs": 3}
    trainer = trainer_on(corpus, job)
    for epoch in range(3):
        expected = trained_words(corpus, Trainer(corpus, **job), Draws(1, epoch), 0, corpus.tokens_read)
        portion = trainer._portion_at(epoch * corpus.tokens_read)
        assert portion.count == len(expected)
        assert portion.places.tolist() == [position for position, _, _ in expected]
        assert (portion.words & 0x7FFFFFFF).tolist() == [word for _, word, _ in expected]
        # The last word that is kept ends its sentence, whether or not it was the last of the sentence.
        sentences = [sentence for _, _, sentence in expected]
        last = [now != then for now, then in zip(sentences, [*sentences[1:], None], strict=True)]
        assert (portion.words >> 31).astype(bool).tolist() == last
        assert 400 <= portion.count < 1500


def test_every_token_of_every_epoch_is_counted(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "common common rare\n" * 3 + "once\n" * 4_100 + "common", min_count=7)
    trainer = trainer_on(corpus, {"epochs": 3, "sampling_threshold": 1e-4})
    assert trainer.total_words == 3 * 4_110
    done = []
    while words := trainer.train(5_000):
        done.append(words)
        assert trainer.words_done == sum(done)
        assert trainer.progress == pytest.approx(sum(done) / trainer.total_words)
        assert trainer.alpha == pytest.approx(0.05 * max(1 - trainer.progress, 1e-4))
    assert done == [5_000, 5_000, 2_330]
    assert trainer.train(1) == 0


def test_what_is_written_to_the_matrices_is_trained(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "a b c d\n" * 200)
    trainer = trainer_on(corpus, {"learning_rate": 1e-9})
    trainer.train(100)
    trainer.input[:] = 0.25
    trainer.train(100)
    np.testing.assert_allclose(trainer.word_vectors(), 0.25, rtol=1e-5)


def test_a_trainer_goes_on_where_another_was_paused(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=40, tokens=600)
    first, second, whole = (trainer_on(corpus, {"epochs": 2}) for _ in range(3))
    first.train(700)
    second.resume(first.pause())
    second.input[:], second.output[:] = first.input, first.output
    for portion in (700, 500):
        whole.train(portion)
    assert second.train(10**6) == 500
    assert second.word_vectors().tobytes() == whole.word_vectors().tobytes()


def test_corpora_that_leave_nothing_to_train_are_no_trouble(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    for text in ("a", "a a", "a\nb\n\nc", "a b c\n\nd"):
        trainer = trainer_on(corpus_of(tmp_path / "corpus.txt", text), {"epochs": 2}, blocks=8)
        assert np.isfinite(train(trainer).word_vectors()).all()


@pytest.mark.parametrize("mode", ["batch_skipgram", "skipgram", "cbow"])
def test_words_that_do_not_occur_stay_as_they_are(tmp_path: Path, trainer_on: MakeTrainer, mode: str) -> None:
    """As those of pretrained vectors, which may be many times as many as the corpus's."""
    (tmp_path / "corpus.txt").write_text("a b c d e f g h\n" * 100)
    words = [f"elsewhere{number}" for number in range(1000)]
    corpus = CorpusPart([str(tmp_path / "corpus.txt")], 1, 0, 1).encode(1, 1, [], words)
    job = {**JOB, "mode": mode, "epochs": 2}
    before = Trainer(corpus, **job)
    trainer = train(trainer_on(corpus, job))
    np.testing.assert_array_equal(trainer.input[8:], before.input[8:])
    assert not trainer.output[8:].any()
    assert (np.abs(trainer.output[:8]).max(axis=1) > 0).all()


def test_a_learning_rate_beyond_reason_is_an_error(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=50, tokens=2_000)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        train(trainer_on(corpus, {"learning_rate": 1e12}))


def test_rows_that_many_blocks_hold_take_a_share_of_their_changes(tmp_path: Path, trainer_on: MakeTrainer) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=2_000, tokens=30_000)
    one, many = (trainer_on(corpus, {"sampling_threshold": 1e-3}, blocks=blocks) for blocks in (1, 50))
    for trainer in (one, many):
        trainer.train(100)
    for shares in many._shares:
        assert 0 < shares[0] < shares[500] < shares[-1] <= 1
    assert (one._shares[0] == 1).all()


def test_a_job_on_a_gpu_leaves_what_a_job_on_the_cpu_leaves(
    tmp_path: Path,
    corpus: bytes,
    kernels: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hyperparameters = {**SMALL, "mode": "skipgram", "subwords": "True", "buckets": "500"}
    write_input(tmp_path, {"train": {"corpus.txt": corpus}}, hyperparameters, ["algo-1"], "algo-1")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setattr(train_job, "identify_gpus", lambda: (1, 0.02))
    monkeypatch.setattr(train_job, "find_device", lambda gpus: EmulatedDevice(kernels, blocks=4))
    environment = TrainingEnvironment.read(installed_algorithm("blazingtext"), Paths.from_environ())
    environment.paths.model.mkdir()
    with caplog.at_level(logging.INFO):
        train_job.train(environment)

    assert "Running single machine GPU BlazingText training using skipgram mode." in caplog.text
    assert "##### Alpha: 0.0000  Progress: 100.00%" in capsys.readouterr().out
    assert {path.name for path in environment.paths.model.iterdir()} == {"vectors.txt", "vectors.bin", "eval.json"}
    model = Model(environment.paths.model / "vectors.bin")
    assert np.abs(model.output.numbers).max() > 0
    header, first = (environment.paths.model / "vectors.txt").read_text().splitlines()[:2]
    assert header == f"{len(model.words)} 12"
    assert first.split(" ")[0] == model.words[0]
