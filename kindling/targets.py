"""Which cloud a command talks to: the embedded one, or an AWS account with the user's own credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from kindling.errors import UserError

Kind = Literal["embedded", "aws"]

NO_REGION = "no AWS region is chosen; set AWS_REGION or the region of your profile."


class Target(Protocol):
    """A cloud to talk to. `state` is where this machine keeps what belongs to it: logs, reports, corpora."""

    @property
    def kind(self) -> Kind: ...

    @property
    def state(self) -> Path: ...

    def client(self, service: str) -> Any:
        """A boto3 client."""
        ...

    def describe(self) -> str:
        """The target in words, as the command line shows it."""
        ...

    def how_to_start(self) -> str:
        """What to do when it does not answer."""
        ...


@dataclass(frozen=True)
class EmbeddedTarget:
    """The embedded cloud that runs with its state in `state`. Its credentials never leave the loopback device."""

    state: Path
    endpoint_url: str
    environment: Mapping[str, str] = field(repr=False)
    kind: Kind = "embedded"

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.Session(
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        )

    def client(self, service: str) -> Any:
        from botocore.config import Config

        # Each address is given outright: what the user's environment or profile says of AWS has no part in this.
        config = Config(
            proxies={},
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 2},
            ignore_configured_endpoint_urls=True,
        )
        return self._session.client(service, endpoint_url=self.endpoint_url, config=config)

    def describe(self) -> str:
        return f"embedded cloud at {self.endpoint_url}"

    def how_to_start(self) -> str:
        return "start it with `kindling up`"


@dataclass(frozen=True)
class AwsTarget:
    """The account and region of the user's own credentials, as boto3 finds them, or of a profile; or another region."""

    state: Path
    kind: Kind = "aws"
    profile: str | None = None
    region: str | None = None

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.Session(profile_name=self.profile, region_name=self.region)

    def client(self, service: str) -> Any:
        return self._session.client(service)

    def region_name(self) -> str:
        """The region.

        Raises:
            UserError: none is chosen, or there is no such profile.
        """
        from botocore.exceptions import ProfileNotFound

        try:
            region = self._session.region_name
        except ProfileNotFound:
            raise UserError(f"there is no profile {self.profile} in ~/.aws; `aws configure` makes one.") from None
        if region is None:
            raise UserError(NO_REGION)
        return str(region)

    def describe(self) -> str:
        region = self.region_name()
        account = self.client("sts").get_caller_identity()["Account"]
        return f"AWS account {account} in {region}"

    def how_to_start(self) -> str:
        return "check the network and the region"


def choose(kind: str, state: Path | None = None) -> Target:
    """The target of a command.

    Raises:
        UserError: neither embedded nor aws, AWS that the environment redirects to this machine, or an embedded cloud
            that does not run.
    """
    state = state_folder(state)
    if kind == "aws":
        _require_real_aws()
        return AwsTarget(state=state)
    if kind != "embedded":
        raise UserError(f"target {kind!r} is none; it must be embedded or aws.")
    return running_embedded_cloud(state)


def _require_real_aws() -> None:
    """Refuses what `kindling up --export` leaves in a shell: AWS it would be called, and the laptop it would be."""
    address = os.environ.get("AWS_ENDPOINT_URL", "")
    if urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1"):
        raise UserError(
            f"the target is aws, but AWS_ENDPOINT_URL={address} leads to this machine; unset it, or open another shell."
        )


def running_embedded_cloud(state: Path) -> EmbeddedTarget:
    """The embedded cloud of that state folder.

    Raises:
        UserError: it does not run.
    """
    from kindling.localcloud import lifecycle

    info = lifecycle.info(state)
    if info is None:
        where = "" if state == state_folder() else f" --state {state}"
        raise UserError(
            f"the embedded cloud does not run; start it with `kindling up{where}`, or choose AWS with --target aws."
        )
    environment = lifecycle.client_environment(info)
    return EmbeddedTarget(state=state, endpoint_url=environment["AWS_ENDPOINT_URL"], environment=environment)


def state_folder(given: Path | None = None) -> Path:
    """Where this machine keeps its state: as given, or as KINDLING_STATE says, or .kindling in the repository."""
    from kindling.localcloud import lifecycle

    return (given or lifecycle.default_state()).expanduser().resolve()
