"""Fitting a text classifier: its hyperparameters, the weights of its labels, and early stopping."""

from __future__ import annotations

import json
import logging
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from blazingtext._engine import ClassDictionary, ClassTrainer, Examples
from blazingtext.divergence import divergence_named
from blazingtext.progress import Progress
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.text_classification import LABEL_PREFIX

logger = logging.getLogger(__name__)

BALANCED = "balanced"


class Classification(BaseModel):
    """The hyperparameters of `supervised`, typed; defaults and ranges are in algorithm.toml."""

    model_config = ConfigDict(frozen=True, strict=True)

    buckets: int
    class_weights: str
    early_stopping: bool
    epochs: int
    learning_rate: float
    loss: Literal["softmax", "ova", "hs"]
    min_count: int
    min_epochs: int
    patience: int
    quantize: bool
    quantize_cutoff: int
    quantize_retrain: bool
    quantized_block: int
    seed: int
    threads: int
    vector_dim: int
    word_ngrams: int


def make_trainer(
    examples: Examples, dictionary: ClassDictionary, settings: Classification, threads: int
) -> ClassTrainer:
    """The engine, ready to train.

    Raises:
        ClientError: class weights that cannot be used, or a model that does not fit into memory.
    """
    weights = class_weights(settings.class_weights, dictionary)
    try:
        return ClassTrainer(
            examples,
            dictionary,
            loss=settings.loss,
            dim=settings.vector_dim,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            seed=settings.seed,
            threads=threads,
            label_weights=weights,
        )
    except MemoryError:
        raise ClientError(
            f"the vectors of {len(dictionary.words)} words and their n-grams with vector_dim={settings.vector_dim} do"
            " not fit into memory; lower vector_dim or buckets, or raise min_count, or choose a larger instance."
        ) from None


def class_weights(given: str, dictionary: ClassDictionary) -> list[float]:
    """A weight for each label of the dictionary; none when all count alike.

    Args:
        given: "", "balanced" (weights in inverse proportion to the labels' counts, 1 on average over the examples), or
            a JSON object from labels, with their prefix or without, to weights; labels that it leaves out weigh 1.
    Raises:
        ClientError: anything else, or a label that the text does not have.
    """
    labels = dictionary.labels
    if not given:
        return []
    if given == BALANCED:
        counts = dictionary.counts[-len(labels) :].astype(np.float64)
        return [float(weight) for weight in counts.sum() / (len(labels) * counts)]
    try:
        weights = json.loads(given)
    except ValueError:
        weights = None
    if not isinstance(weights, dict):
        raise ClientError(
            f"hyperparameter class_weights={given!r:.100} is not valid; it must be {BALANCED}, or a JSON object such as"
            ' {"__label__rare": 4}.'
        )
    found = dict.fromkeys(labels, 1.0)
    for name, weight in weights.items():
        label = name if name.startswith(LABEL_PREFIX) else LABEL_PREFIX + name
        if label not in found:
            raise ClientError(f"class_weights names {name!r:.100}, but channel 'train' has no label of that name.")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e6:
            raise ClientError(f"class_weights gives {name!r:.100} {weight!r:.100}; a weight must be a number from 0.")
        found[label] = float(weight)
    return list(found.values())


def fit(
    trainer: ClassTrainer,
    examples: Examples,
    validation: Examples | None,
    tokens: int,
    environment: TrainingEnvironment,
    settings: Classification,
    threads: int,
) -> None:
    """Train to the end, until validation no longer improves, or until the job is asked to stop.

    Args:
        tokens: of the train channel, ends of lines counted.
    Raises:
        ClientError: the vectors grew beyond all bounds.
    """
    progress = Progress(total_words=tokens * settings.epochs, ending=".")
    patience = Patience(settings) if settings.early_stopping and validation else None
    step = max(1, len(examples) // 20)
    stopped = False
    while not stopped and trainer.epochs_done < settings.epochs:
        with divergence_named(settings.learning_rate):
            epoch_ended = trainer.train(step)
        words = round(trainer.progress * tokens * settings.epochs)
        stopped = environment.stopping.is_set()
        if epoch_ended:
            print(f"-------------- End of epoch: {trainer.epochs_done}")
            if patience and validation and trainer.epochs_done >= settings.min_epochs:
                print(f"Using {threads} threads for prediction!")
                stopped |= patience.is_over(trainer, trainer.correct(validation, threads) / len(validation))
        progress.tell(words, trainer.alpha, finished=trainer.epochs_done == settings.epochs)
    if environment.stopping.is_set():
        logger.warning("The job was asked to stop; keeping what was trained so far.")
    if patience:
        patience.restore(trainer)
    with divergence_named(settings.learning_rate):
        trainer.check_finite()
    progress.summarise()


class Patience:
    """Early stopping: keeps the weights of the best epoch, and ends when `patience` epochs have not bettered it."""

    def __init__(self, settings: Classification) -> None:
        self._patience = settings.patience
        self._best, self._best_epoch = -1.0, 0

    def is_over(self, trainer: ClassTrainer, accuracy: float) -> bool:
        """Note an epoch's accuracy on validation; whether training should end."""
        print(f"Validation accuracy: {accuracy:.6g}")
        if accuracy > self._best:
            print("Validation accuracy improved! Storing best weights...")
            self._best, self._best_epoch = accuracy, trainer.epochs_done
            trainer.keep_weights()
            return False
        print("Validation accuracy has not improved.")
        if trainer.epochs_done - self._best_epoch < self._patience:
            return False
        print("Reached patience. Terminating training.")
        print(f"Best epoch: {self._best_epoch}")
        print(f"Best validation accuracy: {self._best:.6g}")
        return True

    def restore(self, trainer: ClassTrainer) -> None:
        """Go back to the best epoch's weights, if there is one."""
        if self._best_epoch:
            trainer.restore_weights()
