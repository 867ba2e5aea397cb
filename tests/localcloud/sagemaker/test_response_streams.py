"""InvokeEndpointWithResponseStream: frames that botocore reads, parts as the container writes them, breaks told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import urllib3
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from kindling.localcloud.sagemaker.hosting import event_stream
from tests.localcloud.sagemaker.conftest import Account
from tests.localcloud.sagemaker.serving import endpoint_of


@pytest.fixture(scope="module")
def endpoint(account: Account) -> str:
    return endpoint_of(account)


@contextmanager
def begun(account: Account, endpoint: str, body: bytes) -> Iterator[Any]:
    answer = account.runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body)
    with closing(answer["Body"]):
        yield answer


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 1000])
def test_botocores_own_parser_reads_the_frames(payload: bytes) -> None:
    buffer = EventStreamBuffer()
    frames = event_stream.part(payload) + event_stream.failure("ModelStreamError", Message="broke", ErrorCode="Code")
    for at in range(0, len(frames), 7):  # a client gets them in any pieces
        buffer.add_data(frames[at : at + 7])
    part, failure = list(buffer)
    assert part.payload == payload
    assert part.headers[":event-type"] == "PayloadPart"
    assert failure.to_response_dict()["status_code"] == 400
    assert failure.headers[":exception-type"] == "ModelStreamError"


def test_a_part_arrives_while_the_container_still_writes_the_next(account: Account, endpoint: str) -> None:
    with begun(account, endpoint, b"parts") as answer:
        assert answer["ContentType"] == "text/plain"
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        events = iter(answer["Body"])
        assert next(events)["PayloadPart"]["Bytes"] == b"first "
        # Only now does the container write the second part.
        account.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"release")["Body"].read()
        assert [event["PayloadPart"]["Bytes"] for event in events] == [b"second"]


def test_an_answer_with_a_length_is_streamed_too(account: Account, endpoint: str) -> None:
    with begun(account, endpoint, b"release") as answer:
        parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"released"


def test_a_stream_that_breaks_says_so(account: Account, endpoint: str) -> None:
    with begun(account, endpoint, b"break") as answer:
        events = iter(answer["Body"])
        assert next(events)["PayloadPart"]["Bytes"] == b"first "
        with pytest.raises(EventStreamError, match=r"ModelStreamError.*The stream failed"):
            next(events)


@pytest.mark.parametrize(("how", "code"), [("break", "StreamBroken"), ("stall", "ModelInvocationTimeExceeded")])
def test_the_last_frame_tells_why_a_stream_ended(account: Account, endpoint: str, how: str, code: str) -> None:
    # botocore leaves out the error's own code, so it is read from the frames.
    url = f"http://127.0.0.1:{account.cloud.port}/endpoints/{endpoint}/invocations-response-stream"
    buffer = EventStreamBuffer()
    buffer.add_data(urllib3.request("POST", url, body=how.encode(), timeout=60).data)
    part, failure = list(buffer)
    assert part.payload == b"first "
    assert json.loads(failure.payload)["ErrorCode"] == code


def test_a_failure_before_the_first_part_is_a_model_error(account: Account, endpoint: str) -> None:
    with pytest.raises(ClientError, match=r"server error \(500\) from primary") as caught:
        account.runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=b"fail 500")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    with pytest.raises(ClientError, match="Value 'NEW_SESSION' at 'sessionId' failed to satisfy constraint"):
        account.runtime.invoke_endpoint_with_response_stream(
            EndpointName=endpoint, Body=b"parts", SessionId="NEW_SESSION"
        )
