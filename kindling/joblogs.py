"""The log lines of a training job, as they come, from CloudWatch Logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kindling.targets import Target

GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True)
class LogLine:
    """One line that a host of a job printed. `host` is algo-1, algo-2, ..."""

    time: datetime
    host: str
    text: str


class JobLog:
    """Reads what is new in the streams of a job, one stream a host."""

    def __init__(self, target: Target, job: str) -> None:
        self._logs: Any = target.client("logs")
        self._job = job
        self._tokens: dict[str, str | None] = {}

    def new_lines(self) -> list[LogLine]:
        """The lines that came since the last call, in the order of their time."""
        for stream in self._streams():
            self._tokens.setdefault(stream, None)
        lines = [line for stream in list(self._tokens) for line in self._new_in(stream)]
        return sorted(lines, key=lambda line: line.time)

    def _streams(self) -> list[str]:
        from botocore.exceptions import ClientError

        try:
            pages = self._logs.get_paginator("describe_log_streams").paginate(
                logGroupName=GROUP, logStreamNamePrefix=f"{self._job}/"
            )
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []  # the group comes with the first line of the first job
            raise

    def _new_in(self, stream: str) -> list[LogLine]:
        # algo-1-1700000000 in AWS: the host and the time it started.
        host = "-".join(stream.removeprefix(f"{self._job}/").split("-")[:2])
        lines: list[LogLine] = []
        while True:
            token = self._tokens[stream]
            page = self._logs.get_log_events(
                logGroupName=GROUP,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            for event in page["events"]:
                time = datetime.fromtimestamp(event["timestamp"] / 1000, tz=UTC)
                lines.append(LogLine(time=time, host=host, text=event["message"].rstrip("\n")))
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token or not page["events"]:
                return lines
