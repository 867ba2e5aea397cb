"""Ways of keeping the state that only come about when something is missing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from moto.ssm.models import ssm_backends

from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.snapshots import loads
from tests.localcloud.sagemaker.conftest import Account, new_name


@pytest.mark.parametrize("stubborn", [(number for number in [1]), threading.Event(), os.system])
def test_a_service_whose_state_cannot_be_written_down_and_read_back_is_left_out_and_the_others_are_kept(
    account: Account, caplog: pytest.LogCaptureFixture, stubborn: object
) -> None:
    persistence, name = account.cloud.persistence, new_name("topic")
    backend = ssm_backends[account.cloud.account_id]["us-east-1"]
    setattr(backend, "stubborn", stubborn)  # noqa: B010  it has no such attribute
    try:
        account.client("sns").create_topic(Name=name)
        assert "ssm does not outlive this process" in caplog.text
        kept = loads(dict(account.cloud.store.blobs("snapshot"))["main"])
        assert {"sns", "iam"} <= {service for service, _, _ in kept}
        assert "ssm" not in {service for service, _, _ in kept}
        assert name in str(kept["sns", account.cloud.account_id, "us-east-1"]["topics"])
    finally:
        delattr(backend, "stubborn")
        persistence._given_up.discard("ssm")


def test_where_the_kernel_copies_nothing_an_object_is_copied_all_the_same(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3 << 20)
    account.put("copied", content)
    persistence = account.cloud.persistence
    objects = Objects(account.cloud.account_id, persistence.bodies, persistence.commit)

    def refuse(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    with (tmp_path / "file").open("wb") as file:
        objects.read_into(Address(account.bucket, "copied"), file)
    assert (tmp_path / "file").read_bytes() == content
