"""Checkpoints: what is loaded again, what never is, and what several hosts agree on."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from contract import checkpoints
from contract.checkpoints import Checkpoints
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.rendezvous import Hosts, OneHost
from contract.specification import Algorithm

JOB = {"epochs": 5, "learning_rate": 0.1, "corpus": "7 tokens"}
ARRAYS: dict[str, NDArray[Any]] = {
    "matrix": np.arange(30, dtype=np.float32).reshape(5, 6),
    "padded": np.arange(48, dtype=np.float64).reshape(6, 8)[:, :5],
    "mask": np.array([True, False, True]),
    "counts": np.array([-1, 2**40], dtype=np.int64),
    "empty": np.empty((0, 4), dtype=np.float32),
    "scalar": np.array(2**63, dtype=np.uint64),
}


Result = TypeVar("Result")


class HostsOfOneProcess:
    """A host of several, each on a thread: exchanges meet at a barrier."""

    def __init__(self, rank: int, shared: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size, self._shared, self._barrier = rank, len(shared), shared, barrier

    def exchange(self, value: Any) -> list[Any]:
        self._shared[self.rank] = value
        self._barrier.wait(20)
        values = list(self._shared)
        self._barrier.wait(20)
        return values

    def add_up(self, array: NDArray[np.float32]) -> None:
        raise NotImplementedError

    def await_master(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nobody to tell."""


def on_hosts(size: int, act: Callable[[Hosts], Result]) -> list[Result]:
    """What `act` gives on each host, in the order of rank."""
    shared: list[Any] = [None] * size
    barrier = threading.Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(act, HostsOfOneProcess(rank, shared, barrier)) for rank in range(size)]
        return [future.result(30) for future in futures]


def opened(folder: Path, hosts: Hosts | None = None, job: dict[str, Any] | None = None) -> Checkpoints:
    return Checkpoints(folder, hosts or OneHost(), job or JOB)


def write(folder: Path, *states: int) -> None:
    files = opened(folder)
    files.newest()
    for state in states:
        assert files.write({"step": state}, ARRAYS)


def newest_step(folder: Path) -> int | None:
    found = opened(folder).newest()
    return found.state["step"] if found else None


def test_arrays_and_state_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, 7)
    found = opened(tmp_path).newest()
    assert found
    assert found.state == {"step": 7}
    assert list(found.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert np.array_equal(found.arrays[name], array), name
        assert not found.arrays[name].flags.writeable


def test_large_strided_arrays_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_CHUNK_BYTES", 1000)
    array = np.random.default_rng(1).random((997, 16), dtype=np.float32)[:, :13]
    files = opened(tmp_path)
    files.newest()
    assert files.write({}, {"array": array, "transposed": array.T})
    found = opened(tmp_path).newest()
    assert found
    assert np.array_equal(found.arrays["array"], array)
    assert np.array_equal(found.arrays["transposed"], array.T)


def test_an_empty_folder_has_no_checkpoint_and_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    assert opened(tmp_path).newest() is None
    write(tmp_path, 1, 2, 3)
    assert newest_step(tmp_path) == 3
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_two_newest_are_kept_and_numbers_go_on(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3)
    write(tmp_path, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000002-rank-0.ckpt",
        "checkpoint-00000003-rank-0.ckpt",
    ]
    assert newest_step(tmp_path) == 4


def test_a_file_that_the_service_is_uploading_is_removed_only_afterwards(tmp_path: Path) -> None:
    files = opened(tmp_path)
    files.newest()
    assert files.write({"step": 0}, ARRAYS)
    (tmp_path / "checkpoint-00000000-rank-0.ckpt.sagemaker-uploading").touch()
    for step in (1, 2, 3):
        assert files.write({"step": step}, ARRAYS)
    kept = {f"checkpoint-0000000{number}-rank-0.ckpt" for number in (0, 2, 3)}
    assert {path.name for path in tmp_path.glob("*.ckpt")} == kept
    assert newest_step(tmp_path) == 3

    (tmp_path / "checkpoint-00000000-rank-0.ckpt.sagemaker-uploaded").touch()
    assert files.write({"step": 4}, ARRAYS)
    kept = {f"checkpoint-0000000{number}-rank-0.ckpt" for number in (3, 4)}
    assert {path.name for path in tmp_path.glob("*.ckpt")} == kept


def test_arrays_stay_readable_after_their_file_is_gone(tmp_path: Path) -> None:
    write(tmp_path, 1)
    found = opened(tmp_path).newest()
    assert found
    write(tmp_path, 2, 3, 4)
    assert np.array_equal(found.arrays["matrix"], ARRAYS["matrix"])


def test_a_file_cut_anywhere_or_with_any_byte_changed_is_never_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = opened(tmp_path)
    files.newest()
    assert files.write({"step": 1}, ARRAYS)
    assert files.write({"step": 2}, {"counts": ARRAYS["counts"]})
    path = tmp_path / "checkpoint-00000001-rank-0.ckpt"
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x10
        damaged.append(bytes(changed))
    damaged += [whole + b"\0", whole + whole, bytes(len(whole))]
    with caplog.at_level(logging.ERROR):
        for content in damaged:
            path.write_bytes(content)
            assert newest_step(tmp_path) == 1
    path.write_bytes(whole)
    assert newest_step(tmp_path) == 2


def test_a_torn_file_is_named_in_the_log_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 1, 2)
    newest = tmp_path / "checkpoint-00000001-rank-0.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert newest_step(tmp_path) == 1
    (told,) = caplog.messages
    assert told == (
        "checkpoint-00000001-rank-0.ckpt is not a whole checkpoint (its checksum is wrong), so it is ignored."
    )
    # What could not be read is not kept: the one before and the new one are.
    write(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000000-rank-0.ckpt",
        "checkpoint-00000002-rank-0.ckpt",
    ]


def test_what_a_kill_left_half_written_is_not_loaded_and_removed_later(tmp_path: Path) -> None:
    write(tmp_path, 1)
    half = tmp_path / "checkpoint-00000001-rank-0.ckpt.sagemaker-ignore"
    half.write_bytes((tmp_path / "checkpoint-00000000-rank-0.ckpt").read_bytes())
    assert newest_step(tmp_path) == 1
    write(tmp_path, 2)
    assert not half.exists()
    assert newest_step(tmp_path) == 2


def test_the_file_is_on_the_disk_before_it_bears_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync = checkpoints.os.fsync

    def noting(descriptor: int) -> None:
        names = sorted(path.name for path in tmp_path.iterdir())
        events.append(f"fsync of {Path(f'/proc/self/fd/{descriptor}').resolve().name} with {names}")
        fsync(descriptor)

    monkeypatch.setattr(checkpoints.os, "fsync", noting)
    write(tmp_path, 1)
    name = "checkpoint-00000000-rank-0.ckpt"
    assert events == [
        f"fsync of {name}.sagemaker-ignore with ['{name}.sagemaker-ignore']",
        f"fsync of {tmp_path.name} with ['{name}']",
    ]


def test_a_disk_that_is_full_is_told_and_the_former_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = opened(tmp_path)
    files.newest()
    assert files.write({"step": 1}, ARRAYS)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.os, "fsync", full)
        assert not files.write({"step": 2}, ARRAYS)
    assert "checkpoint-00000001-rank-0.ckpt could not be written (No space left on device)" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000000-rank-0.ckpt"]
    assert newest_step(tmp_path) == 1
    assert files.write({"step": 3}, ARRAYS)
    assert newest_step(tmp_path) == 3


def test_objects_are_refused_because_they_would_have_to_be_pickled(tmp_path: Path) -> None:
    files = opened(tmp_path)
    files.newest()
    with pytest.raises(TypeError, match="array 'words' is of object"):
        files.write({}, {"words": np.array(["a", None], dtype=object)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"epochs": 6}, "a job with epochs=5, but this one has epochs=6;"),
        (
            {"corpus": "8 tokens", "epochs": 1},
            "a job with epochs=5 and corpus=7 tokens, but this one has epochs=1 and corpus=8 tokens;",
        ),
        ({"dropout": 0.5}, "a job with no dropout, but this one has dropout=0.5;"),
    ],
)
def test_a_checkpoint_of_another_job_is_refused_by_what_differs(
    tmp_path: Path, other: dict[str, Any], sentence: str
) -> None:
    write(tmp_path, 1)
    with pytest.raises(ClientError) as caught:
        opened(tmp_path, job={**JOB, **other}).newest()
    assert str(caught.value) == (
        f"the checkpoints that were found are of {sentence} give this one a checkpoint prefix of its own, or the same"
        " input and hyperparameters."
    )
    assert newest_step(tmp_path) == 1


def test_the_next_is_due_after_the_interval_and_later_when_writing_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, flushing = 1000.0, 0.5
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    files = opened(tmp_path)
    files.newest()
    assert not files.due
    now += 60
    assert files.due

    fsync = checkpoints.os.fsync

    def slow(descriptor: int) -> None:
        nonlocal now
        now += flushing
        fsync(descriptor)

    monkeypatch.setattr(checkpoints.os, "fsync", slow)
    for seconds, pause in [(0.5, 60), (5.0, 500)]:  # two calls of fsync each
        flushing = seconds
        files.write({}, ARRAYS)
        now += pause - 0.1
        assert not files.due
        now += 0.2
        assert files.due


@pytest.mark.parametrize("together", [True, False])
def test_hosts_go_on_from_the_newest_that_all_have(tmp_path: Path, together: bool) -> None:
    """Whether they see each other's files, as after a download of the common prefix, or only their own."""

    def folder(rank: int) -> Path:
        return tmp_path if together else tmp_path / str(rank)

    def train(hosts: Hosts) -> None:
        folder(hosts.rank).mkdir(exist_ok=True)
        files = opened(folder(hosts.rank), hosts)
        assert files.newest() is None
        for step in range(3):
            assert files.write({"step": step, "rank": hosts.rank}, {"rank": np.array([hosts.rank])})

    def resume(hosts: Hosts) -> tuple[int, int] | None:
        found = opened(folder(hosts.rank), hosts).newest()
        if found is None:
            return None
        assert found.arrays["rank"] == hosts.rank == found.state["rank"]
        return found.number, found.state["step"]

    on_hosts(3, train)
    assert on_hosts(3, resume) == [(2, 2)] * 3
    assert len(list(tmp_path.glob("**/*.ckpt"))) == 6

    newest_of_second = folder(1) / "checkpoint-00000002-rank-1.ckpt"
    newest_of_second.write_bytes(newest_of_second.read_bytes()[:-5])
    assert on_hosts(3, resume) == [(1, 1)] * 3

    (folder(2) / "checkpoint-00000001-rank-2.ckpt").unlink()
    assert on_hosts(3, resume) == [None] * 3


def test_files_of_two_runs_never_bear_one_number(tmp_path: Path) -> None:
    """One host's newest is of no use; the next run writes above it, lest a kill leave a mixture of the two runs."""

    def train(hosts: Hosts) -> int:
        folder = tmp_path / str(hosts.rank)
        folder.mkdir(exist_ok=True)
        files = opened(folder, hosts)
        found = files.newest()
        files.write({}, ARRAYS)
        return found.number if found else -1

    assert on_hosts(2, train) == [-1, -1]
    assert on_hosts(2, train) == [0, 0]
    (tmp_path / "0" / "checkpoint-00000001-rank-0.ckpt").unlink()
    assert on_hosts(2, train) == [0, 0]
    for rank in range(2):
        assert sorted(path.name for path in (tmp_path / str(rank)).iterdir()) == [
            f"checkpoint-00000000-rank-{rank}.ckpt",
            f"checkpoint-00000002-rank-{rank}.ckpt",
        ]


def test_a_checkpoint_that_one_host_could_not_write_counts_on_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file = checkpoints._write

    def fails_later_on_the_second(path: Path, header: Any, arrays: Any) -> None:
        if path.name in ("checkpoint-00000002-rank-1.ckpt", "checkpoint-00000003-rank-1.ckpt"):
            raise OSError(errno.EIO, "Input/output error")
        write_file(path, header, arrays)

    monkeypatch.setattr(checkpoints, "_write", fails_later_on_the_second)

    def train(hosts: Hosts) -> list[bool]:
        files = opened(tmp_path, hosts)
        files.newest()
        return [files.write({"step": step}, {}) for step in range(4)]

    def resume(hosts: Hosts) -> int:
        found = opened(tmp_path, hosts).newest()
        assert found
        return int(found.state["step"])

    assert on_hosts(2, train) == [[True, True, False, False]] * 2
    assert on_hosts(2, resume) == [1, 1]


def test_only_a_job_with_a_checkpoint_folder_has_checkpoints(
    algorithm: Algorithm, write_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = TrainingEnvironment.read(algorithm, write_job())
    assert Checkpoints.of_job(environment, OneHost(), JOB) is None
    environment.paths.checkpoints.mkdir()
    files = Checkpoints.of_job(environment, OneHost(), JOB)
    assert files
    assert not files.due
    monkeypatch.setenv("KINDLING_CHECKPOINT_INTERVAL_S", "0")
    eager = Checkpoints.of_job(environment, OneHost(), JOB)
    assert eager
    assert eager.due
