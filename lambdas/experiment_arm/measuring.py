"""What an arm's training took, from the job's own record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Of the record's statuses, what a reader calls them; the rest is waiting for hosts.
_PHASES = {
    "Downloading": "download",
    "DownloadingTrainingImage": "download",
    "Training": "training",
    "Uploading": "upload",
}


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Times, cost and metrics of a training job as DescribeTrainingJob tells it.

    Returns:
        `seconds` by phase, `instance_seconds` (what is paid for), `metrics` by name, and what a model is made of.
    """
    seconds = {"download": 0.0, "training": 0.0, "upload": 0.0}
    for transition in job.get("SecondaryStatusTransitions") or ():
        phase = _PHASES.get(transition["Status"])
        if phase and "EndTime" in transition:
            seconds[phase] += (transition["EndTime"] - transition["StartTime"]).total_seconds()
    hosts = job["ResourceConfig"]["InstanceCount"]
    metrics = {found["MetricName"]: float(found["Value"]) for found in job.get("FinalMetricDataList") or ()}
    return {
        "job_name": job["TrainingJobName"],
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
        "total_seconds": job.get("TrainingTimeInSeconds", 0),
        "instance_seconds": job.get("BillableTimeInSeconds", job.get("TrainingTimeInSeconds", 0)) * hosts,
        "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        "model_s3_uri": job["ModelArtifacts"]["S3ModelArtifacts"],
        "isolated": bool(job.get("EnableNetworkIsolation", False)),
    }
