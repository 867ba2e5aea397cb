"""When a deployment may be skipped, and what is told while one goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling.deployment import Cdk, inputs_digest, step_of
from kindling.environments import ROOT
from kindling.errors import UserError
from kindling.resources import camel
from kindling.targets import AwsTarget


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for name in ("app.py", "stacks/storage.py", "containers/words/algorithm.toml", "containers/words/tests/test_it.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("changed", ["app.py", "stacks/storage.py", "containers/words/algorithm.toml"])
def test_a_change_of_what_is_deployed_is_noticed(app: Path, changed: str) -> None:
    before = inputs_digest(app)
    (app / changed).write_text("otherwise")
    assert inputs_digest(app) != before


def test_a_new_name_for_the_same_content_is_noticed(app: Path) -> None:
    before = inputs_digest(app)
    (app / "stacks" / "storage.py").rename(app / "stacks" / "buckets.py")
    assert inputs_digest(app) != before


@pytest.mark.parametrize("beside", ["containers/words/tests/test_it.py", "stacks/__pycache__/storage.pyc", "README.md"])
def test_what_has_no_part_in_a_deployment_does_not_make_one(app: Path, beside: str) -> None:
    before = inputs_digest(app)
    (app / beside).parent.mkdir(exist_ok=True)
    (app / beside).write_text("otherwise")
    assert inputs_digest(app) == before


def test_every_file_of_the_real_app_has_a_part(tmp_path: Path) -> None:
    assert inputs_digest(ROOT) != inputs_digest(tmp_path)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("KindlingStorage: deploying... [1/6]\n", "deploying KindlingStorage"),
        ("KindlingStorage: destroying... [1/6]\n", "destroying KindlingStorage"),
        (" ✅  KindlingStorage\n", None),
        ("KindlingStorage | 1/3 | CREATE_COMPLETE | AWS::S3::Bucket\n", None),
        ("Outputs:\n", None),
    ],
)
def test_of_the_cdks_output_the_stacks_are_told(line: str, step: str | None) -> None:
    assert step_of(line) == step


@pytest.mark.parametrize(("name", "expected"), [("gluon_fasttext", "GluonFasttext"), ("my-team", "MyTeam")])
def test_names_in_outputs_are_in_camel_case(name: str, expected: str) -> None:
    assert camel(name) == expected


def test_the_cdk_is_told_the_profile_and_the_region_that_were_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    chosen = Cdk(AwsTarget(tmp_path, profile="prod", region="eu-west-1"), {"environment": "prod"}, print)
    arguments = list(chosen._common_arguments())
    assert arguments[arguments.index("--profile") + 1] == "prod"
    assert "environment=prod" in arguments
    assert (chosen._environment()["AWS_REGION"], chosen._environment()["AWS_DEFAULT_REGION"]) == ("eu-west-1",) * 2
    as_found = Cdk(AwsTarget(tmp_path), {}, print)
    assert "--profile" not in list(as_found._common_arguments())
    assert as_found._environment()["AWS_REGION"] == "us-east-1"


@pytest.mark.wide
def test_what_the_cdk_is_asked_for_is_given_or_its_words_are(tmp_path: Path) -> None:
    cdk = Cdk(AwsTarget(tmp_path), {}, print)
    assert "CdkBootstrapVersion:" in cdk.told("bootstrap", "--show-template")
    with pytest.raises(UserError, match=r"`cdk synth` failed with exit code 1: .*no-such-app"):
        cdk.told("synth", "--app", "no-such-app", "--output", str(tmp_path / "out"))
