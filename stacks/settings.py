"""What an account's owner decides: one file for each environment, as validated, frozen settings.

The file is settings/<environment>.toml; `-c name=value` on the CDK's command line goes before it and comes as text.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from stacks.setting_types import (
    EMAIL,
    LOG_RETENTION_DAYS,
    AccountId,
    Budget,
    Days,
    Email,
    ExistingVpc,
    InstanceType,
    Need,
    Price,
    Service,
    TagKey,
    TagValue,
    as_list,
    as_object,
    blank_is_none,
    free_tags,
    known_retention,
    only_vpc,
    private_range,
    without_repetition,
)
from stacks.trigger import InvalidTriggerError, Trigger, triggers_of

FILES: Final = Path(__file__).resolve().parents[1] / "settings"
# The context key that names the environment; cdk.json says which one it is when nothing is said.
_ENVIRONMENT: Final = "environment"
# Keys of the app's own context are plain words; those of the CDK and of its look-ups carry colons, dashes or slashes.
_OURS = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class InvalidSettingError(ValueError):
    """A setting that cannot be meant. The message is one sentence, fit to be shown as it is."""


def _setting(doc: str, expected: str, **constraints: Any) -> Any:
    """A field with the words that docs/settings.md and the error message need."""
    return Field(description=doc, json_schema_extra={"expected": expected}, **constraints)


class Settings(BaseModel):
    """Everything about a deployment that is a choice; docs/settings.md is the table of these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    name: str = _setting(
        "Names the deployment: the prefix of its stacks and of the few resources that need a fixed name. "
        "Two deployments in one account need two names.",
        "1 to 20 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash",
        default="kindling",
        pattern=r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$",
    )
    account: Annotated[str | None, BeforeValidator(blank_is_none)] = _setting(
        "Account to deploy to; without it, that of the credentials in use.",
        "the 12 digits of an AWS account",
        default=None,
        pattern=r"^\d{12}$",
    )
    region: Annotated[str | None, BeforeValidator(blank_is_none)] = _setting(
        "Region to deploy to; without it, that of the credentials in use.",
        "a region's name, such as eu-west-1",
        default=None,
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d+$",
    )
    removal: Literal["retain", "destroy"] = _setting(
        "What becomes of buckets, keys, images and logs when their stack is deleted. "
        "With `destroy` a bucket must be emptied first: nothing here deletes objects on its own.",
        "retain or destroy",
        default="retain",
    )
    termination_protection: bool = _setting(
        "Whether CloudFormation refuses to delete the stacks.", "true or false", default=True
    )
    inter_container_encryption: bool = _setting(
        "Whether the hosts of a training job encrypt what they send each other; it costs distributed jobs speed.",
        "true or false",
        default=True,
    )
    log_retention_days: Annotated[int, AfterValidator(known_retention)] = _setting(
        "How long the logs of functions and state machines are kept, and with the account stack those that SageMaker "
        "makes of jobs and endpoints.",
        "one of " + ", ".join(map(str, LOG_RETENTION_DAYS)),
        default=90,
    )
    access_log_days: Days = _setting(
        "How long the buckets' access logs are kept.", "an integer from 1 to 3650", default=365
    )
    noncurrent_version_days: Days = _setting(
        "How long an overwritten or deleted object can still be brought back.", "an integer from 1 to 3650", default=30
    )
    image_count: int = _setting(
        "How many container images are kept, over all algorithms; older ones are deleted.",
        "an integer from 10 to 1000",
        default=50,
        ge=10,
        le=1000,
    )
    notification_email: Annotated[str | None, BeforeValidator(blank_is_none)] = _setting(
        "Address that is told how each execution ended; its owner has to confirm the subscription.",
        "an e-mail address",
        default=None,
        pattern=EMAIL,
        max_length=254,
    )
    permissions_boundary: Annotated[str | None, BeforeValidator(blank_is_none)] = _setting(
        "Managed policy that bounds every role of the app, by name or ARN.",
        "the name or the ARN of an IAM managed policy",
        default=None,
        pattern=r"^(arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+|[\w+=,.@-]{1,128})$",
    )
    tags: Annotated[dict[TagKey, TagValue], BeforeValidator(as_object), AfterValidator(free_tags)] = _setting(
        "Tags on every stack and resource; on the command line `-c tags=team=nlp,stage=dev`.",
        "an object of at most 40 tags, or name=value pairs with commas between them, no name beginning with aws:",
        default={},
        max_length=40,
    )

    profile: Annotated[str | None, BeforeValidator(blank_is_none)] = _setting(
        "Profile of ~/.aws whose credentials `kindling bootstrap` and `kindling doctor` take for this environment.",
        "the name of a profile",
        default=None,
        pattern=r"^\S+$",
    )
    image_pull_accounts: Annotated[tuple[AccountId, ...], BeforeValidator(as_list)] = _setting(
        "Other accounts that may pull the images: those of the later environments.",
        "a list of at most 20 AWS accounts of 12 digits each",
        default=(),
        max_length=20,
    )
    needs: Annotated[dict[InstanceType, Need], BeforeValidator(as_object)] = _setting(
        "Instances that are meant to run at once, by type and purpose, which the account's quotas are held against; "
        "without it, what each algorithm takes by default.",
        'an object such as {"ml.c5.2xlarge": {"training": 2, "spot": 2, "processing": 1, "hosting": 1}}',
        default={},
    )
    prices_usd_per_hour: Annotated[dict[InstanceType, Price], BeforeValidator(as_object)] = _setting(
        "What an instance costs in the region, by type: what an execution may cost at most is reckoned with it.",
        'an object of instance types and US dollars, such as {"ml.c5.2xlarge": 0.408}',
        default={},
    )
    endpoint_alarms: bool = _setting(
        "Whether the endpoints of runs that say nothing about alarms have the usual ones (docs/pipeline.md).",
        "true or false",
        default=False,
    )
    max_cost_usd: Annotated[float | None, BeforeValidator(blank_is_none), Field(gt=0, le=1e6)] = _setting(
        "What the instances of one execution may cost at most, if each job took all the time that it may; Plan refuses "
        "what could cost more. An execution may set a lower limit.",
        "US dollars above 0",
        default=None,
    )
    monthly_budget_usd: Budget = _setting(
        "What the whole account may cost in a month before the alarm topic is told, at 50, 80 and 100 % and when more "
        "is forecast.",
        "US dollars above 0",
        default=None,
    )
    sagemaker_budget_usd: Budget = _setting(
        "The same of SageMaker alone.",
        "US dollars above 0",
        default=None,
    )
    alarm_email: Annotated[tuple[Email, ...], BeforeValidator(as_list)] = _setting(
        "Addresses that are told of budgets, alarms and idle endpoints; each has to confirm the subscription.",
        "a list of at most 10 e-mail addresses",
        default=(),
        max_length=10,
    )
    idle_endpoint_action: Literal["report", "delete", "none"] = _setting(
        "What becomes of an endpoint that nobody asks: the alarm topic is told once a day, or it is deleted within the "
        "hour. One that is tagged kindling:keep=true is left alone.",
        "report, delete or none",
        default="report",
    )
    idle_endpoint_hours: int = _setting(
        "After how many hours without an invocation or a change an endpoint counts as idle.",
        "an integer from 1 to 720",
        default=24,
        ge=1,
        le=720,
    )
    access_analyzer: bool = _setting(
        "Whether the account stack makes an analyser of access from outside; AWS allows one for each account and "
        "region, so not where there is one.",
        "true or false",
        default=True,
    )
    registry_scanning: Literal["basic", "enhanced", "none"] = _setting(
        "How the account's whole image registry is scanned: on push without cost, all the time by Amazon Inspector at "
        "its price, or as it is.",
        "basic, enhanced or none",
        default="basic",
    )
    network: Literal["none", "private"] = _setting(
        "Where jobs and models have their network interfaces: in SageMaker's own network, or in a VPC that a stack "
        "makes for them, without a way to the internet (docs/network.md).",
        "none or private",
        default="none",
    )
    network_cidr: Annotated[str, AfterValidator(private_range)] = _setting(
        "Addresses of the private network.",
        "a range of private IPv4 addresses from /16 to /24, such as 10.40.0.0/16",
        default="10.40.0.0/16",
    )
    network_zones: int = _setting(
        "In how many availability zones the private network has a subnet.", "2 or 3", default=2, ge=2, le=3
    )
    network_services: Annotated[tuple[Service, ...], BeforeValidator(as_list), AfterValidator(without_repetition)] = (
        _setting(
            "AWS services that can be reached from the private network, beside Amazon S3; each costs by hour and zone.",
            f"a list out of {', '.join(get_args(Service))}, each once at most",
            default=get_args(Service),
        )
    )
    vpc: Annotated[
        ExistingVpc | None, BeforeValidator(as_object), BeforeValidator(blank_is_none), AfterValidator(only_vpc)
    ] = _setting(
        "Subnets and security groups of a VPC there is, for jobs and models, in the place of a private network.",
        'an object such as {"subnets": ["subnet-0123abcd"], "security_groups": ["sg-0123abcd"]} with at most 16 '
        "subnets and 5 groups, and network must be none",
        default=None,
    )
    dashboards: bool = _setting(
        "Whether there is a CloudWatch dashboard for each algorithm and one for all (docs/dashboards.md); three of an "
        "account are free, and each of the others costs about 3 US dollars a month.",
        "true or false",
        default=False,
    )
    triggers: Annotated[tuple[Trigger, ...], BeforeValidator(triggers_of)] = _setting(
        "What starts pipelines by itself: times, and objects that arrive in the data bucket (docs/triggers.md).",
        'a list of objects such as {"name": "nightly", "algorithm": "blazingtext", "schedule": "rate(1 day)", '
        '"input": {"inputs": {"train": "s3://{data}/blazingtext/text8"}}}',
        default=(),
    )

    @property
    def prefix(self) -> str:
        """What the names of the stacks begin with: `my-team` gives `MyTeam`."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    @classmethod
    def from_context(cls, context: Mapping[str, object], files: Path = FILES) -> Settings:
        """The settings in a CDK app's context: what the environment's file says, and what the context says over it.

        Raises:
            InvalidSettingError: no such environment, a value that is not what its key expects, or an unknown key.
        """
        ours = {key: value for key, value in context.items() if _OURS.fullmatch(key)}
        environment = ours.pop(_ENVIRONMENT, None)
        written = {} if environment is None else cls._file(environment, files)
        try:
            return cls.model_validate({**written, **ours})
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][0])
            where, value = ("The context key ", ours) if key in ours else (f"settings/{environment}.toml: ", written)
            reason = first.get("ctx", {}).get("error")
            if isinstance(reason, InvalidTriggerError):
                raise InvalidSettingError(f"{where}{key}: {reason}.") from None
            raise InvalidSettingError(cls._sentence(where, key, value[key])) from None

    @classmethod
    def of_environment(cls, environment: str, files: Path = FILES) -> Settings:
        """The settings in an environment's file.

        Raises:
            InvalidSettingError: as `from_context`.
        """
        return cls.from_context({_ENVIRONMENT: environment}, files)

    @staticmethod
    def _file(environment: object, files: Path) -> dict[str, Any]:
        known = sorted(path.stem for path in files.glob("*.toml"))
        if environment not in known:
            raise InvalidSettingError(
                f"The context key {_ENVIRONMENT} is {environment!r}; it must be one of {', '.join(known)}, "
                "the files in settings/."
            )
        try:
            return tomllib.loads((files / f"{environment}.toml").read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidSettingError(f"settings/{environment}.toml is no TOML: {error}.") from None

    @classmethod
    def _sentence(cls, where: str, key: str, value: object) -> str:
        """What is wrong with a key; pydantic's own words would speak of types and URLs."""
        if key not in cls.model_fields:
            near = difflib.get_close_matches(key, cls.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(cls.model_fields)}."
            return f"{where}{key} is unknown; {hint}"
        found = value if isinstance(value, str) else json.dumps(value, default=str)
        return f"{where}{key} is {found!r}; it must be {cls.expected(key)}."

    @classmethod
    def expected(cls, key: str) -> str:
        """What the value of a key must be, in words."""
        extra = cls.model_fields[key].json_schema_extra
        assert isinstance(extra, dict)
        return str(extra["expected"])

    @classmethod
    def table(cls) -> list[tuple[str, str, str, str]]:
        """The rows of docs/settings.md: key, what a value must be, its default, what it is for."""
        return [
            (key, cls.expected(key), _as_text(field.default), str(field.description))
            for key, field in cls.model_fields.items()
        ]


def _as_text(default: object) -> str:
    """A default as it would stand in cdk.json; nothing where there is none."""
    return "none" if default in (None, {}, ()) else f"`{json.dumps(default)}`"
