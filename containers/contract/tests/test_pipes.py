"""Channels in Pipe mode: a pipe for each epoch, plain or in records."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.channels import InputChannel
from contract.environment import TrainingEnvironment
from contract.errors import AlgorithmError, ClientError
from contract.paths import Paths
from contract.recordio import framed
from contract.specification import Algorithm

WriteJob = Callable[..., Paths]


def channel_in(folder: Path) -> InputChannel:
    return InputChannel("train", folder / "train", input_mode="Pipe")


def feed(folder: Path, *epochs: bytes, late_s: float = 0) -> threading.Thread:
    """Makes the pipes one after the other, each once the one before was read, as the service does."""

    def run() -> None:
        for epoch, content in enumerate(epochs):
            time.sleep(late_s)
            pipe = folder / f"train_{epoch}"
            os.mkfifo(pipe)
            with contextlib.suppress(BrokenPipeError):
                pipe.write_bytes(content)
            pipe.unlink()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def records(*payloads: bytes) -> bytes:
    return b"".join(map(framed, payloads))


def test_each_time_a_channel_is_opened_the_next_epoch_is_read_and_waited_for(tmp_path: Path) -> None:
    feed(tmp_path, b"one\n", b"two\n", late_s=0.05)
    channel = channel_in(tmp_path)
    for expected in (b"one\n", b"two\n"):
        with channel.open_pipe() as stream:
            assert stream.read() == expected


def test_records_are_read_epoch_by_epoch(tmp_path: Path) -> None:
    feed(tmp_path, records(b"a", b"1"), records(b"b", b"2"))
    channel = channel_in(tmp_path)
    assert [list(channel.records()), list(channel.records())] == [[b"a", b"1"], [b"b", b"2"]]


def test_a_reader_may_stop_early_and_go_on_with_the_next_epoch(tmp_path: Path) -> None:
    thread = feed(tmp_path, records(*[bytes(1000)] * 1000), records(b"second"))
    channel = channel_in(tmp_path)
    first = channel.records()
    assert len(next(first)) == 1000
    first.close()  # type: ignore[attr-defined]
    assert list(channel.records()) == [b"second"]
    thread.join(10)
    assert not thread.is_alive()


def test_bytes_that_are_no_records_are_named_with_the_channel(tmp_path: Path) -> None:
    feed(tmp_path, records(b"fine") + b"plain text")
    with pytest.raises(ClientError, match=r"^channel 'train' is not RecordIO: at byte 12 of the stream, there is 0x"):
        list(channel_in(tmp_path).records())


def test_a_channel_that_is_delivered_in_another_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"^channel 'train' comes through a pipe, but is read as files; set File"):
        channel_in(tmp_path).files()
    with pytest.raises(ClientError, match=r"^channel 'train' comes as files, but is read through a pipe; set Pipe"):
        next(InputChannel("train", tmp_path / "train").records())


def test_a_pipe_that_is_never_made_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with pytest.raises(AlgorithmError, match=r"made no pipe .*train_0 for channel 'train' in 0\.05 s"):
        channel_in(tmp_path).open_pipe(patience_s=0.05)


def test_the_services_configuration_says_that_a_channel_is_a_pipe_of_records(
    algorithm: Algorithm, write_job: WriteJob
) -> None:
    described = algorithm.channels["train"].model_copy(update={"input_modes": ("File", "Pipe")})
    algorithm = algorithm.model_copy(update={"channels": {"train": described}})
    given = {"TrainingInputMode": "Pipe", "RecordWrapperType": "RecordIO", "S3DistributionType": "FullyReplicated"}
    paths = write_job(channels={"train": given})
    paths.data.mkdir()
    feed(paths.data, records(b"a record"))
    channel = TrainingEnvironment.read(algorithm, paths, {}).channel("train")
    assert (channel.is_pipe, channel.record_wrapper) == (True, "RecordIO")
    assert list(channel.records()) == [b"a record"]
