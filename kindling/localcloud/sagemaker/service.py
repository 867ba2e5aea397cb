"""The embedded SageMaker, put together: which operation goes where, and which are refused by name."""

from __future__ import annotations

from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker import logs
from kindling.localcloud.sagemaker.capacity import Capacity
from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.events import Events
from kindling.localcloud.sagemaker.hosting.endpoints import Endpoints
from kindling.localcloud.sagemaker.hosting.models import Models
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.objects import Objects
from kindling.localcloud.sagemaker.resources import Operation
from kindling.localcloud.sagemaker.runner import Runner
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.tags import Tags
from kindling.localcloud.sagemaker.training.api import TrainingJobs
from kindling.localcloud.sagemaker.validation import checked

# moto answers these with a made-up success: nothing would run.
_PRETENDED = frozenset(
    {
        "CreateAutoMLJob",
        "CreateAutoMLJobV2",
        "CreateCluster",
        "CreateCompilationJob",
        "CreateDomain",
        "CreateHyperParameterTuningJob",
        "CreateNotebookInstance",
        "CreateProcessingJob",
        "CreateTransformJob",
        "StartNotebookInstance",
        "StartPipelineExecution",
        "UpdateEndpointWeightsAndCapacities",
    }
)
_TAG_OPERATIONS = frozenset({"AddTags", "ListTags", "DeleteTags"})


class Service:
    """SageMaker's operations on one cloud."""

    def __init__(self, cloud: Cloud, runner: Runner, limits: Limits, cores: int) -> None:
        self._region = cloud.region
        around = Surroundings(
            cloud=cloud,
            runner=runner,
            objects=Objects(cloud.account_id),
            logs=logs.backend(cloud.account_id, cloud.region),
            events=Events(cloud),
            capacity=Capacity(cores),
            limits=limits,
        )
        self.training_jobs = TrainingJobs(around)
        self.models = Models(around)
        self.endpoints = Endpoints(around, self.models)
        parts = (self.training_jobs, self.models, self.endpoints.configs, self.endpoints)
        self._tags = Tags([part.resources for part in parts])
        self._operations: dict[str, Operation] = {
            name: operation for part in parts for name, operation in part.operations().items()
        }

    def owns(self, operation: str) -> bool:
        """Whether an operation is answered here and its request parsed here."""
        return operation in self._operations or operation in _PRETENDED

    def answer(self, operation: str, body: str, region: str) -> dict[str, Any] | None:
        """The answer to a request, or None when it is moto's to answer.

        Raises:
            InvalidRequestError: the request is not allowed, or the operation is not implemented.
        """
        if operation in _PRETENDED:
            raise not_implemented(operation)
        if operation in self._operations:
            if region != self._region:
                raise InvalidRequestError(f"the embedded cloud is in {self._region}, but the request is for {region}.")
            return self._operations[operation](checked(operation, body))
        if operation in _TAG_OPERATIONS:
            return self._tags.call(operation, checked(operation, body))
        return None


def not_implemented(operation: str) -> InvalidRequestError:
    """The refusal of an operation."""
    return InvalidRequestError(f"{operation} is not implemented by the embedded cloud.")
