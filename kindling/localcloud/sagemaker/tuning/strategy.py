"""The searches of a tuning job, one for each definition, with what they know from the parents of a warm start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from kindling.localcloud.sagemaker.tuning.definition import Definition
from kindling.localcloud.sagemaker.tuning.job import TuningJob
from kindling.localcloud.sagemaker.tuning.ranges import CategoricalRange
from kindling.localcloud.sagemaker.tuning.request import IDENTICAL, hyperband_resource
from kindling.localcloud.sagemaker.tuning.search import GridSearch, Known, OptunaSearch, Search


def searches_of(
    request: Mapping[str, Any], definitions: Sequence[Definition], jobs: int, parents: Sequence[TuningJob]
) -> list[Search]:
    """The searches of a request that was checked, in the order of its definitions."""
    return [_search(request, definition, jobs, parents) for definition in definitions]


def _search(request: Mapping[str, Any], definition: Definition, jobs: int, parents: Sequence[TuningJob]) -> Search:
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] == "Grid":
        return GridSearch(cast(Sequence[CategoricalRange], definition.ranges))
    search = OptunaSearch(
        config["Strategy"],
        definition.ranges,
        definition.objective,
        jobs=jobs,
        seed=config.get("RandomSeed"),
        resource=hyperband_resource(config, definition),
    )
    if known := _known(parents):
        if request["WarmStartConfig"]["WarmStartType"] == IDENTICAL:
            search.learn(known)
        else:
            search.begin_with(known)
    return search


def _known(parents: Sequence[TuningJob]) -> list[Known]:
    return [
        Known({**trial.definition.static, **trial.tuned}, trial.value)
        for parent in parents
        for trial in parent.trials
        if trial.value is not None
    ]
