"""The figures of a training job."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# What a tuning job calls one of its training jobs' own metrics, once more.
_OBJECTIVE = "ObjectiveMetric"


class UnfinishedJobError(RuntimeError):
    """The job ended without a model. The message is one sentence."""


def metrics_of(job: Mapping[str, Any]) -> dict[str, float]:
    """The last value of each metric that a job's description lists; those that are no finite number are left out."""
    found = {entry["MetricName"]: float(entry["Value"]) for entry in job.get("FinalMetricDataList") or ()}
    return {name: value for name, value in found.items() if math.isfinite(value) and name != _OBJECTIVE}


def value_of(metric: str, metrics: Mapping[str, float], details: Mapping[str, Any]) -> float | None:
    """The metric as the job reported it; else as the evaluation file has it, under its name without the channel."""
    if metric in metrics:
        return metrics[metric]
    noted = details.get(metric.rsplit(":", 1)[-1])
    return float(noted) if isinstance(noted, int | float) and not isinstance(noted, bool) else None


def training_summary(job: Mapping[str, Any]) -> dict[str, Any]:
    """What an execution's output says of its training job (docs/pipeline.md#output).

    Raises:
        UnfinishedJobError: the job was stopped, by a person or by its time limit.
    """
    if job["TrainingJobStatus"] != "Completed":
        why = "it reached max_runtime_s" if job.get("SecondaryStatus") == "MaxRuntimeExceeded" else "it was stopped"
        raise UnfinishedJobError(f"training job {job['TrainingJobName']} left no finished model, because {why}.")
    seconds = job.get("TrainingTimeInSeconds", 0)
    return {
        "job_name": job["TrainingJobName"],
        "model_s3_uri": job["ModelArtifacts"]["S3ModelArtifacts"],
        "training_seconds": seconds,
        "billable_seconds": job.get("BillableTimeInSeconds", seconds),
        "metrics": metrics_of(job),
    }
