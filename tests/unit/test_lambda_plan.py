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
    resources = {"InstanceType": "ml.c5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    assert job["ResourceConfig"] == {**resources, "VolumeKmsKeyId": SITE.key_arn}
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
        ({"tuning": {"jobs": 3}}, "tuning.ranges is missing; it must be an object of ranges such as"),
        ({"tuning": {"ranges": {}}}, "tuning.ranges is {}; it must be an object of ranges such as"),
        ({"tuning": {"ranges": {"vector_dim": []}}}, "tuning.ranges.vector_dim is []; it must be a lowest and"),
        ({"tuning": {"ranges": {"vector_dim": [50]}}}, "tuning.ranges.vector_dim is [50]; it must be a lowest and"),
        ({"tuning": {"ranges": {"vector_dim": [50, 10]}}}, "tuning.ranges.vector_dim is [50, 10]; it must be a lowest"),
        ({"tuning": {"ranges": {"vector_dim": [0, 10]}}}, "vector_dim=0 is out of range; it must be an integer from 1"),
        (
            {"tuning": {"ranges": {"vectr_dim": [1, 2]}}},
            "vectr_dim is unknown to blazingtext; did you mean vector_dim?",
        ),
        ({"tuning": {"ranges": {"mode": ["cbow", "skipgram"]}}}, "mode is in tuning.ranges and in hyperparameters"),
        (
            {"tuning": {"ranges": {"epochs": [1, 5]}, "metric": "rho"}},
            "tuning.metric is 'rho', which blazingtext does not emit",
        ),
        (
            {"tuning": {"ranges": {"epochs": [1, 5]}, "jobs": 0}},
            "tuning.jobs is 0; it must be an integer from 1 to 500.",
        ),
        (
            {"preparation": {"name": "phrases", "inputs": {}}},
            "preparation.inputs is {}; it must be an object of raw data",
        ),
        (
            {"preparation": {"name": "phrase", "inputs": {"corpus": "s3://the-data/blazingtext/x"}}, "inputs": {}},
            "preparation.name is 'phrase', which blazingtext has not; did you mean phrases?",
        ),
        (
            {"preparation": {"name": "phrases", "inputs": {"corpus": "s3://the-data/blazingtext/x"}}},
            "inputs.train is given, but preparation phrases makes this channel; leave one out.",
        ),
        (
            {"preparation": {"name": "phrases", "inputs": {"text": "s3://the-data/blazingtext/x"}}, "inputs": {}},
            "preparation.inputs.text is unknown; known are corpus.",
        ),
        (
            {"preparation": {"name": "phrases", "inputs": {"corpus": "s3://elsewhere/x"}}, "inputs": {}},
            'preparation.inputs.corpus is "s3://elsewhere/x"; it must lie in s3://the-data/blazingtext/',
        ),
        (
            {
                "inputs": {},
                "preparation": {
                    "name": "phrases",
                    "inputs": {"corpus": "s3://the-data/blazingtext/x"},
                    "options": {"thresold": 1},
                },
            },
            "option thresold is unknown; did you mean threshold?",
        ),
        (
            {
                "inputs": {},
                "preparation": {
                    "name": "phrases",
                    "inputs": {"corpus": "s3://the-data/blazingtext/x"},
                    "instance_count": 2,
                },
            },
            "preparation.instance_count is 2, but preparation phrases runs on one host.",
        ),
        ({"resources": {"max_interruptions": 2}}, "resources.max_interruptions is 2, but resources.spot is false"),
        ({"approval": {"timeout_s": 5}}, "approval.timeout_s is 5; it must be an integer from 60 to 31536000."),
        ({"registration": "yes"}, 'registration is "yes"; it must be true, false or an object.'),
        (
            {"batch": {"input": "s3://the-data/blazingtext/x"}, "endpoint": {"name": "a"}},
            "batch and endpoint are both given",
        ),
        ({"batch": {"input": "s3://elsewhere/x"}}, 'batch.input is "s3://elsewhere/x"; it must lie in'),
        (
            {"batch": {"input": "s3://the-data/blazingtext/x", "content_type": "text/plain"}},
            "batch.content_type is 'text/plain'; it must be application/json or application/jsonlines.",
        ),
        (
            {"endpoint": {"name": "a", "rollout": {"strategy": "canary"}}},
            "endpoint.rollout.strategy is canary, but endpoint.instance_count is 1",
        ),
        (
            {"endpoint": {"name": "a", "serverless": True, "instance_count": 1}},
            "endpoint.instance_count and endpoint.serverless are both given",
        ),
        (
            {"endpoint": {"name": "a", "scaling": {"min_instances": 3, "max_instances": 2}}},
            "endpoint.scaling.min_instances is 3; it must be at most max_instances=2.",
        ),
        (
            {"endpoint": {"name": "a", "instance_count": 5, "scaling": {"max_instances": 2}}},
            "endpoint.instance_count is 5; with endpoint.scaling it must be from 1 to 2.",
        ),
        (
            {"endpoint": {"name": "a", "alarms": {"latency": 5}}},
            "endpoint.alarms.latency is unknown; did you mean latency_p99_ms?",
        ),
        (
            {"endpoint": {"name": "a", "capture": {"percent": 0}}},
            "endpoint.capture.percent is 0; it must be an integer",
        ),
        ({"comparison": True, "endpoint": None}, "comparison is true, but endpoint is null; the champion is"),
        (
            {"endpoint": {"name": "a", "shadow": True, "scaling": {"max_instances": 2}}},
            "endpoint.scaling and endpoint.shadow are both given",
        ),
        ({"endpoint": {"name": "a", "shadow": {"percent": 5}}}, "endpoint.shadow.percent is 5; it must be an integer"),
        ({"max_cost_usd": 0}, "max_cost_usd is 0; it must be US dollars above 0, or null."),
        ({"max_cost_usd": 5}, "max_cost_usd is 5, but the settings have no price of ml.c5.2xlarge (training)"),
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


PRICED = SITE.model_copy(
    update={"prices_usd_per_hour": {"ml.c5.2xlarge": 0.5, "ml.m5.large": 0.1}, "max_cost_usd": 3.0}
)


def priced(given: dict[str, Any]) -> dict[str, Any]:
    return plan(ALGORITHM, PRICED, {"name": "r", "input": {**GOOD, **given}}, lambda bucket, prefix: True)


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({}, 0.5),
        ({"resources": {"instance_count": 2, "max_runtime_s": 7200}}, 2.0),
        # A spot job may have to begin again on demand.
        ({"resources": {"spot": True}}, 1.0),
        ({"tuning": {"ranges": {"epochs": [1, 5]}, "jobs": 4}}, 2.0),
        ({"tuning": {"ranges": {"epochs": [1, 5]}, "jobs": 4, "then": "train"}}, 2.5),
        ({"batch": {"input": "s3://the-data/blazingtext/x"}}, 0.6),
        ({"max_cost_usd": 0.5}, 0.5),
    ],
)
def test_what_the_jobs_can_cost_is_reckoned_from_the_prices(given: dict[str, Any], most: float) -> None:
    assert priced(given)["cost"]["most_usd"] == pytest.approx(most)


@pytest.mark.parametrize("given", [{"max_cost_usd": 0.4}, {"tuning": {"ranges": {"epochs": [1, 5]}, "jobs": 7}}])
def test_what_can_cost_more_than_either_limit_is_refused_with_its_parts(given: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidJobError, match=r"the jobs can cost \d\.\d\d USD \((training|tuning) \d\.\d\d\), which is more"
    ):
        priced(given)


def test_without_a_limit_no_price_is_needed() -> None:
    assert planned(GOOD)["cost"] is None


def test_a_preparations_channel_lies_where_its_job_writes() -> None:
    raw = {"corpus": "s3://the-data/blazingtext/raw"}
    made = planned({"preparation": {"name": "phrases", "inputs": raw}, "hyperparameters": GOOD["hyperparameters"]})
    (channel,) = made["training"]["InputDataConfig"]
    (output,) = made["preparation"]["ProcessingOutputConfig"]["Outputs"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == output["S3Output"]["S3Uri"]
    entrypoint = made["preparation"]["AppSpecification"]["ContainerEntrypoint"]
    assert entrypoint[:4] == ["python", "-m", "blazingtext", "phrases"]
    assert f"{output['S3Output']['LocalPath']}/corpus.txt" in entrypoint
    assert made["clean_up"] == [f"{output['S3Output']['S3Uri']}/"]


def test_ranges_become_sagemakers_and_the_rest_stays_as_it_is() -> None:
    ranges = {"vector_dim": [50, 300], "learning_rate": [0.01, 0.1], "mode": ["cbow", "skipgram"]}
    asked = {"inputs": GOOD["inputs"], "hyperparameters": {"epochs": 3}, "tuning": {"ranges": ranges, "parallel": 30}}
    tuning = planned(asked)["tuning"]
    config = tuning["HyperParameterTuningJobConfig"]
    found = config["ParameterRanges"]
    assert found["IntegerParameterRanges"][0] | {} == {
        "Name": "vector_dim",
        "MinValue": "50",
        "MaxValue": "300",
        "ScalingType": "Auto",
    }
    assert found["ContinuousParameterRanges"][0]["MaxValue"] == "0.1"
    assert found["CategoricalParameterRanges"] == [{"Name": "mode", "Values": ["cbow", "skipgram"]}]
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 10}
    static = tuning["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["epochs"] == "3"
    assert not set(ranges) & set(static)
    grid = {**asked, "tuning": {"ranges": {"vector_dim": [50, 100, 300]}, "strategy": "Grid"}}
    grid["hyperparameters"] = GOOD["hyperparameters"]
    listed = planned(grid)["tuning"]["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert listed == {"CategoricalParameterRanges": [{"Name": "vector_dim", "Values": ["50", "100", "300"]}]}


def endpoint(**more: Any) -> dict[str, Any]:
    deployment: dict[str, Any] = planned({**GOOD, "endpoint": {"name": "a", **more}})["deployment"]
    return deployment


def test_traffic_is_shifted_as_asked_and_the_alarms_may_take_it_back() -> None:
    rollout = {"strategy": "linear", "step_percent": 25, "wait_s": 300}
    update = endpoint(instance_count=4, rollout=rollout, alarms={"cpu_percent": None})["update"]
    policy = update["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "WaitIntervalInSeconds": 300,
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
    }
    # The instances' hour, four waits between steps, and the watch before the former ones go.
    assert policy["MaximumExecutionTimeoutInSeconds"] == 3600 + 4 * 300 + 300
    names = [alarm["AlarmName"] for alarm in update["AutoRollbackConfiguration"]["Alarms"]]
    assert names == ["kindling-blazingtext-a-5xx", "kindling-blazingtext-a-latency"]


def test_all_at_once_is_watched_before_the_former_instances_go() -> None:
    policy = endpoint(rollout={"wait_s": 60}, alarms=True)["update"]["BlueGreenUpdatePolicy"]
    assert policy["TerminationWaitInSeconds"] == 60
    assert endpoint(rollout={"wait_s": 60})["update"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 0


def test_the_settings_say_whether_endpoints_have_alarms_and_the_input_goes_before_them() -> None:
    watched = SITE.model_copy(update={"endpoint_alarms": True})

    def alarms(**more: Any) -> list[str]:
        given = {**GOOD, "endpoint": {"name": "a", **more}}
        made = plan(ALGORITHM, watched, {"name": "r", "input": given}, lambda bucket, prefix: True)
        return [alarm["AlarmName"].rsplit("-", 1)[1] for alarm in made["deployment"]["alarms"]]

    assert alarms() == ["5xx", "latency", "cpu"]
    assert alarms(alarms=False) == alarms(alarms=None) == []
    assert alarms(alarms={"idle_hours": 3, "cpu_percent": None}) == ["5xx", "latency", "idle"]
    assert endpoint()["alarms"] == []


def test_a_serverless_endpoint_has_no_instances_and_no_alarm_on_them() -> None:
    made = endpoint(serverless={"memory_mb": 2048}, alarms=True)
    (variant,) = made["variants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert "InstanceType" not in variant
    assert (made["network_isolation"], endpoint()["network_isolation"]) == (False, True)
    assert not [alarm for alarm in made["alarms"] if alarm["AlarmName"].endswith("-cpu")]


def test_a_batch_stands_in_place_of_an_endpoint() -> None:
    made = planned({**GOOD, "batch": {"input": "s3://the-data/blazingtext/records"}})
    assert made["deployment"]["wanted"] is False
    assert made["batch"]["TransformOutput"]["S3OutputPath"].startswith("s3://the-models/blazingtext/batch/")


def test_what_is_approved_is_registered() -> None:
    assert planned({**GOOD, "approval": True})["registration"] == {"description": None}
    assert planned({**GOOD, "registration": False})["registration"] is None


def test_a_shadow_changes_nothing_of_what_serves() -> None:
    watched = SITE.model_copy(update={"endpoint_alarms": True})
    given = {**GOOD, "endpoint": {"name": "a", "shadow": True, "instance_count": 2}}
    made = plan(ALGORITHM, watched, {"name": "r", "input": given}, lambda bucket, prefix: True)["deployment"]
    assert (made["shadow"], made["alarms"], made["scaling"]) == ({"percent": 100}, [], None)
    routing = made["update"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["Type"] == "ALL_AT_ONCE"
    assert endpoint()["shadow"] is None
