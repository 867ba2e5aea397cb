"""A place whose AWS is stubbed: what each call of a service answers is said beforehand, in botocore's own shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from kindling import image_builds
from kindling.bootstrap.credentials import Identity
from kindling.bootstrap.places import Place
from kindling.errors import UserError
from kindling.targets import Kind
from stacks.settings import Settings

ACCOUNT, REGION = "123456789012", "eu-west-1"
IDENTITY = Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ann")


@dataclass(frozen=True)
class StubbedTarget:
    """A target whose clients answer what they were told to, and fail on any other call."""

    region: str = REGION
    state: Path = Path("/nowhere")
    kind: Kind = "aws"
    stubs: dict[str, Stubber] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.stub(service).client

    def stub(self, service: str) -> Stubber:
        if service not in self.stubs:
            client = boto3.client(
                service, region_name=self.region, aws_access_key_id="test", aws_secret_access_key="test"
            )
            self.stubs[service] = Stubber(client)
            self.stubs[service].activate()
        return self.stubs[service]

    def describe(self) -> str:
        return "stubs"

    def how_to_start(self) -> str:
        return ""


def without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no engine answer; the library leaves the sockets open by which it asks for one."""

    def refused() -> None:
        raise UserError("no Docker engine answers at its usual socket; install one.")

    monkeypatch.setattr(image_builds, "connect", refused)


def place(target: StubbedTarget, region: str = REGION, **settings: Any) -> Place:
    """The environment `dev` on stubs, with these settings."""
    return Place("dev", Settings(**settings), target, region, is_home=True)


def denied(target: StubbedTarget, service: str, operation: str, message: str = "no") -> None:
    """Have the next call refused."""
    target.stub(service).add_client_error(operation, "AccessDeniedException", message)
