"""The command line's way to the cloud's own process, beside AWS's APIs."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

import pytest

from kindling.cli import main
from kindling.localcloud.lifecycle import CloudInfo


def test_a_refusal_of_the_running_cloud_is_one_sentence(
    cloud: CloudInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kindling", "chaos", "interrupt", "no-such-job", "--state", str(cloud.state)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "no-such-job was not interrupted: Requested resource not found.\n"


@pytest.mark.parametrize(
    ("name", "body", "code", "words"),
    [
        ("interrupt-training-job", b"[]", 400, "the request is no JSON object."),
        ("interrupt-training-job", b"not json", 400, "the request is no JSON object."),
        ("interrupt-training-job", None, 405, "/_kindling/interrupt-training-job is asked by POST."),
        ("nothing", b"{}", 404, "there is no /_kindling/nothing."),
    ],
)
def test_what_is_no_control_is_refused(cloud: CloudInfo, name: str, body: bytes | None, code: int, words: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{cloud.endpoint_url}/_kindling/{name}", body)
    assert caught.value.code == code
    assert words in caught.value.read().decode()
