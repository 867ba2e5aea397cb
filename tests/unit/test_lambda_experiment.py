"""The experiment's functions: planning arms, measuring and scoring them, comparing, cleaning up."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.specification import InvalidJobError
from lambdas.experiment_arm.measuring import measure
from lambdas.experiment_arm.scoring import ScoringError, by_endpoint, by_transform
from lambdas.experiment_clean_up.clean_up import CannotCleanUpError, clean_up
from lambdas.experiment_compare.comparison import compare
from lambdas.experiment_compare.intervals import estimate
from lambdas.experiment_plan.plan import Pipeline, Site, plan
from lambdas.rollback.cause import in_words

LINEAR = Pipeline(
    state_machine="arn:linear",
    name_prefix="kindling-linear-learner",
    instance_count=1,
    distributions=("FullyReplicated", "ShardedByS3Key"),
    distributed=True,
    seeded=True,
    answers=("text/csv", "application/json"),
    metrics={"validation:mse": "minimize", "test:mse": "minimize"},
)
WORDS = Pipeline(
    state_machine="arn:words",
    name_prefix="kindling-words",
    instance_count=1,
    distributions=("FullyReplicated",),
    distributed=False,
    seeded=False,
    answers=("application/json",),
    metrics={"train:mean_rho": "maximize"},
)
SITE = Site(
    name_prefix="kindling-experiment",
    data_bucket="data",
    model_bucket="models",
    algorithms={"linear_learner": LINEAR, "words": WORDS},
)
TRAIN = {"train": "s3://data/linear_learner/train"}
TEST = "s3://data/linear_learner/test"


def planned(run: str = "air-1", **asked: Any) -> dict[str, Any]:
    given = {"algorithm": "linear_learner", "inputs": TRAIN, **asked}
    return plan(SITE, {"name": run, "input": given}, lambda _bucket, prefix: "empty" not in prefix)


def test_every_combination_is_an_arm_and_an_execution_of_the_pipeline() -> None:
    arms = {"distributions": ["ShardedByS3Key", "FullyReplicated"], "instance_counts": [2, 5], "seeds": [1, 2, 3]}
    found = planned(
        arms=arms, hyperparameters={"epochs": 3}, resources={"instance_type": "ml.c5.xlarge"}, name="air", test=TEST
    )
    assert len(found["arms"]) == 12
    assert {(arm["distribution"], arm["instance_count"], arm["seed"]) for arm in found["arms"]} == {
        (distribution, count, seed) for distribution in arms["distributions"] for count in (2, 5) for seed in (1, 2, 3)
    }
    first = found["arms"][0]
    assert first["input"] == {
        "name": "air",
        "inputs": {
            "train": {
                "s3_uri": TRAIN["train"],
                "distribution": "ShardedByS3Key",
                "compression": "None",
                "s3_data_type": "S3Prefix",
            }
        },
        "hyperparameters": {"epochs": 3, "seed": 1},
        "resources": {"instance_type": "ml.c5.xlarge", "instance_count": 2},
        "endpoint": {"name": first["endpoint_name"]},
    }
    for name in ("run", "endpoint_name", "config_name", "transform_name"):
        names = [arm[name] for arm in found["arms"]]
        assert len(set(names)) == 12
        assert max(map(len, names)) <= 63
    assert first["config_name"].startswith("kindling-linear-learner-")
    assert first["transform_name"].startswith("kindling-experiment-")
    assert found["test"] is True
    assert found["metric"] == "validation:mse"


def test_names_of_long_executions_fit() -> None:
    found = planned(run="e" * 80, arms={"instance_counts": [1, 2]})
    assert all(len(arm["run"]) <= 80 and len(arm["endpoint_name"]) <= 63 for arm in found["arms"])
    assert len({arm["run"] for arm in found["arms"]}) == 4


def test_what_is_not_said_is_the_algorithms() -> None:
    found = planned(resources={"instance_count": 3})
    assert [(arm["distribution"], arm["instance_count"], arm["seed"]) for arm in found["arms"]] == [
        ("FullyReplicated", 3, None),
        ("ShardedByS3Key", 3, None),
    ]
    assert all(arm["input"]["endpoint"] is None for arm in found["arms"]), "nobody would ask it"
    assert "seed" not in found["arms"][0]["input"]["hyperparameters"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"algorithm": "linear"}, 'algorithm is "linear"; did you mean linear_learner?'),
        ({"inputs": {"validation": TEST}}, "channel 'train' is missing from inputs"),
        ({"inputs": {}}, "inputs is {}; it must be an object of channels"),
        ({"metric": "test:mae"}, 'metric is "test:mae"; did you mean test:mse?'),
        ({"test": "s3://other/x"}, 'test is "s3://other/x"; it must lie in s3://data/linear_learner/.'),
        ({"test": "s3://data/linear_learner/empty"}, "test: s3://data/linear_learner/empty holds no data"),
        ({"test": "there"}, 'test is "there"; it must be an address such as s3://bucket/prefix'),
        ({"arms": {"instance_counts": [0]}}, "arms.instance_counts"),
        ({"arms": {"seeds": [1, 1]}}, "arms.seeds is [1, 1]; each value must be there once."),
        ({"arms": {"seeds": list(range(20)), "instance_counts": [1, 2]}}, "80 combinations; there may be 40."),
        ({"arms": {"seed": [1]}}, "arms.seed is unknown; did you mean seeds?"),
        ({"algorithm": "words", "arms": {"distributions": ["ShardedByS3Key"]}}, "words reads channel 'train' Fully"),
        ({"algorithm": "words", "arms": {"instance_counts": [2]}}, "words trains on one host."),
        ({"algorithm": "words", "arms": {"seeds": [2]}}, "words has no hyperparameter seed."),
        ({"algorithm": "words", "test": TEST}, "words does not answer text/csv"),
    ],
)
def test_an_input_that_cannot_be_meant_is_refused_in_one_sentence(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidJobError) as refused:
        planned(**asked)
    assert sentence in str(refused.value)


def test_times_are_parted_as_the_jobs_record_says() -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)

    def passed(status: str, start: float, end: float | None) -> dict[str, Any]:
        ended = {} if end is None else {"EndTime": begun + timedelta(seconds=end)}
        return {"Status": status, "StartTime": begun + timedelta(seconds=start), **ended}

    job = {
        "TrainingJobName": "job",
        "SecondaryStatusTransitions": [
            passed("Starting", 0, 30),
            passed("Downloading", 30, 42.5),
            passed("DownloadingTrainingImage", 42.5, 50),
            passed("Training", 50, 110),
            passed("Uploading", 110, 113),
            passed("Completed", 113, None),
        ],
        "TrainingTimeInSeconds": 83,
        "BillableTimeInSeconds": 80,
        "ResourceConfig": {"InstanceCount": 5},
        "FinalMetricDataList": [
            {"MetricName": "validation:mse", "Value": 2.5},
            {"MetricName": "train:loss", "Value": float("nan")},
        ],
        "AlgorithmSpecification": {"TrainingImage": "image"},
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models/m"},
    }
    found = measure(job)
    assert found["seconds"] == {"download": 20.0, "training": 60.0, "upload": 3.0}
    assert found["total_seconds"] == 83
    assert found["instance_seconds"] == 400
    assert found["metrics"] == {"validation:mse": 2.5}


def test_bodies_hold_as_many_records_as_fit() -> None:
    bodies: list[bytes] = []

    def ask(body: bytes) -> bytes:
        bodies.append(body)
        rows = body.decode().splitlines()
        return ('{"predictions": [' + ",".join(f'{{"score": {row.split(",")[0]}}}' for row in rows) + "]}").encode()

    lines = [f"{label},{label + 1},7".encode() for label in range(10)]
    scores = by_endpoint([("a.csv", lines[:6]), ("b.csv", [b"", *lines[6:]])], ask, largest=12)
    assert [len(body) for body in bodies] == [12, 12, 12, 5]
    assert b"".join(bodies) == b"".join(f"{label + 1},7\n".encode() for label in range(10))
    assert list(scores.errors) == [1.0] * 10
    summary = scores.summary()
    assert (summary["measure"], summary["mean"], summary["half_width"], summary["records"]) == ("MSE", 1.0, 0.0, 10)


def test_classes_are_counted_and_both_ways_give_the_same() -> None:
    lines = [b"1,2", b"0,3", b"1,4", b"0,5"]
    answers = [f'{{"score": 0.9, "predicted_label": {label}}}' for label in (1, 1, 1, 0)]
    asked = by_endpoint([("a", lines)], lambda _: f'{{"predictions": [{",".join(answers)}]}}'.encode())
    transformed = by_transform([("a", lines, [answer.encode() for answer in answers])])
    assert asked.errors == transformed.errors == array("f", [0, 1, 0, 0])
    assert asked.summary()["measure"] == "error rate"
    assert asked.summary()["mean"] == 0.25
    assert asked.summary()["half_width"] == pytest.approx(1.96 * 0.5 / 2)


@pytest.mark.parametrize(
    ("lines", "answers", "sentence"),
    [
        ([b"1,2"], [], "a: the transform's output has fewer answers than there are records."),
        ([b"1,2"], [b'{"score": 1}', b'{"score": 1}'], "a: the transform's output has more answers"),
        ([b"tall,2"], [b'{"score": 1}'], "a: label 'tall' and answer"),
        ([b"1,2"], [b'{"vector": 1}'], "a: label '1' and answer"),
        ([b"1,2"], [b"3"], "a: label '1' and answer '3' cannot be compared."),
    ],
)
def test_what_cannot_be_scored_is_said(lines: list[bytes], answers: list[bytes], sentence: str) -> None:
    with pytest.raises(ScoringError) as refused:
        by_transform([("a", lines, answers)])
    assert sentence in str(refused.value)


def test_no_record_and_too_few_predictions_are_said() -> None:
    with pytest.raises(ScoringError, match="the test data hold no record"):
        by_endpoint([("a", [])], lambda body: body).summary()
    with pytest.raises(ScoringError, match="did not give 1 predictions"):
        by_endpoint([("a", [b"1,2"])], lambda _: b'{"predictions": []}')


def test_students_interval() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5
    # 3.182 * sqrt(5/3) / 2
    assert found.half_width == pytest.approx(2.0540, abs=1e-3)
    assert estimate([3.0]).half_width is None


def arm(number: int, distribution: str, seconds: float, errors: Sequence[float] | None, **more: Any) -> dict[str, Any]:
    scored = {
        "endpoint": {"measure": "MSE", "mean": 0.0, "half_width": 0.0, "records": 4, "errors": f"{number}"},
        "transform": {"measure": "MSE", "mean": 0.0, "half_width": 0.0, "records": 4, "errors": f"{number}"},
    }
    return {
        "arm": {
            "number": number,
            "distribution": distribution,
            "instance_count": 2,
            "seed": number,
            "run": f"run-{number}",
        },
        "measured": {
            "job_name": f"job-{number}",
            "seconds": {"download": 1.0, "training": seconds, "upload": 1.0},
            "total_seconds": seconds + 2,
            "instance_seconds": 2 * (seconds + 2),
            "metrics": more,
            "model_s3_uri": "s3://models/m",
        },
        **(scored if errors is not None else {}),
    }


def test_arms_are_compared_record_by_record() -> None:
    errors = {"0": [1.0, 2.0, 3.0, 4.0], "1": [1.5, 2.4, 3.6, 4.5], "2": [1.0, 2.1, 2.9, 4.0]}
    arms = [
        arm(0, "FullyReplicated", 40, errors["0"]),
        arm(1, "ShardedByS3Key", 20, errors["1"]),
    ]
    chosen = {"run": "air", "algorithm": "linear_learner", "metric": "m", "goal": "minimize", "test": True}
    found = compare(chosen, arms, errors.__getitem__)
    assert found["reference"] == "FullyReplicated on 2 hosts"
    assert found["records"] == 4
    time, quality = found["verdict"]
    assert time == (
        "ShardedByS3Key on 2 hosts trained 2.00 times as fast as FullyReplicated on 2 hosts (20.0 s and 40.0 s),"
        " at 0.52 of its instance-seconds."
    )
    assert "has MSE 3, FullyReplicated on 2 hosts 2.5 (difference +0.5," in quality
    assert quality.endswith("ShardedByS3Key on 2 hosts is worse, by 4 test records.")
    alike = compare(chosen, [arms[0], arm(2, "ShardedByS3Key", 80, errors["2"])], errors.__getitem__)
    assert "trained 2.00 times as slow" in alike["verdict"][0]
    assert alike["verdict"][1].endswith("no difference that 4 test records show.")


def test_seeds_tell_how_sure_a_metric_is() -> None:
    chosen = {"run": "w", "algorithm": "words", "metric": "rho", "goal": "maximize", "test": False}
    arms = [arm(n, "FullyReplicated", 10, None, rho=0.5 + n / 100) for n in range(3)]
    arms += [arm(n, "ShardedByS3Key", 10, None, rho=0.7 + n / 100) for n in range(3)]
    found = compare(chosen, arms, lambda _: [])
    assert [group["quality"]["mean"] for group in found["groups"]] == [pytest.approx(0.51), pytest.approx(0.71)]
    assert found["verdict"][1].endswith("is better, by 3 and 3 seeds.")
    one = compare(chosen, [arms[0], arms[3]], lambda _: [])
    assert "with one seed each nobody can tell whether that is chance" in one["verdict"][1]
    silent = compare(chosen, [arms[0], arm(9, "ShardedByS3Key", 10, None)], lambda _: [])
    assert silent["verdict"][1] == "rho was not reported by every arm, so it cannot be compared."
    alone = compare(chosen, arms[:1], lambda _: [])
    assert alone["verdict"] == ["FullyReplicated on 2 hosts is the only arm, so there is nothing to compare."]


class SageMaker:
    """Endpoints by name with their statuses; deleting takes a look."""

    def __init__(self, **endpoints: str) -> None:
        self.endpoints, self.deleted = endpoints, []  # type: ignore[var-annotated]

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        if EndpointName not in self.endpoints:
            error = {"Error": {"Code": "ValidationException", "Message": f"Could not find endpoint {EndpointName}"}}
            raise ClientError(error, "DescribeEndpoint")  # type: ignore[arg-type]
        status = self.endpoints[EndpointName]
        if status == "Deleting":
            del self.endpoints[EndpointName]
        return {"EndpointArn": "arn", "EndpointStatus": status}

    def delete_endpoint(self, EndpointName: str) -> None:  # noqa: N803
        assert self.endpoints[EndpointName] == "InService"
        self.endpoints[EndpointName] = "Deleting"

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        self.deleted.append(EndpointConfigName)

    def delete_model(self, ModelName: str) -> None:  # noqa: N803
        self.deleted.append(ModelName)


def test_endpoints_go_first_and_one_in_motion_is_waited_for() -> None:
    arms = [
        {"endpoint_name": name, "config_name": f"{name}-config", "model_names": [f"{name}-model", f"{name}-batch"]}
        for name in ("a", "b")
    ]
    sagemaker = SageMaker(a="InService", b="Creating")
    assert clean_up(sagemaker, arms, 10, 0) is False
    assert sagemaker.endpoints == {"a": "Deleting", "b": "Creating"}
    sagemaker.endpoints["b"] = "InService"
    assert clean_up(sagemaker, arms, 10, 1) is False
    assert clean_up(sagemaker, arms, 10, 2) is False
    assert clean_up(sagemaker, arms, 10, 3) is True
    assert not sagemaker.endpoints
    assert set(sagemaker.deleted) == {"a-config", "a-model", "a-batch", "b-config", "b-model", "b-batch"}
    with pytest.raises(CannotCleanUpError, match="endpoint c could not be deleted in time"):
        clean_up(SageMaker(c="Updating"), [{**arms[0], "endpoint_name": "c"}], 3, 2)
    assert clean_up(SageMaker(), [], 3, 0) is True, "a plan that was refused has no arms"


def test_the_cause_of_a_nested_execution_is_told() -> None:
    cause = '{"ExecutionArn": "arn:x", "Status": "FAILED", "Error": "TrainFailed", "Cause": "Train: no data."}'
    assert in_words({"Error": "States.TaskFailed", "Cause": cause}) == "Train: no data."
