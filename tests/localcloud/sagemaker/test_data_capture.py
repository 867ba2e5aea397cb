"""Data capture: JSON lines in S3 as the service writes them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.serving import config_of, endpoint_of, objects

BOTH = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]


def capturing(account: Account, folder: str, **more: Any) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{account.bucket}/{folder}",
        "CaptureOptions": BOTH,
        **more,
    }


def lines(account: Account, folder: str, count: int) -> list[dict[str, Any]]:
    """The captured lines, once there are so many."""

    def look() -> list[dict[str, Any]] | None:
        found = [json.loads(line) for body in objects(account, folder).values() for line in body.splitlines()]
        return found if len(found) >= count else None

    return list(until(look))


def test_invocations_are_captured_at_the_services_place_in_its_form(account: Account) -> None:
    folder = new_name("capture")
    types = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    name = endpoint_of(account, DataCaptureConfig=capturing(account, folder, CaptureContentTypeHeader=types))
    account.ask(name, b"1,2", ContentType="text/csv", InferenceId="mine", CustomAttributes="trace=1")
    account.ask(name, b"\xff\x00", ContentType="text/csv; charset=utf-8")
    account.ask(name, b"\x01", ContentType="application/x-image")
    with pytest.raises(ClientError):
        account.ask(name, b"fail 500")

    found = {line["captureData"]["endpointInput"]["data"]: line for line in lines(account, folder, 3)}
    assert set(found) == {"1,2", base64.b64encode(b"\xff\x00").decode(), base64.b64encode(b"\x01").decode()}
    first = found["1,2"]
    assert first["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": "1,2",
        "encoding": "CSV",
    }
    output = first["captureData"]["endpointOutput"]
    assert (output["observedContentType"], output["mode"], output["encoding"]) == ("application/json", "OUTPUT", "JSON")
    assert json.loads(output["data"])["size"] == 3
    event = first["eventMetadata"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["inferenceTime"])
    assert (event["inferenceId"], event["customAttributes"]) == ("mine", ["trace=1"])
    assert len({line["eventMetadata"]["eventId"] for line in found.values()}) == 3
    assert first["eventVersion"] == "0"
    for key in objects(account, folder):
        assert re.fullmatch(
            rf"{folder}/{name}/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d\d\d-[0-9a-f-]{{36}}\.jsonl", key
        )
    summary = account.sagemaker.describe_endpoint(EndpointName=name)["DataCaptureConfig"]
    assert (summary["CaptureStatus"], summary["CurrentSamplingPercentage"]) == ("Started", 100)


def test_what_was_captured_just_before_the_endpoint_was_deleted_is_written(account: Account) -> None:
    folder = new_name("capture")
    name = endpoint_of(account, DataCaptureConfig=capturing(account, folder, CaptureOptions=[{"CaptureMode": "Input"}]))
    account.ask(name, b"last")
    account.sagemaker.delete_endpoint(EndpointName=name)
    [line] = lines(account, folder, 1)
    assert set(line["captureData"]) == {"endpointInput"}
    assert line["captureData"]["endpointInput"]["encoding"] == "BASE64"


def test_nothing_is_captured_where_capture_is_off_or_samples_nothing(account: Account) -> None:
    off, none, on = (new_name("capture") for _ in range(3))
    for changes in (
        {"DestinationS3Uri": f"s3://{account.bucket}/{off}", "EnableCapture": False},
        {"DestinationS3Uri": f"s3://{account.bucket}/{none}", "InitialSamplingPercentage": 0},
        {"DestinationS3Uri": f"s3://{account.bucket}/{on}"},
    ):
        account.ask(endpoint_of(account, DataCaptureConfig={**capturing(account, ""), **changes}))
    lines(account, on, 1)  # the last of the three is written, so the others would have been
    assert objects(account, off) == {}
    assert objects(account, none) == {}


def test_a_missing_bucket_does_not_keep_an_endpoint_from_answering(account: Account) -> None:
    lost, kept = new_name("capture"), new_name("capture")
    name = endpoint_of(
        account, DataCaptureConfig=capturing(account, "", DestinationS3Uri=f"s3://no-such-bucket/{lost}")
    )
    assert account.ask(name)["size"] == 5
    other = endpoint_of(account, DataCaptureConfig=capturing(account, kept))
    account.ask(other)
    assert len(lines(account, kept, 1)) == 1


def test_a_destination_that_is_no_address_is_refused_by_its_name(account: Account) -> None:
    with pytest.raises(ClientError, match="estinationS3Uri") as caught:
        config_of(account, DataCaptureConfig=capturing(account, "", DestinationS3Uri="bucket/prefix"))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
