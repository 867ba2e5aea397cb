"""One run of a training job, from its instances to its model.tar.gz, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosts import STOP, Ended, Host, RunningHosts
from kindling.localcloud.sagemaker.logs import LogStream, OutputReader
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.runner import Start
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.channels import channels_of, download
from kindling.localcloud.sagemaker.training.checkpoints import CheckpointFolders, prefix_of
from kindling.localcloud.sagemaker.training.job import (
    COMPLETED,
    OVERTIME,
    STOPPED,
    STOPPING,
    Outcome,
    TrainingJob,
    failed,
)
from kindling.localcloud.sagemaker.training.metrics import Metrics
from kindling.localcloud.sagemaker.training.pipes import Pipes
from kindling.localcloud.sagemaker.training.streams import Stream, stream_of

LOG_GROUP = "/aws/sagemaker/TrainingJobs"

_logger = logging.getLogger(__name__)


class _StoppedError(Exception):
    """A stop was asked for before the containers were started."""


class _CloudEndingError(Exception):
    """The containers ended because the cloud does: the next one finds the job unfinished."""


class TrainingRun:
    """Runs a job. `start` returns at once; the job tells how far it is."""

    def __init__(self, job: TrainingJob, metrics: Metrics, around: Surroundings) -> None:
        self._job = job
        self._metrics = metrics
        self._around = around
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._folder = around.folder("jobs") / job.name
        count = job.request["ResourceConfig"]["InstanceCount"]
        self._hosts = [Host(f"algo-{rank}", self._folder / f"algo-{rank}") for rank in range(1, count + 1)]
        self._checkpoints: CheckpointFolders | None = None
        self._streams: dict[str, Stream] = {}  # of the channels in Pipe mode

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name=self._job.name, daemon=True).start()

    def stop(self) -> None:
        """End the job early; what it has written by then is kept."""
        self._events.put(STOP)

    def _run(self) -> None:
        try:
            outcome = self._outcome()
        except _CloudEndingError:
            return
        finally:
            # Before the job says that it ended: whoever waits for that finds the disk as it was.
            shutil.rmtree(self._folder, ignore_errors=True)
        self._job.finish(outcome)

    def _outcome(self) -> Outcome:
        try:
            self._prepare()
            deadline = self._download()
            return self._conclude(self._train(deadline))
        except _StoppedError:
            return STOPPED
        except _CloudEndingError:
            raise
        except DataError as error:
            return failed(f"ClientError: {error}")
        except Exception as error:  # whatever it is, the job must not stay InProgress for ever
            _logger.exception("training job %s", self._job.name)
            return failed(f"InternalServerError: the embedded cloud failed: {error!r}")

    def _prepare(self) -> None:
        request = self._job.request
        output = Address.parse(request["OutputDataConfig"]["S3OutputPath"])
        if not self._around.objects.has_bucket(output.bucket):
            raise DataError(f"the bucket of OutputDataConfig.S3OutputPath={output} does not exist.")
        if prefix := prefix_of(request):
            folders = [host.paths.checkpoints for host in self._hosts]
            self._checkpoints = CheckpointFolders(prefix, self._around.objects, folders)
        channels = channels_of(request)
        for host in self._hosts:
            host.prepare(dict(request), self._hosts, channels, self._around.runner.network_interface)

    def _download(self) -> float:
        """Bring the channels; the monotonic time by which the job must have ended."""
        self._go_on()
        self._job.enter("Downloading")
        deadline: float = time.monotonic() + self._job.request["StoppingCondition"]["MaxRuntimeInSeconds"]
        role = self._job.request["RoleArn"]
        for channel in channels_of(self._job.request):
            if channel.piped:
                self._streams[channel.name] = stream_of(channel, self._around.objects, self._folder, role)
                continue
            folders = [host.paths.channel(channel.name) for host in self._hosts]
            download(channel, self._around.objects, folders, role, self._go_on)
        if self._checkpoints:
            self._checkpoints.download(self._go_on)
        self._go_on()
        return deadline

    def _go_on(self) -> None:
        if self._job.status == STOPPING:
            raise _StoppedError

    def _train(self, deadline: float) -> Ended:
        self._job.enter("Training")
        running = RunningHosts(self._events)
        with Pipes(self._events.put) as pipes:
            try:
                self._lay(pipes)
                self._start_hosts(running)
                ended = running.attend(deadline)
            except Exception:
                running.end(self._around.limits.peers_grace_s)
                raise
            return self._end(running, ended)

    def _lay(self, pipes: Pipes) -> None:
        """Make the pipes of the channels in Pipe mode, for every host."""
        for rank, host in enumerate(self._hosts):
            for name, stream in self._streams.items():
                pipes.lay(host.paths.channel(name), stream.part(rank, len(self._hosts)))

    def _end(self, running: RunningHosts, ended: Ended) -> Ended:
        """End what still runs."""
        if self._around.runner.ending:
            raise _CloudEndingError
        if ended.why == "overtime":
            self._job.stop()
        asked = ended.why in ("stopped", "overtime")
        running.end(self._around.limits.stop_grace_s if asked else self._around.limits.peers_grace_s)
        return ended

    def _start_hosts(self, running: RunningHosts) -> None:
        request, runner = self._job.request, self._around.runner
        isolated = request.get("EnableNetworkIsolation", False)
        environment = {
            **({} if isolated else self._around.client_environment),
            **runner.rendezvous(len(self._hosts)),
            **request.get("Environment", {}),
            "TRAINING_JOB_NAME": self._job.name,
            "TRAINING_JOB_ARN": self._job.arn,
        }
        epoch = int(time.time())
        for host in self._hosts:
            wanted = Start(
                name=f"{self._job.name}/{host.name}",
                image=request["AlgorithmSpecification"]["TrainingImage"],
                command="train",
                base=host.base,
                environment=environment,
            )
            container = runner.start(wanted)
            stream = LogStream(
                self._around.logs, LOG_GROUP, f"{self._job.name}/{host.name}-{epoch}", self._metrics.hear
            )
            running.add(host, container, OutputReader(container.output, stream))

    def _conclude(self, ended: Ended) -> Outcome:
        job = self._job
        job.metrics = self._metrics.final()
        for host in self._hosts:
            shutil.rmtree(host.base / "input", ignore_errors=True)  # makes room for the archives
        job.enter("Uploading")
        if self._checkpoints:
            self._checkpoints.upload()
        self._upload([host.paths.output_data for host in self._hosts], "output.tar.gz")
        if ended.why == "failed":
            return failed(_failure_reason(ended))
        job.artifacts = self._upload([host.paths.model for host in self._hosts], "model.tar.gz", even_if_empty=True)
        if ended.why == "overtime":
            return OVERTIME
        return STOPPED if ended.why == "stopped" or job.status == STOPPING else COMPLETED

    def _upload(self, folders: Sequence[Path], name: str, *, even_if_empty: bool = False) -> str | None:
        if archives.is_empty(folders) and not even_if_empty:
            return None
        config = self._job.request["OutputDataConfig"]
        address = Address.parse(config["S3OutputPath"]).below(self._job.name, "output", name)
        archive = self._folder / name
        archives.pack(folders, archive)
        self._around.objects.write(address, archive, config.get("KmsKeyId"), give_away=True)
        archive.unlink()
        return str(address)


def _failure_reason(ended: Ended) -> str:
    """As the service words it: the failing host's failure file, cut so that the exit code stays."""
    assert ended.host is not None
    text = ended.host.failure.removeprefix("AlgorithmError: ") or _silent_end(ended)
    tail = f", exit code: {ended.code}"
    head = "AlgorithmError: "
    return head + text[: 1024 - len(head) - len(tail)] + tail


def _silent_end(ended: Ended) -> str:
    assert ended.host is not None
    if ended.code > 128:
        number = ended.code - 128
        known = {known.value: known.name for known in signal.Signals}
        return f"{ended.host.name} was ended by {known.get(number, f'signal {number}')}"
    said = f"its last line was: {ended.last_line}" if ended.last_line else "it printed nothing"
    return f"{ended.host.name} left no failure file; {said}"
