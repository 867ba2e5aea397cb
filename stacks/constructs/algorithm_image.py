"""An algorithm's container image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct

# Nothing of these is installed into an image, so changing them must not make a new one.
_NOT_SHIPPED = (
    *("**/tests", "**/requirements-test.*"),
    *("**/__pycache__", "**/*.py[cod]", "**/.*_cache", "**/.hypothesis", "**/.coverage", "**/.venv"),
    *("**/build", "**/dist", "**/*.so", "**/*.egg-info", "**/.DS_Store"),
)


@dataclass(frozen=True, kw_only=True)
class AlgorithmImageProps:
    """`containers` holds the folders of the algorithm and of the contract; `gpu` builds in what GPUs take."""

    containers: Path
    algorithm: str
    gpu: bool = False


class AlgorithmImage(Construct):
    """The image that containers/<algorithm>/Dockerfile builds from the algorithm's folder and the contract's.

    Its tag is a hash of just these files: a change elsewhere builds and deploys nothing.
    """

    def __init__(self, scope: Construct, id: str, props: AlgorithmImageProps) -> None:
        super().__init__(scope, id)
        self.asset = ecr_assets.DockerImageAsset(
            self,
            "Asset",
            directory=str(props.containers),
            file=f"{props.algorithm}/Dockerfile",
            exclude=["*", f"!{props.algorithm}", "!contract", *_NOT_SHIPPED],
            ignore_mode=cdk.IgnoreMode.DOCKER,
            asset_name=props.algorithm,
            build_args={"GPU": "1"} if props.gpu else None,
            # What SageMaker's instances run, whatever the machine that builds.
            platform=ecr_assets.Platform.LINUX_AMD64,
        )
