"""The epochs of a job: all models updated together, measured, the best weights of each kept, and when it ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.checkpoints import Checkpoint, Checkpoints
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.recordio_protobuf import Batch
from contract.rendezvous import Hosts
from linear_learner import log_lines
from linear_learner.data import Data
from linear_learner.losses import make_loss
from linear_learner.measuring import Measuring, placed
from linear_learner.optimisers import Optimiser
from linear_learner.records import Records
from linear_learner.settings import Model, Settings

logger = logging.getLogger(__name__)

Tensor = Any

_MOMENT = "moment/"


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to for the model that was best after it; `validation` in the label's own units."""

    train: float
    validation: float | None


@dataclass(frozen=True)
class Standing:
    """How far a job is after whole epochs."""

    epochs: int = 0
    best: float = math.inf
    since_best: int = 0
    history: tuple[Epoch, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """What training came to.

    Args:
        weights: of all models, at the epoch where each was best; shape (rows, models * outputs).
        train: loss of each model over the last epoch, in the units of the normalised label; shape (models,).
        measured: that at the best epoch, on what the models are chosen by, in the label's units; infinite where there
            is nothing to choose them by, or the model diverged.
    """

    weights: NDArray[np.float32]
    train: NDArray[np.float64]
    measured: NDArray[np.float64]
    history: tuple[Epoch, ...]

    @property
    def losses(self) -> NDArray[np.float64]:
        """What models are compared by: shape (models,)."""
        if np.isfinite(self.measured).any():
            return self.measured
        return np.where(np.isfinite(self.train), self.train, np.inf)

    def weights_of(self, model: int, outputs: int) -> NDArray[np.float32]:
        """Shape (rows, outputs)."""
        return self.weights[:, model * outputs : (model + 1) * outputs]


class Fitting:
    """Trains the models.

    Args:
        validation: this host's part of what the models are measured on, as it came; None where that is what the data
            hold back, if anything.
        device: of torch.
    """

    def __init__(
        self,
        data: Data,
        validation: Batch | None,
        models: Sequence[Model],
        settings: Settings,
        hosts: Hosts,
        environment: TrainingEnvironment,
        device: Tensor,
    ) -> None:
        self._data, self._settings, self._hosts, self._environment = data, settings, hosts, environment
        self._models, self._device = models, device
        self._measuring = Measuring(data, validation, len(models), settings, hosts, device)
        self._loss = make_loss(settings, len(models), data.scaler.label_scale)
        self._weights = first_weights(settings, data.shape.rows, len(models)).to(device)
        self._optimiser = Optimiser(settings, models, data.shape.rows, settings.outputs, device)
        self._record_weights = _record_weights(data, models, settings, device)
        self._best = self._weights.clone()
        self._best_values = np.full(len(models), np.inf)
        self._train = np.full(len(models), np.inf)
        self._standing = Standing()
        self._stopping = False

    @property
    def objective(self) -> str:
        """The loss's name in the log."""
        return self._loss.name

    def run(self, checkpoints: Checkpoints | None) -> Fitted:
        """Train to the end, or until the service asks the job to stop.

        Raises:
            ClientError: no model's loss stays finite.
        """
        found = checkpoints.newest() if checkpoints else None
        if found:
            self._resume(found)
        while self._standing.epochs < self._settings.epochs and not self._is_over():
            self._epoch()
            if self._stopping:
                break
            if checkpoints and any(self._hosts.exchange(checkpoints.due)):
                self._write(checkpoints)
        chosen = self._best if np.isfinite(self._best_values).any() else self._weights
        return Fitted(chosen.cpu().numpy(), self._train, self._best_values, self._standing.history)

    def _is_over(self) -> bool:
        return self._standing.since_best >= self._settings.early_stopping_patience

    def _epoch(self) -> None:
        number, began = self._standing.epochs, time.time()
        totals, records, own = self._train_epoch(number)
        took = time.time() - began
        if self._stopping and not records:
            return
        self._train = totals / max(1, records)
        values = self._measuring.losses(self._weights)
        if not np.isfinite(self._train).any():
            raise ClientError(
                f"all {len(self._models)} models diverged in epoch {number}; lower learning_rate, or set"
                " normalize_data to True."
            )
        self._keep_best(values)
        compared = self._criterion(values)
        chosen = int(np.argmin(compared if values is None else self._best_values))
        measured = None if values is None else values[chosen]
        tracked = float(np.min(compared))
        epoch = Epoch(float(self._train[chosen]), None if measured is None else float(measured))
        standing = self._standing
        improved = standing.best - tracked > self._settings.early_stopping_tolerance * abs(standing.best)
        if math.isinf(standing.best):
            improved = math.isfinite(tracked)
        self._standing = Standing(
            number + 1,
            tracked if improved else standing.best,
            0 if improved else standing.since_best + 1,
            (*standing.history, epoch),
        )
        if self._hosts.rank == 0:
            splits = {"train": self._train} if values is None else {"train": self._train, "validation": values}
            log_lines.epoch(self._environment, number, self.objective, splits, chosen, (began, time.time()))
            log_lines.early_stopping(
                self._environment, number, self._criterion_name, tracked, self._standing.since_best
            )
            log_lines.progress(self._environment, number + 1, self._settings.epochs, own / took)

    def _train_epoch(self, number: int) -> tuple[NDArray[np.float64], int, int]:
        """An epoch's updates: the sums of the losses by model, and the records, of all hosts and of this one."""
        totals = torch.zeros(len(self._models), dtype=torch.float64, device=self._device)
        records = own = 0
        batches, nothing = self._data.epoch(number), None
        for batch in batches:
            there = placed(batch, self._device)
            nothing = nothing or there.part(0, 0)
            own += len(there)
            records += self._update(there, totals)
            if self._stopping:
                return totals.cpu().numpy(), records, own
        while self._hosts.size > 1 and not self._stopping:
            # Other hosts may have more batches: this one takes part in their updates with none of its own.
            assert nothing is not None
            if not (more := self._update(nothing, totals)):
                break
            records += more
        return totals.cpu().numpy(), records, own

    def _update(self, batch: Records, totals: Tensor) -> int:
        """One update by the batches of all hosts; the number of their records."""
        count = len(batch)
        scores = batch.scores(self._weights)
        losses = self._loss.gradient(scores, batch.labels, self._weights_of(batch.labels))
        gradient, rows = batch.gradient(scores)
        if self._hosts.size > 1:
            gradient, rows, losses, count = self._summed(gradient, rows, losses, count)
        elif self._environment.stopping.is_set():
            self._stopping = True
        if count:
            totals += losses
            self._optimiser.step(self._weights, gradient.div_(count), rows)
        return count

    def _summed(
        self, gradient: Tensor, rows: Tensor | None, losses: Tensor, count: int
    ) -> tuple[Tensor, Tensor | None, Tensor, int]:
        """Of all hosts; one asks for all to stop."""
        shape = self._weights.shape
        # All in one exchange: gradients, whether a row was touched, and, in a last row, losses, records and stops.
        buffer = np.zeros((shape[0] + 1, max(shape[1] + 1, len(losses) + 2)), np.float32)
        places = slice(0, shape[0]) if rows is None else rows.cpu().numpy()
        buffer[places, : shape[1]] = gradient.cpu().numpy()
        buffer[places, shape[1]] = 1
        buffer[-1, : len(losses)] = losses.cpu().numpy()
        buffer[-1, len(losses) :][:2] = count, self._environment.stopping.is_set()
        self._hosts.add_up(buffer)
        count, stops = (int(number) for number in buffer[-1, len(losses) :][:2])
        self._stopping = stops > 0
        if rows is not None:
            rows = torch.from_numpy(np.flatnonzero(buffer[:-1, shape[1]])).to(self._device)
        whole = torch.from_numpy(buffer[:-1, : shape[1]].copy()).to(self._device)
        summed = torch.from_numpy(buffer[-1, : len(losses)].copy()).to(self._device)
        return whole if rows is None else whole[rows], rows, summed, count

    def _weights_of(self, labels: Tensor) -> Tensor | None:
        """Of records: shape (n, models) of a binary classifier, (n, 1) of a multiclass one."""
        if self._record_weights is None:
            return None
        if self._settings.is_binary:
            return torch.where(labels > 0, self._record_weights, 1.0)
        return self._record_weights[labels[:, 0].long()][:, None]

    def _keep_best(self, values: NDArray[np.float64] | None) -> None:
        if values is None:
            return
        better = np.flatnonzero(values < self._best_values)
        self._best_values[better] = values[better]
        outputs = self._settings.outputs
        for model in better:
            columns = slice(model * outputs, (model + 1) * outputs)
            self._best[:, columns] = self._weights[:, columns]

    def best_of(self, fitted: Fitted) -> int:
        """The number of the best model; every host must ask at the same point."""
        losses = fitted.losses
        if self._settings.criterion == "loss_function" or not np.isfinite(fitted.measured).any():
            return int(losses.argmin())
        criteria = self._measuring.criteria(torch.from_numpy(fitted.weights).to(self._device))
        # Of models that are equally good by the criterion, the one of the smallest loss.
        return int(np.lexsort((losses, -criteria))[0])

    def loss_of(self, batch: Batch, model: int, fitted: Fitted) -> float:
        """The mean loss of one of the models on all hosts' parts of some records, in the label's units."""
        weights = torch.from_numpy(fitted.weights_of(model, self._settings.outputs)).to(self._device)
        return self._measuring.loss_of(batch, weights)

    def measured_on(self) -> Batch | None:
        """See Measuring."""
        return self._measuring.part

    @property
    def _criterion_name(self) -> str:
        if self._settings.binary_classifier_model_selection_criteria and self._settings.criterion != "loss_function":
            return self._settings.criterion
        return self.objective

    def _criterion(self, values: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """By model, what early stopping looks at; smaller is better."""
        if values is None:
            return np.where(np.isfinite(self._train), self._train, np.inf)
        return values if self._criterion_name == self.objective else -self._measuring.criteria(self._weights)

    def _write(self, checkpoints: Checkpoints) -> None:
        moments = {f"{_MOMENT}{name}": values.cpu().numpy() for name, values in self._optimiser.state.items()}
        standing = asdict(self._standing)
        checkpoints.write(
            {"standing": {**standing, "best": repr(self._standing.best)}, "updates": self._optimiser.updates},
            {
                "weights": self._weights.cpu().numpy(),
                "best": self._best.cpu().numpy(),
                "best_values": self._best_values,
                "train": self._train,
                **moments,
            },
        )

    def _resume(self, found: Checkpoint) -> None:
        standing: Mapping[str, Any] = found.state["standing"]
        history = tuple(Epoch(**epoch) for epoch in standing["history"])
        self._standing = Standing(standing["epochs"], float(standing["best"]), standing["since_best"], history)
        arrays = {name: torch.from_numpy(np.array(values)) for name, values in found.arrays.items()}
        self._weights.copy_(arrays["weights"])
        self._best.copy_(arrays["best"])
        self._best_values, self._train = arrays["best_values"].numpy(), arrays["train"].numpy()
        moments = {name.removeprefix(_MOMENT): values for name, values in arrays.items() if name.startswith(_MOMENT)}
        self._optimiser.resume(found.state["updates"], moments)
        logger.info("Going on after epoch %d of a checkpoint.", self._standing.epochs - 1)


def first_weights(settings: Settings, rows: int, models: int) -> Tensor:
    """What training begins with, shape (rows, models * outputs); all models begin alike."""
    generator = torch.Generator().manual_seed(settings.seed)
    drawn = torch.empty(rows, settings.outputs)
    if settings.init_method == "uniform":
        drawn.uniform_(-settings.init_scale, settings.init_scale, generator=generator)
    else:
        drawn.normal_(0.0, settings.init_sigma, generator=generator)
    if settings.use_bias:
        drawn[-1] = settings.init_bias
    return drawn.repeat(1, models)


def _record_weights(data: Data, models: Sequence[Model], settings: Settings, device: Tensor) -> Tensor | None:
    """Of label 1, shape (models,), or of each class, shape (classes,); None where all records weigh 1.

    Raises:
        ClientError: labels are to be balanced of which one does not occur.
    """
    if settings.is_binary:
        negative, positive = (int(count) for count in data.label_counts)
        balanced = any(model.positive_weight == "balanced" for model in models)
        if balanced and not (negative and positive):
            raise ClientError(f"all labels are {int(positive > 0)}, so they cannot be balanced; check channel 'train'.")
        weights = [
            negative / positive if model.positive_weight == "balanced" else model.positive_weight for model in models
        ]
        return None if all(weight == 1.0 for weight in weights) else torch.tensor(weights, device=device)
    if not settings.is_regressor and settings.balance_multiclass_weights:
        counts = data.label_counts
        balanced_weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return torch.tensor(balanced_weights, dtype=torch.float32, device=device)
    return None
