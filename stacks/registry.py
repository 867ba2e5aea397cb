"""Where the algorithms' images lie. A stack of its own: the repository must exist before images can be sent."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.image_repository import ImageRepository
from stacks.settings import Settings


class RegistryStack(HouseStack):
    """The repository of the images."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(
            scope, id, settings=settings, description="Kindling: repository of the algorithms' container images"
        )
        self.repository = ImageRepository(self, "Images", settings).repository
        cdk.CfnOutput(self, "RepositoryUri", value=self.repository.repository_uri)
