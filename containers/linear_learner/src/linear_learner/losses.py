"""The losses, of many models at once: their values, and their gradients by the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from linear_learner.settings import Settings

Tensor = Any  # torch.Tensor, which mypy does not know here


class Loss(Protocol):
    """A loss of models side by side.

    `scores` have the shape (n, models * outputs); `labels` (n, 1), float32. Values come as sums over the records, shape
    (models,).
    """

    @property
    def name(self) -> str:
        """Of the objective, as the log has it."""

    @property
    def power(self) -> int:
        """With labels and scores c times as great the loss is c**power as great; 0 where labels are classes."""

    def gradient(self, scores: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """The sums of the weighted losses; `scores` become their derivatives.

        Args:
            weights: of the records, shape (n, 1) or (n, models), or None where all are 1.
        """

    def values(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The sums of the losses; `scores` may be overwritten."""


def make_loss(settings: Settings, models: int, label_scale: float) -> Loss:
    """The loss of the settings.

    Args:
        label_scale: what a regressor's labels were divided by; the settings' lengths are divided by it, too.
    """
    match settings.the_loss:
        case "squared_loss":
            return Squared("mse_objective")
        case "absolute_loss":
            return Quantile("absolute_loss_objective", 0.5, 2.0)
        case "quantile_loss":
            return Quantile("quantile_loss_objective", settings.quantile)
        case "eps_insensitive_squared_loss":
            insensitivity = settings.loss_insensitivity / label_scale
            return Squared("eps_insensitive_squared_loss_objective", insensitivity)
        case "eps_insensitive_absolute_loss":
            insensitivity = settings.loss_insensitivity / label_scale
            return Insensitive("eps_insensitive_absolute_loss_objective", insensitivity)
        case "huber_loss":
            return Huber("huber_loss_objective", settings.huber_delta / label_scale)
        case "logistic":
            return Logistic("binary_classification_cross_entropy_objective")
        case "hinge_loss":
            return Hinge("hinge_loss_objective", settings.margin)
        case _:
            return Softmax("multiclass_cross_entropy_objective", models)


def _summed(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses.sum(0) if weights is None else (losses * weights).sum(0)


def _weigh(gradients: Tensor, weights: Tensor | None) -> None:
    if weights is not None:
        gradients.mul_(weights)


class _Regression:
    """A loss of the error e = score - label alone."""

    def gradient(self, scores: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """See Loss."""
        errors = scores.sub_(labels)
        total = _summed(self._of(errors), weights)
        self._derive(errors)
        _weigh(errors, weights)
        return total

    def values(self, scores: Tensor, labels: Tensor) -> Tensor:
        """See Loss."""
        return _summed(self._of(scores.sub_(labels)), None)

    def _of(self, errors: Tensor) -> Tensor:
        raise NotImplementedError

    def _derive(self, errors: Tensor) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Squared(_Regression):
    """max(|e| - insensitivity, 0)^2."""

    name: str
    insensitivity: float = 0.0
    power: int = 2

    def _of(self, errors: Tensor) -> Tensor:
        if self.insensitivity:
            return torch.nn.functional.softshrink(errors, self.insensitivity).square_()
        return errors.square()

    def _derive(self, errors: Tensor) -> None:
        if self.insensitivity:
            errors.copy_(torch.nn.functional.softshrink(errors, self.insensitivity))
        errors.mul_(2.0)


@dataclass(frozen=True)
class Quantile(_Regression):
    """factor * (quantile * max(-e, 0) + (1 - quantile) * max(e, 0)); twice that of the median is |e|."""

    name: str
    quantile: float
    factor: float = 1.0
    power: int = 1

    def _of(self, errors: Tensor) -> Tensor:
        # Of both lines through 0, the upper one.
        return torch.maximum(errors * (self.factor * (1 - self.quantile)), errors * (-self.factor * self.quantile))

    def _derive(self, errors: Tensor) -> None:
        # sign(e) / 2 + 1 / 2 - quantile is 1 - quantile above, -quantile below.
        errors.sign_().mul_(0.5 * self.factor).add_(self.factor * (0.5 - self.quantile))


@dataclass(frozen=True)
class Insensitive(_Regression):
    """max(|e| - insensitivity, 0)."""

    name: str
    insensitivity: float
    power: int = 1

    def _of(self, errors: Tensor) -> Tensor:
        return errors.abs().sub_(self.insensitivity).clamp_(min=0)

    def _derive(self, errors: Tensor) -> None:
        torch.nn.functional.hardshrink(errors, self.insensitivity, out=errors).sign_()


@dataclass(frozen=True)
class Huber(_Regression):
    """e^2 / 2 up to delta, beyond it delta * (|e| - delta / 2) (Huber 1964, Ann. Math. Statist. 35, p. 78)."""

    name: str
    delta: float
    power: int = 2

    def _of(self, errors: Tensor) -> Tensor:
        # With c = e clipped to +-delta, both cases are c * (e - c / 2).
        clipped = errors.clamp(-self.delta, self.delta)
        return clipped * (errors - clipped / 2)

    def _derive(self, errors: Tensor) -> None:
        errors.clamp_(-self.delta, self.delta)


class _TwoClasses:
    """A loss of one score and a label, 0 or 1."""

    def gradient(self, scores: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """See Loss."""
        total = _summed(self._of(scores, labels), weights)
        self._derive(scores, labels)
        _weigh(scores, weights)
        return total

    def values(self, scores: Tensor, labels: Tensor) -> Tensor:
        """See Loss."""
        return _summed(self._of(scores, labels), None)

    def _of(self, scores: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError

    def _derive(self, scores: Tensor, labels: Tensor) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Logistic(_TwoClasses):
    """log(1 + exp(-s)) for label 1, log(1 + exp(s)) for label 0."""

    name: str
    power: int = 0

    def _of(self, scores: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.softplus(torch.where(labels > 0, -scores, scores))

    def _derive(self, scores: Tensor, labels: Tensor) -> None:
        scores.sigmoid_().sub_(labels)


@dataclass(frozen=True)
class Hinge(_TwoClasses):
    """max(margin - s, 0) for label 1, max(margin + s, 0) for label 0."""

    name: str
    margin: float
    power: int = 0

    def _of(self, scores: Tensor, labels: Tensor) -> Tensor:
        return (self.margin - scores * (labels * 2 - 1)).clamp_(min=0)

    def _derive(self, scores: Tensor, labels: Tensor) -> None:
        scores.copy_((self._of(scores, labels) > 0) * (1 - labels * 2))


@dataclass(frozen=True)
class Softmax:
    """-log of the label's share of exp(s) over the classes."""

    name: str
    models: int
    power: int = 0

    def gradient(self, scores: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """See Loss."""
        by_model, places = self._shaped(scores, labels)
        shares = torch.log_softmax(by_model, 2)
        total = _summed(-shares.gather(2, places)[:, :, 0], weights)
        torch.exp(shares, out=by_model)
        by_model.scatter_add_(2, places, torch.full(places.shape, -1.0, device=scores.device))
        if weights is not None:
            by_model.mul_(weights[:, :, None])
        return total

    def values(self, scores: Tensor, labels: Tensor) -> Tensor:
        """See Loss."""
        by_model, places = self._shaped(scores, labels)
        return _summed(-torch.log_softmax(by_model, 2).gather(2, places)[:, :, 0], None)

    def _shaped(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores by model and class, and the labels as places among the classes."""
        by_model = scores.view(len(scores), self.models, -1)
        return by_model, labels.long().view(-1, 1, 1).expand(-1, self.models, 1)
