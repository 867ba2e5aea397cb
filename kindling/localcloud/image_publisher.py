"""`kindling-docker`: what the CDK's command line runs in place of docker when it deploys to the embedded cloud.

It builds nothing: it notes which algorithm an image stands for, and registers the image with the embedded cloud's ECR.
Called as docker is: login, inspect, build, tag, push.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from kindling.localcloud.images import Image, Images

_REPOSITORY = re.compile(r"(?P<registry>[^/]+)/(?P<repository>[^:@]+):(?P<tag>[^:@]+)")
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class PublishingError(RuntimeError):
    """The image cannot be published. The message is one sentence."""


def publish(arguments: Sequence[str], folder: Path) -> int:
    """Do what one call of docker asks for; `folder` holds the images' records. Returns the exit status."""
    images = Images(folder)
    command, *rest = arguments or ["help"]
    match command:
        case "login":
            sys.stdin.read()
        case "inspect":
            return 0 if images.find(rest[-1]) else 1
        case "build" | "buildx":
            _build(images, rest)
        case "tag":
            source, name = rest[-2:]
            images.record(name, _existing(images, source))
        case "push":
            _push(images, rest[-1])
        case _:
            raise PublishingError(f"docker {command} is not something that deploying to the embedded cloud needs.")
    return 0


def _build(images: Images, arguments: Sequence[str]) -> None:
    options = dict(pairwise(arguments))
    name = options.get("--tag") or options.get("-t")
    file = options.get("--file") or options.get("-f")
    if name is None or file is None:
        raise PublishingError("docker build was called without --tag or --file; an algorithm's image has both.")
    algorithm = PurePosixPath(file).parent.name
    if not algorithm:
        raise PublishingError(f"the Dockerfile {file} is in no algorithm's folder; expected <algorithm>/Dockerfile.")
    images.record(name, Image(algorithm=algorithm, built_as=name))


def _existing(images: Images, name: str) -> Image:
    image = images.find(name)
    if image is None:
        raise PublishingError(f"no image is named {name}; build it first.")
    return image


def _push(images: Images, uri: str) -> None:
    image = _existing(images, uri)
    named = _REPOSITORY.fullmatch(uri)
    if named is None:
        raise PublishingError(f"{uri} does not name a repository and a tag.")
    import boto3
    from botocore.exceptions import ClientError

    manifest = _manifest(image)
    try:
        boto3.client("ecr").put_image(
            repositoryName=named["repository"],
            imageTag=named["tag"],
            imageManifest=manifest,
            imageManifestMediaType=_MANIFEST_TYPE,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ImageAlreadyExistsException":
            raise PublishingError(f"{uri} was not pushed: {error.response['Error']['Message']}") from None
    images.record(f"{named['registry']}/{named['repository']}@{_digest(manifest)}", image)


def _manifest(image: Image) -> str:
    """A minimal image manifest, different for each image, since nothing was built whose digest could be taken."""
    labels = {"kindling.algorithm": image.algorithm, "kindling.built-as": image.built_as}
    config = json.dumps({"config": {"Labels": labels}})
    described = {"mediaType": _CONFIG_TYPE, "size": len(config), "digest": _digest(config)}
    return json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": described, "layers": []})


def _digest(document: str) -> str:
    return "sha256:" + hashlib.sha256(document.encode()).hexdigest()


def main() -> None:
    """Entry point of `kindling-docker`. KINDLING_STATE is the embedded cloud's state folder."""
    state = os.environ.get("KINDLING_STATE")
    try:
        if not state:
            raise PublishingError("KINDLING_STATE is not set; it must be the embedded cloud's state folder.")
        sys.exit(publish(sys.argv[1:], Path(state) / "images"))
    except PublishingError as error:
        sys.exit(f"kindling-docker: {error}")


if __name__ == "__main__":
    main()
