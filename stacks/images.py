"""The algorithms' images: built and sent by `cdk deploy`."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from containers import catalogue
from stacks.base import HouseStack, camel
from stacks.constructs.algorithm_image import AlgorithmImage, AlgorithmImageProps
from stacks.constructs.image_repository import repository_name
from stacks.constructs.image_synthesizer import ImageSynthesizer
from stacks.settings import Settings


class ImagesStack(HouseStack):
    """One image per algorithm of the catalogue, in the house's own repository."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, registry: cdk.Stack) -> None:
        super().__init__(
            scope,
            id,
            settings=settings,
            description="Kindling: the algorithms' container images",
            synthesizer=ImageSynthesizer(repository_name=repository_name(settings), repository_stack=registry),
        )
        self.add_stack_dependency(registry)
        self.images: dict[str, ecr_assets.DockerImageAsset] = {}
        for name, algorithm in catalogue.algorithms().items():
            props = AlgorithmImageProps(containers=catalogue.CONTAINERS, algorithm=name, gpu=algorithm.resources.gpu)
            self.images[name] = AlgorithmImage(self, camel(name), props).asset
            # A stack without a resource is not deployed, and its images would never be built.
            ssm.StringParameter(
                self,
                f"{camel(name)}Uri",
                parameter_name=f"/{settings.name}/images/{name}",
                description=f"Image of the algorithm {name}",
                string_value=self.images[name].image_uri,
            )
