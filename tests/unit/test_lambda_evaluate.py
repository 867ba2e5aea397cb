"""What a model reached, and whether that is enough."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from lambdas.evaluate.archive import LARGEST, UnreadableEvaluationError, evaluation_in
from lambdas.evaluate.champion import bucket_and_key
from lambdas.evaluate.gate import Champion, Gate, decide
from lambdas.evaluate.metrics import UnfinishedJobError, metrics_of, training_summary, value_of

RHO = "train:mean_rho"


class Stream(io.RawIOBase):
    """A body that is read once and counts, as S3's."""

    def __init__(self, content: bytes) -> None:
        self._inner, self.taken = io.BytesIO(content), 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self._inner.read(size)
        self.taken += len(content)
        return content


def archive(**files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=0) as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    return target.getvalue()


def evaluation(content: bytes, name: str = "eval.json") -> dict[str, Any]:
    return evaluation_in(Stream(content), name)  # type: ignore[arg-type]


def test_the_evaluation_is_found_between_other_files() -> None:
    content = archive(**{"vectors.txt": b"x" * 9999, "eval.json": b'{"mean_rho": 0.7}', "vectors.bin": b"y"})
    assert evaluation(content) == {"mean_rho": 0.7}


def test_an_archive_that_names_its_files_from_the_folder_is_the_same() -> None:
    assert evaluation(archive(**{"./eval.json": b'{"mean_rho": 0.7}'})) == {"mean_rho": 0.7}


def test_reading_stops_at_the_evaluation() -> None:
    stream = Stream(archive(**{"eval.json": b"{}", "vectors.bin": bytes(5_000_000)}))
    evaluation_in(stream, "eval.json")  # type: ignore[arg-type]
    assert stream.taken < 1_000_000


def test_an_archive_without_evaluation_has_no_details() -> None:
    assert evaluation(archive(**{"model.bin": b"x", "sub/eval.json": b"{}"})) == {}


def test_numbers_that_json_has_not_become_null() -> None:
    content = archive(**{"eval.json": b'{"mean_rho": NaN, "sets": [{"rho": Infinity}]}'})
    assert evaluation(content) == {"mean_rho": None, "sets": [{"rho": None}]}


@pytest.mark.parametrize(
    "content",
    [
        b"not an archive at all",
        archive(**{"vectors.txt": b"x" * 99999})[:2000],
        archive(**{"eval.json": b"{"}),
        archive(**{"eval.json": b"[1]"}),
        archive(**{"eval.json": json.dumps("x" * LARGEST).encode()}),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes) -> None:
    with pytest.raises(UnreadableEvaluationError):
        evaluation(content)


def test_a_metric_is_the_jobs_or_else_the_evaluations() -> None:
    assert value_of(RHO, {RHO: 0.7}, {"mean_rho": 0.1}) == 0.7
    assert value_of(RHO, {}, {"mean_rho": 0.1}) == 0.1
    assert value_of(RHO, {}, {"mean_rho": None}) is None
    assert value_of(RHO, {}, {}) is None


def test_a_tuning_jobs_objective_is_not_one_more_metric() -> None:
    listed = [{"MetricName": name, "Value": 0.6} for name in ("train:mean_rho", "ObjectiveMetric")]
    assert metrics_of({"FinalMetricDataList": listed}) == {"train:mean_rho": 0.6}


def test_the_last_value_of_a_metric_counts_and_no_number_is_left_out() -> None:
    listed = [
        {"MetricName": RHO, "Value": 0.1},
        {"MetricName": RHO, "Value": 0.2},
        {"MetricName": "train:loss", "Value": float("nan")},
    ]
    assert metrics_of({"FinalMetricDataList": listed}) == {RHO: 0.2}
    assert metrics_of({}) == {}


def test_a_job_that_ran_out_of_time_has_no_model_to_deploy() -> None:
    job = {"TrainingJobName": "j", "TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}
    with pytest.raises(UnfinishedJobError, match="it reached max_runtime_s"):
        training_summary(job)


@pytest.mark.parametrize(
    "address",
    [
        "s3://models/blazingtext/j/output/model.tar.gz",
        "https://s3.us-east-1.amazonaws.com/models/blazingtext/j/output/model.tar.gz",
    ],
)
def test_both_forms_of_an_address_are_understood(address: str) -> None:
    assert bucket_and_key(address) == ("models", "blazingtext/j/output/model.tar.gz")


MAXIMIZE = Gate(metric=RHO, goal="maximize", at_least=0.65)


@pytest.mark.parametrize(("value", "passed"), [(0.64, False), (0.65, True), (0.66, True), (None, False)])
def test_a_bound_that_is_reached_exactly_is_reached(value: float | None, passed: bool) -> None:
    assert decide(MAXIMIZE, value, None).passed is passed


def test_a_refusal_names_the_value_and_the_bound() -> None:
    assert decide(MAXIMIZE, 0.31, None).reason == "train:mean_rho=0.31 is below at_least=0.65."
    assert decide(MAXIMIZE, None, None).reason == "the training job did not report train:mean_rho."


@pytest.mark.parametrize(
    ("goal", "value", "passed"),
    [("maximize", 0.71, True), ("maximize", 0.7, False), ("minimize", 0.69, True), ("minimize", 0.7, False)],
)
def test_beating_the_champion_takes_more_than_being_its_equal(goal: Any, value: float, passed: bool) -> None:
    gate = Gate(metric=RHO, goal=goal, beat_champion=True)
    assert decide(gate, value, Champion(model="m", value=0.7)).passed is passed


def test_without_a_champion_there_is_nothing_to_beat() -> None:
    assert decide(Gate(metric=RHO, goal="maximize", beat_champion=True), 0.1, None).passed


def test_a_champion_without_a_value_on_record_is_not_replaced_silently() -> None:
    decision = decide(Gate(metric=RHO, goal="maximize", beat_champion=True), 0.9, Champion(model="m", value=None))
    assert not decision.passed
    assert "champion m is not on record" in decision.reason


def test_every_objection_is_named() -> None:
    gate = Gate(metric=RHO, goal="maximize", at_least=0.8, beat_champion=True)
    reason = decide(gate, 0.5, Champion(model="m", value=0.7)).reason
    assert "below at_least=0.8" in reason
    assert "does not beat the champion's 0.7" in reason
