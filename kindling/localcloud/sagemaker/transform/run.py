"""One run of a transform job: its instances, and what they make of the objects that it is given."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import Variant
from kindling.localcloud.sagemaker.hosting.instance import Instance, NotHealthyError
from kindling.localcloud.sagemaker.hosting.model_folders import bring
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.jobs import COMPLETED, STOPPED, STOPPING, JobRun, Outcome, failed
from kindling.localcloud.sagemaker.logs import LogStream
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.runner import Start
from kindling.localcloud.sagemaker.sources import Part, parts_of
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.transform.data_processing import DataProcessing
from kindling.localcloud.sagemaker.transform.job import TransformJob
from kindling.localcloud.sagemaker.transform.settings import environment_of, settings_of
from kindling.localcloud.sagemaker.transform.share import DataLog, Failure, Share

LOG_GROUP = "/aws/sagemaker/TransformJobs"


class TransformRun(JobRun[TransformJob]):
    """Runs a transform job. `model` is what it had when the job was created."""

    def __init__(self, job: TransformJob, model: Model, around: Surroundings) -> None:
        super().__init__(job, around)
        resources = job.request["TransformResources"]
        self._type = resources["InstanceType"]
        count = {"VariantName": "transform", "InitialInstanceCount": resources["InstanceCount"]}
        self._variant = Variant.of(count, model, shadow=False)
        self._instances: list[Instance] = []
        self._starting = threading.Lock()

    def stop(self) -> None:
        """End the containers, which ends whatever waits for their answers."""
        super().stop()
        threading.Thread(target=self._end, name=f"job-{self.job.name} stop", daemon=True).start()

    def work(self) -> Outcome:
        """Serve the model and transform the objects when there are cores for that."""
        request = self.job.request
        cores = self.around.capacity.share(self._type, self._variant.instances)
        with self.around.capacity.lent(cores, self.go_on):
            self.job.begin()
            processing = DataProcessing(request)
            parts = self._parts()
            try:
                self._serve()
                failures = self._transform(parts, processing)
            except NotHealthyError as error:
                self.go_on()
                return failed(f"AlgorithmError: the model's container did not pass the ping health check: {error.why}")
            finally:
                self._end()
        if self.job.status == STOPPING:
            return STOPPED
        return failed(_reason(failures)) if failures else COMPLETED

    def _parts(self) -> list[Part]:
        output = Address.parse(self.job.request["TransformOutput"]["S3OutputPath"])
        if not self.around.objects.has_bucket(output.bucket):
            raise DataError(f"the bucket of TransformOutput.S3OutputPath={output} does not exist.")
        source = self.job.request["TransformInput"]["DataSource"]["S3DataSource"]
        role = self._variant.model.request["ExecutionRoleArn"]
        address = Address.parse(source["S3Uri"])
        return parts_of(address, source["S3DataType"], "TransformInput", self.around.objects, role)

    def _serve(self) -> None:
        """Start the instances and wait until all of them are healthy."""
        bases = [self.folder / f"i-{uuid.uuid4().hex[:17]}" for _ in range(self._variant.instances)]
        bring(self._variant.model, self.around.objects, bases)
        epoch = int(time.time())
        reachable = {} if self._variant.model.isolated else self.around.client_environment
        environment = {**reachable, **self._variant.model.environment, **environment_of(self.job.request)}
        for base in bases:
            start = Start(
                name=f"{self.job.name}/{base.name}",
                image=self._variant.model.image,
                command="serve",
                base=base,
                environment=environment,
                instance_type=self._variant.instance_type or "",
                isolated=self._variant.model.isolated,
            )
            stream = LogStream(self.around.logs, LOG_GROUP, f"{self.job.name}/{base.name}-{epoch}")
            instance = Instance(self._variant, start, self.around.runner, stream, self.around.limits)
            self._instances.append(instance)
        with self._starting:
            self.go_on()
            for instance in self._instances:
                instance.start()
        for instance in self._instances:
            instance.wait_until_healthy()

    def _transform(self, parts: Sequence[Part], processing: DataProcessing) -> list[Failure]:
        """Deal the objects out to the instances; what could not be transformed, in the order of the objects."""
        settings = settings_of(self.job.request, self._instances[0])
        shares = [
            Share(
                self.job.request,
                settings,
                processing,
                instance,
                DataLog(LogStream(self.around.logs, LOG_GROUP, f"{instance.stream.name}/data-log")),
                self.around.objects,
                self.folder / f"objects-{rank}",
                self.go_on,
            )
            for rank, instance in enumerate(self._instances)
        ]
        with ThreadPoolExecutor(len(shares)) as workers:
            dealt = [parts[rank :: len(shares)] for rank in range(len(shares))]
            found = list(workers.map(Share.transform, shares, dealt))
        failures = [failure for share in found for failure in share]
        return sorted(failures, key=lambda failure: parts.index(failure.part))

    def _end(self) -> None:
        with self._starting:  # an instance cannot be ended while it is being started
            instances = list(self._instances)
        if instances:
            with ThreadPoolExecutor(len(instances)) as workers:
                list(workers.map(Instance.stop, instances))


def _reason(failures: Sequence[Failure]) -> str:
    first, *others = failures
    more = f" {len(others)} more of the objects failed." if others else ""
    return f"{first.kind}: {first}.{more} See job logs for more information"
