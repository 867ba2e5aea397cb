"""CreateProcessingJob, DescribeProcessingJob, ListProcessingJobs, StopProcessingJob and DeleteProcessingJob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling.localcloud.sagemaker.errors import ResourceInUseError
from kindling.localcloud.sagemaker.jobs import FINAL, JobRun, Jobs
from kindling.localcloud.sagemaker.processing.job import ProcessingJob
from kindling.localcloud.sagemaker.processing.request import check, with_defaults
from kindling.localcloud.sagemaker.processing.run import ProcessingRun
from kindling.localcloud.sagemaker.resources import Operation, require_role
from kindling.localcloud.sagemaker.surroundings import Surroundings


class ProcessingJobs(Jobs[ProcessingJob]):
    """The processing jobs of one cloud."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around, ProcessingJob)

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {**super().operations(), "DeleteProcessingJob": self.delete}

    def checked(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with its defaults."""
        check(request)
        require_role(self.around.cloud, request["RoleArn"])
        self.around.runner.check(request["AppSpecification"]["ImageUri"])
        return with_defaults(request)

    def run_of(self, job: ProcessingJob) -> JobRun[ProcessingJob]:
        """The run of a new job."""
        return ProcessingRun(job, self.around)

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a job that has ended."""
        job = self.get(request)
        if job.status not in FINAL:
            raise ResourceInUseError(f"Cannot delete processing job {job.arn} in status {job.status}; stop it first.")
        self.forget(job)
        return {}
