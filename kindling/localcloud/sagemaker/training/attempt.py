"""One attempt at a training job: hosts with their data and configuration, started, watched and ended."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kindling.localcloud.sagemaker.hosts import INTERRUPT, STOP, Ended, Host, RunningHosts
from kindling.localcloud.sagemaker.logs import LogStream, OutputReader
from kindling.localcloud.sagemaker.runner import Start
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.channels import channels_of
from kindling.localcloud.sagemaker.training.checkpoints import CheckpointFolders, prefix_of
from kindling.localcloud.sagemaker.training.clock import Clock
from kindling.localcloud.sagemaker.training.download import download
from kindling.localcloud.sagemaker.training.job import TrainingJob
from kindling.localcloud.sagemaker.training.metrics import Metrics
from kindling.localcloud.sagemaker.training.pipes import Pipes
from kindling.localcloud.sagemaker.training.spot import taken_back
from kindling.localcloud.sagemaker.training.streams import Stream, stream_of

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class TakenBackError(Exception):
    """The instances were taken back before the containers were started."""


class CloudEndingError(Exception):
    """The containers ended because the cloud does: the store is to show the job as it was."""


class Attempt:
    """The hosts of a job, from empty folders to their end.

    Args:
        folder: of the job; it is to be empty.
        cores: of this machine, for all hosts together.
    """

    def __init__(self, job: TrainingJob, metrics: Metrics, around: Surroundings, folder: Path, cores: int) -> None:
        self._job, self._metrics, self._around = job, metrics, around
        self._folder, self._cores = folder, cores
        count = job.request["ResourceConfig"]["InstanceCount"]
        bases = {f"algo-{rank}": folder / f"algo-{rank}" for rank in range(1, count + 1)}
        self.hosts = [Host(name, base, around.runner.inside(base)) for name, base in bases.items()]
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._interrupted = threading.Event()
        self._checkpoints: CheckpointFolders | None = None
        self._streams: dict[str, Stream] = {}  # of the channels in Pipe mode

    def stop(self) -> None:
        """End the hosts early; what they have written by then is kept."""
        self._events.put(STOP)

    def interrupt(self) -> None:
        """Take the instances back."""
        self._interrupted.set()
        self._events.put(INTERRUPT)

    def run(self, clock: Clock, go_on: Callable[[], None]) -> Ended:
        """Bring the data, start the hosts, and see them to their end.

        Args:
            go_on: called now and then before the hosts start; raises to give up.
        Raises:
            DataError: the data cannot be used, or a host cannot be started.
            TakenBackError: the instances were taken back before the hosts started.
            CloudEndingError: the cloud ends.
        """

        def check() -> None:
            go_on()
            if self._interrupted.is_set():
                raise TakenBackError

        self._prepare()
        self._job.enter("Downloading")
        self._download(check)
        self._job.enter("Training")
        return self._train(clock)

    def _prepare(self) -> None:
        request = self._job.request
        for host in self.hosts:
            host.prepare(dict(request), self.hosts, channels_of(request), self._around.runner.network_interface)
        if prefix := prefix_of(request):
            folders = [host.paths.checkpoints for host in self.hosts]
            draft = self._folder / "checkpoint"
            self._checkpoints = CheckpointFolders(prefix, self._around.objects, folders, draft)

    def _download(self, go_on: Callable[[], None]) -> None:
        go_on()
        role = self._job.request["RoleArn"]
        for channel in channels_of(self._job.request):
            if channel.piped:
                self._streams[channel.name] = stream_of(channel, self._around.objects, self._folder, role)
                continue
            folders = [host.paths.channel(channel.name) for host in self.hosts]
            download(channel, self._around.objects, folders, role, go_on)
        if self._checkpoints:
            self._checkpoints.download(go_on)
        go_on()

    def _train(self, clock: Clock) -> Ended:
        running = RunningHosts(self._events)
        with ExitStack() as stack:
            pipes = stack.enter_context(Pipes(self._events.put))
            if self._checkpoints:
                pause_s = self._around.limits.checkpoints_s
                stack.enter_context(self._checkpoints.kept_in_step(pause_s, self._events.put))
            if self._job.is_spot:
                stack.enter_context(taken_back(self.interrupt))
            try:
                self._lay(pipes)
                self._start_hosts(running)
                ended = running.attend(clock.deadline)
            except Exception as error:
                running.end(self._around.limits.peers_grace_s)
                if self._around.runner.ending:
                    raise CloudEndingError from error
                raise
            self._end(running, ended)
        if self._checkpoints:
            self._checkpoints.upload()
        return ended

    def _lay(self, pipes: Pipes) -> None:
        """Make the pipes of the channels in Pipe mode, for every host."""
        for rank, host in enumerate(self.hosts):
            for name, stream in self._streams.items():
                pipes.lay(host.paths.channel(name), stream.part(rank, len(self.hosts)))

    def _end(self, running: RunningHosts, ended: Ended) -> None:
        """End what still runs."""
        if self._around.runner.ending:
            raise CloudEndingError
        if ended.why == "overtime":
            self._job.stop()
        asked = ended.why in ("stopped", "interrupted", "overtime")
        running.end(self._around.limits.stop_grace_s if asked else self._around.limits.peers_grace_s)

    def _start_hosts(self, running: RunningHosts) -> None:
        request, runner = self._job.request, self._around.runner
        environment = self._environment(request)
        epoch = int(time.time())
        algorithm = request["AlgorithmSpecification"]
        entrypoint, given = algorithm.get("ContainerEntrypoint", ()), algorithm.get("ContainerArguments", ())
        for host in self.hosts:
            wanted = Start(
                name=f"{self._job.name}/{host.name}",
                image=algorithm["TrainingImage"],
                entrypoint=tuple(map(host.mapped, entrypoint)),
                command=tuple(map(host.mapped, given)) if entrypoint or given else "train",
                base=host.base,
                environment=environment,
                instance_type=request["ResourceConfig"]["InstanceType"],
                cores=max(1, self._cores // len(self.hosts)),
                isolated=request.get("EnableNetworkIsolation", False),
            )
            container = runner.start(wanted)
            stream = LogStream(
                self._around.logs, LOG_GROUP, f"{self._job.name}/{host.name}-{epoch}", self._metrics.hear
            )
            running.add(host, container, OutputReader(container.output, stream))

    def _environment(self, request: Mapping[str, Any]) -> dict[str, str]:
        isolated = request.get("EnableNetworkIsolation", False)
        return {
            **({} if isolated else self._around.client_environment),
            **self._around.runner.rendezvous(len(self.hosts), self._cores),
            **request.get("Environment", {}),
            "TRAINING_JOB_NAME": self._job.name,
            "TRAINING_JOB_ARN": self._job.arn,
        }
