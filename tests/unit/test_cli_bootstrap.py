"""`kindling bootstrap` and `kindling doctor` at the keyboard: what is refused, asked, told, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kindling.bootstrap import making, places, preflight, quotas
from kindling.bootstrap.findings import Finding
from kindling.bootstrap.making import Step
from kindling.bootstrap.places import Place
from kindling.bootstrap.preflight import Preflight
from kindling.bootstrap.stack_changes import Change
from kindling.cli.app import app
from kindling.errors import UserError
from tests.unit.stubbed_place import IDENTITY, StubbedTarget, place, without_docker
from tests.unit.test_cli_mistakes import Kindling, kindling

__all__ = ["kindling"]


@pytest.mark.parametrize("command", ["doctor", "bootstrap"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--environment", "nowhere"], "environment is 'nowhere'; it must be one of dev, prod, staging"),
        (["--environment", "dev", "--environment", "dev"], "--environment dev is given twice; give it once."),
        (["--region", "eu-west-1", "--region", "eu-west-1"], "--region eu-west-1 is given twice; give it once."),
        (["--target", "azure"], "target 'azure' is none; it must be embedded or aws."),
        ([], "the embedded cloud does not run; start it with `kindling up`"),
        (["--target", "aws", "--embedded"], "the embedded cloud does not run; start it with `kindling up`"),
    ],
)
def test_a_place_that_cannot_be_meant_is_one_sentence(
    kindling: Kindling, command: str, options: list[str], sentence: str
) -> None:
    ended = kindling(command, *options)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert sentence in ended.err


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell that knows no AWS, on a machine without Docker."""
    without_docker(monkeypatch)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--profile", "nobody"], "there is no profile nobody in ~/.aws; `aws configure` makes one."),
        ([], "no AWS region is chosen; set AWS_REGION or the region of your profile."),
    ],
)
def test_a_profile_or_region_that_aws_lacks_is_one_sentence(
    kindling: Kindling, no_credentials: None, options: list[str], sentence: str
) -> None:
    ended = kindling("doctor", "--target", "aws", *options)
    assert (ended.code, ended.out, ended.err) == (1, "", f"{sentence}\n")


@pytest.mark.wide
def test_a_region_without_sagemaker_fails_by_its_name(kindling: Kindling, no_credentials: None) -> None:
    ended = kindling("doctor", "--target", "aws", "--region", "eu-nowhere-9", "--json")
    assert ended.code == 1
    found = json.loads(ended.out)["places"][0]
    assert [one["found"] for one in found["checks"] if one["check"] == "region"] == ["no region is called eu-nowhere-9"]


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> StubbedTarget:
    """An embedded cloud, as far as places are concerned."""
    target = StubbedTarget(kind="embedded", region="us-east-1")
    monkeypatch.setattr("kindling.targets.choose", lambda _kind, _state: target)
    return target


def test_the_embedded_cloud_has_one_region_and_no_profiles(embedded: StubbedTarget) -> None:
    (only,) = places.places("embedded", regions=["us-east-1"])
    assert (only.environment, only.region, only.is_home) == ("dev", "us-east-1", True)
    with pytest.raises(UserError, match="the embedded cloud is in us-east-1 and has no region eu-west-1"):
        places.places("embedded", regions=["eu-west-1"])
    with pytest.raises(UserError, match="--profile x is for AWS"):
        places.places("embedded", profile="x")


def test_every_environment_is_in_every_region_and_at_home_in_the_first(no_credentials: None, tmp_path: Path) -> None:
    found = places.places("aws", tmp_path, environments=["dev", "prod"], regions=["eu-west-1", "us-east-1"])
    assert [(str(one), one.is_home) for one in found] == [
        ("dev in eu-west-1", True),
        ("dev in us-east-1", False),
        ("prod in eu-west-1", True),
        ("prod in us-east-1", False),
    ]


# From here on the checks and the steps are given, and the command is looked at.

PASSED = (Finding("credentials", "pass", "ann"), Finding("service roles", "warn", "no role", "nothing."))
FAILED = (Finding("quota", "fail", "ml.c5.2xlarge for training job usage: 0, needed 1", "ask."),)


class Done:
    """What the command was given to find, and what it had done."""

    def __init__(self) -> None:
        self.places: list[Place] = [place(StubbedTarget())]
        self.findings: dict[str, tuple[Finding, ...]] = {}
        self.made: list[str] = []
        self.previewed: list[str] = []
        self.requested: list[str] = []
        self.result: Any = "made"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    done = Done()

    def look(where: Place, *, asking: bool = False) -> Preflight:
        return Preflight(where, IDENTITY, done.findings.get(str(where), PASSED))

    def make(self: making.Making) -> Iterator[Step]:
        done.made.append(str(self.place))
        yield Step("CDKToolkit", "what the CDK deploys with", result=done.result)

    def preview(self: making.Making) -> Iterator[Step]:
        done.previewed.append(str(self.place))
        yield Step("CDKToolkit", "what", changes=(Change("Add", "Bucket", "AWS::S3::Bucket"),))

    def request(where: Place, _needs: object) -> list[str]:
        done.requested.append(str(where))
        return ["a quota: from 0 to 1"]

    monkeypatch.setattr(places, "places", lambda *_a, **_k: done.places)
    monkeypatch.setattr(preflight, "preflight", look)
    monkeypatch.setattr(making.Making, "make", make)
    monkeypatch.setattr(making.Making, "preview", preview)
    monkeypatch.setattr(quotas, "request", request)
    monkeypatch.setattr(quotas, "wanted", lambda *_: ["a quota: from 0 to 1"])
    return done


Run = Callable[..., Any]


@pytest.fixture
def run() -> Run:
    return lambda *arguments, **more: CliRunner().invoke(app, list(arguments), **more)


def two(done: Done) -> None:
    other = place(StubbedTarget(), "us-east-1")
    done.places = [*done.places, replace(other, environment="prod")]


def test_the_question_names_account_and_region_and_no_is_an_answer(done: Done, run: Run) -> None:
    two(done)
    ended = run("bootstrap", "--target", "aws", input="n\n")
    assert ended.exit_code == 1
    assert "dev: AWS account 123456789012 in eu-west-1; prod: AWS account 123456789012 in us-east-1?" in ended.stderr
    assert done.made == []
    assert run("bootstrap", "--target", "aws", input="y\n").exit_code == 0
    assert done.made == ["dev in eu-west-1", "prod in us-east-1"]


def test_yes_skips_the_question_and_a_dry_run_asks_none_and_makes_nothing(done: Done, run: Run) -> None:
    dry = run("bootstrap", "--target", "aws", "--dry-run", "--request-quotas")
    assert dry.exit_code == 0
    assert "would ask for a quota: from 0 to 1" in dry.stdout
    assert "CDKToolkit: add Bucket (AWS::S3::Bucket)" in dry.stdout
    assert (done.made, done.requested) == ([], [])
    assert run("bootstrap", "--target", "aws", "--yes", "--request-quotas").exit_code == 0
    assert done.made == done.requested == ["dev in eu-west-1"]


def test_what_fails_in_one_place_stops_no_other_look_and_every_change(done: Done, run: Run) -> None:
    two(done)
    done.findings["dev in eu-west-1"] = FAILED
    ended = run("bootstrap", "--target", "aws", "--yes", "--request-quotas")
    assert ended.exit_code == 1
    assert (done.made, done.requested) == ([], [])
    assert "ml.c5.2xlarge for training job usage: 0, needed 1" in ended.stdout
    assert "prod: account 123456789012 in us-east-1" in ended.stdout
    assert "1 failed" in ended.stdout
    assert "nothing was changed, for checks failed" in ended.stderr


def test_warnings_do_not_fail_and_a_second_run_says_that_nothing_changed(done: Done, run: Run) -> None:
    done.result = "unchanged"
    ended = run("bootstrap", "--target", "aws", "--yes")
    assert ended.exit_code == 0
    assert "dev in eu-west-1: nothing has changed" in ended.stderr
    assert run("doctor", "--target", "aws").exit_code == 0
    done.findings["dev in eu-west-1"] = FAILED
    assert run("doctor", "--target", "aws").exit_code == 1


def test_json_is_one_document_on_standard_output(done: Done, run: Run) -> None:
    ended = run("bootstrap", "--target", "aws", "--yes", "--json", "--request-quotas")
    told = json.loads(ended.stdout)
    assert told["passed"]
    (only,) = told["places"]
    assert (only["environment"], only["account"], only["region"]) == ("dev", "123456789012", "eu-west-1")
    assert only["checks"][1] == {"check": "service roles", "status": "warn", "found": "no role", "remedy": "nothing."}
    assert only["steps"][0] == {"quota": "a quota: from 0 to 1"}
    assert only["steps"][1]["result"] == "made"
    done.findings["dev in eu-west-1"] = FAILED
    failed = run("doctor", "--target", "aws", "--json")
    assert (failed.exit_code, json.loads(failed.stdout)["passed"]) == (1, False)


def test_two_environments_of_one_deployment_are_refused(done: Done, run: Run) -> None:
    done.places = [*done.places, replace(done.places[0], environment="prod")]
    ended = run("bootstrap", "--target", "aws", "--yes")
    assert isinstance(ended.exception, UserError)
    assert "environments dev and prod are both kindling in account 123456789012 and eu-west-1" in str(ended.exception)
    assert done.made == []
