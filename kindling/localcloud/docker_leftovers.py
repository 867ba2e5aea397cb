"""Removes a cloud's containers and networks from the Docker engine when the cloud has ended, however it did.

`python -m kindling.localcloud.docker_leftovers RUN` waits until its standard input is closed, as the kernel closes it
when the cloud's process ends. By RUN it spares what another process of the same cloud has started meanwhile.
"""

from __future__ import annotations

import contextlib
import signal
import sys

import docker
from docker.errors import APIError

LABEL, RUN_LABEL = "kindling.cloud", "kindling.run"


def remove_all(client: docker.DockerClient, label: str, value: str) -> None:
    """Remove every container and every network that has a label with that value."""
    chosen = {"label": f"{label}={value}"}
    for container in client.api.containers(all=True, filters=chosen):
        with contextlib.suppress(APIError):  # it is being removed already
            client.api.remove_container(container["Id"], force=True, v=True)
    for network in client.api.networks(filters=chosen):
        with contextlib.suppress(APIError):
            client.api.remove_network(network["Id"])


def main() -> None:
    """See the module."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the cloud must not end its cleaner
    sys.stdin.buffer.read()
    remove_all(docker.from_env(), RUN_LABEL, sys.argv[1])


if __name__ == "__main__":
    main()
