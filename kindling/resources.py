"""What is deployed: found through the outputs of the CloudFormation stacks."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache

from kindling.environments import ROOT
from kindling.errors import UserError
from kindling.targets import Target
from stacks.settings import InvalidSettingError, Settings


@dataclass(frozen=True)
class Resources:
    """The deployed things that the command line talks to. `state_machines` are ARNs by algorithm."""

    data_bucket: str
    model_bucket: str
    state_machines: dict[str, str]
    experiments: str | None = None  # the state machine's ARN

    def state_machine(self, algorithm: str) -> str:
        """The state machine that trains an algorithm.

        Raises:
            UserError: it is not among what is deployed.
        """
        try:
            return self.state_machines[algorithm]
        except KeyError:
            raise UserError(
                f"no pipeline of {algorithm} is deployed to this target; run `kindling deploy` again."
            ) from None


def find(target: Target) -> Resources:
    """What is deployed to a target.

    Raises:
        UserError: nothing is, or not all of it.
    """
    found = find_if_deployed(target)
    if found is None:
        where = "" if target.kind == "embedded" else " --target aws"
        raise UserError(f"Kindling is not deployed to the {target.describe()}; run `kindling deploy{where}`.")
    return found


def find_if_deployed(target: Target) -> Resources | None:
    """What is deployed to a target, or None."""
    from containers.catalogue import algorithms

    prefix = stack_prefix()
    storage, training = outputs(target, f"{prefix}Storage"), outputs(target, f"{prefix}Training")
    if storage is None or training is None or "DataBucketName" not in storage:
        return None
    experiments = outputs(target, f"{prefix}Experiments") or {}
    machines = {name: training.get(f"{camel(name)}StateMachineArn") for name in algorithms()}
    return Resources(
        data_bucket=storage["DataBucketName"],
        model_bucket=storage["ModelBucketName"],
        state_machines={name: arn for name, arn in machines.items() if arn is not None},
        experiments=experiments.get("DataDistributionArn"),
    )


def outputs(target: Target, stack: str) -> dict[str, str] | None:
    """The outputs of a stack by their keys, or None when there is no such stack."""
    from botocore.exceptions import ClientError

    try:
        stacks = target.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if not stacks or stacks[0]["StackStatus"] == "DELETE_COMPLETE":
        return None
    return {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}


def environment_name() -> str:
    """Whose settings hold: KINDLING_ENVIRONMENT, or what cdk.json names."""
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return os.environ.get("KINDLING_ENVIRONMENT") or str(context["environment"])


def settings() -> Settings:
    """The settings of the environment.

    Raises:
        UserError: they cannot be meant.
    """
    return settings_of(environment_name())


@cache
def settings_of(environment: str) -> Settings:
    """The settings of an environment by its name.

    Raises:
        UserError: there is no such environment, or its settings cannot be meant.
    """
    try:
        return Settings.of_environment(environment)
    except InvalidSettingError as error:
        raise UserError(str(error)) from None


def stack_prefix() -> str:
    """What the names of the stacks begin with: the settings' `name` in camel case."""
    return settings().prefix


def camel(name: str) -> str:
    """`gluon_fasttext` -> `GluonFasttext`."""
    return "".join(part.capitalize() for part in name.replace("-", "_").split("_"))
