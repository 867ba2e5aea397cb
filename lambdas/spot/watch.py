"""Reading a spot job's description: whether it runs, has ended, or is to go on on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lambdas.hosting.endpoints import unless_missing

# The first looks are close together, so that a short job is noticed when it ends; a day's job has a look in minutes.
_SHORTEST_S, _LONGEST_S, _PART = 3, 300, 20

Outcome = Literal["running", "ended", "on_demand"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """How a job is: `stop` when it is to be stopped, so that its checkpoint can go on on demand."""

    outcome: Outcome
    interruptions: int
    stop: bool = False

    def as_state(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """What the next look needs: how long to wait for it, in seconds, grows with the time waited so far."""
        waited = before["waited_s"] + before["wait_s"]
        pause = int(min(_LONGEST_S, max(_SHORTEST_S, waited / _PART)))
        return {"outcome": self.outcome, "interruptions": self.interruptions, "waited_s": waited, "wait_s": pause}


def find_job(sagemaker: Any, base_name: str, attempts: int) -> tuple[str, Mapping[str, Any] | None]:
    """The job and its name, as DescribeTrainingJob tells it; None where none has begun yet.

    There is one at most: an attempt is followed by another only when its job could not be begun.
    """
    for attempt in range(attempts):
        name = f"{base_name}-s{attempt}"
        job = unless_missing(lambda name=name: sagemaker.describe_training_job(TrainingJobName=name))  # type: ignore[misc]
        if job is not None:
            return name, job
    return "", None


def look(job: Mapping[str, Any] | None, max_interruptions: int) -> Found:
    """What there is to do about a job while it is waited for."""
    if job is None:
        return Found(outcome="running", interruptions=0)
    count, status = _interruptions(job), job["TrainingJobStatus"]
    if status not in ("InProgress", "Stopping"):
        return Found(outcome="ended", interruptions=count)
    return Found(outcome="running", interruptions=count, stop=count > max_interruptions and status == "InProgress")


def after(job: Mapping[str, Any] | None, max_interruptions: int) -> Found:
    """Whether a job that has failed or was stopped is to go on on demand: it lacked hosts, and nothing else."""
    if job is None:
        return Found(outcome="ended", interruptions=0)
    count = _interruptions(job)
    # The second is SageMaker's word for a job that found no spot hosts for as long as it could wait.
    lacked_hosts = count > max_interruptions or job.get("SecondaryStatus") == "MaxWaitTimeExceeded"
    stopped = job["TrainingJobStatus"] == "Stopped"
    return Found(outcome="on_demand" if stopped and lacked_hosts else "ended", interruptions=count)


def _interruptions(job: Mapping[str, Any]) -> int:
    return sum(change["Status"] == "Interrupted" for change in job.get("SecondaryStatusTransitions") or ())
