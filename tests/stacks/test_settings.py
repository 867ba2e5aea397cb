"""Settings: what an environment's file may say, and what a user is told about what it may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kindling.reference import SETTINGS, settings_page
from stacks.settings import FILES, InvalidSettingError, Settings
from tests.stacks.synthesis import CONTEXT, run_app


def test_settings_may_come_from_the_command_line_as_text() -> None:
    given = {"termination_protection": "false", "log_retention_days": "7", "tags": "team=nlp, stage=dev"}
    settings = Settings.from_context(given)
    assert settings.termination_protection is False
    assert settings.log_retention_days == 7
    assert settings.tags == {"team": "nlp", "stage": "dev"}


def test_an_account_may_be_written_as_a_number() -> None:
    assert Settings.from_context({"account": 123456789012}).account == "123456789012"


def test_an_empty_text_takes_an_optional_setting_back() -> None:
    settings = Settings.from_context(
        {"notification_email": "", "permissions_boundary": "", "account": "", "region": ""}
    )
    assert settings == Settings()


def test_the_cdks_own_context_is_left_alone() -> None:
    keys = ["@aws-cdk/aws-iam:minimizePolicies", "aws:cdk:bundling-stacks", "cli-telemetry", "ami:account=1:region=x"]
    assert Settings.from_context(dict.fromkeys(keys, True)) == Settings()


def test_cdk_json_chooses_an_environment_and_settles_nothing_else() -> None:
    assert [key for key in CONTEXT if re.fullmatch(r"\w+", key)] == ["environment"]
    assert Settings.from_context(CONTEXT) == Settings.of_environment("dev")


@pytest.mark.parametrize("path", sorted(FILES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_environments_file_can_be_meant(path: Path) -> None:
    assert Settings.of_environment(path.stem).tags["stage"] == path.stem


def test_the_context_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "prod.toml").write_text('removal = "destroy"\nimage_count = 20\n')
    settings = Settings.from_context({"environment": "prod", "image_count": "30"}, tmp_path)
    assert (settings.removal, settings.image_count) == ("destroy", 30)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('removal = "keep"', "settings/prod.toml: removal is 'keep'; it must be retain or destroy."),
        ("remval = 1", "settings/prod.toml: remval is unknown; did you mean removal?"),
        ("removal = ", "settings/prod.toml is no TOML: "),
        ("[needs.m5]", "settings/prod.toml: needs is '{\"m5\": {}}'; it must be an object such as "),
        ('[needs."ml.m5.large"]\nserving = 1', "settings/prod.toml: needs is "),
        ('[prices_usd_per_hour]\n"ml.m5.large" = 0', "it must be an object of instance types and US dollars"),
        ("max_cost_usd = 0", "settings/prod.toml: max_cost_usd is '0'; it must be US dollars above 0."),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "prod.toml").write_text(content)
    with pytest.raises(InvalidSettingError) as error:
        Settings.of_environment("prod", tmp_path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_an_environment_without_a_file_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidSettingError, match=r"environment is 'prdo'; it must be one of dev, prod, staging, "):
        Settings.of_environment("prdo")


def test_the_prefix_of_the_stacks_is_the_name_in_capitals() -> None:
    assert Settings(name="my-team").prefix == "MyTeam"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("removal", "keep", "The context key removal is 'keep'; it must be retain or destroy."),
        ("removal", None, "The context key removal is 'null'; it must be retain or destroy."),
        ("termination_protection", "si", "The context key termination_protection is 'si'; it must be true or false."),
        ("image_count", 5, "The context key image_count is '5'; it must be an integer from 10 to 1000."),
        ("image_count", "many", "The context key image_count is 'many'; it must be an integer from 10 to 1000."),
        ("noncurrent_version_days", 0, "must be an integer from 1 to 3650."),
        ("access_log_days", 1.5, "The context key access_log_days is '1.5'; it must be an integer from 1 to 3650."),
        ("log_retention_days", 31, "The context key log_retention_days is '31'; it must be one of 1, 3, 5, 7, 14, "),
        ("name", "My_Team", "The context key name is 'My_Team'; it must be 1 to 20 lower-case letters"),
        ("name", "trailing-", "The context key name is 'trailing-'; it must be 1 to 20 lower-case letters"),
        ("account", "1234", "The context key account is '1234'; it must be the 12 digits of an AWS account."),
        ("region", "Frankfurt", "The context key region is 'Frankfurt'; it must be a region's name"),
        ("notification_email", "me", "The context key notification_email is 'me'; it must be an e-mail address."),
        ("permissions_boundary", "a b", "must be the name or the ARN of an IAM managed policy."),
        ("image_pull_accounts", "12", "must be a list of at most 20 AWS accounts of 12 digits each."),
        ("monthly_budget_usd", 0, "The context key monthly_budget_usd is '0'; it must be US dollars above 0."),
        (
            "sagemaker_budget_usd",
            "much",
            "The context key sagemaker_budget_usd is 'much'; it must be US dollars above 0.",
        ),
        ("alarm_email", "me@example.org,me", "must be a list of at most 10 e-mail addresses."),
        (
            "idle_endpoint_action",
            "kill",
            "The context key idle_endpoint_action is 'kill'; it must be report, delete or none.",
        ),
        (
            "idle_endpoint_hours",
            721,
            "The context key idle_endpoint_hours is '721'; it must be an integer from 1 to 720.",
        ),
        (
            "registry_scanning",
            "deep",
            "The context key registry_scanning is 'deep'; it must be basic, enhanced or none.",
        ),
        ("access_analyzer", "maybe", "The context key access_analyzer is 'maybe'; it must be true or false."),
        ("tags", "team", "The context key tags is 'team'; it must be an object of at most 40 tags"),
        ("tags", "{team}", "The context key tags is '{team}'; it must be an object of at most 40 tags"),
        ("tags", {"aws:team": "nlp"}, "no name beginning with aws:."),
        ("remval", "destroy", "The context key remval is unknown; did you mean removal?"),
        ("colour", "red", "The context key colour is unknown; known are name, account, "),
    ],
)
def test_a_bad_value_is_named_with_what_was_found_and_expected(key: str, value: object, sentence: str) -> None:
    with pytest.raises(InvalidSettingError) as error:
        Settings.from_context({key: value})
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.wide
def test_the_app_ends_with_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    process = run_app(tmp_path / "out", log_retention_days="31")
    assert process.returncode == 1
    (line,) = process.stderr.strip().splitlines()
    assert line.startswith("The context key log_retention_days is '31'; it must be one of 1, 3, ")
    assert not list((tmp_path / "out").glob("*.template.json"))


def test_every_setting_is_in_the_documentation_as_it_is_in_the_code() -> None:
    page = SETTINGS.read_text(encoding="utf-8")
    assert page == settings_page(page), "run `make docs`"
