"""Channels in Pipe mode: what a container reads, epoch by epoch, and that nothing is left when the job has ended."""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from contract.recordio import read_records
from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE

PIPE = {"InputMode": "Pipe"}
WRAPPED = {**PIPE, "RecordWrapperType": "RecordIO"}
EXAMPLES = [
    {"source": "linux ready for prime time", "label": 1},
    {"source": "bowled by the slower one \u00e9", "label": [1, 3], "label-metadata": {"type": "text"}},
    {"source": "a third", "label": "sport"},
]


def channel(account: Account, prefix: str, name: str = "train", **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{prefix}", **changes.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **changes}


def manifest(account: Account, key: str, *names: str, name: str = "train", **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "AugmentedManifestFile", "AttributeNames": list(names), **changes.pop("source", {})}
    return channel(account, key, name, source=source, **{**WRAPPED, **changes})


def put_lines(account: Account, *lines: Any) -> str:
    """An augmented manifest; its key."""
    key = f"{new_name('manifest')}.jsonl"
    account.put(key, b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))
    return key


def epochs(**of_channels: int) -> dict[str, str]:
    return {"epochs_of_pipes": json.dumps(of_channels)}


def pipes(account: Account, job: dict[str, Any], host: str = "algo-1") -> dict[str, bytes]:
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return {name: text.encode("latin-1") for name, text in account.reports(job)[host]["pipes"].items()}


def records(content: bytes) -> list[bytes]:
    return list(read_records(io.BytesIO(content)))


@pytest.fixture(autouse=True)
def nothing_is_left(account: Account) -> Iterator[None]:
    yield
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.endswith(" feeder")])
    assert list((account.cloud.state / "jobs").iterdir()) == []


def test_an_augmented_manifest_arrives_as_alternating_records_in_every_epoch(account: Account) -> None:
    key = put_lines(account, *EXAMPLES)
    config = manifest(account, key, "source", "label", ContentType="application/x-recordio")
    job = account.train(InputDataConfig=[config], HyperParameters=epochs(train=2))
    found = pipes(account, job)
    expected = [
        b"linux ready for prime time", b"1",
        "bowled by the slower one \u00e9".encode(), b"[1, 3]",
        b"a third", b"sport",
    ]  # fmt: skip
    assert {name: records(content) for name, content in found.items()} == {"train_0": expected, "train_1": expected}
    assert account.reports(job)["algo-1"]["config"]["inputdataconfig"]["train"] == {
        "TrainingInputMode": "Pipe",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "RecordIO",
        "ContentType": "application/x-recordio",
    }
    assert job["InputDataConfig"] == [config]


def test_the_contract_reads_what_the_cloud_sends_epoch_by_epoch(account: Account) -> None:
    config = manifest(account, put_lines(account, *EXAMPLES), "source", "label")
    job = account.train(InputDataConfig=[config], HyperParameters={"records_of": "train"})
    expected = [part for example in EXAMPLES for part in (example["source"], example["label"])]
    found = account.reports(job)["algo-1"]["pipes"]
    assert [found["0"], found["1"]] == [[str(part).encode().decode("latin-1") for part in expected]] * 2


def test_the_attributes_come_in_the_order_of_their_names_and_a_reference_as_the_objects_bytes(account: Account) -> None:
    picture = account.put("pictures/1", bytes(range(256)) * 1000)
    key = put_lines(account, {"source-ref": picture, "class": 7})
    job = account.train(
        InputDataConfig=[manifest(account, key, "class", "source-ref")], HyperParameters=epochs(train=1)
    )
    assert records(pipes(account, job)["train_0"]) == [b"7", bytes(range(256)) * 1000]


def test_without_a_wrapper_the_values_follow_each_other_without_a_mark(account: Account) -> None:
    key = put_lines(account, *EXAMPLES[:2])
    config = manifest(account, key, "label", "source", RecordWrapperType="None")
    job = account.train(InputDataConfig=[config], HyperParameters=epochs(train=1))
    text = "1linux ready for prime time[1, 3]bowled by the slower one \u00e9"
    assert pipes(account, job)["train_0"].decode() == text


def test_objects_below_a_prefix_arrive_plain_or_each_as_a_record_and_unpacked(account: Account) -> None:
    prefix = new_name("text")
    texts = [b"one\n" * 1000, b"two\n"]
    for number, text in enumerate(texts):
        account.put(f"{prefix}/plain/{number}", text)
        account.put(f"{prefix}/packed/{number}.gz", gzip.compress(text))
    job = account.train(
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "Pipe"},
        InputDataConfig=[
            channel(account, f"{prefix}/plain"),
            channel(account, f"{prefix}/packed", "packed", CompressionType="Gzip"),
            channel(account, f"{prefix}/plain", "wrapped", RecordWrapperType="RecordIO"),
            channel(account, f"{prefix}/plain/1", "file", InputMode="File"),
        ],
        HyperParameters=epochs(train=1, packed=1, wrapped=1),
    )
    found = pipes(account, job)
    assert found["train_0"] == found["packed_0"] == b"".join(texts)
    assert records(found["wrapped_0"]) == texts
    assert account.reports(job)["algo-1"]["data"] == {"file/1": "two\n"}


@pytest.mark.parametrize("seed", [None, 7])
def test_a_seed_shuffles_each_epoch_anew_and_hosts_share_what_is_sharded(account: Account, seed: int | None) -> None:
    key = put_lines(account, *({"source": f"{number}"} for number in range(20)))
    config = manifest(account, key, "source", source={"S3DataDistributionType": "ShardedByS3Key"})
    if seed is not None:
        config["ShuffleConfig"] = {"Seed": seed}
    runs = []
    for _ in range(2):
        job = account.train(hosts=2, InputDataConfig=[config], HyperParameters=epochs(train=2))
        runs.append([pipes(account, job, host) for host in ("algo-1", "algo-2")])
    assert runs[0] == runs[1]
    orders = []
    for epoch in ("train_0", "train_1"):
        parts = [records(host[epoch]) for host in runs[0]]
        assert [len(part) for part in parts] == [10, 10]
        orders.append([text for pair in zip(*parts, strict=True) for text in pair])
    in_order = [f"{number}".encode() for number in range(20)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(in_order)
    if seed is None:
        assert orders == [in_order, in_order]
    else:
        assert len({tuple(order) for order in (*orders, in_order)}) == 3


def test_a_reader_may_close_a_pipe_early_and_the_next_epoch_begins_anew(account: Account) -> None:
    prefix = new_name("long")
    account.put(prefix, b"begin" + bytes(3_000_000))
    asked = {**epochs(train=3), "bytes_of_pipes": "5"}
    job = account.train(InputDataConfig=[channel(account, prefix, **PIPE)], HyperParameters=asked)
    assert pipes(account, job) == {f"train_{epoch}": b"begin" for epoch in range(3)}


@pytest.mark.parametrize("how", ["unopened", "unread", "stubborn", "killed"])
def test_a_job_ends_whatever_becomes_of_its_pipes(account: Account, how: str) -> None:
    prefix = new_name("long")
    account.put(prefix, bytes(3_000_000))
    asked = {} if how == "unopened" else {**epochs(train=1), "bytes_of_pipes": "5"}
    more: dict[str, Any] = {}
    if how == "stubborn":
        asked, more = {"wait": "stubbornly"}, {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    elif how == "killed":
        asked["killed_host"] = "algo-1"
    job = account.train(InputDataConfig=[channel(account, prefix, **PIPE)], HyperParameters=asked, **more)
    assert job["SecondaryStatus"] == {"stubborn": "MaxRuntimeExceeded", "killed": "Failed"}.get(how, "Completed")


def test_a_job_whose_container_waits_in_a_pipe_is_stopped(account: Account) -> None:
    """The container reads more epochs than anybody would wait for."""
    name = account.begin(
        InputDataConfig=[manifest(account, put_lines(account, *EXAMPLES), "source")],
        HyperParameters=epochs(train=10**6),
    )
    account.job(name, "Training")
    pipe = account.cloud.state / "jobs" / name / "algo-1" / "input" / "data"
    until(lambda: any(int(path.name.rpartition("_")[2]) > 3 for path in pipe.iterdir()))
    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.job(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([EXAMPLES[0], {"source": "no label"}], "line 2 of the augmented manifest s3://{} lacks the attribute 'label'"),
        ([EXAMPLES[0], b"not json\n"], "line 2 of the augmented manifest s3://{} is not JSON: "),
        ([b"[1]\n"], "line 1 of the augmented manifest s3://{} is not a JSON object."),
        ([b'{"source": "\\ud800", "label": 1}\n'], "attribute 'source', holds half a surrogate pair."),
        ([b"\n"], "the augmented manifest s3://{} of channel 'train' holds no line."),
    ],
)
def test_a_manifest_that_cannot_be_used_fails_the_job_in_a_sentence(
    account: Account, lines: list[Any], reason: str
) -> None:
    key = put_lines(account, *lines)
    job = account.train(InputDataConfig=[manifest(account, key, "source", "label")], HyperParameters=epochs(train=1))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert reason.format(f"{account.bucket}/{key}") in job["FailureReason"]


@pytest.mark.parametrize("names", [("source-ref",), ("missing",)])
def test_what_a_manifest_refers_to_must_be_there(account: Account, names: tuple[str, ...]) -> None:
    key = put_lines(account, {"source-ref": f"s3://{account.bucket}/nowhere"})
    job = account.train(InputDataConfig=[manifest(account, key, *names)], HyperParameters=epochs(train=1))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: line 1 of the augmented manifest")


@pytest.mark.parametrize("kind", [channel, manifest])
def test_a_pipe_with_nothing_behind_it_fails_the_job_before_it_starts(account: Account, kind: Any) -> None:
    names = ("source",) if kind is manifest else ()
    job = account.train(InputDataConfig=[kind(account, "nowhere", *names, **({} if names else PIPE))])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert f"s3://{account.bucket}/nowhere" in job["FailureReason"]


def test_no_descriptor_is_left_open(account: Account) -> None:
    prefix = new_name("open")
    account.put(prefix, b"text")

    def run() -> None:
        account.train(InputDataConfig=[channel(account, prefix, **PIPE)], HyperParameters=epochs(train=2))

    def pipes_open() -> int:
        links = []
        for path in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # another thread's, closed meanwhile
                links.append(str(path.readlink()))
        return sum("/input/data/" in link or link.startswith("pipe:") for link in links)

    run()
    before = pipes_open()
    run()
    assert pipes_open() <= before
