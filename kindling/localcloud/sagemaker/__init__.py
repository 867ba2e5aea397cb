"""SageMaker that really runs: training jobs, models, endpoints and invocations. The rest of SageMaker is moto's."""

from __future__ import annotations

from kindling.localcloud import snapshots
from kindling.localcloud.cloud import Cloud
from kindling.localcloud.controls import INTERRUPT_TRAINING_JOB
from kindling.localcloud.sagemaker.hosting.endpoints import SCALING
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.runner import ProcessRunner, Runner
from kindling.localcloud.sagemaker.seam import take_over
from kindling.localcloud.sagemaker.service import Service
from kindling.localcloud.sagemaker.surroundings import machine_cores

__all__ = ["Limits", "install"]


def install(
    cloud: Cloud, *, runner: Runner | None = None, limits: Limits | None = None, cores: int | None = None
) -> None:
    """Answer SageMaker's requests to the moto server of this process, in place of moto's own SageMaker.

    Args:
        runner: how containers run; by default as the cloud says.
        limits: how long it waits; by default as long as the service.
        cores: cores of this machine that jobs may use at the same time.
    """
    runner = runner or _runner_of(cloud)
    cloud.at_end.append(runner.end_all)
    service = Service(cloud, runner, limits or Limits(), cores or machine_cores())
    take_over(service)
    cloud.controls.add(INTERRUPT_TRAINING_JOB, service.training_jobs.interrupt)
    _scale_when_asked(cloud, service)
    service.endpoints.resume()
    service.asynchronous.resume()


def _runner_of(cloud: Cloud) -> Runner:
    if cloud.runner == "process":
        return ProcessRunner(cloud.processes, cloud.images)
    from kindling.image_builds import connect
    from kindling.localcloud import docker_registry
    from kindling.localcloud.sagemaker.docker_runner import DockerRunner

    docker_registry.start(cloud.processes, cloud.state)
    return DockerRunner(connect(), cloud.images, cloud.state, cloud.reachable_url)


def _scale_when_asked(cloud: Cloud, service: Service) -> None:
    """Have Application Auto Scaling act on endpoints; what it imports takes longer than all the rest of SageMaker."""

    def begin() -> None:
        from kindling.localcloud import scaling

        scaling.install(cloud, service.endpoints)

    if snapshots.backends_of(SCALING, cloud.account_id):  # a former cloud's targets and policies
        begin()
    else:
        cloud.late[SCALING] = begin
