"""A mistake at the keyboard is one sentence on stderr and exit code 1 or 2, and nothing has been started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from containers.catalogue import algorithms
from kindling import targets
from kindling.cli import failures, main
from kindling.errors import UserError
from kindling.submission import parse_gate


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Kindling = Callable[..., Ended]


@pytest.fixture
def kindling(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Kindling:
    """Runs the command line with a state folder of the test's own, where no cloud runs."""
    monkeypatch.setenv("KINDLING_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("KINDLING_TARGET", raising=False)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["kindling", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    path = tmp_path / "corpus.txt"
    path.write_text("a small corpus\n")
    return f"train={path}"


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["deploy"],
        ["runs"],
        ["show", "a-run"],
        ["logs", "a-run"],
        ["report", "a-run"],
        ["neighbors", "words", "king"],
        ["invoke", "words", "--json", "{}"],
        ["teardown", "--yes"],
        ["orphans"],
    ],
)
def test_without_an_embedded_cloud_the_sentence_says_how_to_start_one(kindling: Kindling, command: list[str]) -> None:
    ended = kindling(*command)
    assert ended.code == 1
    assert ended.err == (
        "the embedded cloud does not run; start it with `kindling up`, or choose AWS with --target aws.\n"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--set", "mode=cbow", "--instances", "2"], "mode=cbow runs on one host, but this job has 2"),
        (["--set", "mode=cbow", "--set", "vector_dimm=5"], "did you mean vector_dim?"),
        (["--set", "mode=cbow", "--set", "vector_dim=0"], "hyperparameter vector_dim=0 is out of range"),
        ([], "hyperparameter mode is required"),
        (["--set", "mode"], "--set mode is not of the form NAME=VALUE."),
        (["--set", "mode=cbow", "--set", "mode=skipgram"], "--set mode is given twice; give it once."),
        (["--set", "mode=cbow", "--instances", "0"], "--instances 0 is too few"),
        (
            ["--set", "mode=cbow", "--gate", "beauty>=1"],
            "does not emit the gate's metric beauty; it emits train:mean_rho",
        ),
        (["--set", "mode=cbow", "--gate", "train:mean_rho"], "is not of the form METRIC>=NUMBER"),
        (["--set", "mode=cbow", "--gate", "train:mean_rho>=high"], "'high', which is not a number"),
        (
            ["--set", "mode=cbow", "--gate", "validation:accuracy>=0.9"],
            "which blazingtext does not emit with mode=cbow; it must be one of train:mean_rho, train:throughput.",
        ),
        (
            ["--set", "mode=cbow", "--channel", "validation=s3://b/p"],
            "mode=cbow has no use for channel 'validation'; leave it out.",
        ),
        (["--set", "mode=cbow", "--name", "a_b"], "name 'a_b' is not valid"),
        (
            ["--set", "mode=cbow", "--channel", "tset=x"],
            "blazingtext has no channel tset; it has train, validation, test, pretrained_vectors.",
        ),
        (["--set", "mode=cbow", "--endpoint", "e", "--no-endpoint"], "--endpoint and --no-endpoint exclude each other"),
    ],
)
def test_a_run_that_cannot_be_meant_is_refused_before_any_cloud_is_asked(
    kindling: Kindling, corpus: str, options: list[str], sentence: str
) -> None:
    ended = kindling("train", "blazingtext", "--channel", corpus, *options)
    assert ended.code == 1
    assert sentence in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        ([], "blazingtext needs channel train; add --channel train=PATH or s3://bucket/prefix."),
        (["train=/no/such/file"], "channel train: /no/such/file does not exist"),
        (["train={folder}"], "holds no file."),
    ],
)
def test_a_channel_without_data_is_refused(
    kindling: Kindling, tmp_path: Path, channels: list[str], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden").write_text("not data")
    options = [f"--channel={channel.format(folder=tmp_path / 'empty')}" for channel in channels]
    ended = kindling("train", "blazingtext", "--set", "mode=cbow", *options)
    assert ended.code == 1
    assert sentence in ended.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "linear_learner needs channel train; add --channel train=PATH or s3://bucket/prefix."),
        (["--channel", "train={train}", "--test", "/no/such/file"], "channel test: /no/such/file does not exist"),
        (["--channel", "train={train}", "--instances", "2", "--instances", "0"], "--instances 0 is too few"),
        (["--channel", "train={train}", "--algorithm", "linear"], "linear is no algorithm"),
        (["--channel", "train={train}", "--set", "loss=logistic"], "loss=logistic is for classifiers"),
        (["--channel", "train={train}", "--name", "a_b"], "name 'a_b' is not valid"),
    ],
)
def test_an_experiment_that_cannot_be_meant_is_refused_before_any_cloud_is_asked(
    kindling: Kindling, tmp_path: Path, options: list[str], sentence: str
) -> None:
    train = tmp_path / "train.csv"
    train.write_text("1,2\n")
    given = [option.format(train=train) for option in options]
    ended = kindling("experiment", "data-distribution", "--set", "predictor_type=regressor", *given)
    assert ended.code == 1
    assert sentence in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""


def test_a_gate_may_be_an_upper_bound() -> None:
    algorithm = algorithms()["linear_learner"]
    assert parse_gate("validation:mse <= 20", algorithm) == {"metric": "validation:mse", "at_most": 20.0}
    assert parse_gate("validation:r2>=0.5", algorithm) == {"metric": "validation:r2", "at_least": 0.5}
    with pytest.raises(UserError, match=r"such as validation:objective_loss<=0\.6\."):
        parse_gate("validation:mse<20", algorithm)


def test_an_algorithm_that_is_none_is_answered_with_those_there_are(kindling: Kindling) -> None:
    for command in (["algorithms", "wordy"], ["train", "wordy"]):
        ended = kindling(*command)
        assert ended.code == 1
        assert ended.err == f"wordy is no algorithm; known are {', '.join(algorithms())}.\n"
    assert kindling("algorithm", "wordy", "train").code == 2


def test_a_target_that_is_none_is_refused(kindling: Kindling) -> None:
    ended = kindling("runs", "--target", "azure")
    assert (ended.code, ended.err) == (1, "target 'azure' is none; it must be embedded or aws.\n")


def test_aws_without_credentials_is_one_sentence(kindling: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    ended = kindling("runs", "--target", "aws")
    assert ended.code == 1
    assert ended.err.startswith("no AWS credentials were found; sign in")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    ended = kindling("runs", "--target", "aws")
    assert (ended.code, ended.err) == (1, f"{targets.NO_REGION}\n")


def test_aws_is_not_taken_for_the_embedded_cloud_whose_environment_is_set(
    kindling: Kindling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5770")
    ended = kindling("runs", "--target", "aws")
    assert ended.code == 1
    assert ended.err == (
        "the target is aws, but AWS_ENDPOINT_URL=http://127.0.0.1:5770 leads to this machine;"
        " unset it, or open another shell.\n"
    )


def test_a_body_that_cannot_be_read_is_one_sentence(kindling: Kindling) -> None:
    ended = kindling("invoke", "words", "--json", "@/no/such/file")
    assert (ended.code, ended.err) == (
        1,
        "the body's file /no/such/file could not be read: No such file or directory.\n",
    )


def test_a_refusal_by_aws_names_the_call_and_its_reason() -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError

    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "You may not."}}, "DescribeStacks")
    assert failures.sentence_of(refused) == "DescribeStacks was refused: You may not (AccessDenied)."
    expired = ClientError({"Error": {"Code": "ExpiredToken", "Message": "x"}}, "DescribeStacks")
    assert failures.sentence_of(expired) == "your AWS credentials have expired; sign in again."
    silent = failures.sentence_of(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    assert silent is not None
    assert "does not answer" in silent


def test_an_error_of_ours_keeps_its_traceback() -> None:
    assert failures.sentence_of(KeyError("x")) is None


def test_the_catalogue_is_listed_with_every_hyperparameter(kindling: Kindling) -> None:
    ended = kindling("algorithms", "blazingtext")
    assert ended.code == 0
    listed = " ".join(ended.out.split())  # a long text goes on in the line below
    for name, hyperparameter in algorithms()["blazingtext"].hyperparameters.items():
        assert name in listed
        assert hyperparameter.doc in listed


def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    program = (
        "import sys; from kindling.cli.app import app;"
        "slow = {'boto3', 'botocore', 'matplotlib', 'sklearn', 'numpy', 'pydantic', 'moto'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(slow)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
