"""The catalogue holds every algorithm folder, and each description is consistent with itself."""

from __future__ import annotations

import json
import re

import jmespath
import pytest

from containers.catalogue import CONTAINERS, algorithms, folder

NAMES = sorted(algorithms())


def test_every_folder_with_a_description_is_an_algorithm() -> None:
    assert sorted(path.parent.name for path in CONTAINERS.glob("*/algorithm.toml")) == NAMES
    assert NAMES, "the house has no algorithm"


@pytest.mark.parametrize("name", NAMES)
def test_an_algorithm_folder_has_what_its_image_is_built_from(name: str) -> None:
    assert (folder(name) / "Dockerfile").is_file()
    assert (folder(name) / "requirements.txt").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_of_an_algorithm_pass_its_own_check(name: str) -> None:
    algorithm = algorithms()[name]
    required = {key: (h.choices or ("1",))[0] for key, h in algorithm.hyperparameters.items() if h.required}
    values = algorithm.parse_hyperparameters(required, 1)
    assert set(values) == set(algorithm.hyperparameters)
    as_sent = {key: str(value) for key, value in values.items() if value is not None}
    assert algorithm.parse_hyperparameters(as_sent, 1) == values


@pytest.mark.parametrize("name", NAMES)
def test_metric_and_progress_regexes_have_the_one_group_the_service_reads(name: str) -> None:
    algorithm = algorithms()[name]
    patterns = [metric.regex for metric in algorithm.metrics] + (
        [algorithm.progress.regex] if algorithm.progress else []
    )
    assert patterns
    assert all(re.compile(pattern).groups == 1 for pattern in patterns)


@pytest.mark.parametrize("name", NAMES)
def test_the_smoke_test_is_a_request_the_algorithm_says_it_takes(name: str) -> None:
    serving = algorithms()[name].serving
    assert serving.smoke_test.content_type in serving.content_types
    json.loads(serving.smoke_test.body)
    jmespath.compile(serving.smoke_test.expect)
