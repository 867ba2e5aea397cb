"""Who is asking, and whether the clock of this machine lets AWS believe the signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from kindling.bootstrap.findings import Finding
from kindling.bootstrap.places import Place
from kindling.cli.failures import sentence_of

# AWS refuses a signature that is more than five minutes off:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
REFUSED_FROM_S, ODD_FROM_S = 300.0, 30.0

CREDENTIALS, CLOCK = "credentials", "clock"


@dataclass(frozen=True)
class Identity:
    """Who the credentials are. `alias` is the account's name for people, where it has one that may be read."""

    account: str
    arn: str
    alias: str | None = None

    @property
    def partition(self) -> str:
        """aws, aws-cn or aws-us-gov."""
        return self.arn.split(":")[1]

    @property
    def is_root(self) -> bool:
        """Whether it is the account's root user."""
        return self.arn.endswith(":root")

    def __str__(self) -> str:
        return f"{self.account} ({self.alias})" if self.alias else self.account


@dataclass(frozen=True)
class Answer:
    """What STS said, refused or not. `date` is AWS's time, where there was an answer at all."""

    identity: Identity | None
    error: Exception | None
    date: datetime | None


def ask(place: Place) -> Answer:
    """Ask STS who the credentials are; the answer has AWS's time, even if it is a refusal."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        told = place.client("sts").get_caller_identity()
    except ClientError as error:
        return Answer(None, error, _date(error.response))
    except BotoCoreError as error:
        return Answer(None, error, None)
    return Answer(Identity(told["Account"], told["Arn"], _alias(place)), None, _date(told))


def credentials(place: Place, answer: Answer) -> Iterator[Finding]:
    """Whose credentials they are, and whether they are those of the settings' account."""
    identity, wanted = answer.identity, place.settings.account
    if identity is None:
        assert answer.error is not None
        # A clock that is off spoils every signature; then that is what is to be mended.
        found = str(sentence_of(answer.error)).rstrip(".")
        yield Finding(CREDENTIALS, "fail", found, "sign in (`aws sso login`, `aws configure`), or choose --profile.")
    elif wanted is not None and identity.account != wanted:
        yield Finding(
            CREDENTIALS,
            "fail",
            f"{identity.arn} is of account {identity.account}, but settings/{place.environment}.toml names {wanted}",
            "choose the profile of that account with --profile or the setting `profile`.",
        )
    elif identity.is_root:
        yield Finding(
            CREDENTIALS,
            "warn",
            f"the root user of account {identity}",
            "use a role or a user of IAM Identity Center; the root user can be limited by nothing.",
        )
    else:
        yield Finding(CREDENTIALS, "pass", f"{identity.arn} in account {identity}")


def clock(answer: Answer, now: datetime) -> Iterator[Finding]:
    """How far this machine's clock is from AWS's; nothing when AWS has not said what time it is."""
    if answer.date is None:
        return
    ahead_s = (now - answer.date).total_seconds()
    off = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} AWS's"
    mend = "set it by NTP (`timedatectl set-ntp true`)."
    if abs(ahead_s) > REFUSED_FROM_S:
        yield Finding(CLOCK, "fail", f"the clock is {off}, and AWS refuses signatures over 300 s off", mend)
    elif abs(ahead_s) > ODD_FROM_S:
        yield Finding(CLOCK, "warn", f"the clock is {off}", mend)
    else:
        yield Finding(CLOCK, "pass", "within 30 s of AWS's")


def _date(response: Any) -> datetime | None:
    """The Date header of an answer, to the second."""
    sent = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return None if sent is None else parsedate_to_datetime(sent).astimezone(UTC)


def _alias(place: Place) -> str | None:
    """The account's alias; who may not read it does without."""
    from botocore.exceptions import ClientError

    try:
        aliases = place.client("iam").list_account_aliases()["AccountAliases"]
    except ClientError:
        return None
    return str(aliases[0]) if aliases else None
