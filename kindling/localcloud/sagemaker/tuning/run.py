"""One run of a tuning job, from its first training job to its best, in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from moto.core.exceptions import ServiceException

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.training.api import Launcher, TrainingJobs
from kindling.localcloud.sagemaker.training.job import COMPLETED, FINAL, STOPPED, STOPPING, Outcome, TrainingJob, failed
from kindling.localcloud.sagemaker.tuning.definition import OBJECTIVE_METRIC
from kindling.localcloud.sagemaker.tuning.job import Trial, TuningJob
from kindling.localcloud.sagemaker.tuning.objective import falls_behind
from kindling.localcloud.sagemaker.tuning.search import Hyperparameters, Search

_ATTEMPTS = 5  # of which one must succeed

_logger = logging.getLogger(__name__)
_now = time.monotonic


@dataclass(frozen=True)
class _Heard:
    name: str
    value: float


@dataclass(frozen=True)
class _Ended:
    name: str


@dataclass(frozen=True)
class _StopAsked:
    """To be seen at once; the job's status says it."""


class _CloudEndingError(Exception):
    """The cloud is ending: the job is to be found unfinished."""


class TuningRun:
    """Runs a job. `start` returns at once; the job tells how far it is.

    All decisions are made in one thread; what it must hear of arrives in one queue.

    Args:
        searches: makes the searches, one for each of the job's definitions, which take turns.
        jobs: how many training jobs to launch at most.
        ending: whether the cloud itself is ending.
    """

    def __init__(
        self,
        job: TuningJob,
        searches: Callable[[], Sequence[Search]],
        trainings: TrainingJobs,
        jobs: int,
        ending: Callable[[], bool],
    ) -> None:
        config = job.request["HyperParameterTuningJobConfig"]
        criteria = config.get("TuningJobCompletionCriteria", {})
        self._job = job
        self._make_searches = searches
        self._trainings = trainings
        self._left = jobs
        self._ending = ending
        self._parallel: int = config["ResourceLimits"]["MaxParallelTrainingJobs"]
        self._seconds: int | None = config["ResourceLimits"].get("MaxRuntimeInSeconds")
        self._early = config.get("TrainingJobEarlyStoppingType") == "Auto"
        self._target: float | None = criteria.get("TargetObjectiveMetricValue")
        self._patience: int | None = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        self._searches: Sequence[Search] = ()
        self._running: dict[str, tuple[Trial, Search, int]] = {}  # with the number of its suggestion
        self._ended: list[Trial] = []
        self._events: queue.SimpleQueue[_Heard | _Ended | _StopAsked] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name=f"tuning {self._job.name}", daemon=True).start()

    def stop(self) -> None:
        """End the job early, and its training jobs with it."""
        self._events.put(_StopAsked())

    def _run(self) -> None:
        try:
            outcome = self._outcome()
        except _CloudEndingError:
            return
        except ServiceException as error:  # a training job that cannot be launched
            outcome = failed(f"ClientError: {error.message}")
        except Exception as error:  # whatever it is, the job must not stay InProgress for ever
            _logger.exception("tuning job %s", self._job.name)
            outcome = failed(f"InternalServerError: the embedded cloud failed: {error!r}")
        self._end_running()
        self._job.finish(outcome)

    def _outcome(self) -> Outcome:
        started = _now()
        deadline = started + self._seconds if self._seconds else None
        self._searches = list(self._make_searches())
        while self._job.status != STOPPING:
            self._launch()
            if not self._running:
                return self._conclusion()
            if not self._attend(deadline):
                return COMPLETED
            if reason := self._hopeless():
                return failed(reason)
            if self._good_enough():
                return COMPLETED
        return STOPPED

    def _launch(self) -> None:
        """Launch as many training jobs as may run beside those that do."""
        while self._left and len(self._running) < self._parallel:
            if self._ending():
                raise _CloudEndingError
            found = self._suggestion()
            if found is None:
                self._left = 0
                return
            index, number, tuned = found
            definition = self._job.definitions[index]
            count = len(self._job.trials) + 1
            name = f"{self._job.name}-{count:03d}-{secrets.token_hex(4)}"
            request = definition.training_request(name, tuned, self._job.tags)
            training = self._trainings.begin(request, self._launcher(name))
            trial = Trial(definition, tuned, training)
            self._running[name] = trial, self._searches[index], number
            self._left -= 1
            self._job.add(trial)

    def _suggestion(self) -> tuple[int, int, Hyperparameters] | None:
        """What to try next, with the definition's index. Definitions take turns; one that has no more is left out."""
        first = len(self._job.trials)
        for turn in range(first, first + len(self._searches)):
            index = turn % len(self._searches)
            if found := self._searches[index].ask():
                return index, *found
        return None

    def _launcher(self, name: str) -> Launcher:
        def heard(metric: str, value: float) -> None:
            if metric == OBJECTIVE_METRIC:
                self._events.put(_Heard(name, value))

        def changed(training: TrainingJob) -> None:
            if training.status in FINAL:
                self._events.put(_Ended(name))

        return Launcher(self._job.arn, heard, changed)

    def _attend(self, deadline: float | None) -> bool:
        """Wait for the next event and take it; False when the time is over before one comes."""
        try:
            event = self._events.get(timeout=None if deadline is None else max(0.0, deadline - _now()))
        except queue.Empty:
            return False
        if isinstance(event, _Ended):
            self._take_end(event.name)
        elif isinstance(event, _Heard) and event.name in self._running:
            self._take_value(event.name, event.value)
        return True

    def _take_value(self, name: str, value: float) -> None:
        trial, search, number = self._running[name]
        trial.history.append(value)
        stop = search.hear(number, value, len(trial.history))
        if self._early:
            before = [other.history for other in self._ended if other.value is not None]
            stop = falls_behind(self._job.objective, trial.history, before) or stop
        if stop and not trial.cut_short:
            trial.cut_short = True
            self._stop_training(name)

    def _take_end(self, name: str) -> None:
        trial, search, number = self._running.pop(name)
        search.tell(number, trial.value, whole=not trial.cut_short)
        self._ended.append(trial)

    def _good_enough(self) -> bool:
        values = [trial.value for trial in self._ended if trial.value is not None]
        if self._target is not None and any(self._job.objective.reached(value, self._target) for value in values):
            return True
        return self._patience is not None and self._job.objective.not_improving(values) >= self._patience

    def _hopeless(self) -> str | None:
        """Why the tuning fails when none of the first attempts succeeded."""
        if len(self._ended) < _ATTEMPTS or any(trial.value is not None for trial in self._ended):
            return None
        if all(trial.status == "Failed" for trial in self._ended):
            return (
                f"No training job succeeded after {len(self._ended)} attempts. "
                "Please take a look at the training job failures to get more details."
            )
        return _without_metrics(len(self._ended))

    def _conclusion(self) -> Outcome:
        """How the job ends when all that it may try has been tried."""
        if any(trial.value is not None for trial in self._ended):
            return COMPLETED
        if all(trial.status == "Failed" for trial in self._ended):
            return failed(
                "All training jobs failed. Please take a look at the training jobs failures to get more details."
            )
        return failed(_without_metrics(len(self._ended)))

    def _end_running(self) -> None:
        """Stop the training jobs that still run, and wait until they have ended."""
        for name in self._running:
            self._stop_training(name)
        while self._running:
            event = self._events.get()
            if isinstance(event, _Ended):
                self._running.pop(event.name, None)

    def _stop_training(self, name: str) -> None:
        with contextlib.suppress(InvalidRequestError):  # it has ended meanwhile
            self._trainings.stop({"TrainingJobName": name})


def _without_metrics(count: int) -> str:
    return (
        f"No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is "
        "emitting the objective metric as defined by the regular expression provided."
    )
