"""What a training container reads of its job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.cores import available_cpus
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.paths import Paths
from contract.specification import Algorithm, InvalidJobError, Rule

WriteJob = Callable[..., Paths]


def test_every_path_derives_from_the_base_directory() -> None:
    paths = Paths.from_environ({"SAGEMAKER_BASE_DIR": "/somewhere"})
    assert paths.failure == Path("/somewhere/output/failure")
    assert paths.channel("train") == Path("/somewhere/input/data/train")
    assert Paths.from_environ({}).model == Path("/opt/ml/model")


def test_a_job_is_read_with_typed_hyperparameters_and_defaults(algorithm: Algorithm, write_job: WriteJob) -> None:
    paths = write_job(
        hyperparameters={"epochs": "3"},
        channels={"train": {"ContentType": "text/plain", "TrainingInputMode": "File"}},
        hosts=("algo-10", "algo-2", "algo-1"),
        current_host="algo-10",
    )
    environment = TrainingEnvironment.read(algorithm, paths, {"TRAINING_JOB_NAME": "job"})
    assert environment.hyperparameters == {"epochs": 3}
    assert environment.hosts == ("algo-1", "algo-2", "algo-10")
    assert (environment.rank, environment.is_master) == (2, False)
    assert environment.job_name == "job"
    assert environment.channel("train").content_type == "text/plain"
    assert environment.network_interface == "lo"


def test_what_the_service_adds_for_a_tuning_job_is_no_hyperparameter(algorithm: Algorithm, write_job: WriteJob) -> None:
    paths = write_job(hyperparameters={"epochs": "3", "_tuning_objective_metric": "train:mean_rho"})
    assert TrainingEnvironment.read(algorithm, paths, {}).hyperparameters == {"epochs": 3}


def test_a_folder_mounted_by_hand_needs_no_configuration(algorithm: Algorithm, tmp_path: Path) -> None:
    paths = Paths(tmp_path / "ml")
    paths.channel("train").mkdir(parents=True)
    environment = TrainingEnvironment.read(algorithm, paths, {})
    assert environment.hyperparameters == {"epochs": 5}
    assert environment.hosts == ("algo-1",)
    assert list(environment.channels) == ["train"]


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        ({}, "channel 'train' is missing; averager needs it (channels given: none)."),
        ({"validation": {}}, "channel 'train' is missing; averager needs it (channels given: validation)."),
        ({"train": {}, "test": {}}, "channel 'test' is unknown to averager; it reads train, validation."),
        (
            {"train": {"TrainingInputMode": "Pipe"}},
            "channel 'train' has input mode Pipe; averager reads it in File mode.",
        ),
        (
            {"train": {}, "validation": {"TrainingInputMode": "Pipe"}},
            "channel 'validation' has input mode Pipe; averager reads it in File or FastFile mode.",
        ),
        (
            {"train": {"S3DistributionType": "ShardedByS3Key"}},
            "channel 'train' has distribution ShardedByS3Key; averager reads it FullyReplicated.",
        ),
    ],
)
def test_a_channel_that_the_algorithm_does_not_read_is_named(
    algorithm: Algorithm, write_job: WriteJob, channels: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError) as refusal:
        TrainingEnvironment.read(algorithm, write_job(channels=channels), {})
    assert str(refusal.value) == sentence


def test_a_bad_hyperparameter_is_the_specifications_refusal(algorithm: Algorithm, write_job: WriteJob) -> None:
    with pytest.raises(InvalidJobError, match="epochs=11 is out of range; it must be an integer from 1 to 10"):
        TrainingEnvironment.read(algorithm, write_job(hyperparameters={"epochs": "11"}), {})


def test_a_rule_about_a_channel_holds_in_the_container_too(algorithm: Algorithm, write_job: WriteJob) -> None:
    rule = Rule(forbid={"epochs": (3,), "channels.train": ("File",)}, message="epochs={epochs} needs no file.")
    algorithm = algorithm.model_copy(update={"rules": (rule,)})
    with pytest.raises(InvalidJobError, match=r"^epochs=3 needs no file\.$"):
        TrainingEnvironment.read(algorithm, write_job(hyperparameters={"epochs": "3"}), {})


def test_a_channel_that_was_not_given_is_named_with_those_that_were(algorithm: Algorithm, write_job: WriteJob) -> None:
    environment = TrainingEnvironment.read(algorithm, write_job(), {})
    with pytest.raises(ClientError, match=r"channel 'validation' is missing; .* \(channels given: train\)"):
        environment.channel("validation")


def test_files_are_found_below_any_folder_sorted_and_hidden_ones_skipped(
    algorithm: Algorithm, write_job: WriteJob
) -> None:
    environment = TrainingEnvironment.read(algorithm, write_job(), {})
    folder = environment.channel("train").directory
    for name in ("b.txt", "a/z.txt", ".hidden", ".folder/c.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    assert [str(path.relative_to(folder)) for path in environment.channel("train").files()] == ["a/z.txt", "b.txt"]


def test_a_runner_says_how_many_cores_a_host_may_use() -> None:
    assert available_cpus({"KINDLING_CPUS_PER_HOST": "3"}) == 3
    assert available_cpus({"KINDLING_CPUS_PER_HOST": "0.5"}) == 1
    assert available_cpus({}) >= 1
