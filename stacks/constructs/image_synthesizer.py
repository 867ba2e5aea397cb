"""Sends a stack's images to the house's own repository."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import cloud_assembly_schema as schema

# The first version of the bootstrap resources that modern assets need; what DefaultStackSynthesizer asks for, too.
_BOOTSTRAP_VERSION = 6


class ImageSynthesizer(cdk.DefaultStackSynthesizer):
    """DefaultStackSynthesizer for images that go to a repository which another stack of the same app makes.

    `cdk deploy` builds images before it deploys any stack and asks for their repository while it does. So the images
    themselves, not only their stack, are said to depend on that stack; else a first `cdk deploy --all` would fail.
    """

    def __init__(self, *, repository_name: str, repository_stack: cdk.Stack) -> None:
        super().__init__(image_assets_repository_name=repository_name)
        self._repository_stack = repository_stack

    def reusable_bind(self, stack: cdk.Stack) -> cdk.IBoundStackSynthesizer:
        """Serve this one stack: the copy that the CDK would make for it knows no Python."""
        self.bind(stack)
        return self

    def synthesize(self, session: cdk.ISynthesisSession) -> None:
        """Write the stack's artifacts, and the images' anew with their dependency."""
        super().synthesize(session)
        assets = f"{self._bound_stack.artifact_id}.assets"
        session.assembly.add_artifact(
            assets,
            type=schema.ArtifactType.ASSET_MANIFEST,
            properties=schema.AssetManifestProperties(
                file=f"{assets}.json",
                requires_bootstrap_stack_version=_BOOTSTRAP_VERSION,
                bootstrap_stack_version_ssm_parameter=f"/cdk-bootstrap/{self.bootstrap_qualifier}/version",
            ),
            dependencies=[self._repository_stack.artifact_id],
        )
