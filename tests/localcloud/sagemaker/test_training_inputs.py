"""Channels in File and FastFile mode: manifests, shares of several hosts, what is read-only, data that goes bad."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.folders import make_read_only, remove_folder
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.training.channels import Channel
from kindling.localcloud.sagemaker.training.download import download
from tests.localcloud.sagemaker.conftest import Account, new_name
from tests.localcloud.sagemaker.embedded import IMAGE

SHARDED = {"S3DataDistributionType": "ShardedByS3Key"}


def objects_of(account: Account) -> Objects:
    return Objects(account.cloud.account_id, account.cloud.persistence.bodies, account.cloud.persistence.commit)


def channel(account: Account, key: str, name: str = "train", **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{key}", **changes.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **changes}


def manifest(account: Account, content: Any, name: str = "train", **changes: Any) -> dict[str, Any]:
    key = new_name("manifest")
    account.put(key, content if isinstance(content, bytes) else json.dumps(content).encode())
    source = {"S3DataType": "ManifestFile", **changes.pop("source", {})}
    return channel(account, key, name, source=source, **changes)


def corpus(account: Account, count: int) -> str:
    """A prefix with objects of one line."""
    prefix = new_name("corpus")
    for number in range(count):
        account.put(f"{prefix}/{number}", f"text {number}".encode())
    return prefix


def data(account: Account, job: dict[str, Any], host: str = "algo-1") -> dict[str, str]:
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return dict(account.reports(job)[host]["data"])


def test_each_channel_has_its_own_mode_and_the_jobs_where_it_says_none(account: Account) -> None:
    prefix = corpus(account, 2)
    config = [
        channel(account, prefix),
        channel(account, prefix, "copied", InputMode="File"),
        channel(account, prefix, "piped", InputMode="Pipe"),
    ]
    job = account.train(
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "FastFile"},
        InputDataConfig=config,
        HyperParameters={"epochs_of_pipes": json.dumps({"piped": 1}), "modes_of": "train copied"},
    )
    report = account.reports(job)["algo-1"]
    modes = {name: found["TrainingInputMode"] for name, found in report["config"]["inputdataconfig"].items()}
    assert modes == {"train": "FastFile", "copied": "File", "piped": "Pipe"}
    texts = {"0": "text 0", "1": "text 1"}
    assert report["data"] == {f"{name}/{key}": text for name in ("train", "copied") for key, text in texts.items()}
    assert report["pipes"] == {"piped_0": "text 0text 1"}
    modes = report["modes"]
    assert (modes["train"], modes["train/0"], modes["train/1"]) == ("0o555", "0o444", "0o444")
    assert all(int(modes[name], 8) & 0o200 for name in ("copied", "copied/0", "copied/1"))
    assert job["AlgorithmSpecification"]["TrainingInputMode"] == "FastFile"
    assert job["InputDataConfig"] == config


def test_fast_files_are_one_copy_for_all_hosts_and_gone_with_the_job(account: Account) -> None:
    prefix = corpus(account, 3)
    config = [channel(account, f"{prefix}/", InputMode="FastFile")]
    name = account.begin(2, InputDataConfig=config, HyperParameters={"wait": "politely"})
    account.job(name, "Training")
    folder = account.cloud.state / "jobs" / name
    files = [folder / host / "input" / "data" / "train" / "2" for host in ("algo-1", "algo-2")]
    assert files[0].samefile(files[1])
    account.sagemaker.stop_training_job(TrainingJobName=name)
    account.job(name)
    assert not folder.exists()


def test_a_folder_that_is_read_only_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "top" / "below").mkdir(parents=True)
    (tmp_path / "top" / "below" / "file").write_text("text")
    make_read_only(tmp_path / "top")
    if os.geteuid() != 0:  # whom no mode keeps from writing
        with pytest.raises(PermissionError):
            (tmp_path / "top" / "below" / "file").unlink()
    remove_folder(tmp_path / "top")
    assert not (tmp_path / "top").exists()


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_manifest_names_the_objects_of_a_channel_and_hosts_share_them(account: Account, mode: str) -> None:
    prefix = corpus(account, 6)
    account.put(f"{prefix}/deep/er/7", b"text 7")
    listed = [{"prefix": f"s3://{account.bucket}/{prefix}/"}, "4", "deep/er/7", "0"]
    config = [
        manifest(account, listed, InputMode=mode, source=SHARDED),
        manifest(account, listed, "all", InputMode=mode),
    ]
    job = account.train(hosts=2, InputDataConfig=config)
    everything = {"all/4": "text 4", "all/deep/er/7": "text 7", "all/0": "text 0"}
    assert data(account, job, "algo-1") == {"train/4": "text 4", "train/0": "text 0", **everything}
    assert data(account, job, "algo-2") == {"train/deep/er/7": "text 7", **everything}
    assert job["InputDataConfig"] == config


def test_a_manifest_can_be_piped(account: Account) -> None:
    prefix = corpus(account, 3)
    listed = [{"prefix": f"s3://{account.bucket}/{prefix}"}, "/2", "/0"]
    job = account.train(
        InputDataConfig=[manifest(account, listed, InputMode="Pipe")],
        HyperParameters={"epochs_of_pipes": json.dumps({"train": 2})},
    )
    assert account.reports(job)["algo-1"]["pipes"] == {"train_0": "text 2text 0", "train_1": "text 2text 0"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not json", "is not JSON"),
        ({}, "does not begin with a prefix; it must have the form"),
        (["a"], "does not begin with a prefix; it must have the form"),
        ([{"prefix": "s3://bucket/a/"}, 7], "element 2 of the manifest"),
        ([{"prefix": "s3://bucket/a/"}], "lists no object after its prefix."),
        ([{"prefix": "s3://bucket/a/"}, "b", "b"], "lists 'b' more than once."),
        ([{"prefix": "/bucket/a/"}, "b"], "is no S3 address"),
        ([{"prefix": "s3://bucket/a/"}, "../b"], "key '../b' of channel 'train' leads out of its folder."),
        ([{"prefix": "s3://bucket/a/"}, "b"], "s3://bucket/a/b of channel 'train' cannot be used: there is no object"),
    ],
)
def test_a_manifest_that_cannot_be_used_fails_the_job_in_a_sentence(
    account: Account, content: Any, reason: str
) -> None:
    job = account.train(InputDataConfig=[manifest(account, content)])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert reason in job["FailureReason"]
    assert "channel 'train'" in job["FailureReason"]


def test_a_manifest_that_is_not_there_fails_the_job(account: Account) -> None:
    config = channel(account, "no-such-manifest", source={"S3DataType": "ManifestFile"})
    job = account.train(InputDataConfig=[config])
    assert "no-such-manifest of channel 'train' does not exist." in job["FailureReason"]


def test_shares_differ_by_one_object_at_most_and_a_host_without_any_finds_an_empty_folder(account: Account) -> None:
    config = [
        channel(account, corpus(account, 8), source=SHARDED),
        channel(account, corpus(account, 2), "few", source=SHARDED),
    ]
    job = account.train(hosts=3, InputDataConfig=config, HyperParameters={"modes_of": "few"})
    hosts = ("algo-1", "algo-2", "algo-3")
    shares = [sorted(name for name in data(account, job, host)) for host in hosts]
    assert shares == [
        ["few/0", "train/0", "train/3", "train/6"],
        ["few/1", "train/1", "train/4", "train/7"],
        ["train/2", "train/5"],
    ]
    assert list(account.reports(job)["algo-3"]["modes"]) == ["few"]


def test_a_model_to_start_from_lies_in_its_channel_as_it_was_uploaded(account: Account) -> None:
    first = account.train()
    artifacts = first["ModelArtifacts"]["S3ModelArtifacts"]
    config = channel(account, "", "model", ContentType="application/x-sagemaker-model", source={"S3Uri": artifacts})
    job = account.train(InputDataConfig=[config], HyperParameters={"unpack": "model/model.tar.gz"})
    report = account.reports(job)["algo-1"]
    assert report["config"]["inputdataconfig"]["model"]["ContentType"] == "application/x-sagemaker-model"
    assert report["unpacked"] == ["algo-1.json"]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"text" * 1000)[:-20]])
@pytest.mark.parametrize("mode", ["File", "Pipe"])
def test_gzip_that_is_damaged_fails_the_job_with_the_objects_name(account: Account, content: bytes, mode: str) -> None:
    prefix = new_name("packed")
    account.put(f"{prefix}/a.gz", gzip.compress(b"text"))
    account.put(f"{prefix}/b.gz", content)
    job = account.train(
        InputDataConfig=[channel(account, prefix, CompressionType="Gzip", InputMode=mode)],
        HyperParameters={"epochs_of_pipes": json.dumps({"train": 1} if mode == "Pipe" else {})},
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert f"{prefix}/b.gz of channel 'train'" in job["FailureReason"]
    assert not (account.cloud.state / "jobs" / job["TrainingJobName"]).exists()


def test_an_object_that_goes_between_listing_and_download_is_named(account: Account, tmp_path: Path) -> None:
    prefix = corpus(account, 3)
    train = Channel(name="train", source=Address(account.bucket, f"{prefix}/"))

    def delete() -> None:
        account.s3.delete_object(Bucket=account.bucket, Key=f"{prefix}/2")

    with pytest.raises(DataError, match=f"{prefix}/2 of channel 'train' cannot be used: there is no object at"):
        download(train, objects_of(account), [tmp_path / "train"], account.role, delete)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CompressionType": "Gzip"}, "CompressionType=Gzip cannot be used in FastFile mode; it must be None."),
        ({"RecordWrapperType": "RecordIO"}, "can only be used in Pipe mode; in FastFile mode it must be None."),
        (
            {"source": {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a"]}},
            "S3DataType=AugmentedManifestFile can only be used if the channel's input mode is Pipe.",
        ),
        (
            {"source": {"S3DataType": "ManifestFile", "AttributeNames": ["a"]}},
            "AttributeNames can only be used with S3DataType=AugmentedManifestFile, but it is ManifestFile.",
        ),
    ],
)
def test_what_the_service_refuses_of_fast_files_is_refused(
    account: Account, changes: dict[str, Any], words: str
) -> None:
    config = channel(account, "prefix", InputMode="FastFile", **changes)
    with pytest.raises(account.sagemaker.exceptions.ClientError, match="ValidationException") as caught:
        account.begin(InputDataConfig=[config])
    assert words in str(caught.value)


def test_a_large_object_takes_no_memory_on_its_way_to_a_host_and_back(account: Account, tmp_path: Path) -> None:
    size = 64 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    objects = objects_of(account)
    address = Address(account.bucket, "large/0")
    tracemalloc.start()
    try:
        objects.write(address, tmp_path / "large")
        large = Channel(name="train", source=Address(account.bucket, "large/"))
        download(large, objects, [tmp_path / "train"], account.role, lambda: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        objects.remove(address)
    assert (tmp_path / "train" / "0").stat().st_size == size
    assert peak < size / 4  # of all threads of this process, other tests' clouds among them
