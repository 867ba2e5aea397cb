"""The hosts of one training job: started together, watched without polling, ended together."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.paths import Paths
from kindling.localcloud.sagemaker.logs import OutputReader
from kindling.localcloud.sagemaker.runner import Container
from kindling.localcloud.sagemaker.training.channels import Channel

# /opt/ml where it is the beginning of a path, also in --data=/opt/ml/input and file:///opt/ml/input.
_BASE_PATH = re.compile(r"(?<![\w.-])/opt/ml(?![\w.-])")

STOP, INTERRUPT = "stop", "interrupt"
_ASKED = {STOP: "stopped", INTERRUPT: "interrupted"}


@dataclass(frozen=True)
class Host:
    """One host: its name, the folder that stands for its /opt/ml, and where its container finds that folder."""

    name: str
    base: Path
    inside: Path

    @property
    def paths(self) -> Paths:
        """The container contract's layout of that folder."""
        return Paths(self.base)

    def mapped(self, text: str) -> str:
        """A text in which every path below /opt/ml leads to where the container finds it."""
        return _BASE_PATH.sub(lambda _: str(self.inside), text)

    @property
    def failure(self) -> str:
        """What the container says about its failure; empty when it says nothing."""
        path = self.paths.failure
        return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""

    def prepare(self, request: dict[str, Any], hosts: Sequence[Host], channels: Sequence[Channel], nic: str) -> None:
        """Make the folders and write the configuration files of the container contract."""
        paths = self.paths
        folders = [paths.resource_config.parent, paths.data, paths.model, paths.output_data]
        if request.get("CheckpointConfig"):
            folders.append(paths.checkpoints)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        files = {
            paths.hyperparameters: request.get("HyperParameters", {}),
            paths.input_data_config: {channel.name: channel.as_config() for channel in channels},
            paths.resource_config: self.resource_config(hosts, request["ResourceConfig"]["InstanceType"], nic),
        }
        for path, content in files.items():
            path.write_text(json.dumps(content), encoding="utf-8")

    def resource_config(self, hosts: Sequence[Host], instance_type: str, nic: str) -> dict[str, Any]:
        """The content of resourceconfig.json on this one of the hosts."""
        names = [host.name for host in hosts]
        group = {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": names}
        return {
            "current_host": self.name,
            "current_instance_type": instance_type,
            "current_group_name": group["instance_group_name"],
            "hosts": names,
            "instance_groups": [group],
            "network_interface_name": nic,
        }


@dataclass(frozen=True)
class Ended:
    """Why the hosts are no longer to run.

    `why` is completed (all are done), failed (one is), stopped, interrupted, or overtime.
    """

    why: str
    host: Host | None = None
    code: int = 0
    last_line: str = ""


class RunningHosts:
    """Containers, one for each host. What may end them arrives in one queue.

    That is the end of a container, STOP, INTERRUPT, or an error that came up beside the containers.
    """

    def __init__(self, events: queue.SimpleQueue[object]) -> None:
        self._events = events
        self._running: dict[Host, tuple[Container, OutputReader]] = {}

    def add(self, host: Host, container: Container, output: OutputReader) -> None:
        """Watch a container that was started."""
        self._running[host] = (container, output)

        def watch() -> None:
            code = container.wait()
            output.finish()
            self._events.put((host, code))

        threading.Thread(target=watch, name=f"{output.stream.name} end", daemon=True).start()

    def attend(self, deadline: float) -> Ended:
        """Wait until every host is done, one fails, their end is asked for, or the monotonic clock is at `deadline`.

        Raises:
            Exception: the error that arrived.
        """
        while self._running:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return Ended("overtime")
            if isinstance(event, str):
                return Ended(_ASKED[event])
            if isinstance(event, Exception):
                raise event
            ended = self._take(event)
            if ended.code != 0:
                return ended
        return Ended("completed")

    def end(self, grace_s: float) -> None:
        """End the hosts that still run: SIGTERM, and SIGKILL after `grace_s` seconds."""
        for container, _ in self._running.values():
            container.terminate()
        deadline = time.monotonic() + grace_s
        while self._running:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(event, tuple):
                self._take(event)
        for container, _ in self._running.values():
            container.kill()
        while self._running:
            event = self._events.get()
            if isinstance(event, tuple):
                self._take(event)

    def _take(self, event: object) -> Ended:
        """The end of one host, as if it ended the job."""
        assert isinstance(event, tuple)
        host, code = event
        _, output = self._running.pop(host)
        return Ended("failed", host, code, output.stream.last_line)
