"""What belongs to a deployment, told by names and tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from kindling import resources

# The pipelines tag what they make with these (lambdas/plan/plan.py).
ALGORITHM, RUN = "kindling:algorithm", "kindling:run"
ACCOUNT_STACK = "Account"
# A tuning job's name is short, so it begins with so much of what other names begin with (training_pipeline.py).
_TUNING_PREFIX = 22
_STACK = re.compile(r"[A-Z][a-z]+")


@dataclass(frozen=True)
class Ownership:
    """Of the deployment that the settings name. `algorithms` are the catalogue's, with dashes.

    Names are compared with the algorithm in them, so that deployments `words` and `words-dev` are never taken for one.
    """

    name: str
    prefix: str
    algorithms: tuple[str, ...]

    @cached_property
    def pipelines(self) -> tuple[str, ...]:
        """What an algorithm's names begin with, without the dash; also the name of its model package group."""
        return tuple(f"{self.name}-{algorithm}" for algorithm in self.algorithms)

    @property
    def experiments(self) -> str:
        """What the names begin with that experiments give."""
        return f"{self.name}-experiment-"

    @cached_property
    def beginnings(self) -> tuple[str, ...]:
        """What the names of models, configurations, jobs and alarms begin with."""
        pipelines = (f"{pipeline}-" for pipeline in self.pipelines)
        tunings = (f"{pipeline[:_TUNING_PREFIX]}-" for pipeline in self.pipelines)
        return tuple(dict.fromkeys((*pipelines, *tunings, self.experiments)))

    def named(self, name: str) -> bool:
        """Whether a name is one that this deployment's pipelines or experiments give."""
        return name.startswith(self.beginnings)

    def algorithm_of(self, name: str) -> str | None:
        """The algorithm, with dashes, in a name that `named` knows; None in an experiment's."""
        found = [one for one in self.algorithms if name.startswith(f"{self.name}-{one}"[:_TUNING_PREFIX])]
        return max(found, key=len, default=None)

    def stack(self, name: str) -> bool:
        """Whether a stack is one of app.py's: the deployment's name and one word, which is not the account's."""
        word = name.removeprefix(self.prefix)
        return name.startswith(self.prefix) and bool(_STACK.fullmatch(word)) and word != ACCOUNT_STACK


def ownership() -> Ownership:
    """What belongs to the deployment of the environment's settings.

    Raises:
        UserError: the settings cannot be meant.
    """
    from containers.catalogue import algorithms

    settings = resources.settings()
    return Ownership(settings.name, settings.prefix, tuple(name.replace("_", "-") for name in algorithms()))
