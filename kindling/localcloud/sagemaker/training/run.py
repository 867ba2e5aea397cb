"""One run of a training job, from its wait for cores to its model, in a thread of its own."""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import replace

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.folders import remove_folder
from kindling.localcloud.sagemaker.hosts import Ended
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.attempt import Attempt, CloudEndingError, TakenBackError
from kindling.localcloud.sagemaker.training.clock import Clock
from kindling.localcloud.sagemaker.training.job import (
    COMPLETED,
    INTERRUPTED,
    STOPPED,
    STOPPING,
    Outcome,
    TrainingJob,
    failed,
)
from kindling.localcloud.sagemaker.training.metrics import Metrics
from kindling.localcloud.sagemaker.training.outputs import Outputs
from kindling.localcloud.store import taking_no_more

_INTERNAL = "InternalServerError: "

_logger = logging.getLogger(__name__)


class _StoppedError(Exception):
    """A stop was asked for before the containers were started."""


class _OverError(Exception):
    """The job's time was over before the containers were started."""


class TrainingRun:
    """Runs a job. `start` returns at once; the job tells how far it is."""

    def __init__(self, job: TrainingJob, metrics: Metrics, around: Surroundings) -> None:
        self._job = job
        self._metrics = metrics
        self._around = around
        self._folder = around.folder("jobs") / job.name
        self._clock = Clock(job.request["StoppingCondition"])
        self._attempt: Attempt | None = None

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name=self._job.name, daemon=True).start()

    def stop(self) -> None:
        """End the job early, once it is marked as Stopping; what it has written by then is kept."""
        if self._attempt:
            self._attempt.stop()

    def interrupt(self) -> bool:
        """Take the job's instances back; False when it has none that trains or is about to."""
        if self._attempt is None or self._job.secondary_status not in ("Downloading", "Training"):
            return False
        self._attempt.interrupt()
        return True

    def _run(self) -> None:
        try:
            outcome = self._outcome()
        except CloudEndingError:
            return
        finally:
            # Before the job says that it ended: whoever waits for that finds the disk as it was.
            remove_folder(self._folder)
        self._job.finish(outcome)

    def _outcome(self) -> Outcome:
        """Try until the job ends: anew after each interruption, and as often as asked after an error of the cloud."""
        retries = self._job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        while True:
            outcome = self._try()
            if outcome is INTERRUPTED:
                self._begin_again("Interrupted")
            elif retries and self._job.status != STOPPING and (outcome.reason or "").startswith(_INTERNAL):
                retries -= 1
                self._begin_again("Restarting")
            else:
                return outcome

    def _begin_again(self, secondary_status: str) -> None:
        remove_folder(self._folder)
        self._job.enter(secondary_status)
        self._job.enter("Starting")

    def _try(self) -> Outcome:
        resources = self._job.request["ResourceConfig"]
        capacity = self._around.capacity
        cores = capacity.share(resources["InstanceType"], resources["InstanceCount"])

        def wait() -> None:
            self._go_on()
            self._job.tell(f"Insufficient capacity: waiting for {cores} of the {capacity.cores} cores of this machine")

        try:
            self._go_on()
            with capacity.lent(cores, wait):
                self._job.tell()
                return self._use(cores)
        except _StoppedError:
            return STOPPED
        except _OverError:
            return self._clock.outcome
        except TakenBackError:
            return INTERRUPTED
        except CloudEndingError:
            raise
        except DataError as error:
            return failed(f"ClientError: {error}")
        except Exception as error:  # whatever it is, the job must not stay InProgress for ever
            _logger.exception("training job %s", self._job.name)
            reason = taking_no_more(error) or f"the embedded cloud failed: {error!r}"
            return failed(f"{_INTERNAL}{reason}")

    def _use(self, cores: int) -> Outcome:
        """One attempt on the cores that the job has now."""
        output = Address.parse(self._job.request["OutputDataConfig"]["S3OutputPath"])
        if not self._around.objects.has_bucket(output.bucket):
            raise DataError(f"the bucket of OutputDataConfig.S3OutputPath={output} does not exist.")
        self._attempt = Attempt(self._job, self._metrics, self._around, self._folder, cores)
        with self._clock.running():
            ended = self._attempt.run(self._clock, self._go_on)
            if ended.why == "interrupted" and self._job.status == STOPPING:
                ended = replace(ended, why="stopped")
            if ended.why == "interrupted":
                return INTERRUPTED
            outcome = self._clock.outcome if ended.why == "overtime" else None
            return self._conclude(self._attempt, ended, outcome)

    def _go_on(self) -> None:
        if self._job.status == STOPPING:
            raise _StoppedError
        if self._clock.is_over:
            raise _OverError

    def _conclude(self, attempt: Attempt, ended: Ended, overtime: Outcome | None) -> Outcome:
        """Upload what the hosts left; how the job has ended."""
        job = self._job
        job.metrics = self._metrics.final()
        for host in attempt.hosts:
            remove_folder(host.base / "input")  # makes room for the archives
        job.enter("Uploading")
        outputs = Outputs(job.name, job.request["OutputDataConfig"], self._around.objects, self._folder)
        outputs.upload_data([host.paths.output_data for host in attempt.hosts])
        if ended.why == "failed":
            return failed(_failure_reason(ended))
        job.artifacts = outputs.upload_model([host.paths.model for host in attempt.hosts])
        if overtime:
            return overtime
        return STOPPED if ended.why == "stopped" or job.status == STOPPING else COMPLETED


def _failure_reason(ended: Ended) -> str:
    """As the service words it: the failing host's failure file, cut so that the exit code stays."""
    assert ended.host is not None
    text = ended.host.failure.removeprefix("AlgorithmError: ") or _silent_end(ended)
    tail = f", exit code: {ended.code}"
    head = "AlgorithmError: "
    return head + text[: 1024 - len(head) - len(tail)] + tail


def _silent_end(ended: Ended) -> str:
    assert ended.host is not None
    if ended.code > 128:
        number = ended.code - 128
        known = {known.value: known.name for known in signal.Signals}
        return f"{ended.host.name} was ended by {known.get(number, f'signal {number}')}"
    said = f"its last line was: {ended.last_line}" if ended.last_line else "it printed nothing"
    return f"{ended.host.name} left no failure file; {said}"
