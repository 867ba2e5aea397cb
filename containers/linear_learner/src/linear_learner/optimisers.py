"""Gradient steps of many models at once, each with its own learning rate and regularisation.

Weights have the shape (rows, models * outputs), one row a feature and the last one the bias, if there is any. What is
minimised for each model is the mean loss + wd / 2 * |w|^2 + l1 * |w|_1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from linear_learner.settings import Model, Settings

Tensor = Any

_EPSILON = 1e-8


class Optimiser:
    """Adam (Kingma and Ba 2015, algorithm 1), RMSprop (Hinton's lecture 6e) or SGD with momentum.

    Weight decay belongs to the gradient. l1 is a proximal step in the metric of the update (Duchi et al. 2011, JMLR 12,
    eq. 24): a weight that it would carry past zero becomes zero. Where a batch has only some of the rows, the others
    stay as they are, their moments too.

    Args:
        models: their settings.
        rows: of the weights.
        outputs: columns of each model.
    """

    def __init__(self, settings: Settings, models: Sequence[Model], rows: int, outputs: int, device: Tensor) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device).repeat_interleave(outputs)[None, :]

        self._settings = settings
        self._rates = column([model.learning_rate for model in models])
        lowest = [min(settings.the_minimum_rate, model.learning_rate) for model in models]
        self._lowest = column(lowest)
        self._rows = rows
        self._rate_of_row = self._of_row(settings.the_bias_lr_mult, device)
        self._decay = self._product([model.wd for model in models], settings.the_bias_wd_mult, column, device)
        self._l1 = self._product([model.l1 for model in models], 0.0, column, device)
        shape = (rows, len(models) * outputs)
        names = {"adam": ("first", "second"), "rmsprop": ("second",), "sgd": ("first",)}[settings.the_optimizer]
        self._averages = {name: torch.zeros(shape, device=device) for name in names}
        self.updates = 0
        self._rate = self._rates

    def _of_row(self, bias: float, device: Tensor) -> Tensor | None:
        """1 for each feature and another number for the bias; None where all are 1."""
        if not self._settings.use_bias or bias == 1.0:
            return None
        found = torch.ones(self._rows, 1, device=device)
        found[-1] = bias
        return found

    def _product(self, values: list[float], bias: float, column: Any, device: Tensor) -> tuple[Tensor, Any] | None:
        return (column(values), self._of_row(bias, device)) if any(values) else None

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The moments, by name; with `updates` all that a step depends on."""
        return self._averages

    def resume(self, updates: int, state: Mapping[str, Tensor]) -> None:
        """Go on from another's `updates` and `state`."""
        self.updates = updates
        for name, values in self._averages.items():
            values.copy_(state[name])
        self._rate = self._rate_at(updates)

    def step(self, weights: Tensor, gradient: Tensor, rows: Tensor | None = None) -> None:
        """Change the weights.

        Args:
            gradient: of the mean loss, shape (rows, columns) or, with `rows`, only of those; overwritten.
            rows: numbers of the rows that the batch has; None for all.
        """
        if self.updates % self._settings.the_scheduler_step == 0:
            self._rate = self._rate_at(self.updates)
        self.updates += 1
        chosen = weights if rows is None else weights[rows]
        averages = {name: values if rows is None else values[rows] for name, values in self._averages.items()}
        if self._decay:
            gradient.addcmul_(self._scaled(*self._decay, rows), chosen)
        rate = self._scaled(self._rate, self._rate_of_row, rows)
        step, metric = self._direction(gradient, averages, rate)
        chosen.sub_(step)
        if self._l1:
            threshold = metric * self._scaled(*self._l1, rows)
            chosen.sub_(torch.minimum(torch.maximum(chosen, -threshold), threshold))
        if rows is not None:
            weights[rows] = chosen
            for name, values in averages.items():
                self._averages[name][rows] = values

    def _direction(self, gradient: Tensor, averages: Mapping[str, Tensor], rate: Tensor) -> tuple[Tensor, Tensor]:
        """What is subtracted from the weights, and the step that a gradient of 1 would take in their metric."""
        settings = self._settings
        match settings.the_optimizer:
            case "sgd":
                velocity = averages["first"].mul_(settings.the_momentum).add_(gradient)
                # A constant gradient moves the weights by rate / (1 - momentum) times itself in the end.
                return velocity * rate, rate / (1 - settings.the_momentum)
            case "rmsprop":
                second = averages["second"].mul_(settings.the_beta_2)
                second.addcmul_(gradient, gradient, value=1 - settings.the_beta_2)
                metric = rate / second.sqrt().add_(_EPSILON)
                return gradient * metric, metric
            case _:
                first = averages["first"].lerp_(gradient, 1 - settings.the_beta_1)
                second = averages["second"].mul_(settings.the_beta_2)
                second.addcmul_(gradient, gradient, value=1 - settings.the_beta_2)
                # The corrections of both averages' bias towards zero, as in the paper's section 2.
                above = 1 - settings.the_beta_1**self.updates
                below = math.sqrt(1 - settings.the_beta_2**self.updates)
                metric = rate / second.sqrt().add_(_EPSILON * below).mul_(1 / below)
                return (first * metric).mul_(1 / above), metric

    def _rate_at(self, updates: int) -> Tensor:
        settings = self._settings
        if not settings.use_lr_scheduler:
            return self._rates
        falls = settings.the_scheduler_factor ** (updates // settings.the_scheduler_step)
        return torch.maximum(self._rates * falls, self._lowest)

    @staticmethod
    def _scaled(columns: Tensor, of_row: Tensor | None, rows: Tensor | None) -> Tensor:
        if of_row is None:
            return columns
        return columns * (of_row if rows is None else of_row[rows])
