"""`kindling-docker`: what the CDK's command line runs in place of docker when it deploys to the embedded cloud.

With the process runner it builds nothing: it notes which algorithm an image stands for. With the docker runner the
engine builds the image and pushes it to the cloud's registry, if there is one, and what is noted is its id, so that
exactly this one runs. Either way the image is registered with the embedded cloud's ECR. Called as docker is: login,
inspect, build, tag, push.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from kindling.errors import UserError
from kindling.localcloud.docker_registry import Pushed, address_of, push
from kindling.localcloud.images import Image, Images

_REPOSITORY = re.compile(r"(?P<registry>[^/]+)/(?P<repository>[^:@]+):(?P<tag>[^:@]+)")
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class PublishingError(RuntimeError):
    """The image cannot be published. The message is one sentence."""


def publish(arguments: Sequence[str], folder: Path, *, really: bool = False) -> int:
    """Do what one call of docker asks for. Returns the exit status.

    Args:
        folder: of the images' records.
        really: whether a Docker engine builds the images.
    """
    images = Images(folder)
    command, *rest = arguments or ["help"]
    match command:
        case "login":
            sys.stdin.read()
        case "inspect":
            return 0 if _is_there(images.find(rest[-1]), really) else 1
        case "build" | "buildx":
            _build(images, rest, really)
        case "tag":
            source, name = rest[-2:]
            images.record(name, _existing(images, source))
        case "push":
            _push(images, rest[-1], address_of(folder.parent) if really else "")
        case _:
            raise PublishingError(f"docker {command} is not something that deploying to the embedded cloud needs.")
    return 0


def _is_there(image: Image | None, really: bool) -> bool:
    if image is None or not really:
        return image is not None
    from kindling.image_builds import connect, has

    return has(connect(), image.engine_id) if image.engine_id else False


def _build(images: Images, arguments: Sequence[str], really: bool) -> None:
    options = dict(pairwise(arguments))
    name = options.get("--tag") or options.get("-t")
    file = options.get("--file") or options.get("-f")
    if name is None or file is None:
        raise PublishingError("docker build was called without --tag or --file; an algorithm's image has both.")
    algorithm = PurePosixPath(file).parent.name
    if not algorithm:
        raise PublishingError(f"the Dockerfile {file} is in no algorithm's folder; expected <algorithm>/Dockerfile.")
    images.record(
        name, Image(algorithm=algorithm, built_as=name, engine_id=_built(arguments, name, file) if really else "")
    )


def _built(arguments: Sequence[str], name: str, file: str) -> str:
    """Has the engine build the image in this folder; its id."""
    from kindling.image_builds import build_arguments, build_image, connect

    engine = connect()
    given = [value for option, value in pairwise(arguments) if option == "--build-arg"]
    asked = dict(value.partition("=")[::2] for value in given)
    built = build_image(engine, Path(arguments[-1]), file, name, build_arguments(engine) | asked, _say)
    return str(built.id)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _existing(images: Images, name: str) -> Image:
    image = images.find(name)
    if image is None:
        raise PublishingError(f"no image is named {name}; build it first.")
    return image


def _push(images: Images, uri: str, registry: str) -> None:
    image = _existing(images, uri)
    named = _REPOSITORY.fullmatch(uri)
    if named is None:
        raise PublishingError(f"{uri} does not name a repository and a tag.")
    repository, tag = named["repository"], named["tag"]
    import boto3
    from botocore.exceptions import ClientError

    really = bool(registry and image.engine_id)
    pushed = _pushed(image, registry, repository, tag) if really else _stand_in(image)
    try:
        boto3.client("ecr").put_image(
            repositoryName=repository,
            imageTag=tag,
            imageManifest=pushed.manifest,
            imageManifestMediaType=pushed.media_type,
            imageDigest=pushed.digest,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ImageAlreadyExistsException":
            raise PublishingError(f"{uri} was not pushed: {error.response['Error']['Message']}") from None
    if really:
        image = replace(image, pushed_as=f"{repository}@{pushed.digest}")
        images.record(uri, image)
    images.record(f"{named['registry']}/{repository}@{pushed.digest}", image)


def _pushed(image: Image, registry: str, repository: str, tag: str) -> Pushed:
    from kindling.image_builds import connect

    _say(f"pushing {repository}:{tag} to the registry at {registry}")
    return push(connect().api, image.engine_id, registry, repository, tag)


def _stand_in(image: Image) -> Pushed:
    """A minimal image manifest, different for each image: its configuration is that in the engine, if it was built."""
    labels = {"kindling.algorithm": image.algorithm, "kindling.built-as": image.built_as}
    config = json.dumps({"config": {"Labels": labels}})
    described = {"mediaType": _CONFIG_TYPE, "size": len(config), "digest": image.engine_id or _digest(config)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": described, "layers": []})
    return Pushed(manifest, _MANIFEST_TYPE, _digest(manifest))


def _digest(document: str) -> str:
    return "sha256:" + hashlib.sha256(document.encode()).hexdigest()


def main() -> None:
    """Entry point of `kindling-docker`. KINDLING_STATE is the cloud's state folder, KINDLING_RUNNER its runner."""
    state = os.environ.get("KINDLING_STATE")
    try:
        if not state:
            raise PublishingError("KINDLING_STATE is not set; it must be the embedded cloud's state folder.")
        really = os.environ.get("KINDLING_RUNNER") == "docker"
        sys.exit(publish(sys.argv[1:], Path(state) / "images", really=really))
    except (PublishingError, UserError) as error:
        sys.exit(f"kindling-docker: {error}")


if __name__ == "__main__":
    main()
