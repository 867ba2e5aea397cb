"""The command line's parts against AWS's APIs as moto answers them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from containers.catalogue import algorithms
from kindling import resources, runs, submission
from kindling.errors import UserError
from kindling.joblogs import GROUP, JobLog
from kindling.resources import Resources
from kindling.targets import EmbeddedTarget

STATE_MACHINE = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
BLAZINGTEXT = algorithms()["blazingtext"]


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def target(endpoint_url: str, tmp_path: Path) -> Iterator[EmbeddedTarget]:
    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    yield EmbeddedTarget(state=tmp_path, endpoint_url=endpoint_url, environment=names)
    import requests

    requests.post(f"{endpoint_url}/moto-api/reset", timeout=10)


@pytest.fixture
def deployed(target: EmbeddedTarget) -> Resources:
    target.client("s3").create_bucket(Bucket="the-data")
    machine = target.client("stepfunctions").create_state_machine(
        name="blazingtext", definition=json.dumps(STATE_MACHINE), roleArn="arn:aws:iam::123456789012:role/any"
    )
    return Resources("the-data", "the-models", {"blazingtext": machine["stateMachineArn"]})


def request(**changes: object) -> submission.Request:
    asked = {"algorithm": BLAZINGTEXT, "channels": {}, "hyperparameters": {"mode": "cbow"}}
    return submission.Request(**(asked | changes))  # type: ignore[arg-type]


def no_progress(what: str, done: int, total: int) -> None:
    return


def stack(target: EmbeddedTarget, name: str, outputs: dict[str, str]) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    target.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


@pytest.mark.wide
def test_what_is_deployed_is_found_through_the_stacks_outputs(target: EmbeddedTarget) -> None:
    assert resources.find_if_deployed(target) is None
    with pytest.raises(UserError, match=r"is not deployed to the embedded cloud at .*; run `kindling deploy`"):
        resources.find(target)
    stack(target, "KindlingStorage", {"DataBucketName": "the-data", "ModelBucketName": "the-models"})
    stack(target, "KindlingTraining", {"BlazingtextStateMachineArn": "arn:machine"})
    assert resources.find(target) == Resources("the-data", "the-models", {"blazingtext": "arn:machine"})
    with pytest.raises(UserError, match="no pipeline of fairseq is deployed"):
        resources.find(target).state_machine("fairseq")


def test_a_local_folder_is_uploaded_without_its_hidden_files(
    target: EmbeddedTarget, deployed: Resources, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    for name in ("a.txt", "more/b.txt", ".hidden", ".git/c.txt"):
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text(name)
    started = submission.start(target, deployed, request(channels={"train": str(corpus)}), no_progress)
    keys = [item["Key"] for item in target.client("s3").list_objects_v2(Bucket="the-data")["Contents"]]
    assert keys == [f"blazingtext/{started.run}/train/a.txt", f"blazingtext/{started.run}/train/more/b.txt"]
    execution = target.client("stepfunctions").describe_execution(executionArn=started.arn)
    assert json.loads(execution["input"])["inputs"] == {"train": f"s3://the-data/blazingtext/{started.run}/train/"}


def test_an_address_in_s3_is_passed_on_as_it_is(target: EmbeddedTarget, deployed: Resources) -> None:
    started = submission.start(target, deployed, request(channels={"train": "s3://else/where"}), no_progress)
    assert started.inputs == {"train": "s3://else/where"}
    assert runs.find(target, deployed, started.run).name == started.run
    assert runs.find(target, deployed, "latest").name == started.run


def test_a_run_that_cannot_be_meant_uploads_nothing(
    target: EmbeddedTarget, deployed: Resources, tmp_path: Path
) -> None:
    (tmp_path / "c.txt").write_text("a b")
    mistaken = request(channels={"train": str(tmp_path / "c.txt")}, hyperparameters={"mode": "cbov"})
    with pytest.raises(ValueError, match="mode=cbov"):
        submission.start(target, deployed, mistaken, no_progress)
    assert "Contents" not in target.client("s3").list_objects_v2(Bucket="the-data")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"resources": {}}),
        ({"instances": 2, "spot": True}, {"resources": {"instance_count": 2, "spot": True}}),
        ({"endpoint": "words"}, {"resources": {}, "endpoint": {"name": "words"}}),
        ({"endpoint": False}, {"resources": {}, "endpoint": None}),
        (
            {"gate": "train:mean_rho >= 0.6", "beat_champion": True},
            {"resources": {}, "gate": {"metric": "train:mean_rho", "at_least": 0.6, "beat_champion": True}},
        ),
        ({"beat_champion": True}, {"resources": {}, "gate": {"beat_champion": True}}),
    ],
)
def test_what_was_not_asked_for_is_left_to_the_pipeline(
    changes: dict[str, object], expected: dict[str, object]
) -> None:
    made = submission.execution_input(request(**changes), "words", {"train": "s3://b/p"})
    assert made == {"name": "words", "inputs": {"train": "s3://b/p"}, "hyperparameters": {"mode": "cbow"}, **expected}


def test_a_name_that_is_no_runs_is_refused(target: EmbeddedTarget) -> None:
    with pytest.raises(UserError, match="no run nothing was found; `kindling runs` lists what there is"):
        runs.find(target, None, "nothing")


def test_a_jobs_log_gives_each_line_once_with_its_host(target: EmbeddedTarget) -> None:
    log = JobLog(target, "job")
    assert log.new_lines() == []  # neither the group nor a stream is there yet
    logs = target.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    now = int(datetime.now(UTC).timestamp() * 1000)
    for host in ("algo-1", "algo-2"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=f"job/{host}-17")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="job-other/algo-1-17")

    def say(stream: str, text: str, after: int) -> None:
        events = [{"timestamp": now + after, "message": text}]
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)

    say("job/algo-1-17", "first", 0)
    say("job/algo-2-17", "second", 1)
    say("job-other/algo-1-17", "of another job", 2)
    assert [(line.host, line.text) for line in log.new_lines()] == [("algo-1", "first"), ("algo-2", "second")]
    assert log.new_lines() == []
    say("job/algo-1-17", "third", 3)
    assert [line.text for line in log.new_lines()] == ["third"]
