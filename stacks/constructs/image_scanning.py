"""Scanning of all images of the account, and who is told of what is found."""

from __future__ import annotations

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.settings import Settings

_FREQUENCIES = {"basic": "SCAN_ON_PUSH", "enhanced": "CONTINUOUS_SCAN"}


class ImageScanning(Construct):
    """The registry's scanning as the settings say; critical findings go to the alarm topic, whoever scans."""

    def __init__(self, scope: Construct, id: str, settings: Settings, topic: sns.ITopic) -> None:
        super().__init__(scope, id)
        kind = settings.registry_scanning
        if kind != "none":
            ecr.CfnRegistryScanningConfiguration(
                self,
                "Registry",
                scan_type=kind.upper(),
                rules=[
                    ecr.CfnRegistryScanningConfiguration.ScanningRuleProperty(
                        scan_frequency=_FREQUENCIES[kind],
                        repository_filters=[
                            ecr.CfnRegistryScanningConfiguration.RepositoryFilterProperty(
                                filter="*", filter_type="WILDCARD"
                            )
                        ],
                    )
                ],
            )
        self._tell(
            "ScanOnPush",
            topic,
            source="aws.ecr",
            detail_type="ECR Image Scan",
            detail={"finding-severity-counts": {"CRITICAL": events.Match.greater_than(0)}},
        )
        self._tell(
            "Inspector",
            topic,
            source="aws.inspector2",
            detail_type="Inspector2 Finding",
            detail={
                "severity": ["CRITICAL"],
                "status": ["ACTIVE"],
                "resources": {"type": ["AWS_ECR_CONTAINER_IMAGE"]},
            },
        )

    def _tell(self, id: str, topic: sns.ITopic, *, source: str, detail_type: str, detail: dict[str, object]) -> None:
        events.Rule(
            self,
            id,
            description="Critical findings in container images",
            event_pattern=events.EventPattern(source=[source], detail_type=[detail_type], detail=detail),
            targets=[targets.SnsTopic(topic)],
        )
