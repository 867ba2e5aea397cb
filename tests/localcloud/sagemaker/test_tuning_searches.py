"""What a tuning job tries next, apart from any training: scales, strategies, early stopping."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from kindling.localcloud.sagemaker.tuning.objective import Objective, falls_behind
from kindling.localcloud.sagemaker.tuning.ranges import ranges_of
from kindling.localcloud.sagemaker.tuning.search import Known, OptunaSearch, Resource
from tests.localcloud.sagemaker.tuning import LOSS, X


def numbers(low: str, high: str, scaling: str = "Auto", kind: str = "Continuous") -> dict[str, Any]:
    return {f"{kind}ParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


def search(ranges: dict[str, Any], strategy: str = "Random", jobs: int = 60, **more: Any) -> OptunaSearch:
    return OptunaSearch(strategy, ranges_of(ranges), LOSS, jobs=jobs, **{"seed": 3, **more})


def asked(found: OptunaSearch, count: int) -> list[dict[str, str]]:
    return [suggestion[1] for suggestion in (found.ask() for _ in range(count)) if suggestion]


def minimise(found: OptunaSearch, function: Callable[..., float], steps: int) -> list[float]:
    """Let a search find the least of a function; the values in order."""
    values = []
    for _ in range(steps):
        suggestion = found.ask()
        assert suggestion
        number, tuned = suggestion
        values.append(function(**{name: float(text) for name, text in tuned.items()}))
        found.tell(number, values[-1], whole=True)
    return values


@pytest.mark.parametrize(
    ("low", "high", "scaling", "middle"),
    [
        ("0", "100", "Linear", 50),
        ("0.0001", "1", "Logarithmic", 0.01),
        ("0.0001", "1", "Auto", 0.01),
        ("1", "50", "Auto", 25.5),
        ("0", "0.9999", "ReverseLogarithmic", 0.99),
    ],
)
def test_half_of_the_values_lie_on_either_side_of_the_scale_s_middle(
    low: str, high: str, scaling: str, middle: float
) -> None:
    values = [float(tuned["x"]) for tuned in asked(search(numbers(low, high, scaling)), 400)]
    assert all(float(low) <= value <= float(high) for value in values)
    assert sum(value < middle for value in values) / 400 == pytest.approx(0.5, abs=0.08)


def test_integers_are_written_without_a_point_and_reach_both_ends() -> None:
    texts = {tuned["x"] for tuned in asked(search(numbers("3", "6", kind="Integer")), 4)}
    assert texts == {"3", "4", "5", "6"}


def test_what_can_be_counted_is_suggested_once_each_until_nothing_is_left() -> None:
    ranges = numbers("1", "5", kind="Integer") | {"CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b"]}]}
    for strategy in ("Random", "Bayesian"):
        found = search(ranges, strategy)
        pairs = []
        while suggestion := found.ask():
            number, tuned = suggestion
            found.tell(number, float(tuned["x"]), whole=True)
            pairs.append((tuned["x"], tuned["c"]))
        assert len(pairs) == len(set(pairs)) == 10


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_the_same_seed_gives_the_same_suggestions_and_another_others(strategy: str) -> None:
    def values(seed: int) -> list[float]:
        return minimise(search({"ContinuousParameterRanges": [X]}, strategy, jobs=12, seed=seed), lambda x: x * x, 12)

    assert values(1) == values(1)
    assert values(1) != values(2)


def test_bayesian_is_better_than_random_over_many_seeds() -> None:
    def best(strategy: str, seed: int) -> float:
        found = search({"ContinuousParameterRanges": [X, X | {"Name": "y"}]}, strategy, jobs=25, seed=seed)
        return min(minimise(found, lambda x, y: (x - 2) ** 2 + (y + 3) ** 2, 25))

    wins = sum(best("Bayesian", seed) < best("Random", seed) for seed in range(10))
    assert wins >= 8


def test_what_parents_know_counts_as_if_it_had_been_found_here() -> None:
    ranges = {"ContinuousParameterRanges": [X]}
    known = [Known({"x": str(x), "static": "1"}, (x - 2) ** 2) for x in range(-9, 10)]
    outside = [Known({"x": "1000"}, -1.0), Known({"other": "1"}, -1.0)]
    taught = search(ranges, "Bayesian", jobs=3)
    taught.learn(known + outside)
    # Without parents the first suggestions are random; with them they are near the least of what is known.
    near = [abs(float(tuned["x"]) - 2) for tuned in asked(taught, 3)]
    far = [abs(float(tuned["x"]) - 2) for tuned in asked(search(ranges, "Bayesian", jobs=3), 3)]
    assert sum(near) < sum(far)


@pytest.mark.parametrize("maximize", [False, True])
def test_a_transfer_begins_with_the_best_of_the_parents(maximize: bool) -> None:
    found = OptunaSearch(
        "Bayesian", ranges_of({"ContinuousParameterRanges": [X]}), Objective("m", maximize), jobs=9, seed=1
    )
    found.begin_with([Known({"x": str(float(x))}, float(x)) for x in range(6)])
    best = ["5.0", "4.0", "3.0"] if maximize else ["0.0", "1.0", "2.0"]
    assert [tuned["x"] for tuned in asked(found, 3)] == best


def test_hyperband_gives_good_jobs_all_epochs_and_stops_bad_ones_sooner() -> None:
    found = search({"ContinuousParameterRanges": [X]}, "Hyperband", jobs=30, resource=Resource(1, 9))
    epochs: dict[float, int] = {}
    for _ in range(30):
        suggestion = found.ask()
        assert suggestion
        number, tuned = suggestion
        loss = abs(float(tuned["x"]))
        epoch = 1
        while not found.hear(number, loss + 1 / epoch, epoch):
            epoch += 1
        found.tell(number, loss + 1 / epoch, whole=False)
        epochs[loss] = epoch
    assert max(epochs.values()) == 9
    assert min(epochs.values()) < 9
    stopped = [loss for loss, epoch in epochs.items() if epoch < 9]
    went_on = [loss for loss, epoch in epochs.items() if epoch == 9]
    assert sum(went_on) / len(went_on) < sum(stopped) / len(stopped)


def test_the_least_resource_of_hyperband_is_given_to_every_job() -> None:
    found = search({"ContinuousParameterRanges": [X]}, "Hyperband", jobs=20, resource=Resource(4, 9))
    for index in range(20):
        suggestion = found.ask()
        assert suggestion
        heard = [found.hear(suggestion[0], index * 10.0, epoch) for epoch in (1, 2, 3)]
        assert heard == [False] * 3
        found.tell(suggestion[0], index * 10.0, whole=False)


@pytest.mark.parametrize(
    ("history", "others", "stops"),
    [
        ([3.0], [[1.0, 9.0], [2.0], [5.0]], True),  # worse than the median, 2
        ([1.5], [[1.0, 9.0], [2.0], [5.0]], False),
        ([9.0, 1.0], [[4.0, 2.0, 0.0], [6.0, 4.0]], False),  # the latest value against running averages 3 and 5
        ([1.0, 4.5], [[4.0, 2.0, 0.0], [6.0, 4.0]], True),
        ([9.0, 9.0], [[1.0]], False),  # none of the others came so far
        ([9.0, 9.0], [[1.0, 1.0]], False),  # all of the others ended here
        ([9.0], [], False),
    ],
)
def test_a_job_falls_behind_when_it_is_worse_than_the_median_of_running_averages(
    history: list[float], others: list[list[float]], stops: bool
) -> None:
    assert falls_behind(LOSS, history, others) is stops
    turned = [[-value for value in other] for other in others]
    assert falls_behind(Objective("gain", maximize=True), [-value for value in history], turned) is stops


def test_an_improvement_of_less_than_one_percent_is_none() -> None:
    assert LOSS.not_improving([100, 98, 97.5, 97.4, 99]) == 3
    assert LOSS.not_improving([100, 98, 97.5, 90]) == 0
    assert LOSS.not_improving([]) == 0


def test_suggestions_of_a_wide_range_cover_its_orders_of_magnitude() -> None:
    values = sorted(float(tuned["x"]) for tuned in asked(search(numbers("1e-6", "1", "Logarithmic")), 200))
    assert max(math.log10(after / before) for before, after in pairwise(values)) < 1


def test_a_cloud_that_tunes_nothing_does_not_import_optuna() -> None:
    code = "import sys; import kindling.localcloud.sagemaker; print('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
