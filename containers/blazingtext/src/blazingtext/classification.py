"""A supervised training job: a text classifier, from labelled lines to model.bin."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import ClassDictionary, ClassTrainer, Corpus, Examples
from blazingtext.class_fitting import Classification, fit, make_trainer
from blazingtext.labelled_text import files_of, labelled_lines, text_of
from blazingtext.machine import cpu_sockets, identify_gpus
from blazingtext.pretrained import PretrainedVectors
from blazingtext.quantised import QuantisedMatrix
from blazingtext.text_classifier import TextClassifier
from contract import fasttext_format
from contract.channels import InputChannel
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.text_classification import LABEL_PREFIX, MOST_LABELS_TESTED
from contract.text_classification.report import write_report

logger = logging.getLogger(__name__)


def train(environment: TrainingEnvironment) -> None:
    """Read the examples, train, keep the best epoch where it is asked for, write the model and score it.

    Raises:
        ClientError: a channel or a hyperparameter that cannot be trained with.
    """
    settings = Classification.model_validate(environment.hyperparameters)
    announce()
    if settings.early_stopping and "validation" not in environment.channels:
        raise ClientError("early_stopping=True needs channel 'validation'; give it, or set early_stopping to False.")
    threads = settings.threads or environment.cpus
    pretrained = PretrainedVectors.of(environment, model_settings(settings), threads)
    words = pretrained.words if pretrained else []
    with text_of(environment.channel("train"), threads, words) as corpus:
        print(f"Read {corpus.tokens_read // 10**6}M words")
        dictionary = ClassDictionary(corpus, settings.min_count, LABEL_PREFIX, words)
        examples = encoded(environment, corpus, dictionary, settings, threads)
    del corpus  # as large as the examples, and of no more use
    validation = None
    if "validation" in environment.channels:
        validation = of_channel(environment.channel("validation"), examples, dictionary, threads)
    trainer = make_trainer(examples, dictionary, settings, threads)
    if pretrained:
        start = WordRows(trainer, dictionary)
        pretrained.start(start, start)
    fit(trainer, examples, validation, dictionary.tokens, environment, settings, threads)
    tell_accuracy("train", trainer, examples, threads)
    if validation:
        tell_accuracy("validation", trainer, validation, threads)
    write_model(trainer, examples, dictionary, environment.paths.model, settings)
    if settings.quantize and not environment.stopping.is_set():
        write_quantised(trainer, examples, dictionary, environment, settings, threads)
    if "test" in environment.channels and not environment.stopping.is_set():
        score(environment, threads)


def announce() -> None:
    """Say what is about to run."""
    print("Arguments: train")
    gpus, seconds = identify_gpus()
    logger.info("nvidia-smi took: %s secs to identify %d gpus", seconds, gpus)
    if gpus:
        logger.warning("The GPU is not used: supervised trains on the CPU.")
    logger.info("Running single machine CPU BlazingText training using supervised mode.")
    print(f"Number of CPU sockets found in instance is  {cpu_sockets()}")


def encoded(
    environment: TrainingEnvironment,
    corpus: Corpus,
    dictionary: ClassDictionary,
    settings: Classification,
    threads: int,
) -> Examples:
    """The train channel's examples.

    Raises:
        ClientError: no label, or no word that is frequent enough.
    """
    channel = environment.channel("train")
    print(f"Number of words:  {len(dictionary.words)}")
    print(f"Number of labels:  {len(dictionary.labels)}")
    if not dictionary.labels:
        raise ClientError(
            f"channel {channel.name!r} holds no label ({corpus.tokens_read} tokens read); a label is a token that"
            f" begins with {LABEL_PREFIX}."
        )
    buckets = settings.buckets if settings.word_ngrams > 1 else 0
    examples = Examples(corpus, dictionary, word_ngrams=settings.word_ngrams, buckets=buckets, threads=threads)
    if not len(examples):
        raise ClientError(
            f"channel {channel.name!r} holds no line with a label and a word that occurs at least"
            f" min_count={settings.min_count} times ({corpus.tokens_read} tokens read); lower min_count or check the"
            " text."
        )
    return examples


def of_channel(channel: InputChannel, trained: Examples, dictionary: ClassDictionary, threads: int) -> Examples:
    """The examples of another channel than train, as the model sees them.

    Raises:
        ClientError: no line has a label that the model knows.
    """
    with text_of(channel, threads) as corpus:
        examples = trained.encode(corpus, dictionary, threads)
    if not len(examples):
        raise ClientError(f"channel {channel.name!r} holds no line with a label that channel 'train' has.")
    return examples


class WordRows:
    """What of a classifier starts from vectors: the rows of its words."""

    def __init__(self, trainer: ClassTrainer, dictionary: ClassDictionary) -> None:
        self.words = dictionary.words
        self.counts = dictionary.counts[: len(self.words)]
        self.input = trainer.input[: len(self.words)]
        self.output = np.empty((0, self.input.shape[1]), dtype=np.float32)
        self.bucket_ids = np.empty(0, dtype=np.uint32)

    def word_vectors(self) -> NDArray[np.float32]:
        """A copy of the rows."""
        return self.input.copy()


def tell_accuracy(
    name: Literal["train", "validation"], trainer: ClassTrainer, examples: Examples, threads: int
) -> None:
    """Print the metric line of a channel."""
    print(f"\n#{name}_accuracy: {trainer.correct(examples, threads) / len(examples):.4f}")
    print(f"Number of {name} examples: {len(examples)}")


def model_settings(settings: Classification) -> fasttext_format.Settings:
    """The hyperparameters as a fastText .bin records them."""
    return fasttext_format.classifier_settings(
        dim=settings.vector_dim,
        epochs=settings.epochs,
        min_count=settings.min_count,
        word_ngrams=settings.word_ngrams,
        buckets=settings.buckets,
        loss=settings.loss,
    )


def write_model(
    trainer: ClassTrainer, examples: Examples, dictionary: ClassDictionary, folder: Path, settings: Classification
) -> None:
    """Write model.bin."""
    fasttext_format.write(
        folder / "model.bin",
        model_settings(settings),
        words=dictionary.words,
        labels=dictionary.labels,
        counts=np.maximum(dictionary.counts, 1),
        tokens=dictionary.tokens,
        input=trainer.input,
        bucket_ids=examples.bucket_ids,
        output=trainer.output,
    )


def write_quantised(
    trainer: ClassTrainer,
    examples: Examples,
    dictionary: ClassDictionary,
    environment: TrainingEnvironment,
    settings: Classification,
    threads: int,
) -> None:
    """Write model.ftz: with `quantize_cutoff`, of that many rows alone, trained again where that is asked for."""
    words, rows = dictionary.words, np.arange(len(trainer.input))
    if 0 < settings.quantize_cutoff < len(rows):
        rows = most_important(trainer.input, settings.quantize_cutoff, words)
        examples = examples.only(rows.tolist())
        smaller = make_trainer(examples, dictionary, settings, threads)
        smaller.input[:] = trainer.input[rows]
        smaller.output[:] = trainer.output
        trainer = smaller
        if settings.quantize_retrain:
            logger.info("Training again with the %d rows that model.ftz keeps.", len(rows))
            fit(trainer, examples, None, dictionary.tokens, environment, settings, threads)
    kept = rows[rows < len(words)]
    labels = dictionary.counts[len(words) :]
    block = min(settings.quantized_block, settings.vector_dim)
    fasttext_format.write_quantised(
        environment.paths.model / "model.ftz",
        model_settings(settings),
        words=[words[row] for row in kept],
        labels=dictionary.labels,
        counts=np.concatenate([np.maximum(dictionary.counts[kept], 1), labels]),
        tokens=dictionary.tokens,
        input=QuantisedMatrix.of(trainer.input, block, seed=settings.seed, threads=threads),
        bucket_ids=examples.bucket_ids,
        output=trainer.output,
    )


def most_important(matrix: NDArray[np.float32], count: int, words: list[str]) -> NDArray[np.int64]:
    """The rows that fastText's quantisation keeps, ascending: the longest, and always that of the line's end.

    Args:
        matrix: shape (rows, dim); the first rows are those of `words`.
        count: of rows to keep.
    """
    lengths = np.linalg.norm(matrix, axis=1)
    if "</s>" in words:
        lengths[words.index("</s>")] = np.inf
    return np.sort(np.argpartition(-lengths, count - 1)[:count])


def score(environment: TrainingEnvironment, threads: int) -> None:
    """Score the written model on the channel `test`, by label; the report goes to the job's output data.

    Raises:
        ClientError: no line has a label.
    """
    channel = environment.channel("test")
    classifier = TextClassifier.read(environment.paths.model)
    truth: list[list[str]] = []
    predictions: list[list[tuple[str, float]]] = []
    with files_of(channel, threads) as paths:
        for texts, labels in labelled_lines(paths):
            answers = classifier.predict(texts, MOST_LABELS_TESTED)
            truth += labels
            predictions += [list(zip(answer["label"], answer["prob"], strict=True)) for answer in answers]
    if not truth:
        raise ClientError(f"channel {channel.name!r} holds no line with a label.")
    found = write_report(environment.paths.output_data, truth, predictions)
    print(f"\n#test_accuracy: {found.accuracy:.4f}")
    print(f"Number of test examples: {found.examples}")
