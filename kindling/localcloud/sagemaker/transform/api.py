"""CreateTransformJob, DescribeTransformJob, ListTransformJobs and StopTransformJob."""

from __future__ import annotations

from typing import Any

from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.jobs import JobRun, Jobs
from kindling.localcloud.sagemaker.resources import Resources
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.transform.job import TransformJob
from kindling.localcloud.sagemaker.transform.request import check
from kindling.localcloud.sagemaker.transform.run import TransformRun


class TransformJobs(Jobs[TransformJob]):
    """The transform jobs of one cloud."""

    def __init__(self, around: Surroundings, models: Resources[Model]) -> None:
        super().__init__(around, TransformJob)
        self._models = models

    def checked(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request, as it is."""
        check(request)
        self._models.get(request["ModelName"])
        return request

    def run_of(self, job: TransformJob) -> JobRun[TransformJob]:
        """The run of a new job."""
        return TransformRun(job, self._models.get(job.request["ModelName"]), self.around)
