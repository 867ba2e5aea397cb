"""A processing job as DescribeProcessingJob shows it, and as the store keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kindling.localcloud.sagemaker.jobs import Job


class ProcessingJob(Job):
    """One processing job. `exit_message` is what its containers had to say at their end."""

    kind = "Processing"
    repeated = (
        "ProcessingInputs",
        "ProcessingOutputConfig",
        "ProcessingResources",
        "StoppingCondition",
        "AppSpecification",
        "Environment",
        "NetworkConfig",
        "RoleArn",
    )
    kept = (*Job.kept, "exit_message")

    def __init__(self, request: Mapping[str, Any], arn: str, changed: Callable[[Any], None]) -> None:
        super().__init__(request, arn, changed)
        self.exit_message: str | None = None

    def describe(self) -> dict[str, Any]:
        """What DescribeProcessingJob answers."""
        return {**super().describe(), "LastModifiedTime": self.last_modified_time}

    def _members(self) -> dict[str, Any]:
        return {**super()._members(), "ExitMessage": self.exit_message}
