"""The executions of a deployment's state machines: which run, and how one ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from kindling import resources
from kindling.resources import camel
from kindling.runs import RUNNING
from kindling.targets import Target
from kindling.teardown.gone import unless_gone
from kindling.teardown.made import pages_of
from kindling.teardown.ownership import Ownership

_ARM = re.compile(r"-arm-\d+$")
_CUT = 73  # characters of an experiment's name that an arm's has at least (lambdas/experiment_plan/plan.py)


@dataclass(frozen=True)
class Execution:
    """One that runs. `algorithm` is None for an experiment's."""

    name: str
    arn: str
    algorithm: str | None


@dataclass(frozen=True)
class Machines:
    """The state machines that are deployed. `pipelines` are ARNs by algorithm, with dashes."""

    pipelines: Mapping[str, str]
    experiments: str | None

    @classmethod
    def of(cls, target: Target, ours: Ownership) -> Machines:
        """Those that the stacks' outputs name."""
        training = resources.outputs(target, f"{ours.prefix}Training") or {}
        experiments = resources.outputs(target, f"{ours.prefix}Experiments") or {}
        found = {name: training.get(f"{camel(name)}StateMachineArn") for name in ours.algorithms}
        return cls(
            {name: arn for name, arn in found.items() if arn is not None}, experiments.get("DataDistributionArn")
        )

    def running(self, target: Target) -> list[Execution]:
        """The executions that run, experiments first: they would start others."""
        machines: list[tuple[str | None, str]] = [(None, self.experiments)] if self.experiments else []
        machines += list(self.pipelines.items())
        return [found for algorithm, arn in machines for found in _executions(target, algorithm, arn, RUNNING)]

    def status(self, target: Target, algorithm: str, run: str) -> str | None:
        """How an execution of a pipeline is; None when it is not known (any more)."""
        arn = f"{self.pipelines[algorithm].replace(':stateMachine:', ':execution:')}:{run}"
        with unless_gone():
            return str(target.client("stepfunctions").describe_execution(executionArn=arn)["status"])
        return None

    def made_at(self, target: Target, algorithm: str) -> datetime:
        """When a pipeline's state machine was made: it knows no execution from before."""
        client = target.client("stepfunctions")
        made: datetime = client.describe_state_machine(stateMachineArn=self.pipelines[algorithm])["creationDate"]
        return made


def _executions(target: Target, algorithm: str | None, machine: str, status: str) -> Iterator[Execution]:
    with unless_gone():
        client = target.client("stepfunctions")
        for found in pages_of(client, "list_executions", "executions", stateMachineArn=machine, statusFilter=status):
            yield Execution(found["name"], found["executionArn"], algorithm)


def is_arm_of(run: str, experiment: str) -> bool:
    """Whether a run can be an arm of that experiment, whose name it has with a number, cut where it is too long."""
    base = _ARM.sub("", run)
    return base != run and (base == experiment or (len(base) >= _CUT and experiment.startswith(base)))
