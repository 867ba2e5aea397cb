"""The CDK app: reads the settings once and wires the stacks."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.hosting import HostingStack
from stacks.images import ImagesStack
from stacks.notifications import NotificationsStack
from stacks.registry import RegistryStack
from stacks.settings import InvalidSettingError, Settings
from stacks.storage import StorageStack


def wire(app: cdk.App, settings: Settings) -> None:
    """Every stack of a deployment."""
    storage = StorageStack(app, f"{settings.prefix}Storage", settings=settings)
    registry = RegistryStack(app, f"{settings.prefix}Registry", settings=settings)
    ImagesStack(app, f"{settings.prefix}Images", settings=settings, registry=registry)
    NotificationsStack(app, f"{settings.prefix}Notifications", settings=settings, key=storage.buckets.key)
    HostingStack(
        app,
        f"{settings.prefix}Hosting",
        settings=settings,
        buckets=storage.buckets,
        repository=registry.repository,
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))


if __name__ == "__main__":
    app = cdk.App()
    try:
        wire(app, Settings.from_context(app.node.get_all_context()))
    except InvalidSettingError as error:
        sys.exit(str(error))
    app.synth()
