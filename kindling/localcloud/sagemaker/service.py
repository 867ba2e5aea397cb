"""The embedded SageMaker, put together: which operation goes where, and which are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker import logs
from kindling.localcloud.sagemaker.capacity import Capacity
from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.events import Events
from kindling.localcloud.sagemaker.hosting.asynchronous import AsyncInvocations
from kindling.localcloud.sagemaker.hosting.endpoints import Endpoints
from kindling.localcloud.sagemaker.hosting.invocations import Invocations
from kindling.localcloud.sagemaker.hosting.models import Models
from kindling.localcloud.sagemaker.kept_by_moto import KEPT_BY_MOTO
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.objects import Objects
from kindling.localcloud.sagemaker.processing.api import ProcessingJobs
from kindling.localcloud.sagemaker.registry.packages import ModelPackages
from kindling.localcloud.sagemaker.resources import Operation
from kindling.localcloud.sagemaker.runner import Runner
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.tags import TAG_OPERATIONS, Tags
from kindling.localcloud.sagemaker.training.api import TrainingJobs
from kindling.localcloud.sagemaker.transform.api import TransformJobs
from kindling.localcloud.sagemaker.tuning.api import TuningJobs
from kindling.localcloud.sagemaker.validation import checked, refuse_unsupported


class Service:
    """SageMaker's operations on one cloud."""

    def __init__(self, cloud: Cloud, runner: Runner, limits: Limits, cores: int) -> None:
        self.region, self.limits = cloud.region, limits
        around = Surroundings(
            cloud=cloud,
            runner=runner,
            objects=Objects(
                cloud.account_id, cloud.persistence.bodies, partial(cloud.persistence.commit, snapshot=False)
            ),
            logs=logs.backend(cloud.account_id, cloud.region),
            events=Events(cloud),
            capacity=Capacity(cores),
            limits=limits,
        )
        self.training_jobs = TrainingJobs(around)
        self.processing_jobs = ProcessingJobs(around)
        self.packages = ModelPackages(around)
        self.tuning_jobs = TuningJobs(around, self.training_jobs)
        self.models = Models(around, self.packages)
        self.transform_jobs = TransformJobs(around, self.models.resources)
        self.endpoints = Endpoints(around, self.models)
        self.invocations = Invocations(self.endpoints.resources, around)
        self.asynchronous = AsyncInvocations(self.invocations, self.endpoints.resources, around)
        parts = (
            self.training_jobs,
            self.tuning_jobs,
            self.processing_jobs,
            self.transform_jobs,
            self.packages,
            self.packages.groups,
            self.models,
            self.endpoints.configs,
            self.endpoints,
            self.packages,
            self.packages.groups,
        )
        self._operations: dict[str, Operation] = {
            name: operation
            for part in (*parts, Tags([part.resources for part in parts]))
            for name, operation in part.operations().items()
        }

    def operations(self) -> Mapping[str, Operation]:
        """The operations that are answered here, by name."""
        return self._operations

    def owns(self, operation: str) -> bool:
        """Whether an operation is answered here, if only by a refusal, and its request parsed here."""
        return operation not in KEPT_BY_MOTO and operation not in TAG_OPERATIONS

    def answer(self, operation: str, body: str, region: str) -> dict[str, Any] | None:
        """The answer to a request, or None when it is moto's to answer.

        Raises:
            InvalidRequestError: the request is not allowed, or the operation is not implemented.
        """
        if operation not in self._operations and operation not in KEPT_BY_MOTO:
            raise InvalidRequestError(f"{operation} is not implemented by the embedded cloud.")
        if region != self.region:
            raise InvalidRequestError(f"the embedded cloud is in {self.region}, but the request is for {region}.")
        request = checked(operation, body)
        if operation in KEPT_BY_MOTO:
            refuse_unsupported(request, KEPT_BY_MOTO[operation])
            return None
        return self._operations[operation](request)
