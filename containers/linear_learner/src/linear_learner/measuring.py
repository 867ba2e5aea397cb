"""How good models are while they train: their losses, and a binary classifier's criterion, on records held apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.recordio_protobuf import Batch
from contract.rendezvous import Hosts
from linear_learner.calibration import calibrate
from linear_learner.data import Data, scaled
from linear_learner.losses import Loss, make_loss
from linear_learner.records import Records
from linear_learner.settings import Settings

Tensor = Any

_AT_A_TIME = 65_536


class Measuring:
    """Measures models side by side on all hosts' parts of some records; every host must ask at the same point.

    Args:
        validation: this host's part, as it came; None where that is what the data hold back, if anything.
        models: how many.
        device: of torch.
    """

    def __init__(
        self, data: Data, validation: Batch | None, models: int, settings: Settings, hosts: Hosts, device: Tensor
    ) -> None:
        self._data, self._validation, self._models = data, validation, models
        self._settings, self._hosts, self._device = settings, hosts, device
        self._loss = make_loss(settings, models, data.scaler.label_scale)
        self._records: Records | None = None

    @property
    def part(self) -> Batch | None:
        """This host's part of what models are measured on; what `Streamed` data hold back is known after an epoch."""
        return self._validation if self._validation is not None else self._data.held_back

    def losses(self, weights: Tensor) -> NDArray[np.float64] | None:
        """The models' mean losses, in the label's units, infinite of those that diverged; None without any records."""
        part = self.part
        sizes = self._hosts.exchange(0 if part is None else len(part.labels))  # type: ignore[arg-type]
        if not any(sizes):
            return None
        sums = np.zeros((1, self._models))
        if part is not None:
            if self._records is None:
                self._records = scaled(part, self._data.scaler, self._data.shape)
            sums[0] = self._sums(self._loss, self._records, weights)
        self._hosts.add_up(sums)
        means = sums[0] / sum(sizes)
        return np.where(np.isfinite(means), means, np.inf)

    def loss_of(self, batch: Batch, weights: Tensor) -> float:
        """The mean loss of one model, whose weights have the shape (rows, outputs), on other records."""
        loss = make_loss(self._settings, 1, self._data.scaler.label_scale)
        records = scaled(batch, self._data.scaler, self._data.shape)
        sums = np.array([[self._sums(loss, records, weights)[0], len(records)]])
        self._hosts.add_up(sums)
        return float(sums[0, 0] / sums[0, 1])

    def criteria(self, weights: Tensor) -> NDArray[np.float64]:
        """The criterion of each model of a binary classifier, at its best threshold."""
        scores, labels = self._scores(weights)
        return np.array([calibrate(column, labels, self._settings).value for column in scores.T.astype(np.float64)])

    def _sums(self, loss: Loss, records: Records, weights: Tensor) -> NDArray[np.float64]:
        """The sums of each model's losses, in the label's units."""
        total: Any = 0.0
        # Once, also of no records: a host may have none of a few.
        for start in range(0, max(1, len(records)), _AT_A_TIME):
            some = placed(records.part(start, min(start + _AT_A_TIME, len(records))), self._device)
            total = loss.values(some.scores(weights), some.labels).double() + total
        found: NDArray[np.float64] = total.cpu().numpy() * self._data.scaler.label_scale**loss.power
        return found

    def _scores(self, weights: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """All hosts' scores, shape (n, models), and labels, shape (n,).

        A criterion looks at the order of scores alone, so that probabilities need not be made of them.
        """
        table = np.zeros((0, self._models + 1), np.float32)
        if self._records is not None:
            most = -(-self._settings.calibration_samples // self._hosts.size)
            some = placed(self._records.part(0, min(most, len(self._records))), self._device)
            table = np.nan_to_num(torch.cat((some.scores(weights), some.labels), 1).cpu().numpy())
        shared = self._hosts.share(table.tobytes())
        whole = np.concatenate([np.frombuffer(content, np.float32).reshape(-1, table.shape[1]) for content in shared])
        return whole[:, :-1], whole[:, -1]


def placed(records: Records, device: Tensor) -> Records:
    """The records on a device."""
    if device.type == "cpu":
        return records
    moved = {name: value.to(device) for name, value in vars(records).items() if isinstance(value, torch.Tensor)}
    return replace(records, **moved)  # type: ignore[type-var]
