"""A page that is open in a browser on this machine can do nothing with the embedded cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://example.org"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["page", "file", "form"],
)
def test_what_a_page_sends_is_refused_and_changes_nothing(aws: Callable[[str], Any], headers: dict[str, str]) -> None:
    s3 = aws("s3")
    s3.meta.events.register("before-send.s3", lambda request, **_: request.headers.update(headers))
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="made-by-a-page")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "made-by-a-page" not in {bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]}


def test_a_browser_is_not_told_that_a_page_may_ask_or_read(aws: Callable[[str], Any]) -> None:
    address = aws("s3").meta.endpoint_url
    asking = {"Origin": "https://example.org", "Access-Control-Request-Method": "PUT"}
    for answer in (
        requests.options(f"{address}/bucket", headers=asking, timeout=10),
        requests.get(f"{address}/", headers=asking, timeout=10),
    ):
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_an_address_that_somebody_typed_is_answered(aws: Callable[[str], Any]) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="typed")
    s3.put_object(Bucket="typed", Key="page.txt", Body=b"words")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "typed", "Key": "page.txt"})
    assert requests.get(address, headers={"Sec-Fetch-Site": "none"}, timeout=10).content == b"words"
