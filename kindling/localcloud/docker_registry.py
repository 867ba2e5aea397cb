"""A registry of this machine's own for the images that are pushed, where Debian's docker-registry is installed.

It runs beside the cloud and keeps its images in the state folder, so that they outlive both the cloud and what the
Docker engine has. Where it is not installed, or KINDLING_REGISTRY is `none`, pushed images are in the engine's own
store only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling.errors import UserError
from kindling.localcloud.atomic_files import write_atomically
from kindling.ports import free_port

if TYPE_CHECKING:
    from kindling.localcloud.processes import Processes

PROGRAM = "docker-registry"

_SETTING = "KINDLING_REGISTRY"
_HOST = "127.0.0.1"  # to which engines speak HTTP
_ANSWERS_WITHIN_S = 20.0
_MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class Pushed:
    """An image in the registry: its manifest, byte by byte, with the manifest's media type and digest."""

    manifest: str
    media_type: str
    digest: str


def start(processes: Processes, state: Path) -> None:
    """Start the registry of a cloud that begins, if it has one; it ends with the cloud's other processes.

    Raises:
        UserError: KINDLING_REGISTRY is neither `none` nor empty.
    """
    folder = state / "registry"
    _address_file(state).unlink(missing_ok=True)
    asked = os.environ.get(_SETTING, "")
    if asked not in ("", "none"):
        raise UserError(f"{_SETTING}={asked} must be none, or empty for a registry of the cloud's own.")
    program = shutil.which(PROGRAM)
    if program is None or asked == "none":
        return
    folder.mkdir(exist_ok=True)
    address = f"{_HOST}:{free_port()}"
    configuration = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    write_atomically(folder / "config.yml", json.dumps(configuration))  # JSON is YAML
    with (folder / "registry.log").open("ab") as log:
        processes.start(
            [program, "serve", str(folder / "config.yml")],
            name="registry",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    write_atomically(_address_file(state), address)


def address_of(state: Path) -> str:
    """`host:port` of the registry of the cloud that runs on a state folder; empty where there is none."""
    try:
        return _address_file(state).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def push(engine: Any, image: str, address: str, repository: str, tag: str) -> Pushed:
    """Push an image of the engine and give what the registry has then.

    Args:
        engine: a docker.APIClient.
        image: its id.
    Raises:
        UserError: the registry does not answer, or the push failed.
    """
    import requests  # here, for `kindling-docker` is started for each step of a deployment, and seldom pushes
    from docker.errors import APIError

    _await(address)
    named = f"{address}/{repository}"
    refusal = f"{repository}:{tag} was not pushed to the registry at {address}:"
    try:
        engine.tag(image, named, tag)
        for step in engine.push(named, tag, stream=True, decode=True):
            if "error" in step:
                raise UserError(f"{refusal} {step['error']}")
        engine.remove_image(f"{named}:{tag}", noprune=True)  # the name: the image has others
    except APIError as error:
        raise UserError(f"{refusal} {error.explanation}") from None
    answer = requests.get(
        f"http://{address}/v2/{repository}/manifests/{tag}",
        headers={"Accept": ", ".join(_MANIFEST_TYPES)},
        timeout=_ANSWERS_WITHIN_S,
    )
    if not answer.ok:
        raise UserError(f"{refusal} it answers {answer.status_code} when it is asked for it: {answer.text.strip()}")
    return Pushed(answer.text, answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"])


def pull(engine: Any, state: Path, pushed_as: str) -> None:
    """Have the engine, a docker.APIClient, pull `repository@digest` from the registry of a cloud, if it has one.

    Raises:
        UserError: the registry does not answer.
        docker.errors.APIError: it does not have the image.
    """
    if address := address_of(state):
        _await(address)
        engine.pull(f"{address}/{pushed_as}")


def _await(address: str) -> None:
    import requests

    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    while True:
        try:
            requests.get(f"http://{address}/v2/", timeout=_ANSWERS_WITHIN_S).raise_for_status()
        except requests.RequestException as error:
            if time.monotonic() >= deadline:
                raise UserError(f"the registry at {address} does not answer: {error}.") from None
            time.sleep(0.05)
        else:
            return


def _address_file(state: Path) -> Path:
    return state / "registry" / "address"
