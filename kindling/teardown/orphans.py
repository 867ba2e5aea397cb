"""Orphans: what runs have left, that nothing uses and that no run will take away any more.

| kind | is an orphan when |
| --- | --- |
| job that runs | its run has ended or never was |
| endpoint | every run that deployed it ended without success, or its pipeline is not deployed |
| endpoint of an experiment | the experiment has ended |
| endpoint configuration, model | no endpoint and no transform job that runs uses it, and its run has ended |
| alarm | it watches an endpoint that is not there |

An endpoint whose run is not known is left alone where Step Functions need not know it any more: it forgets executions
after 90 days, and all of a state machine that was replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kindling.runs import RUNNING, SUCCEEDED
from kindling.targets import Target
from kindling.teardown import made
from kindling.teardown.attempts import Attempts, Failure, Report
from kindling.teardown.executions import Execution, Machines, is_arm_of
from kindling.teardown.gone import unless_gone
from kindling.teardown.made import Thing
from kindling.teardown.ownership import ALGORITHM, RUN, Ownership

_REMEMBERED = timedelta(days=90)


@dataclass(frozen=True)
class Orphan:
    """A thing that nobody will miss. `reason` is the end of a sentence that begins with its name."""

    thing: Thing
    run: str | None
    reason: str

    @property
    def costs(self) -> str:
        """What it costs while it is there, in words."""
        return made.BY_TITLE[self.thing.kind].cost


def find(target: Target, ours: Ownership) -> list[Orphan]:
    """The orphans of a deployment, in the order in which they are to be deleted."""
    # First what there is, then what runs, and last what is used: a run that ends meanwhile makes no orphan of anything.
    jobs = made.find(target, ours, made.JOBS)
    behind = made.find(target, ours, (made.CONFIG, made.MODEL))
    endpoints = made.find(target, ours, (made.ENDPOINT,))
    alarms = made.find(target, ours, (made.ALARM,))
    runs = _Runs(target, ours)
    uses = _Uses(target, ours)
    configs = {thing.name: thing.arn for thing in behind if thing.kind == made.CONFIG.title}
    found = [*_jobs(jobs, runs), *_endpoints(endpoints, configs, runs)]
    doomed = {orphan.thing.name for orphan in found if orphan.thing.kind == "endpoint"}
    found += _behind(behind, uses, runs, doomed)
    found += [
        Orphan(alarm, None, f"watches endpoint {alarm.of[0]}, which is not there")
        for alarm in alarms
        if alarm.of and alarm.of[0] not in uses.endpoints
    ]
    return found


def delete(target: Target, ours: Ownership, orphans: Iterable[Orphan], report: Report) -> list[Failure]:
    """Stop and delete orphans; what could not be."""
    attempts = Attempts(target, report)
    by_kind: dict[str, list[Thing]] = {}
    for orphan in orphans:
        by_kind.setdefault(orphan.thing.kind, []).append(orphan.thing)
    for kind in made.KINDS:
        attempts.end(ours, by_kind.get(kind.title, []))
    return attempts.failures


class _Runs:
    """What is known of runs: the reason why one has no more use for what it made, or None while it has."""

    def __init__(self, target: Target, ours: Ownership) -> None:
        self._target, self._ours = target, ours
        self._machines = Machines.of(target, ours)
        self._running = self._machines.running(target)

    def tags(self, arn: str) -> dict[str, str]:
        return made.tags_of(self._target, arn)

    def over(self, thing: Thing, tags: Mapping[str, str]) -> str | None:
        """Why a run does not run that made something; of what an experiment made without tags, none of them may."""
        run = tags.get(RUN)
        if thing.name.startswith(self._ours.experiments):
            return None if self._experiments(run) else "was left by an experiment that has ended"
        if run is None:
            return "bears the tag of no run"
        if any(execution.name == run and execution.algorithm is not None for execution in self._running):
            return None
        return self._ended(self._algorithm(thing, tags), run)

    def unwanted(self, endpoint: Thing, described: Iterable[Mapping[str, str]]) -> str | None:
        """Why nobody wants an endpoint.

        Args:
            described: the tags of the endpoint, which are its first run's, and of its configuration.
        """
        if endpoint.name.startswith(self._ours.experiments):
            return self.over(endpoint, next(iter(described)))
        reasons = []
        for tags in described:
            if RUN not in tags:
                continue
            reason = self._failed(endpoint, self._algorithm(endpoint, tags), tags[RUN])
            if reason is None:
                return None
            reasons.append(reason)
        return reasons[-1] if reasons else None

    def _failed(self, endpoint: Thing, algorithm: str | None, run: str) -> str | None:
        if algorithm is None or algorithm not in self._machines.pipelines:
            return self._ended(algorithm, run)
        status = self._machines.status(self._target, algorithm, run)
        if status in (RUNNING, SUCCEEDED):
            return None
        if status is not None:
            return f"was left by run {run}, which ended as {status}"
        # Whether there ever was one can be told of what is younger than all that Step Functions remembers.
        known_since = max(self._machines.made_at(self._target, algorithm), datetime.now(UTC) - _REMEMBERED)
        if endpoint.created is not None and endpoint.created > known_since:
            return f"bears the tag of run {run}, which there is not"
        return None

    def _ended(self, algorithm: str | None, run: str) -> str:
        if algorithm is None or algorithm not in self._machines.pipelines:
            return f"was left by run {run}, whose pipeline is not deployed"
        status = self._machines.status(self._target, algorithm, run)
        return f"was left by run {run}, which " + (f"ended as {status}" if status else "there is not")

    def _algorithm(self, thing: Thing, tags: Mapping[str, str]) -> str | None:
        tagged = tags.get(ALGORITHM)
        return self._ours.algorithm_of(thing.name) if tagged is None else tagged.replace("_", "-")

    def _experiments(self, run: str | None) -> list[Execution]:
        experiments = [execution for execution in self._running if execution.algorithm is None]
        return [execution for execution in experiments if run is None or is_arm_of(run, execution.name)]


class _Uses:
    """What is in use: endpoints that are there, configurations of any, and models of any and of transform jobs."""

    def __init__(self, target: Target, ours: Ownership) -> None:
        self._sagemaker = target.client("sagemaker")
        self.endpoints: set[str] = set()
        # The names of the endpoints and jobs that use something, by its name.
        self.configs: dict[str, set[str]] = {}
        self.models: dict[str, set[str]] = {}
        for listed in made.pages_of(self._sagemaker, "list_endpoints", "Endpoints"):
            self._look_at(listed["EndpointName"])
        for job in made.BY_TITLE["transform job"].find(target, ours):
            with unless_gone():
                described = self._sagemaker.describe_transform_job(TransformJobName=job.name)
                self.models.setdefault(described["ModelName"], set()).add(job.name)

    def _look_at(self, name: str) -> None:
        with unless_gone():
            endpoint = self._sagemaker.describe_endpoint(EndpointName=name)
            self.endpoints.add(name)
            pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
            for config in filter(None, (endpoint.get("EndpointConfigName"), pending)):
                self.configs.setdefault(config, set()).add(name)
                for model in _models(self._sagemaker, config):
                    self.models.setdefault(model, set()).add(name)


def _models(sagemaker: Any, config: str) -> Iterator[str]:
    with unless_gone():
        described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
        for variant in (*described["ProductionVariants"], *described.get("ShadowProductionVariants", ())):
            if "ModelName" in variant:
                yield variant["ModelName"]


def _jobs(jobs: Iterable[Thing], runs: _Runs) -> Iterator[Orphan]:
    tunings: set[str] = set()
    for job in jobs:
        if any(job.name.startswith(f"{tuning}-") for tuning in tunings):
            continue  # it ends with its tuning job, or goes on with it
        if job.kind == "tuning job":
            tunings.add(job.name)
        tags = runs.tags(job.arn)
        if reason := runs.over(job, tags):
            yield Orphan(job, tags.get(RUN), f"{reason}, and still runs")


def _endpoints(endpoints: Iterable[Thing], configs: Mapping[str, str], runs: _Runs) -> Iterator[Orphan]:
    """Of the endpoints those that nobody wants; `configs` are ARNs of configurations by name."""
    for endpoint in endpoints:
        tags = runs.tags(endpoint.arn)
        config = configs.get(endpoint.of[0])  # None where somebody deleted it
        if reason := runs.unwanted(endpoint, (tags, runs.tags(config) if config else {})):
            yield Orphan(endpoint, tags.get(RUN), reason)


def _behind(things: Iterable[Thing], uses: _Uses, runs: _Runs, doomed: set[str]) -> Iterator[Orphan]:
    """Configurations and models that no endpoint uses, but for endpoints that are orphans themselves."""
    for thing in things:
        users = uses.models if thing.kind == "model" else uses.configs
        if users.get(thing.name, set()) - doomed:
            continue
        tags = runs.tags(thing.arn)
        if reason := runs.over(thing, tags):
            yield Orphan(thing, tags.get(RUN), f"{reason}; no endpoint uses it")
