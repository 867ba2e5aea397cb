"""A job's settings: the hyperparameters, and what `auto` comes to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from contract.environment import TrainingEnvironment
from contract.errors import ClientError

Auto = Literal["auto"]

_FEWEST_CLASSES = 3
_MODELS = 32
_MOST_WEIGHTS = 100_000_000  # of all models together, above which auto trains fewer of them
_LEARNING_RATES = {"adam": 0.1, "sgd": 0.05, "rmsprop": 0.01}
_LOWEST_RATE = 0.01  # of the other models, as a multiple of the first one's
_L1, _WD = (0.0, 1e-4), (1e-4, 1e-2, 1e-6, 0.0)
_NEAR = (1.0, 10.0, 0.1, 0.01)  # of a regularisation that was given, what the other models have
_LOSSES = {"regressor": "squared_loss", "binary_classifier": "logistic", "multiclass_classifier": "softmax_loss"}
_CRITERIA = {"f1": "f_beta", "cross_entropy_loss": "loss_function"}


class Settings(BaseModel):
    """The hyperparameters, typed; defaults and ranges are in algorithm.toml.

    Properties named `the_...` are those whose `auto` depends on others.
    """

    model_config = ConfigDict(frozen=True, strict=True, protected_namespaces=())

    predictor_type: Literal["regressor", "binary_classifier", "multiclass_classifier"]
    num_classes: int
    feature_dim: int | Auto
    mini_batch_size: int
    epochs: int
    loss: str
    num_models: int | Auto
    optimizer: str
    learning_rate: float | Auto
    l1: float | Auto
    wd: float | Auto
    beta_1: float | Auto
    beta_2: float | Auto
    momentum: float | Auto
    bias_lr_mult: float | Auto
    bias_wd_mult: float | Auto
    use_bias: bool
    use_lr_scheduler: bool
    lr_scheduler_step: int | Auto
    lr_scheduler_factor: float | Auto
    lr_scheduler_minimum_lr: float | Auto
    init_method: str
    init_scale: float
    init_sigma: float
    init_bias: float
    normalize_data: bool
    normalize_label: bool | Auto
    unbias_data: bool | Auto
    unbias_label: bool | Auto
    num_point_for_scaler: int
    quantile: float
    huber_delta: float
    loss_insensitivity: float
    margin: float
    binary_classifier_model_selection_criteria: str | None
    target_precision: float
    target_recall: float
    f_beta: float
    positive_example_weight_mult: float | Literal["balanced", "auto"]
    balance_multiclass_weights: bool
    accuracy_top_k: int
    num_calibration_samples: int | Auto
    early_stopping_patience: int
    early_stopping_tolerance: float
    seed: int
    tuned: bool  # a tuning job launched this one

    @classmethod
    def of_job(cls, environment: TrainingEnvironment) -> Self:
        """The settings of a job.

        Raises:
            ClientError: a combination that algorithm.toml cannot say.
        """
        settings = cls.model_validate({**environment.hyperparameters, "tuned": environment.tuned})
        if (settings.num_classes < _FEWEST_CLASSES) == (settings.predictor_type == "multiclass_classifier"):
            raise ClientError(
                f"num_classes={settings.num_classes} is not valid with predictor_type={settings.predictor_type}; a"
                f" multiclass_classifier has at least {_FEWEST_CLASSES} classes, and only it has so many."
            )
        if settings.the_learning_rate < settings.the_minimum_rate and settings.use_lr_scheduler:
            raise ClientError(
                f"lr_scheduler_minimum_lr={settings.the_minimum_rate:g} is above"
                f" learning_rate={settings.the_learning_rate:g}; lower it, or set use_lr_scheduler to False."
            )
        return settings

    @property
    def is_regressor(self) -> bool:
        return self.predictor_type == "regressor"

    @property
    def is_binary(self) -> bool:
        return self.predictor_type == "binary_classifier"

    @property
    def outputs(self) -> int:
        """Numbers that a model gives for a vector: one, or one for each class."""
        return self.num_classes if self.num_classes >= _FEWEST_CLASSES else 1

    @property
    def classes(self) -> int:
        """Labels of a classifier are integers from 0 to one less than this."""
        return max(2, self.outputs)

    @property
    def the_loss(self) -> str:
        return _LOSSES[self.predictor_type] if self.loss == "auto" else self.loss

    @property
    def the_optimizer(self) -> str:
        return "adam" if self.optimizer == "auto" else self.optimizer

    @property
    def the_learning_rate(self) -> float:
        return _LEARNING_RATES[self.the_optimizer] if self.learning_rate == "auto" else self.learning_rate

    @property
    def the_minimum_rate(self) -> float:
        """Below which the first model's learning rate does not fall."""
        if self.lr_scheduler_minimum_lr == "auto":
            return min(1e-4, self.the_learning_rate)
        return self.lr_scheduler_minimum_lr

    @property
    def the_beta_1(self) -> float:
        return 0.9 if self.beta_1 == "auto" else self.beta_1

    @property
    def the_beta_2(self) -> float:
        usual = 0.9 if self.the_optimizer == "rmsprop" else 0.999
        return usual if self.beta_2 == "auto" else self.beta_2

    @property
    def the_momentum(self) -> float:
        return 0.9 if self.momentum == "auto" else self.momentum

    @property
    def the_bias_lr_mult(self) -> float:
        return 1.0 if self.bias_lr_mult == "auto" else self.bias_lr_mult

    @property
    def the_bias_wd_mult(self) -> float:
        return 0.0 if self.bias_wd_mult == "auto" else self.bias_wd_mult

    @property
    def the_scheduler_step(self) -> int:
        return 10 if self.lr_scheduler_step == "auto" else self.lr_scheduler_step

    @property
    def the_scheduler_factor(self) -> float:
        return 0.99 if self.lr_scheduler_factor == "auto" else self.lr_scheduler_factor

    @property
    def scales_label(self) -> bool:
        return self.is_regressor and (True if self.normalize_label == "auto" else self.normalize_label)

    @property
    def shifts_label(self) -> bool:
        """Where the label is normalised, it is shifted too, as the built-in has it."""
        return self.is_regressor and (self.scales_label or self._unbiased(self.unbias_label)) and self.use_bias

    def shifts_data(self, sparse: bool) -> bool:
        """Whether features are shifted to mean 0: only where a bias can make up for it.

        Raises:
            ClientError: sparse data are to be shifted, which would make them dense.
        """
        if sparse:
            if self.unbias_data is True:
                raise ClientError("unbias_data=True would make sparse data dense; set it to auto or False.")
            return False
        return self.use_bias and (self.normalize_data or self._unbiased(self.unbias_data))

    def _unbiased(self, wish: bool | Auto) -> bool:
        return self.use_bias if wish == "auto" else wish

    @property
    def criterion(self) -> str:
        """What the best model of a binary classifier is chosen by; the loss of the others."""
        if not self.is_binary:
            return "loss_function"
        given = self.binary_classifier_model_selection_criteria or "accuracy"
        return _CRITERIA.get(given, given)

    @property
    def calibration_samples(self) -> int:
        return 10_000_000 if self.num_calibration_samples == "auto" else self.num_calibration_samples

    def models(self, features: int) -> list[Model]:
        """The settings of the models, the first as given."""
        if self.num_models != "auto":
            count = self.num_models
        elif self.tuned:
            count = 1
        else:
            count = max(1, min(_MODELS, _MOST_WEIGHTS // (features * self.outputs)))
        wds, l1s = _around(self.wd, _WD), _around(self.l1, _L1)
        weights: tuple[float | Literal["balanced"], ...] = (1.0, "balanced")
        if self.positive_example_weight_mult != "auto":
            weights = (self.positive_example_weight_mult,)
        regularised = list(product(wds, l1s, weights))
        rates = np.geomspace(1.0, _LOWEST_RATE, max(1, -(-count // len(regularised))))
        grid = [
            Model(self.the_learning_rate * float(rate), l1, wd, weight)
            for rate, (wd, l1, weight) in product(rates, regularised)
        ]
        return grid[:count]

    def described(self, model: Model) -> dict[str, float | str]:
        """A model's settings under the built-in's names."""
        found: dict[str, float | str] = {"optimizer": self.the_optimizer, **asdict(model)}
        weight = found.pop("positive_weight")
        if self.is_binary:
            found["positive_example_weight_mult"] = weight
        if self.use_lr_scheduler:
            found["lr_scheduler_step"] = self.the_scheduler_step
            found["lr_scheduler_factor"] = self.the_scheduler_factor
            found["lr_scheduler_minimum_lr"] = min(self.the_minimum_rate, model.learning_rate)
        return found


@dataclass(frozen=True)
class Model:
    """What one of the models that are trained side by side has of its own."""

    learning_rate: float
    l1: float
    wd: float
    positive_weight: float | Literal["balanced"] = 1.0


def _around(given: float | Auto, usual: tuple[float, ...]) -> tuple[float, ...]:
    """The first is what was given; one that is zero stays so."""
    if given == "auto":
        return usual
    return tuple(given * factor for factor in _NEAR[: len(usual)]) if given else (0.0,)
