"""The SageMaker Python SDK v2, as its notebooks use it: train, read metrics, attach, deploy, ask, delete."""

from __future__ import annotations

from pathlib import Path

import pytest
import sagemaker
from sagemaker import image_uris
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.inputs import TrainingInput
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer

from tests.clients.conftest import Cloud, until

METRICS = [{"Name": "train:mean_rho", "Regex": r"#mean_rho: (\S+)"}]


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> sagemaker.Session:
    return sagemaker.Session()


@pytest.fixture(scope="module")
def text(session: sagemaker.Session, corpus: Path) -> TrainingInput:
    uri = session.upload_data(str(corpus), bucket=session.default_bucket(), key_prefix="text8/train")
    return TrainingInput(uri, distribution="FullyReplicated", content_type="text/plain", s3_data_type="S3Prefix")


def estimator_of(session: sagemaker.Session, role: str, **hyperparameters: object) -> Estimator:
    estimator = Estimator(
        image_uris.retrieve("blazingtext", session.boto_region_name),
        role,
        instance_count=1,
        instance_type="ml.c5.2xlarge",
        volume_size=30,
        max_run=3600,
        output_path=f"s3://{session.default_bucket()}/text8/output",
        metric_definitions=METRICS,
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(min_count=1, vector_dim=10, epochs=2, negative_samples=5, **hyperparameters)
    return estimator


@pytest.fixture(scope="module")
def trained(session: sagemaker.Session, cloud: Cloud, text: TrainingInput) -> Estimator:
    estimator = estimator_of(session, cloud.role, mode="skipgram", evaluation=True)
    estimator.fit({"train": text}, logs=False)
    return estimator


@pytest.fixture(scope="module")
def predictor(trained: Estimator, cloud: Cloud) -> Predictor:
    """An endpoint; waited for by boto3, since the SDK looks for the first time after half a minute."""
    predictor = trained.deploy(
        1, "ml.m4.xlarge", serializer=JSONSerializer(), deserializer=JSONDeserializer(), wait=False
    )
    cloud.client("sagemaker").get_waiter("endpoint_in_service").wait(EndpointName=predictor.endpoint_name)
    return predictor


def test_the_default_bucket_is_the_one_that_the_sdk_would_name(session: sagemaker.Session, cloud: Cloud) -> None:
    assert session.default_bucket() == "sagemaker-us-east-1-123456789012"
    assert session.default_bucket() in [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]


def test_a_job_trains_and_leaves_its_model(trained: Estimator, session: sagemaker.Session) -> None:
    job = trained.latest_training_job.describe()
    assert job["TrainingJobStatus"] == "Completed"
    assert job["HyperParameters"]["mode"] == "skipgram"
    assert trained.model_data == job["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, key = trained.model_data.removeprefix("s3://").split("/", 1)
    assert session.boto_session.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] > 100


def test_the_metrics_of_a_job_are_a_data_frame(trained: Estimator) -> None:
    frame = trained.training_job_analytics.dataframe()
    assert set(frame["metric_name"]) == {"train:mean_rho"}
    final = {
        metric["MetricName"]: metric["Value"]
        for metric in trained.latest_training_job.describe()["FinalMetricDataList"]
    }
    assert frame["value"].iloc[-1] == pytest.approx(final["train:mean_rho"])


@pytest.mark.slow
def test_a_job_is_attached_to_by_its_name(trained: Estimator, session: sagemaker.Session) -> None:
    again = Estimator.attach(trained.latest_training_job.name, sagemaker_session=session)
    assert again.model_data == trained.model_data
    assert again.hyperparameters()["vector_dim"] == "10"
    assert again.instance_type == "ml.c5.2xlarge"


@pytest.mark.slow
def test_logs_are_printed_host_by_host(
    session: sagemaker.Session, trained: Estimator, capsys: pytest.CaptureFixture[str]
) -> None:
    session.logs_for_job(trained.latest_training_job.name, wait=True, log_type="All")
    printed = capsys.readouterr().out
    assert "#mean_rho:" in printed
    assert "Training seconds:" in printed
    assert "Billable seconds:" in printed


def test_an_endpoint_answers_and_goes_with_its_configuration_and_model(predictor: Predictor, cloud: Cloud) -> None:
    answer = predictor.predict({"instances": ["king", "tea"]})
    assert [len(found["vector"]) for found in answer] == [10, 10]
    predictor.delete_model()
    predictor.delete_endpoint()
    sagemaker = cloud.client("sagemaker")
    until(lambda: not sagemaker.list_endpoints(NameContains=predictor.endpoint_name)["Endpoints"])
    assert not sagemaker.list_endpoint_configs(NameContains=predictor.endpoint_name)["EndpointConfigs"]
    assert not sagemaker.list_models(NameContains=predictor.endpoint_name)["Models"]


@pytest.mark.slow
def test_a_job_that_fails_says_why(session: sagemaker.Session, cloud: Cloud, text: TrainingInput) -> None:
    estimator = estimator_of(session, cloud.role, mode="guess")
    with pytest.raises(UnexpectedStatusException, match="mode"):
        estimator.fit({"train": text}, logs=False)


@pytest.mark.slow
def test_two_hosts_train_while_their_logs_are_followed(
    session: sagemaker.Session, cloud: Cloud, text: TrainingInput, capsys: pytest.CaptureFixture[str]
) -> None:
    estimator = estimator_of(session, cloud.role, mode="batch_skipgram", batch_size=11)
    estimator.instance_count = 2
    estimator.fit({"train": text}, logs="All", wait=True)
    printed = capsys.readouterr().out
    assert "on 2 hosts" in printed
    assert "Completed - Training job completed" in printed


@pytest.mark.slow
def test_deploy_waits_until_the_endpoint_answers(trained: Estimator) -> None:
    predictor = trained.deploy(1, "ml.m4.xlarge", serializer=JSONSerializer(), deserializer=JSONDeserializer())
    assert predictor.predict({"instances": ["king"]})[0]["word"] == "king"
    predictor.delete_endpoint()
