"""The SageMaker Python SDK v3: ModelTrainer, the resource classes, ModelBuilder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import ContainerDefinition, MetricDefinition, ProductionVariant
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, StoppingCondition

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.slow
ASKED = json.dumps({"instances": ["king", "tea"]})


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> Session:
    return Session()


@pytest.fixture(scope="module")
def image(session: Session) -> str:
    return str(image_uris.retrieve("blazingtext", session.boto_region_name))


def trainer_of(session: Session, image: str, role: str, **hyperparameters: object) -> ModelTrainer:
    trainer = ModelTrainer(
        training_image=image,
        role=role,
        base_job_name="words",
        sagemaker_session=session,
        compute=Compute(instance_type="ml.c5.2xlarge", instance_count=1, volume_size_in_gb=30),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{session.default_bucket()}/v3"),
        hyperparameters={"min_count": 1, "vector_dim": 10, "epochs": 2, **hyperparameters},
    )
    return trainer.with_metric_definitions([MetricDefinition(name="train:mean_rho", regex=r"#mean_rho: (\S+)")])


@pytest.fixture(scope="module")
def text(session: Session, corpus: Path) -> list[InputData]:
    uri = session.upload_data(str(corpus), bucket=session.default_bucket(), key_prefix="v3/train")
    return [InputData(channel_name="train", data_source=uri, content_type="text/plain")]


@pytest.fixture(scope="module")
def trained(session: Session, image: str, cloud: Cloud, text: list[InputData]) -> ModelTrainer:
    trainer = trainer_of(session, image, cloud.role, mode="skipgram", evaluation=True)
    trainer.train(input_data_config=text, wait=True, logs=True)
    return trainer


def job_of(trainer: ModelTrainer) -> TrainingJob:
    job: Any = trainer._latest_training_job
    return TrainingJob.get(job.training_job_name)


def vector_lengths(endpoint: Endpoint) -> list[int]:
    answer: Any = endpoint.invoke(body=ASKED, content_type="application/json")
    return [len(found["vector"]) for found in json.loads(answer.body.read())]


def test_a_trainer_trains_and_its_job_can_be_read_again(trained: ModelTrainer) -> None:
    job = job_of(trained)
    assert job.training_job_status == "Completed"
    assert job.model_artifacts.s3_model_artifacts.endswith("/output/model.tar.gz")
    assert [metric.metric_name for metric in job.final_metric_data_list] == ["train:mean_rho"]
    assert job.training_job_name in [found.training_job_name for found in TrainingJob.get_all()]


def test_a_role_that_may_nothing_is_refused_before_the_job(session: Session, image: str, cloud: Cloud) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("iam").create_role(RoleName="powerless", AssumeRolePolicyDocument=document)
    with pytest.raises(Exception, match="Missing permissions: "):
        trainer_of(session, image, "arn:aws:iam::123456789012:role/powerless", mode="skipgram")


def test_resources_are_made_waited_for_asked_and_deleted(trained: ModelTrainer, image: str, cloud: Cloud) -> None:
    job = job_of(trained)
    name = job.training_job_name
    container = ContainerDefinition(image=image, model_data_url=job.model_artifacts.s3_model_artifacts)
    model = Model.create(model_name=name, primary_container=container, execution_role_arn=cloud.role)
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name=name, initial_instance_count=1, instance_type="ml.m5.large"
    )
    config = EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
    endpoint.wait_for_status("InService")
    assert vector_lengths(endpoint) == [10, 10]
    endpoint.delete()
    endpoint.wait_for_delete()
    config.delete()
    model.delete()
    assert name not in [found.endpoint_name for found in Endpoint.get_all()]


def built(trained: ModelTrainer, session: Session, image: str, role: str) -> ModelBuilder:
    """A builder that has made a model of what a trainer trained."""
    builder = ModelBuilder(
        model=trained,
        image_uri=image,
        role_arn=role,
        sagemaker_session=session,
        instance_type="ml.m5.large",
        s3_model_data_url=job_of(trained).model_artifacts.s3_model_artifacts,
    )
    builder.build()
    return builder


def test_a_builder_makes_an_endpoint_of_a_trainers_model(
    trained: ModelTrainer, session: Session, image: str, cloud: Cloud
) -> None:
    builder = built(trained, session, image, cloud.role)
    endpoint: Any = builder.deploy(endpoint_name="built", wait=False)
    endpoint.wait_for_status("InService")
    assert vector_lengths(endpoint) == [10, 10]
    endpoint.delete()


def test_a_failed_job_says_why(session: Session, image: str, cloud: Cloud, text: list[InputData]) -> None:
    trainer = trainer_of(session, image, cloud.role, mode="guess")
    with pytest.raises(Exception, match="mode"):
        trainer.train(input_data_config=text, wait=True, logs=False)


def test_deploy_waits_until_the_endpoint_answers(
    trained: ModelTrainer, session: Session, image: str, cloud: Cloud
) -> None:
    builder = built(trained, session, image, cloud.role)
    endpoint: Any = builder.deploy(endpoint_name="waited-for")
    assert vector_lengths(endpoint) == [10, 10]
    endpoint.delete()
    endpoint.wait_for_delete()
