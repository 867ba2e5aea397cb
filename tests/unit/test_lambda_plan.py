"""What an execution may ask for, and the sentence that answers what it may not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from containers import catalogue
from contract.specification import Algorithm, InvalidJobError
from lambdas.plan.names import base_name
from lambdas.plan.plan import plan
from lambdas.plan.site import Site

ALGORITHM = catalogue.algorithms()["blazingtext"]
SITE = Site(
    name_prefix="kindling-blazingtext",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/kindling-algorithms:abc",
    data_bucket="the-data",
    model_bucket="the-models",
    key_arn="arn:aws:kms:us-east-1:123456789012:key/1",
    inter_container_encryption=True,
    tuning_prefix="kindling-blazingtext-",
    training_role="arn:aws:iam::123456789012:role/training",
)
GOOD: dict[str, Any] = {
    "name": "text8",
    "inputs": {"train": "s3://the-data/blazingtext/text8"},
    "hyperparameters": {"mode": "batch_skipgram"},
}
SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def planned(given: object, *, run: str = "text8-1", data: bool = True) -> dict[str, Any]:
    return plan(ALGORITHM, SITE, {"name": run, "input": given}, lambda bucket, prefix: data)


def supervised() -> Algorithm:
    """The algorithm with the mode that classifies, whether its description has it or not."""
    mode = ALGORITHM.hyperparameters["mode"].model_copy(update={"choices": ("cbow", "supervised")})
    return ALGORITHM.model_copy(update={"hyperparameters": {**ALGORITHM.hyperparameters, "mode": mode}})


def classified(**more: Any) -> dict[str, Any]:
    """The plan of a supervised run."""
    given = {"inputs": GOOD["inputs"], "hyperparameters": {"mode": "supervised"}, **more}
    return plan(supervised(), SITE, {"name": "r", "input": given}, lambda bucket, prefix: True)


def channel(**more: Any) -> dict[str, Any]:
    return {"inputs": {"train": {"s3_uri": "s3://the-data/blazingtext/train.jsonl", **more}}}


def refusal(given: object, **more: Any) -> str:
    with pytest.raises(InvalidJobError) as error:
        planned(given, **more)
    return str(error.value)


def test_the_smallest_input_gets_the_catalogues_defaults() -> None:
    job = planned(GOOD)["training"]
    assert job["ResourceConfig"] == {"InstanceType": "ml.c5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert job["EnableNetworkIsolation"] is True
    assert job["TimeoutSeconds"] > 3600


def test_where_the_image_is_built_for_gpus_jobs_may_ask_for_them_and_endpoints_not() -> None:
    resources = ALGORITHM.resources.model_copy(update={"gpu": True})
    algorithm = ALGORITHM.model_copy(update={"resources": resources})
    wanted = {**GOOD, "resources": {"instance_type": "ml.g5.xlarge"}}
    job = plan(algorithm, SITE, {"name": "text8-1", "input": wanted}, lambda bucket, prefix: True)["training"]
    assert job["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    endpoint = {"endpoint": {"name": "a", "instance_type": "ml.g5.xlarge"}}
    with pytest.raises(InvalidJobError, match=r"endpoint\.instance_type .* makes no use of a GPU"):
        plan(algorithm, SITE, {"name": "text8-1", "input": {**wanted, **endpoint}}, lambda bucket, prefix: True)


def test_a_job_carries_the_complete_set_of_hyperparameters_as_strings() -> None:
    sent = planned(GOOD)["training"]["HyperParameters"]
    assert sent["mode"] == "batch_skipgram"
    assert sent["evaluation"] == "True"
    assert sent["vector_dim"] == "100"
    assert set(sent) == set(ALGORITHM.hyperparameters)


def test_the_models_lie_under_the_algorithms_name() -> None:
    job = planned(GOOD)["training"]
    assert job["OutputDataConfig"] == {"S3OutputPath": "s3://the-models/blazingtext", "KmsKeyId": SITE.key_arn}


def test_a_channel_may_be_an_address_or_an_object() -> None:
    long = {**GOOD, "inputs": {"train": {"s3_uri": GOOD["inputs"]["train"]}}}
    assert planned(long)["training"] == planned(GOOD)["training"]


def test_only_jobs_of_several_hosts_encrypt_between_them() -> None:
    assert planned(GOOD)["training"]["EnableInterContainerTrafficEncryption"] is False
    two = planned({**GOOD, "resources": {"instance_count": 2}})
    assert two["training"]["EnableInterContainerTrafficEncryption"] is True


def test_a_spot_job_may_wait_for_its_hosts() -> None:
    job = planned({**GOOD, "resources": {"spot": True, "max_runtime_s": 600}})["training"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
    assert job["TimeoutSeconds"] > 1200


@pytest.mark.parametrize("length", [1, 30, 80])
def test_names_fit_sagemaker_whatever_the_execution_is_called(length: int) -> None:
    run = ("a_b.c-" * 20)[:length]
    made = planned(GOOD, run=run)
    for name in (f"{made['base_name']}-9", made["deployment"]["model_name"], made["deployment"]["config_name"]):
        assert SAGEMAKER_NAME.fullmatch(name)


def test_long_executions_with_the_same_beginning_get_different_names() -> None:
    assert base_name("kindling-blazingtext", "x" * 79 + "a") != base_name("kindling-blazingtext", "x" * 79 + "b")


def test_the_longest_prefix_still_leaves_room() -> None:
    assert len(base_name("k" * 20 + "-" + "a" * 31, "x" * 80)) <= 61


def test_an_endpoint_that_is_not_spoken_of_is_named_after_the_run() -> None:
    deployment = planned(GOOD)["deployment"]
    assert deployment["wanted"] is True
    assert deployment["endpoint_name"] == "text8"
    assert deployment["variants"][0]["InstanceType"] == ALGORITHM.serving.instance_type


def test_a_null_endpoint_is_no_endpoint() -> None:
    assert planned({**GOOD, "endpoint": None})["deployment"]["wanted"] is False


def test_traffic_moves_to_one_instance_first_when_there_are_several() -> None:
    def routing(count: int) -> str:
        made = planned({**GOOD, "endpoint": {"name": "text8", "instance_count": count}})
        policy = made["deployment"]["update"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
        return str(policy["Type"])

    assert (routing(1), routing(2)) == ("ALL_AT_ONCE", "CANARY")


MANIFEST = "AugmentedManifestFile"
WITH_VALIDATION = {"inputs": {**GOOD["inputs"], "validation": "s3://the-data/blazingtext/validation"}}


def test_an_augmented_manifest_needs_nothing_but_its_name_to_come_through_a_pipe() -> None:
    said = channel(
        s3_data_type=MANIFEST, input_mode="Pipe", record_wrapper="RecordIO", attribute_names=["source", "label"]
    )
    made = classified(**channel(s3_data_type=MANIFEST))["training"]["InputDataConfig"]
    assert made == classified(**said)["training"]["InputDataConfig"]
    assert made == [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": MANIFEST,
                    "S3Uri": "s3://the-data/blazingtext/train.jsonl",
                    "S3DataDistributionType": "FullyReplicated",
                    "AttributeNames": ["source", "label"],
                }
            },
            "ContentType": "text/plain",
            "InputMode": "Pipe",
            "CompressionType": "None",
            "RecordWrapperType": "RecordIO",
        }
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"s3_data_type": MANIFEST, "attribute_names": ["label", "source"]},
            'inputs.train.attribute_names is ["label", "source"]; it must be ["source", "label"].',
        ),
        (
            {"attribute_names": ["source", "label"]},
            'inputs.train.attribute_names is ["source", "label"], but s3_data_type is S3Prefix; leave it out, or set '
            "s3_data_type to AugmentedManifestFile.",
        ),
        (
            {"s3_data_type": MANIFEST, "input_mode": "File"},
            'inputs.train.input_mode is "File"; with an AugmentedManifestFile it must be Pipe.',
        ),
        (
            {"s3_data_type": MANIFEST, "record_wrapper": "None"},
            'inputs.train.record_wrapper is "None"; with an AugmentedManifestFile it must be RecordIO.',
        ),
        (
            {"s3_data_type": MANIFEST, "compression": "Gzip"},
            'inputs.train.compression is "Gzip"; with an AugmentedManifestFile it must be None.',
        ),
        (
            {"record_wrapper": "RecordIO"},
            'inputs.train.record_wrapper is "RecordIO"; in File mode it must be None.',
        ),
        (
            {"input_mode": "Pipe"},
            'inputs.train.s3_data_type is "S3Prefix"; in Pipe mode it must be AugmentedManifestFile.',
        ),
        ({"input_mode": "FastFile"}, 'inputs.train.input_mode is "FastFile"; it must be File or Pipe.'),
        ({"input_mode": "pipe"}, 'inputs.train.input_mode is "pipe"; it must be File, Pipe or FastFile.'),
        ({"attribute_names": []}, "inputs.train.attribute_names is []; it must be a list of 1 to 16 attribute names."),
        ({"record_wrapper": "TFRecord"}, 'inputs.train.record_wrapper is "TFRecord"; it must be None or RecordIO.'),
    ],
)
def test_a_way_of_delivery_that_cannot_be_is_answered_in_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidJobError) as error:
        classified(**channel(**fields))
    assert str(error.value) == sentence


def test_a_channel_without_attributes_takes_no_manifest_but_any_pipe_that_it_names() -> None:
    described = ALGORITHM.channels["train"].model_copy(update={"attributes": ()})
    algorithm = supervised().model_copy(update={"channels": {"train": described}})

    def configured(**fields: Any) -> Any:
        given = {"hyperparameters": {"mode": "supervised"}, **channel(**fields)}
        made = plan(algorithm, SITE, {"name": "r", "input": given}, lambda bucket, prefix: True)
        return made["training"]["InputDataConfig"][0]

    found = configured(input_mode="Pipe", record_wrapper="RecordIO", compression="Gzip")
    assert (found["InputMode"], found["RecordWrapperType"], found["CompressionType"]) == ("Pipe", "RecordIO", "Gzip")
    with pytest.raises(InvalidJobError, match="which this channel does not take; it must be S3Prefix"):
        configured(s3_data_type=MANIFEST)


def test_a_gate_without_a_metric_looks_at_what_the_mode_is_judged_by() -> None:
    assert planned({**GOOD, "gate": {"at_least": 0.6}})["gate"]["metric"] == "train:mean_rho"
    assert classified(**WITH_VALIDATION, gate={"at_least": 0.9})["gate"]["metric"] == "validation:accuracy"
    assert classified(gate={"metric": "train:accuracy", "at_least": 0.9})["gate"]["metric"] == "train:accuracy"


@pytest.mark.parametrize("metric", [None, "validation:accuracy"])
def test_accuracy_without_a_validation_channel_can_be_no_gate_and_is_none_unless_asked_for(metric: str | None) -> None:
    assert classified()["gate"] is None
    with pytest.raises(InvalidJobError) as error:
        classified(gate={"metric": metric, "at_least": 0.9})
    assert str(error.value) == (
        "gate asks for validation:accuracy, but inputs has no channel 'validation' to measure it on; add the channel, "
        "or leave the gate out."
    )


def test_a_job_watches_for_the_metrics_of_its_mode_alone() -> None:
    def watched(made: dict[str, Any]) -> list[str]:
        return [found["Name"] for found in made["training"]["AlgorithmSpecification"]["MetricDefinitions"]]

    assert watched(planned(GOOD)) == ["train:mean_rho", "train:throughput"]
    assert watched(classified()) == ["validation:accuracy", "train:accuracy", "train:throughput"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": {}}, "input is unknown; did you mean inputs?"),
        ({"inputs": {}}, "inputs is {}; it must be an object of channels"),
        ({"inputs": {"train": 3}}, "inputs.train is 3; it must be an address such as s3://bucket/prefix."),
        ({"inputs": {"train": "/tmp/x"}}, 'inputs.train is "/tmp/x"; it must be an address'),
        ({"inputs": {"train": {"uri": "s3://a/b"}}}, "inputs.train.s3_uri is missing; it must be an address"),
        (
            {"inputs": {"train": {"s3_uri": "s3://the-data/blazingtext/x", "distribution": "Sharded"}}},
            'inputs.train.distribution is "Sharded"; it must be FullyReplicated or ShardedByS3Key.',
        ),
        (
            {"inputs": {"train": {"s3_uri": "s3://the-data/blazingtext/x", "distribution": "ShardedByS3Key"}}},
            'inputs.train.distribution is "ShardedByS3Key"; it must be FullyReplicated.',
        ),
        ({"inputs": {"tarin": "s3://the-data/blazingtext/x"}}, "channel 'tarin' is unknown to blazingtext; did you"),
        ({"inputs": {"train": "s3://other/blazingtext/x"}}, "it must lie in s3://the-data/blazingtext/, which is all"),
        ({"inputs": {"train": "s3://the-data/fairseq/x"}}, "it must lie in s3://the-data/blazingtext/, which is all"),
        ({"hyperparameters": {"mode": ["cbow"]}}, 'hyperparameters.mode is ["cbow"]; it must be'),
        (
            {"hyperparameters": {"mode": "cbow", "vector_dims": 3}},
            "vector_dims is unknown to blazingtext; did you mean",
        ),
        ({"hyperparameters": {"mode": "cbow", "vector_dim": 0}}, "vector_dim=0 is out of range; it must be an integer"),
        ({"hyperparameters": {"mode": "cbow", "epochs": "five"}}, "epochs='five' is not valid; it must be an integer"),
        ({"hyperparameters": {"mode": "cbow"}, "resources": {"instance_count": 2}}, "mode=cbow runs on one host"),
        ({"resources": {"instance_count": 0}}, "resources.instance_count is 0; it must be an integer from 1 to 100."),
        ({"resources": {"instance_count": "2"}}, 'resources.instance_count is "2"; it must be an integer'),
        ({"resources": {"instance_typ": "x"}}, "resources.instance_typ is unknown; did you mean instance_type?"),
        ({"resources": []}, "resources is []; it must be an object."),
        (
            {"resources": {"instance_type": "ml.c5.2xlrge"}},
            'resources.instance_type is "ml.c5.2xlrge", which is no SageMaker training instance type; did you mean '
            "ml.c5.2xlarge?",
        ),
        ({"resources": {"instance_type": "ml.g5.xlarge"}}, "this algorithm makes no use of a GPU"),
        ({"endpoint": {"name": "a", "instance_type": "ml.g5.xlarge"}}, "this algorithm makes no use of a GPU"),
        ({"resources": {"spot": "yes"}}, 'resources.spot is "yes"; it must be true or false.'),
        ({"gate": {"metric": "rho", "at_least": 0.5}}, "gate.metric is 'rho', which blazingtext does not emit"),
        ({"gate": {"metric": "train:mean_rho"}}, "gate asks for nothing"),
        ({"gate": {}}, "gate asks for nothing"),
        ({"gate": {"metric": 3, "at_least": 0.5}}, "gate.metric is 3; it must be the name of a metric"),
        (
            {"gate": {"metric": "validation:accuracy", "at_least": 0.5}},
            "gate.metric is 'validation:accuracy', which blazingtext does not emit with mode=batch_skipgram; it must "
            "be one of train:mean_rho, train:throughput.",
        ),
        (
            {"inputs": {"train": {"s3_uri": GOOD["inputs"]["train"], "s3_data_type": "AugmentedManifestFile"}}},
            "mode=batch_skipgram reads its corpus from files; set the input mode of channel 'train' to File.",
        ),
        (
            {"inputs": {"train": GOOD["inputs"]["train"], "test": "s3://the-data/blazingtext/x"}},
            "mode=batch_skipgram has no use for channel 'test'; leave it out.",
        ),
        ({"gate": {"metric": "train:mean_rho", "at_least": "0.5"}}, 'gate.at_least is "0.5"; it must be a number.'),
        ({"gate": {"metric": "train:mean_rho", "at_least": True}}, "gate.at_least is true; it must be a number."),
        (
            {"gate": {"metric": "train:mean_rho", "beat_champion": True}, "endpoint": None},
            "gate.beat_champion is true, but endpoint is null",
        ),
        ({"endpoint": {"name": "e" * 64}}, "it must be 1 to 63 letters, digits and single dashes"),
        ({"endpoint": {"name": "under_score"}}, 'endpoint.name is "under_score"; it must be 1 to 63'),
        ({"endpoint": {}}, "endpoint.name is missing; it must be 1 to 63"),
        ({"endpoint": {"name": "a", "instance_type": "ml.m5"}}, "which is no SageMaker hosting instance type"),
        ({"name": "-x"}, 'name is "-x"; it must be 1 to 63'),
    ],
)
def test_what_cannot_be_meant_is_answered_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    message = refusal({**GOOD, **change})
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize("given", [[], "text8", 3, None])
def test_an_input_that_is_no_object_is_refused(given: object) -> None:
    assert "it must be an object" in refusal(given)


def test_a_missing_required_channel_is_named() -> None:
    assert refusal({**GOOD, "inputs": {}}).startswith("inputs is {}")


def test_an_empty_channel_is_refused_before_anything_is_paid_for() -> None:
    assert "inputs.train: s3://the-data/blazingtext/text8 holds no data" in refusal(GOOD, data=False)
