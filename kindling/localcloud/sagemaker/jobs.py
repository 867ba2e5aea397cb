"""What processing and transform jobs have in common: how far a job is, its run in a thread, and its operations."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Self, TypeVar

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError, ResourceInUseError
from kindling.localcloud.sagemaker.hosts import STOP
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Resources, tags_of
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.store import StoreError, taking_no_more

IN_PROGRESS, STOPPING = "InProgress", "Stopping"
FINAL = ("Completed", "Failed", "Stopped")

_REASON_LENGTH = 1024
# What the store keeps of a job beside the request and the ARN.
_KEPT = ("tags", "status", "failure_reason", "creation_time", "last_modified_time", "start_time", "end_time")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: str
    reason: str | None = None


COMPLETED = Outcome("Completed")
STOPPED = Outcome("Stopped")


def failed(reason: str) -> Outcome:
    """The outcome of a job that failed."""
    return Outcome("Failed", reason)


class StoppedError(Exception):
    """A stop was asked for while a job did something that can be left where it is."""


class Job:
    """One job: what was asked for, and how far it is.

    Args:
        changed: called after every change, to keep it and to tell others.
    """

    kind: ClassVar[str]  # with which the names of its members begin, such as "Processing"
    repeated: ClassVar[tuple[str, ...]]  # members of the request that the description repeats as they came
    kept: ClassVar[tuple[str, ...]] = _KEPT

    def __init__(self, request: Mapping[str, Any], arn: str, changed: Callable[[Any], None]) -> None:
        self.request = request
        self.arn = arn
        self.name: str = request[f"{self.kind}JobName"]
        self.tags = tags_of(request)
        self.status = IN_PROGRESS
        self.failure_reason: str | None = None
        self.creation_time = self.last_modified_time = datetime.now(UTC)
        self.start_time: datetime | None = None
        self.end_time: datetime | None = None
        self._changed = changed
        self.lock = threading.RLock()

    @classmethod
    def restored(cls, record: Mapping[str, Any], changed: Callable[[Any], None]) -> Self:
        """The job of a record; one that had not ended has failed, for its containers ended with the former cloud."""
        job = cls(record["request"], record["arn"], changed)
        for name in cls.kept:
            setattr(job, name, record[name])
        return job

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        with self.lock:
            return {**{name: getattr(self, name) for name in self.kept}, "request": self.request, "arn": self.arn}

    def begin(self) -> None:
        """Note that the job has its instances."""
        with self.lock:
            self.start_time = datetime.now(UTC)
            self._set(self.status)

    def stop(self) -> bool:
        """Mark the job as Stopping; False when it has ended already."""
        with self.lock:
            if self.status in FINAL:
                return False
            if self.status != STOPPING:
                self._set(STOPPING)
            return True

    def finish(self, outcome: Outcome) -> None:
        """End the job."""
        with self.lock:
            self.failure_reason = outcome.reason[:_REASON_LENGTH] if outcome.reason else None
            self.end_time = datetime.now(UTC)
            self._set(outcome.status, self.end_time)

    def describe(self) -> dict[str, Any]:
        """What the operation Describe... answers."""
        with self.lock:
            description = {
                **{name: self.request.get(name) for name in self.repeated},
                **self._members(),
                f"{self.kind}StartTime": self.start_time,
            }
            return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The job's element of the list."""
        with self.lock:
            summary = {**self._members(), "LastModifiedTime": self.last_modified_time}
            return {name: value for name, value in summary.items() if value is not None}

    def _members(self) -> dict[str, Any]:
        """What the description and the element of the list both have."""
        return {
            f"{self.kind}JobName": self.name,
            f"{self.kind}JobArn": self.arn,
            f"{self.kind}JobStatus": self.status,
            "FailureReason": self.failure_reason,
            "CreationTime": self.creation_time,
            f"{self.kind}EndTime": self.end_time,
        }

    def _set(self, status: str, now: datetime | None = None) -> None:
        self.status = status
        self.last_modified_time = now or datetime.now(UTC)
        self._changed(self)


J = TypeVar("J", bound=Job)


class JobRun(ABC, Generic[J]):
    """One run of a job, in a thread of its own. `start` returns at once; the job tells how far it is."""

    def __init__(self, job: J, around: Surroundings) -> None:
        self.job, self.around = job, around
        self.folder = around.folder(folder_of(job.kind)) / job.name
        self.events: queue.SimpleQueue[object] = queue.SimpleQueue()  # what may end the containers

    @abstractmethod
    def work(self) -> Outcome:
        """Do all of it.

        Raises:
            StoppedError: a stop was asked for.
            DataError: the job's data cannot be used.
        """

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name=f"job-{self.job.name}", daemon=True).start()

    def stop(self) -> None:
        """End the job early; it is marked as Stopping already."""
        self.events.put(STOP)

    def go_on(self) -> None:
        """Raise StoppedError once a stop was asked for, or the cloud ends."""
        if self.job.status == STOPPING or self.around.runner.ending:
            raise StoppedError

    def _run(self) -> None:
        try:
            outcome = self._outcome()
        finally:
            # Before the job says that it ended: whoever waits for that finds the disk as it was.
            shutil.rmtree(self.folder, ignore_errors=True)
        if outcome != COMPLETED and self.around.runner.ending:
            return  # the containers ended because the cloud does: the store is to show the job as interrupted
        self.job.finish(outcome)

    def _outcome(self) -> Outcome:
        try:
            self.folder.mkdir(parents=True)
            return self.work()
        except StoppedError:
            return STOPPED
        except DataError as error:
            return failed(f"ClientError: {error}")
        except Exception as error:  # whatever it is, the job must not stay InProgress for ever
            _logger.exception("%s job %s", self.job.kind, self.job.name)
            reason = taking_no_more(error) or f"the embedded cloud failed: {error!r}"
            return failed(f"InternalServerError: {reason}")


class Jobs(ABC, Generic[J]):
    """The jobs of one kind on one cloud, and their operations but the deletion."""

    def __init__(self, around: Surroundings, job_type: type[J]) -> None:
        self.around = around
        self._kind, self._type = job_type.kind, job_type
        self._title = f"{self._kind.lower()} job"
        around.clear(folder_of(self._kind))
        self.resources: Resources[J] = Resources(around.cloud, f"{self._kind.lower()}-job", self._title)
        self._runs: dict[str, JobRun[J]] = {}
        for job in self.resources.restore(lambda record: job_type.restored(record, self._changed)):
            if job.status not in FINAL:
                why = f"the embedded cloud ended while the job was {job.status}; create it again."
                job.finish(failed(f"InternalServerError: {why}"))

    @abstractmethod
    def checked(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with its defaults.

        Raises:
            InvalidRequestError: it asks for what cannot be done.
        """

    @abstractmethod
    def run_of(self, job: J) -> JobRun[J]:
        """The run of a new job."""

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            f"Create{self._kind}Job": self.create,
            f"Describe{self._kind}Job": lambda request: self.get(request).describe(),
            f"List{self._kind}Jobs": self.list,
            f"Stop{self._kind}Job": self.stop,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a job and begin it."""
        request = self.checked(request)
        name = request[f"{self._kind}JobName"]
        with self.resources.lock:
            if self.resources.find(name) is not None:
                raise ResourceInUseError(
                    "Job name must be unique within an AWS account and region, and a job with this name already exists "
                    f"({self.resources.arn(name)})"
                )
            job = self._type(request, self.resources.arn(name), self._changed)
            run = self.run_of(job)
            self.resources.add(job)
            self._runs[name] = run
        self._announce(job)
        run.start()
        return {f"{self._kind}JobArn": job.arn}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of jobs."""
        jobs, token = page(self.resources.all(), request, "Descending")
        return answer(f"{self._kind}JobSummaries", [job.summary() for job in jobs], token)

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """End a job early."""
        job = self.get(request)
        if not job.stop():
            raise InvalidRequestError(f"The request was rejected because the {self._title} is in status {job.status}.")
        self._runs[job.name].stop()
        return {}

    def get(self, request: dict[str, Any]) -> J:
        """The job that a request names.

        Raises:
            InvalidRequestError: there is none.
        """
        name = request[f"{self._kind}JobName"]
        job = self.resources.find(name)
        if job is None:
            raise InvalidRequestError(f"Could not find requested job with name: {name}")
        return job

    def forget(self, job: J) -> None:
        """Remove a job that has ended."""
        self.resources.remove(job.name)
        self._runs.pop(job.name, None)

    def _changed(self, job: J) -> None:
        try:
            self.resources.changed(job)
        except StoreError:  # the job goes on; were the cloud to end now, it would be found unfinished
            _logger.exception("%s %s", self._title, job.name)
        self._announce(job)

    def _announce(self, job: J) -> None:
        self.around.events.announce(f"{self._kind} Job", job.arn, job.describe())


def folder_of(kind: str) -> str:
    """The name of the folder where the containers of a kind of job have theirs."""
    return f"{kind.lower()}-jobs"
