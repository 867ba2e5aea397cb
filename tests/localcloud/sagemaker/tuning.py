"""What the tests of tuning jobs ask of a cloud."""

from __future__ import annotations

from typing import Any

from kindling.localcloud.sagemaker.tuning.objective import Objective
from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE

LOSS = Objective("loss", maximize=False)
PARABOLA = "(x - 2) ** 2"
X = {"Name": "x", "MinValue": "-10", "MaxValue": "10", "ScalingType": "Linear"}


class Tuner:
    """Makes and follows tuning jobs of the small program, whose printed objective is an expression."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.sagemaker = account.sagemaker

    def request(
        self,
        strategy: str = "Random",
        *,
        jobs: int | None = 3,
        parallel: int = 2,
        type: str = "Minimize",
        ranges: dict[str, Any] | None = None,
        static: dict[str, str] | None = None,
        definition: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """A request; without `ranges` it searches x for the least of a parabola."""
        limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel}
        return {
            "HyperParameterTuningJobName": new_name("tuning"),
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": type, "MetricName": "loss"},
                "ResourceLimits": {name: limit for name, limit in limits.items() if limit is not None},
                "ParameterRanges": ranges or {"ContinuousParameterRanges": [X]},
                "RandomSeed": 7,
                **(config or {}),
            },
            "TrainingJobDefinition": {**self.definition(static), **(definition or {})},
            **changes,
        }

    def definition(self, static: dict[str, str] | None = None) -> dict[str, Any]:
        return {
            "StaticHyperParameters": {"objective": PARABOLA, **(static or {})},
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": r"objective=(\S+)"}],
            },
            "RoleArn": self.account.role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.account.bucket}/tuned"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }

    def begin(self, *strategy: str, **changes: Any) -> str:
        """Create a tuning job; its name."""
        request = self.request(*strategy, **changes)
        self.sagemaker.create_hyper_parameter_tuning_job(**request)
        return str(request["HyperParameterTuningJobName"])

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name))

    def ended(self, name: str) -> dict[str, Any]:
        """The description of a tuning job once it has ended."""

        def look() -> dict[str, Any] | None:
            found = self.describe(name)
            return found if found["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return dict(until(look))

    def tune(self, *strategy: str, **changes: Any) -> dict[str, Any]:
        """Run a tuning job to its end; its description."""
        return self.ended(self.begin(*strategy, **changes))

    def trainings(self, name: str, **more: Any) -> list[dict[str, Any]]:
        """The summaries of a tuning job's training jobs, in the order in which they were launched."""
        list_page = self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job
        return list(list_page(HyperParameterTuningJobName=name, MaxResults=100, **more)["TrainingJobSummaries"])

    def tried(self, name: str) -> list[dict[str, str]]:
        """The hyperparameters that a tuning job tried, in the order in which it did."""
        return [training["TunedHyperParameters"] for training in self.trainings(name)]


def objective(training: dict[str, Any]) -> float:
    return float(training["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
