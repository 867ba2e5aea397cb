"""The main job: a corpus becomes an endpoint that answers, through the deployed pipeline."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import ALGORITHM, SMALL, Deployment

ENDPOINT = "main-job"


@pytest.fixture(scope="module")
def output(deployed: Deployment, corpus: str) -> dict[str, Any]:
    """The output of an execution that trained on two hosts and made an endpoint."""
    execution = deployed.run(
        {
            "name": "main-job",
            "inputs": {"train": corpus},
            "hyperparameters": SMALL,
            "resources": {"instance_count": 2},
            "gate": {"metric": "train:mean_rho", "at_least": -1},
            "endpoint": {"name": ENDPOINT},
        }
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    found: dict[str, Any] = json.loads(execution["output"])
    return found


@pytest.fixture(scope="module")
def model(deployed: Deployment, output: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked model.tar.gz."""
    bucket, _, key = output["training"]["model_s3_uri"].removeprefix("s3://").partition("/")
    packed = deployed.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    folder = tmp_path_factory.mktemp("model")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def ask(deployed: Deployment, body: dict[str, Any], endpoint: str = ENDPOINT) -> Any:
    answer = deployed.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(body)
    )
    return json.loads(answer["Body"].read())


def vector(deployed: Deployment, word: str) -> Any:
    return np.array(ask(deployed, {"instances": [word]})[0]["vector"], dtype=np.float32)


def test_the_output_tells_the_run_its_metrics_and_its_endpoint(output: dict[str, Any]) -> None:
    assert output["algorithm"] == ALGORITHM
    assert output["training"]["metrics"].keys() >= {"train:mean_rho", "train:throughput"}
    assert output["evaluation"]["details"]["EN-WS-353-ALL.txt"]["total_pairs"] == 353
    assert output["evaluation"]["gate"]["passed"] is True
    assert output["endpoint"]["name"] == ENDPOINT
    assert output["endpoint"]["action"] == "created"
    assert output["smoke_test"]["passed"] is True


def test_both_hosts_logged_their_share_of_the_training(deployed: Deployment, output: dict[str, Any]) -> None:
    streams = deployed.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=output["training"]["job_name"]
    )["logStreams"]
    assert sorted(stream["logStreamName"].split("/")[1].rsplit("-", 1)[0] for stream in streams) == ["algo-1", "algo-2"]


def test_the_endpoint_answers_the_vectors_that_gensim_reads_from_the_text(deployed: Deployment, model: Path) -> None:
    from gensim.models import KeyedVectors

    vectors = KeyedVectors.load_word2vec_format(str(model / "vectors.txt"))
    for word in ("the", "government", "people"):
        np.testing.assert_array_equal(vector(deployed, word), vectors[word])


def test_the_endpoint_answers_the_vectors_that_gensim_reads_from_the_binary(deployed: Deployment, model: Path) -> None:
    from gensim.models.fasttext import load_facebook_model, load_facebook_vectors

    vectors = load_facebook_vectors(str(model / "vectors.bin"))
    whole = load_facebook_model(str(model / "vectors.bin")).wv
    for word in ("the", "government", "people"):
        np.testing.assert_array_equal(vector(deployed, word), vectors[word])
        np.testing.assert_array_equal(vector(deployed, word), whole[word])


def test_the_endpoint_answers_the_vectors_that_fasttext_reads(deployed: Deployment, model: Path) -> None:
    import fasttext

    loaded = fasttext.load_model(str(model / "vectors.bin"))
    for word in ("the", "government", "people"):
        np.testing.assert_array_equal(vector(deployed, word), loaded.get_word_vector(word))


def test_an_unknown_word_gets_zeros(deployed: Deployment, output: dict[str, Any]) -> None:
    assert not vector(deployed, "qqqqq").any()


def test_neighbours_are_asked_through_the_endpoint(deployed: Deployment, model: Path) -> None:
    from gensim.models import KeyedVectors

    [answer] = ask(deployed, {"instances": ["government"], "configuration": {"nearest": 5}})
    expected = KeyedVectors.load_word2vec_format(str(model / "vectors.txt")).most_similar("government", topn=5)
    assert [neighbor["word"] for neighbor in answer["neighbors"]] == [word for word, _ in expected]
    assert [n["similarity"] for n in answer["neighbors"]] == pytest.approx([s for _, s in expected], abs=1e-4)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"not json", "is not JSON"),
        (b'{"words": ["the"]}', "has no"),
        (b'{"instances": [1, 2]}', "string"),
        (b'{"instances": "the"}', "list"),
        (b"\xff\xfe", "is not JSON"),
    ],
)
def test_a_bad_request_is_answered_with_400_and_the_server_stays_up(
    deployed: Deployment, output: dict[str, Any], body: bytes, sentence: str
) -> None:
    runtime = deployed.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as error:
        runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=body)
    assert error.value.response["OriginalStatusCode"] == 400
    assert sentence in error.value.response["OriginalMessage"]
    assert vector(deployed, "the").any()


def test_a_second_run_updates_the_endpoint_and_retires_the_old_model(
    deployed: Deployment, corpus: str, output: dict[str, Any]
) -> None:
    before = deployed.hosted()
    execution = deployed.run(
        {
            "name": "main-job",
            "inputs": {"train": corpus},
            "hyperparameters": {**SMALL, "seed": "7"},
            "gate": {"metric": "train:mean_rho", "at_least": -1},
            "endpoint": {"name": ENDPOINT},
        }
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    after = deployed.hosted()
    assert json.loads(execution["output"])["endpoint"]["action"] == "updated"
    assert after["endpoints"] == before["endpoints"]
    assert len(after["models"]) == len(before["models"])
    assert len(after["configs"]) == len(before["configs"])
    assert after["models"] != before["models"]
