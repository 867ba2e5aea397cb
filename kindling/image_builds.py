"""The algorithms' images, built by a Docker engine; and their base image, made here where no registry can be reached.

`python -m kindling.image_builds base [--wheels FOLDER]` makes the base image of Debian's packages; builds on it find
the wheels of that folder, or of PIP_FIND_LINKS.
`python -m kindling.image_builds images [NAME ...] [--gpu]` builds the images of the named algorithms, or of all, and
writes each one's bill of materials to build/sbom/.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from containers.catalogue import CONTAINERS, algorithms
from kindling.environments import ROOT
from kindling.errors import UserError
from kindling.localcloud.atomic_files import write_atomically

BASE_IMAGE, BUILD_IMAGE = "kindling/base:bookworm", "kindling/base:bookworm-build"

_PUBLIC_BASE = "python:3.11-slim-bookworm"  # the Dockerfiles' default
_SUITE = "bookworm"
_PACKAGES = "ca-certificates,python3"
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
# What Debian's packages and their installation leave that no container reads.
_NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
_BILLS = ROOT / "build" / "sbom"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

Report = Callable[[str], None]


def connect() -> docker.DockerClient:
    """The engine's client.

    Raises:
        UserError: no engine answers.
    """
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST", "its usual socket")
        reason = str(error).partition("(")[2].rstrip(")") or str(error)
        mend = "install one (on Debian: docker.io) and start it, or set DOCKER_HOST"
        raise UserError(f"no Docker engine answers at {where} ({reason}); {mend}.") from None
    return client


def image_name(algorithm: str) -> str:
    """The name under which the engine has an algorithm's image."""
    return f"kindling/{algorithm.replace('_', '-')}:latest"


def build_arguments(client: docker.DockerClient) -> dict[str, str]:
    """BASE_IMAGE and BUILD_IMAGE of a build: as the environment says, else what `make base-image` made, else none."""
    asked = os.environ.get("KINDLING_BASE_IMAGE")
    if asked:
        return {"BASE_IMAGE": asked, "BUILD_IMAGE": os.environ.get("KINDLING_BUILD_IMAGE") or asked}
    if has(client, BASE_IMAGE) and has(client, BUILD_IMAGE):
        return {"BASE_IMAGE": BASE_IMAGE, "BUILD_IMAGE": BUILD_IMAGE}
    return {}


def base_image(client: docker.DockerClient) -> str:
    """The name of the image that builds start from."""
    return build_arguments(client).get("BASE_IMAGE", _PUBLIC_BASE)


def build(client: docker.DockerClient, algorithm: str, report: Report, *, gpu: bool = False) -> Any:
    """Builds an algorithm's image and gives it.

    Raises:
        UserError: a step failed; the message has the last of its output.
    """
    arguments = build_arguments(client) | ({"GPU": "1"} if gpu else {})
    return build_image(client, CONTAINERS, f"{algorithm}/Dockerfile", image_name(algorithm), arguments, report)


def write_bill(client: docker.DockerClient, algorithm: str) -> Path:
    """Writes the software bill of materials of an algorithm's image and gives its path below this folder.

    Raises:
        UserError: the image cannot be asked.
    """
    from kindling.sbom import bill_of  # here, for what it imports takes as long as all the rest

    name = image_name(algorithm)
    path = _BILLS / f"{algorithm}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, bill_of(client, name, name.partition(":")[0]))
    return path.relative_to(ROOT)


def build_folder(client: docker.DockerClient, folder: Path, report: Report) -> Any:
    """Builds the image of a folder with a Dockerfile and gives it; that of an algorithm needs its neighbours, too.

    Raises:
        UserError: there is no Dockerfile, or a step failed.
    """
    folder = folder.resolve()
    if not (folder / "Dockerfile").is_file():
        raise UserError(f"{folder} has no Dockerfile.")
    if folder.parent == CONTAINERS and folder.name in algorithms():
        return build(client, folder.name, report)
    tag = f"kindling-verify/{re.sub('[^a-z0-9]+', '-', folder.name.lower()).strip('-') or 'image'}"
    return build_image(client, folder, "Dockerfile", tag, build_arguments(client), report)


def make_base(client: docker.DockerClient, report: Report, wheels: Path | None = None) -> None:
    """Makes the base image and the one to build in, of Debian's packages, with this machine's CA certificates.

    Args:
        wheels: a folder of wheels for the builds to find, for what the package index does not have.
    Raises:
        UserError: debootstrap is missing, or a step failed.
    """
    debootstrap = shutil.which("debootstrap", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if debootstrap is None:
        raise UserError("debootstrap is not installed; on Debian: sudo apt-get install -y debootstrap.")
    if os.geteuid() != 0:
        raise UserError("debootstrap needs root; run `sudo make base-image`.")
    with tempfile.TemporaryDirectory(prefix="kindling-base-") as folder:
        root = Path(folder) / "root"
        report(f"installing Debian {_SUITE} with Python into a folder")
        command = [debootstrap, "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if made.returncode != 0:
            raise UserError(f"debootstrap failed:\n{made.stdout[-2000:]}")
        _trim(root)
        report(f"importing it as {BASE_IMAGE}")
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        certificates = f"/{_CERTIFICATES}"
        client.api.import_image(
            str(archive),
            *BASE_IMAGE.split(":"),
            changes=[
                f"ENV SSL_CERT_FILE={certificates} PIP_CERT={certificates} PIP_BREAK_SYSTEM_PACKAGES=1 LANG=C.UTF-8",
                'CMD ["python3"]',
            ],
        )
        context = Path(folder) / "context"
        shutil.copytree(wheels, context / "wheels") if wheels else (context / "wheels").mkdir(parents=True)
        shutil.copy(CONTAINERS / "base" / "Dockerfile", context)
        build_image(client, context, "Dockerfile", BUILD_IMAGE, {"BASE_IMAGE": BASE_IMAGE}, report)


def _wheels_at_hand() -> Path | None:
    """The folder where this machine's pip looks for wheels besides the index, if it is told one."""
    places = (Path(link) for link in os.environ.get("PIP_FIND_LINKS", "").split() if "://" not in link)
    return next((place for place in places if place.is_dir()), None)


def base_is_there(client: docker.DockerClient, report: Report) -> bool:
    """Whether the Dockerfiles have a base image to start from; the usual one is pulled where that can be done."""
    if build_arguments(client) or has(client, _PUBLIC_BASE):
        return True
    try:
        report(f"pulling {_PUBLIC_BASE}")
        client.images.pull(_PUBLIC_BASE)
    except APIError as error:
        report(f"it cannot be pulled: {error.explanation}")
        return False
    return True


def _trim(root: Path) -> None:
    for name in _NOT_NEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)  # apt wants its folders
    if (Path("/") / _CERTIFICATES).is_file():
        shutil.copyfile(Path("/") / _CERTIFICATES, root / _CERTIFICATES)


def has(client: docker.DockerClient, image: str) -> bool:
    """Whether the engine has an image of that name or id."""
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def build_image(
    client: docker.DockerClient,
    context: Path,
    dockerfile: str,
    tag: str,
    arguments: Mapping[str, str],
    report: Report,
) -> Any:
    """Builds an image and gives it.

    Args:
        dockerfile: below `context`.
        arguments: of the build.
    Raises:
        UserError: a step failed; the message has the last of its output.
    """
    # Without a proxy no exception from it either: it would count as an argument, and keep no layer of another build.
    proxied = any(os.environ.get(name) for name in _PROXIES if not name.lower().startswith("no"))
    proxies = {name: os.environ[name] for name in _PROXIES if proxied and name in os.environ}
    report(f"building {tag}")
    try:
        steps = client.api.build(
            path=str(context), dockerfile=dockerfile, tag=tag, buildargs={**arguments, **proxies}, rm=True, decode=True
        )
        _follow(steps, tag, report)
    except APIError as error:
        raise UserError(f"{tag} cannot be built: {error.explanation}") from None
    return client.images.get(tag)


def _follow(steps: Iterator[Mapping[str, Any]], tag: str, report: Report) -> None:
    """Report each step; of a step that fails, the last of its output is told."""
    said: list[str] = []
    for step in steps:
        if "error" in step:
            tail = "".join(said)[-3000:]
            raise UserError(f"{tag} cannot be built: {step['error']}\n{tail}")
        line = step.get("stream", "")
        said.append(line)
        if line.startswith("Step "):
            said = []
            report(f"  {line.strip()[:110]}")


def main(words: Sequence[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="kindling.image_builds", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    base = commands.add_parser("base", help="make the base image of Debian's packages")
    base.add_argument("--wheels", type=Path, help="a folder of wheels that builds shall find; PIP_FIND_LINKS")
    base.add_argument("--if-needed", action="store_true", help="only where there is none and none can be pulled")
    images = commands.add_parser("images", help="build the algorithms' images")
    images.add_argument("names", nargs="*", metavar="NAME", help="algorithms; all when none is named")
    images.add_argument("--gpu", action="store_true", help="with what training on a GPU takes")
    arguments = parser.parse_args(words)
    report = _printed
    try:
        if arguments.command == "images":
            known = list(algorithms())
            if unknown := [name for name in arguments.names if name not in known]:
                raise UserError(f"{unknown[0]} is no algorithm; known are {', '.join(known)}.")
            client = connect()
            for name in arguments.names or known:
                image = build(client, name, report, gpu=arguments.gpu)
                report(f"{image_name(name)} is {image.short_id}, {image.attrs['Size'] / 1e6:.0f} MB unpacked")
                report(f"its bill of materials is {write_bill(client, name)}")
        else:
            if arguments.wheels and not arguments.wheels.is_dir():
                raise UserError(f"--wheels {arguments.wheels} is no folder.")
            client = connect()
            if arguments.if_needed and base_is_there(client, report):
                return 0
            make_base(client, report, arguments.wheels or _wheels_at_hand())
            report(f"{BASE_IMAGE} and {BUILD_IMAGE} are made; `make images` builds on them.")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _printed(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
