"""The running embedded cloud, as its seams see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from kindling.localcloud.controls import Controls
from kindling.localcloud.images import Images
from kindling.localcloud.processes import Processes
from kindling.localcloud.store import Store

if TYPE_CHECKING:
    from kindling.localcloud.persistence import Persistence

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"
LOOPBACK = "127.0.0.1"
HEALTH_PATH = "/_kindling/health"
VERSION = version("kindling")
RunnerName = Literal["process", "docker"]
RUNNERS: tuple[RunnerName, ...] = get_args(RunnerName)


@dataclass(frozen=True)
class Cloud:
    """One embedded cloud: where it listens, where it keeps its state, what it starts and what it writes down.

    `runner` says how containers run.

    Each seam is a module with `install(cloud)`, which changes how moto answers.
    """

    state: Path
    port: int
    runner: RunnerName = "process"
    region: str = REGION
    account_id: str = ACCOUNT_ID

    @property
    def endpoint_url(self) -> str:
        """Where every service answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @cached_property
    def gateway(self) -> str:
        """The address at which containers reach this machine; that of the machine itself where there are none."""
        if self.runner == "process":
            return LOOPBACK
        from kindling.image_builds import connect

        [pool] = connect().networks.get("bridge").attrs["IPAM"]["Config"]
        return str(pool.get("Gateway") or ip_network(pool["Subnet"])[1])

    @property
    def reachable_url(self) -> str:
        """Where every service answers a container."""
        return f"http://{self.gateway}:{self.port}"

    @cached_property
    def at_end(self) -> list[Callable[[], None]]:
        """What is to be done when the cloud ends."""
        return []

    @cached_property
    def processes(self) -> Processes:
        """Starts what must end with the cloud."""
        return Processes(self.state / "processes")

    @cached_property
    def store(self) -> Store:
        """What outlives the cloud's process."""
        return Store(self.state / "cloud.db")

    @cached_property
    def persistence(self) -> Persistence:
        """What makes moto's state outlive the cloud's process."""
        from kindling.localcloud.persistence import Persistence

        return Persistence(self)

    @cached_property
    def late(self) -> dict[str, Callable[[], None]]:
        """What is to be done before the first request of a service is answered, by the service's name."""
        return {}

    @cached_property
    def images(self) -> Images:
        """Published images."""
        return Images(self.state / "images")

    @cached_property
    def controls(self) -> Controls:
        """What it is asked beside AWS's APIs."""
        return Controls()

    @property
    def client_environment(self) -> dict[str, str]:
        """Environment variables with which an AWS client talks to this cloud, and to nothing else."""
        return environment_of(self.endpoint_url)


def environment_of(endpoint_url: str) -> dict[str, str]:
    """Environment variables with which an AWS client (boto3, the CDK's, the CLI) talks to an embedded cloud.

    The shared configuration files are masked, so that a profile of the user can neither redirect a call nor lend it
    real credentials.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ENDPOINT_URL_S3": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
