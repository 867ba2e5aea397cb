"""What the command line makes of an execution's events and of a job's log lines."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from containers.catalogue import algorithms
from kindling.cli.following import LiveDisplay, PlainDisplay, in_words, visits
from kindling.following import Snapshot, job_status, read
from kindling.histories import History, history_of
from kindling.joblogs import LogLine
from kindling.results import duration, pairs_covered
from kindling.runs import Run

BEGUN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RUN = Run(name="text8-1", algorithm="blazingtext", arn="arn", status="RUNNING", started=BEGUN)
LINE = "##### Alpha: 0.0275  Progress: 45.20%  Million Words/sec: 1.23 #####"


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def entered(name: str, seconds: float, kind: str = "Task") -> dict[str, Any]:
    return {"type": f"{kind}StateEntered", "timestamp": at(seconds), "stateEnteredEventDetails": {"name": name}}


def event(kind: str, seconds: float, **details: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": at(seconds), **details}


def scheduled(job: str, seconds: float) -> dict[str, Any]:
    task = {"resource": "createTrainingJob.sync", "parameters": json.dumps({"TrainingJobName": job})}
    return event("TaskScheduled", seconds, taskScheduledEventDetails=task)


def line(text: str, host: str = "algo-1", seconds: float = 0) -> LogLine:
    return LogLine(time=at(seconds), host=host, text=text)


def snapshot(history: History, *lines: LogLine) -> Snapshot:
    found = [read(algorithms()["blazingtext"], each) for each in lines]
    return Snapshot(run=RUN, history=history, readings={each.host: each for each in found if each})


def test_a_running_execution_tells_its_state_and_its_job() -> None:
    history = history_of(
        [
            event("ExecutionStarted", 0),
            entered("Plan", 0),
            event("TaskStateExited", 1),
            entered("Train", 1),
            scheduled("job-a", 1),
        ]
    )
    assert history.current is not None
    assert history.current.name == "Train"
    assert (history.job, history.training) == ("job-a", "Train")
    assert history.states[0].seconds == 1
    assert not history.states[0].failed


def test_a_state_whose_task_failed_is_marked_and_one_whose_retry_went_well_is_not() -> None:
    history = history_of(
        [
            entered("Plan", 0),
            event("LambdaFunctionFailed", 1),
            event("LambdaFunctionScheduled", 2),
            event("LambdaFunctionSucceeded", 3),
            event("TaskStateExited", 3),
            entered("Train", 3),
            scheduled("job-a", 3),
            event("TaskFailed", 4),
            scheduled("job-b", 5),
            event("TaskFailed", 6),
            event("TaskStateExited", 6),
            entered("NotifyFailure", 6),
            event("TaskStateExited", 7),
            entered("Failed", 7, "Fail"),
            event("ExecutionFailed", 7),
        ]
    )
    assert [(state.name, state.failed) for state in history.states] == [
        ("Plan", False),
        ("Train", True),
        ("NotifyFailure", False),
        ("Failed", True),
    ]
    assert history.job == "job-b"
    assert history.current is None


def test_a_waiting_loop_is_shown_as_one_line_with_its_whole_time() -> None:
    events = [entered("Plan", 0), event("TaskStateExited", 1)]
    for lap in range(3):
        events += [entered("WaitForEndpoint", 1 + 4 * lap, "Wait"), event("WaitStateExited", 4 + 4 * lap)]
        events += [entered("CheckEndpoint", 4 + 4 * lap), event("TaskStateExited", 5 + 4 * lap)]
    shown = visits(snapshot(history_of(events)))
    assert [(visit.name, visit.seconds) for visit in shown] == [
        ("Plan", 1),
        ("WaitForEndpoint", 9),
        ("CheckEndpoint", 3),
    ]


def test_progress_is_that_of_the_slowest_host() -> None:
    slow, fast = line(LINE, "algo-1", 2), line(LINE.replace("45.20", "60.00"), "algo-2", 1)
    shown = snapshot(History(), slow, fast)
    assert shown.percent == 45.2
    assert shown.values == {"million words/sec": 1.23, "alpha": 0.0275}
    assert in_words(shown) == "45 %  1.23 million words/sec  alpha 0.0275"


@pytest.mark.parametrize("text", ["Read 10M words", "", "Number of words:  71290", "Progress: soon"])
def test_other_lines_tell_no_progress(text: str) -> None:
    assert read(algorithms()["blazingtext"], line(text)) is None


def training() -> History:
    return history_of([entered("Plan", 0), event("TaskStateExited", 1), entered("Train", 1), scheduled("job", 1)])


def test_without_a_terminal_each_state_is_a_line_and_progress_is_not_repeated() -> None:
    text = io.StringIO()
    with PlainDisplay(Console(file=text, width=100)) as display:
        for _ in range(3):
            display.show(snapshot(training(), line(LINE)))
        display.show(snapshot(training(), line(LINE.replace("45.20", "100.00"))))
    assert text.getvalue().split("\n") == [
        "  Plan",
        "  Train",
        "    45 %  1.23 million words/sec  alpha 0.0275",
        "    100 %  1.23 million words/sec  alpha 0.0275",
        "",
    ]


def test_on_a_terminal_the_running_state_has_a_bar_and_the_algorithms_numbers() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    display = LiveDisplay(console)
    display._snapshot = snapshot(training(), line(LINE))
    with console.capture() as capture:
        console.print(display)
    rows = capture.get().splitlines()
    assert rows[0].startswith("✓  Plan")
    assert "Train" in rows[1]
    assert "━" in rows[1]
    assert "45 %  1.23 million words/sec  alpha 0.0275" in rows[1]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3725, "1 h 2 min")]
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_pairs_covered_are_those_that_the_vocabulary_has() -> None:
    details = {"EN-WS-353-ALL.txt": {"not_found": 259, "spearmans_rho": 0.4, "total_pairs": 353}, "mean_rho": 0.4}
    assert pairs_covered({"evaluation": {"details": details}}) == "ALL 94 of 353"
    assert pairs_covered(None) == ""


def numbered(number: int, before: int, made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "id": number, "previousEventId": before}


def test_branches_side_by_side_keep_their_own_times_and_jobs() -> None:
    history = history_of(
        [
            numbered(1, 0, entered("Plan", 0)),
            numbered(2, 1, event("TaskStateExited", 1)),
            numbered(3, 2, entered("TrainOnSpot", 1, "Parallel")),
            numbered(4, 3, event("ParallelStateStarted", 1)),
            numbered(5, 4, entered("OnSpotHosts", 1)),
            numbered(6, 4, entered("WaitForSpot", 1, "Wait")),
            numbered(7, 5, scheduled("job-s0", 2)),
            numbered(8, 6, event("WaitStateExited", 4)),
            numbered(9, 8, entered("CheckSpot", 4)),
            numbered(10, 9, event("TaskStateExited", 5)),
            numbered(11, 7, event("TaskFailed", 6)),
            numbered(12, 11, event("ParallelStateFailed", 6)),
            numbered(13, 12, entered("FindSpotJob", 6)),
        ]
    )
    assert (history.job, history.training) == ("job-s0", "OnSpotHosts")
    assert [(state.name, state.failed) for state in history.states if state.exited is not None] == [
        ("Plan", False),
        ("TrainOnSpot", True),
        ("OnSpotHosts", True),
        ("WaitForSpot", False),
        ("CheckSpot", False),
    ]
    assert history.current is not None
    assert history.current.name == "FindSpotJob"


def waiting(token: str, seconds: float) -> dict[str, Any]:
    attributes = {"TaskToken": {"DataType": "String", "StringValue": token}}
    task = {
        "resource": "publish.waitForTaskToken",
        "parameters": json.dumps({"TopicArn": "t", "MessageAttributes": attributes}),
    }
    return event("TaskScheduled", seconds, taskScheduledEventDetails=task)


def test_a_run_that_waits_for_a_person_tells_its_token_until_it_goes_on() -> None:
    events = [entered("Approve", 0), waiting("token-1", 1)]
    assert history_of(events).token == "token-1"
    assert history_of([*events, event("TaskStateExited", 2)]).token is None


class Cloud:
    """Has one job, which is being prepared."""

    def client(self, service: str) -> Cloud:
        return self

    def describe_training_job(self, TrainingJobName: str) -> dict[str, str]:  # noqa: N803
        if TrainingJobName != "job":
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "not found"}}, "Describe")
        return {"SecondaryStatus": "Downloading"}


def test_what_a_job_is_at_is_told_while_it_is_waited_for() -> None:
    begun = [entered("Train", 1), scheduled("job", 1)]
    cloud: Any = Cloud()
    assert job_status(cloud, history_of(begun)) == "Downloading"
    assert job_status(cloud, history_of([*begun, event("TaskStateExited", 2)])) is None
    assert job_status(cloud, history_of([entered("Train", 1)])) is None
    # It is scheduled, and not created yet.
    assert job_status(cloud, history_of([entered("Train", 1), scheduled("other", 1)])) is None
