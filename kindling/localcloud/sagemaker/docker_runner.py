"""Runs containers as SageMaker does: by a Docker engine, in a network of their own, within their instance's means.

Every container and network carries the label of its cloud. A process beside the cloud's removes them when the cloud has
ended, however it did; what outlived even that is removed when the next cloud of the same state begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import IPAMConfig, IPAMPool

from kindling.errors import UserError
from kindling.image_builds import image_name
from kindling.localcloud import docker_registry
from kindling.localcloud.docker_leftovers import LABEL, RUN_LABEL, remove_all
from kindling.localcloud.images import Image, Images, UnknownImageError
from kindling.localcloud.sagemaker.capacity import memory_bytes, vcpus
from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.runner import Container, Start

_BASE = Path("/opt/ml")
_SERVING_PORT = 8080
_NO_ADDRESS_HERE = "com.docker.network.bridge.inhibit_ipv4"
_SUBNETS_SETTING = "KINDLING_DOCKER_SUBNETS"
_SUBNETS = "10.213.0.0/16"
_SUBNET_PREFIX = 26  # 62 addresses
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_.-]")
_LOGS_WITHIN_S = 10.0
_GONE = (NotFound, requests.exceptions.ConnectionError)


class DockerRunner:
    """Runs containers by a Docker engine on this machine.

    Args:
        images: the images that were published to this cloud.
        state: the cloud's state folder, whose label its containers and networks carry.
        reachable: the address at which containers reach the cloud.
    """

    network_interface = "eth0"

    def __init__(self, client: docker.DockerClient, images: Images, state: Path, reachable: str) -> None:
        self._engine, self._images, self._reachable = client.api, images, reachable
        self._state = state
        self._subnets = _subnets()
        run = uuid.uuid4().hex
        self._labels = {LABEL: str(state), RUN_LABEL: run}
        self._mark = hashlib.sha256(str(state).encode()).hexdigest()[:8]
        self._networks: dict[str, _Network] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._cores = int(client.info()["NCPU"])
        self._user = "" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"  # whose files the cloud can remove
        remove_all(client, LABEL, str(state))
        self._watch = _watch(run)

    @property
    def ending(self) -> bool:
        return self._ended

    def end_all(self) -> None:
        """Remove every container and network; none can be started afterwards."""
        with self._lock:
            self._ended = True
        if self._watch.stdin:
            self._watch.stdin.close()
        self._watch.wait()

    def check(self, image: str) -> None:
        try:
            self._resolve(image)
        except UnknownImageError as error:
            raise InvalidRequestError(str(error)) from None

    def inside(self, _base: Path) -> Path:
        return _BASE

    def environment_of(self, client_environment: Mapping[str, str]) -> dict[str, str]:
        endpoints = {name: self._reachable for name in client_environment if name.startswith("AWS_ENDPOINT_URL")}
        host = self._reachable.removeprefix("http://").partition(":")[0]
        bypassed = {name: f"{client_environment[name]},{host}" for name in ("NO_PROXY", "no_proxy")}
        return {**client_environment, **endpoints, **bypassed}

    def rendezvous(self, hosts: int, cores: int) -> dict[str, str]:
        share = str(max(1, cores // hosts))
        return {"KINDLING_CPUS_PER_HOST": share, "OMP_NUM_THREADS": share}

    def start(self, wanted: Start) -> Container:
        host = wanted.name.rpartition("/")[2]
        group = self._group(wanted)
        with self._lock:
            if self._ended:
                raise DataError(f"{wanted.name} could not be started: the embedded cloud is ending.")
            network = self._networks.get(group)
            if network is None:
                network = self._networks[group] = _Network(
                    self._engine,
                    self._labels,
                    f"kindling-{self._mark}-{_NOT_IN_NAMES.sub('-', group)}",
                    wanted,
                    self._subnets,
                )
            network.users += 1
        container = ""
        try:
            network.ready()
            container = self._create(wanted, host, network)
            self._engine.start(container)
            return _Container(self._engine, container, network, lambda: self._leave(group, network))
        except (DockerException, requests.exceptions.RequestException, UnknownImageError) as error:
            if container:
                with contextlib.suppress(APIError, *_GONE):
                    self._engine.remove_container(container, force=True, v=True)
            self._leave(group, network)
            reason = error.explanation if isinstance(error, APIError) else error
            raise DataError(f"{wanted.name} could not be started: {reason}") from error

    def _group(self, wanted: Start) -> str:
        """Whose containers reach each other: those of one job or endpoint, but never an isolated one and another."""
        kind = wanted.base.relative_to(self._state).parts[0]
        return f"{kind}/{wanted.name.rpartition('/')[0]}{'/isolated' if wanted.isolated else ''}"

    def _create(self, wanted: Start, host: str, network: _Network) -> str:
        memory = wanted.memory_mib << 20 or memory_bytes(wanted.instance_type)
        cores = min(self._cores, wanted.cores or vcpus(wanted.instance_type))
        limits = self._engine.create_host_config(
            binds={str(wanted.base): {"bind": str(_BASE), "mode": "rw"}},
            network_mode=network.name,  # and no other: the default one leads outside
            # None where it may use all: a quota would stop it now and then for its own helper threads.
            nano_cpus=cores * 10**9 if cores < self._cores else None,
            mem_limit=memory,
            memswap_limit=memory,  # of memory and swap together: no swap
            shm_size=memory // 2,  # as Linux has it by default
            init=False,  # SIGTERM goes to the image's own entry point
            log_config={"type": "json-file"},
        )
        created = self._engine.create_container(
            self._resolve(wanted.image),
            command=[wanted.command] if isinstance(wanted.command, str) else list(wanted.command),
            entrypoint=list(wanted.entrypoint) or None,
            name=f"kindling-{self._mark}-{_NOT_IN_NAMES.sub('-', wanted.name)}-{os.urandom(3).hex()}",
            hostname=_NOT_IN_NAMES.sub("-", host)[:63],
            user=self._user,
            environment=dict(wanted.environment),
            labels=self._labels,
            host_config=limits,
            networking_config=self._engine.create_networking_config(
                {network.name: self._engine.create_endpoint_config(aliases=[host])}
            ),
        )
        return str(created["Id"])

    def _resolve(self, uri: str) -> str:
        """The engine's id of the image that an address stands for.

        Raises:
            UnknownImageError: the engine has none of that name.
        """
        published = self._images.find(uri)
        if published and published.engine_id:
            return self._published(uri, published)
        with contextlib.suppress(ImageNotFound):
            return str(self._engine.inspect_image(uri)["Id"])
        name = image_name(self._images.algorithm_of(uri))
        return self._id(name, f"image {uri} is not in the Docker engine; deploy it, or build {name} by `make images`.")

    def _published(self, uri: str, image: Image) -> str:
        """The id of an image that was pushed; where the engine has lost it, the registry gives it back."""
        otherwise = f"image {uri} is not in the Docker engine any more; deploy it again."
        with contextlib.suppress(UnknownImageError):
            return self._id(image.engine_id, otherwise)
        try:
            if image.pushed_as:
                docker_registry.pull(self._engine, self._state, image.pushed_as)
        except (APIError, UserError) as error:
            raise UnknownImageError(f"{otherwise[:-1]} (the registry said: {error}).") from None
        return self._id(image.engine_id, otherwise)

    def _id(self, name: str, otherwise: str) -> str:
        try:
            return str(self._engine.inspect_image(name)["Id"])
        except ImageNotFound:
            raise UnknownImageError(otherwise) from None

    def _leave(self, group: str, network: _Network) -> None:
        with self._lock:
            network.users -= 1
            if network.users:
                return
            del self._networks[group]
        network.remove()


class _Network:
    """The private network of one job's or endpoint's containers.

    An isolated one has no way out; nor to this machine, unless the cloud has to reach a server in it.
    """

    def __init__(
        self, engine: Any, labels: Mapping[str, str], title: str, first: Start, subnets: Sequence[str]
    ) -> None:
        self.name, self._subnets = f"{title}-{os.urandom(3).hex()}", subnets
        self.users = 0
        self._engine, self._labels, self._isolated = engine, labels, first.isolated
        self._options = {_NO_ADDRESS_HERE: "true"} if first.isolated and first.command != "serve" else {}
        self._id: str | None = None
        self._making = threading.Lock()

    def ready(self) -> None:
        with self._making:
            if self._id is None:
                self._id = self._make()

    def _make(self) -> str:
        """Make it on a subnet that no other network has; of the engine's own there are 31 at most."""
        # At random, so that two clouds seldom try the same one.
        for subnet in random.sample(self._subnets, len(self._subnets)):
            try:
                made = self._engine.create_network(
                    self.name,
                    driver="bridge",
                    internal=self._isolated,
                    options=self._options,
                    labels=self._labels,
                    ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]),
                )
            except APIError as error:
                if "overlaps" not in str(error.explanation):
                    raise
            else:
                return str(made["Id"])
        raise DockerException(f"every subnet of {_SUBNETS_SETTING} is in use; remove networks, or name another range")

    def remove(self) -> None:
        with contextlib.suppress(APIError, *_GONE):
            if self._id is not None:
                self._engine.remove_network(self._id)


class _Container:
    """A running container; it is removed when its end has been waited for."""

    def __init__(self, engine: Any, container: str, network: _Network, leave: Any) -> None:
        self._engine, self._container, self._leave = engine, container, leave
        networks = engine.inspect_container(container)["NetworkSettings"]["Networks"]
        self.address = (networks[network.name]["IPAddress"] if network.name in networks else "", _SERVING_PORT)
        reading, writing = os.pipe()
        self.output: IO[bytes] = os.fdopen(reading, "rb")
        self._copying = threading.Thread(target=self._copy, args=(writing,), name=f"{network.name} log", daemon=True)
        self._copying.start()

    def wait(self) -> int:
        try:
            code = int(self._engine.wait(self._container, timeout=None)["StatusCode"])
        except (APIError, *_GONE):  # somebody removed it
            code = 137
        # Beside, for whoever sends requests to it must know at once that it has ended.
        threading.Thread(target=self._clear_away, name=f"{self._copying.name} end", daemon=True).start()
        return code

    def _clear_away(self) -> None:
        self._copying.join(_LOGS_WITHIN_S)
        with contextlib.suppress(APIError, *_GONE):
            self._engine.remove_container(self._container, force=True, v=True)
        self._leave()

    def terminate(self) -> None:
        self._signal("SIGTERM")

    def kill(self) -> None:
        self._signal("SIGKILL")

    def _signal(self, name: str) -> None:
        with contextlib.suppress(APIError, *_GONE):  # it has ended
            self._engine.kill(self._container, name)

    def _copy(self, writing: int) -> None:
        with os.fdopen(writing, "wb", buffering=0) as sink, contextlib.suppress(APIError, OSError, *_GONE):
            for piece in self._engine.logs(self._container, stdout=True, stderr=True, stream=True, follow=True):
                sink.write(piece)


def _subnets() -> list[str]:
    """The subnets that networks may have.

    Raises:
        UserError: KINDLING_DOCKER_SUBNETS is no range of addresses that has any.
    """
    asked = os.environ.get(_SUBNETS_SETTING) or _SUBNETS
    try:
        return [str(subnet) for subnet in ip_network(asked).subnets(new_prefix=_SUBNET_PREFIX)]
    except ValueError as error:
        message = (
            f"{_SUBNETS_SETTING}={asked} must be a range of at least a /{_SUBNET_PREFIX} such as {_SUBNETS}: {error}."
        )
        raise UserError(message) from None


def _watch(run: str) -> subprocess.Popen[bytes]:
    """A process that removes what carries the run's label as soon as this one has ended."""
    return subprocess.Popen(
        [sys.executable, "-m", "kindling.localcloud.docker_leftovers", run],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
