"""The CDK app: reads the settings once and wires the stacks."""

from __future__ import annotations

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from stacks.constructs.buckets import Buckets
from stacks.constructs.network import Network
from stacks.dashboards import DashboardsStack
from stacks.experiments import ExperimentsStack
from stacks.hosting import HostingStack
from stacks.images import ImagesStack
from stacks.network import NetworkStack
from stacks.notifications import NotificationsStack
from stacks.program import run
from stacks.registry import RegistryStack
from stacks.settings import Settings
from stacks.storage import StorageStack
from stacks.training import TrainingStack, TrainingStackProps


def wire(app: cdk.App, settings: Settings) -> None:
    """Every stack of a deployment."""

    def named(stack: str) -> str:
        return settings.prefix + stack

    storage = StorageStack(app, named("Storage"), settings=settings)
    registry = RegistryStack(app, named("Registry"), settings=settings)
    images = ImagesStack(app, named("Images"), settings=settings, registry=registry)
    notifications = NotificationsStack(app, named("Notifications"), settings=settings, key=storage.buckets.key)
    network = _network(app, named("Network"), settings, storage.buckets)
    hosting = HostingStack(
        app,
        named("Hosting"),
        settings=settings,
        buckets=storage.buckets,
        repository=registry.repository,
        network=network,
    )
    training = TrainingStack(
        app,
        named("Training"),
        props=TrainingStackProps(
            settings=settings,
            buckets=storage.buckets,
            images=images.images,
            topic=notifications.topic,
            hosting_role=hosting.role,
            network=network,
        ),
    )
    experiments = ExperimentsStack(
        app,
        named("Experiments"),
        settings=settings,
        pipelines=training.pipelines,
        repository=registry.repository,
        buckets=storage.buckets,
        topic=notifications.topic,
        network=network,
    )
    if settings.dashboards:
        DashboardsStack(app, named("Dashboards"), settings=settings, training=training, experiments=experiments)
    # Pipelines name their image by its tag, which is no reference that CloudFormation could see.
    training.add_stack_dependency(images)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), NIST80053R5Checks(app))


def _network(app: cdk.App, stack: str, settings: Settings, buckets: Buckets) -> Network | None:
    """What jobs and models are put into; None leaves them in SageMaker's own network."""
    if settings.network == "private":
        return NetworkStack(app, stack, settings=settings, buckets=buckets).network
    if settings.vpc is not None:
        return Network(settings.vpc.subnets, settings.vpc.security_groups)
    return None


if __name__ == "__main__":
    run(wire)
