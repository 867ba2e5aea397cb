"""One run of a processing job, from its inputs to its outputs."""

from __future__ import annotations

import codecs
import time

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosts import Ended, Host, RunningHosts
from kindling.localcloud.sagemaker.jobs import COMPLETED, STOPPED, STOPPING, JobRun, Outcome, failed
from kindling.localcloud.sagemaker.logs import LogStream, OutputReader
from kindling.localcloud.sagemaker.processing.container import bring, message_of, prepare, start_of
from kindling.localcloud.sagemaker.processing.job import ProcessingJob
from kindling.localcloud.sagemaker.processing.outputs import Outputs
from kindling.localcloud.sagemaker.processing.request import inputs_of, outputs_of
from kindling.localcloud.sagemaker.sources import parts_of
from kindling.localcloud.sagemaker.surroundings import Surroundings

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"

_MESSAGE_BYTES = 1024


class ProcessingRun(JobRun[ProcessingJob]):
    """Runs a processing job."""

    def __init__(self, job: ProcessingJob, around: Surroundings) -> None:
        super().__init__(job, around)
        self._cluster = job.request["ProcessingResources"]["ClusterConfig"]
        names = [f"algo-{rank}" for rank in range(1, self._cluster["InstanceCount"] + 1)]
        self._hosts = [Host(name, self.folder / name, around.runner.inside(self.folder / name)) for name in names]
        self._cores = around.capacity.share(self._cluster["InstanceType"], len(self._hosts))

    def work(self) -> Outcome:
        """Run the containers when there are cores for them."""
        with self.around.capacity.lent(self._cores, self.go_on):
            self.job.begin()
            deadline = time.monotonic() + self.job.request["StoppingCondition"]["MaxRuntimeInSeconds"]
            outputs = self._prepare()
            self._bring()
            ended = self._process(outputs, deadline)
        if not self.around.runner.ending:
            # Whatever the end, it is in S3 what was to be there all the time; the rest only when all went well.
            outputs.upload(continuous=True)
        self._read_messages()
        if ended.why == "failed":
            return failed(_failure_reason(ended))
        if ended.why != "completed" or self.job.status == STOPPING:
            return STOPPED
        outputs.upload(continuous=False)
        return COMPLETED

    def _prepare(self) -> Outputs:
        request, objects = self.job.request, self.around.objects
        outputs = Outputs(
            outputs_of(request),
            self._hosts,
            objects,
            request.get("ProcessingOutputConfig", {}).get("KmsKeyId"),
            self.folder / "upload",
            self.events.put,
        )
        for host in self._hosts:
            prepare(host, self._hosts, request, self.job.arn, self.around.runner.network_interface)
        outputs.make_folders()
        return outputs

    def _bring(self) -> None:
        for wanted in inputs_of(self.job.request):
            where = f"input '{wanted.name}'"
            role = self.job.request["RoleArn"]
            parts = parts_of(wanted.source, wanted.data_type, where, self.around.objects, role)
            bring(wanted, parts, self.around.objects, self._hosts, self.go_on)

    def _process(self, outputs: Outputs, deadline: float) -> Ended:
        running = RunningHosts(self.events)
        with outputs:
            try:
                self._start_hosts(running)
                ended = running.attend(deadline)
            except Exception:
                running.end(self.around.limits.peers_grace_s)
                raise
            if ended.why == "overtime":
                self.job.stop()
            asked = ended.why in ("stopped", "overtime")
            running.end(self.around.limits.stop_grace_s if asked else self.around.limits.peers_grace_s)
        return ended

    def _start_hosts(self, running: RunningHosts) -> None:
        request, runner = self.job.request, self.around.runner
        isolated = request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        environment = {
            **({} if isolated else self.around.client_environment),
            **runner.rendezvous(len(self._hosts), self._cores),
        }
        epoch = int(time.time())
        for host in self._hosts:
            self.go_on()
            container = runner.start(start_of(host, request, environment, max(1, self._cores // len(self._hosts))))
            stream = LogStream(self.around.logs, LOG_GROUP, f"{self.job.name}/{host.name}-{epoch}")
            running.add(host, container, OutputReader(container.output, stream))

    def _read_messages(self) -> None:
        """Take the hosts' messages together as the job's ExitMessage.

        Raises:
            DataError: one is not UTF-8.
        """
        text = ""
        for host in self._hosts:
            if message_of(host).is_file():
                with message_of(host).open("rb") as file:
                    text += _decoded(file.read(_MESSAGE_BYTES))
        self.job.exit_message = _decoded(text.encode()[:_MESSAGE_BYTES]) or None


def _decoded(message: bytes) -> str:
    """A message, or the beginning of one: a character that is cut in two at its end is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(message)
    except UnicodeDecodeError as error:
        raise DataError(f"/opt/ml/output/message must be UTF-8: {error}.") from None


def _failure_reason(ended: Ended) -> str:
    assert ended.host is not None
    said = f"its last line was: {ended.last_line}" if ended.last_line else "it printed nothing"
    head, tail = f"AlgorithmError: {ended.host.name}: {said}", f", exit code: {ended.code}"
    return head[: 1024 - len(tail)] + tail
