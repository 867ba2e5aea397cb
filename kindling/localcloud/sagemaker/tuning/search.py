"""What a tuning job tries next. Optuna, which the strategies but Grid need, is imported when the first job starts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kindling.localcloud.sagemaker.tuning.objective import Objective
from kindling.localcloud.sagemaker.tuning.ranges import CategoricalRange, Range, combinations

Hyperparameters = dict[str, str]

_REDUCTION = 3  # Hyperband: one job of three goes on (Li et al. 2018, section 3)
_RANDOM_AT_MOST = 10
_TRANSFERRED = 3  # of the parents' best that a TransferLearning job tries first


@dataclass(frozen=True)
class Known:
    """Hyperparameters whose objective is known, from a parent of a warm start."""

    hyperparameters: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Resource:
    """How many values of the objective Hyperband lets a training job report: at least, and at most."""

    least: int
    most: int


class Search(Protocol):
    """Suggests hyperparameters. Each suggestion has a number of its own."""

    def ask(self) -> tuple[int, Hyperparameters] | None:
        """The next suggestion; None when all there is has been suggested."""

    def hear(self, number: int, value: float, epoch: int) -> bool:
        """Take a training job's latest value, the first of epoch 1; whether the job is to be stopped."""

    def tell(self, number: int, value: float | None, *, whole: bool) -> None:
        """Take the end of a training job: its objective if it has one, and whether it ran as long as it wanted."""


class GridSearch:
    """Every combination of categorical values, once each."""

    def __init__(self, ranges: Sequence[CategoricalRange]) -> None:
        self._names = [span.name for span in ranges]
        self._left = enumerate(itertools.product(*(span.values for span in ranges)))

    def ask(self) -> tuple[int, Hyperparameters] | None:
        following = next(self._left, None)
        return following and (following[0], dict(zip(self._names, following[1], strict=True)))

    def hear(self, number: int, value: float, epoch: int) -> bool:  # noqa: ARG002 - no value changes a grid
        return False

    def tell(self, number: int, value: float | None, *, whole: bool) -> None:
        """Nothing to learn."""


class OptunaSearch:
    """Random, Bayesian (tree-structured Parzen estimators, Bergstra et al. 2011) and Hyperband (Li et al. 2018).

    Args:
        jobs: how many suggestions will be asked for at most.
        seed: the same one gives the same suggestions, so far as the values told come in the same order.
        resource: Hyperband's, for that strategy only.
    """

    def __init__(
        self,
        strategy: str,
        ranges: Sequence[Range],
        objective: Objective,
        *,
        jobs: int,
        seed: int | None,
        resource: Resource | None = None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = {span.name: span for span in ranges}
        self._distributions = {span.name: span.distribution() for span in ranges}
        self._combinations = combinations(ranges)
        self._dice = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        self._maximize = objective.maximize
        self._most = resource.most if resource else None
        sampler: optuna.samplers.BaseSampler
        if strategy == "Random":
            sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            first = min(_RANDOM_AT_MOST, max(1, jobs // 3))
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=first)
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if resource:
            pruner = optuna.pruners.HyperbandPruner(resource.least, resource.most, _REDUCTION)
        self._study = optuna.create_study(
            study_name="tuning",  # Hyperband's brackets follow from it, so that a seed fixes them
            sampler=sampler,
            pruner=pruner,
            direction="maximize" if self._maximize else "minimize",
        )
        self._trials: dict[int, optuna.Trial] = {}
        self._suggested: set[tuple[str, ...]] = set()
        self._finished: set[int] = set()  # have reported as many values as Hyperband wants of any job

    def learn(self, known: Sequence[Known]) -> None:
        """Take what parents found as if it had been found here (IdenticalDataAndAlgorithm)."""
        from optuna.trial import create_trial

        for one in known:
            values = self._values(one.hyperparameters)
            distributions = {name: self._distributions[name] for name in values}
            self._study.add_trial(create_trial(params=values, distributions=distributions, value=one.value))

    def begin_with(self, known: Sequence[Known]) -> None:
        """Try first what was best for parents, whose values do not count here (TransferLearning)."""
        ordered = sorted(known, key=lambda one: one.value, reverse=self._maximize)
        for one in ordered[:_TRANSFERRED]:
            if values := self._values(one.hyperparameters):
                self._study.enqueue_trial(values, skip_if_exists=True)

    def ask(self) -> tuple[int, Hyperparameters] | None:
        """The next suggestion. One that was there before gives way to a random one, where values can be counted."""
        if len(self._suggested) == self._combinations:
            return None
        trial = self._study.ask(self._distributions)
        if self._combinations and self._texts(trial.params) in self._suggested:
            from optuna.trial import TrialState

            self._study.tell(trial, state=TrialState.FAIL)
            self._study.enqueue_trial(self._untried())
            trial = self._study.ask(self._distributions)
        self._suggested.add(self._texts(trial.params))
        self._trials[trial.number] = trial
        return trial.number, {name: span.text(trial.params[name]) for name, span in self._ranges.items()}

    def hear(self, number: int, value: float, epoch: int) -> bool:
        trial = self._trials[number]
        trial.report(value, epoch)
        if epoch == self._most:
            self._finished.add(number)
            return True
        return trial.should_prune()

    def tell(self, number: int, value: float | None, *, whole: bool) -> None:
        from optuna.trial import TrialState

        trial = self._trials.pop(number)
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif whole or number in self._finished:
            self._study.tell(trial, value)
        else:
            self._study.tell(trial, state=TrialState.PRUNED)

    def _untried(self) -> dict[str, Any]:
        """Random values that were not suggested yet; there are some."""
        while True:
            values = self._dice.ask(self._distributions).params
            if self._texts(values) not in self._suggested:
                return values

    def _texts(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(span.text(values[name]) for name, span in self._ranges.items())

    def _values(self, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
        """So much of some hyperparameters as is searched here and within its range."""
        found = {
            name: span.value(hyperparameters[name]) for name, span in self._ranges.items() if name in hyperparameters
        }
        return {name: value for name, value in found.items() if value is not None}
