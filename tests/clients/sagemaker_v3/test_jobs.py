"""The SageMaker Python SDK v3's other jobs: HyperparameterTuner, ScriptProcessor, Transformer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.resources import Model
from sagemaker.core.s3 import S3Downloader
from sagemaker.core.shapes import (
    ContainerDefinition,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.transformer import Transformer
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig
from sagemaker.train.tuner import HyperparameterTuner

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.slow

SCRIPT = """
import pathlib, sys
for path in pathlib.Path(sys.argv[1]).iterdir():
    pathlib.Path(sys.argv[2], path.name).write_text(path.read_text().upper())
"""
BASE = "/opt/ml/processing"


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> Session:
    return Session()


@pytest.fixture(scope="module")
def image(session: Session) -> str:
    return str(image_uris.retrieve("blazingtext", session.boto_region_name))


@pytest.fixture(scope="module")
def channels(session: Session, labelled: Path) -> list[InputData]:
    uri = session.upload_data(str(labelled), bucket=session.default_bucket(), key_prefix="v3-jobs/labelled")
    return [
        InputData(channel_name=name, data_source=uri, content_type="text/plain") for name in ("train", "validation")
    ]


@pytest.fixture
def trainer(session: Session, image: str, cloud: Cloud) -> ModelTrainer:
    return ModelTrainer(
        training_image=image,
        role=cloud.role,
        base_job_name="labels",
        sagemaker_session=session,
        compute=Compute(instance_type="ml.c4.xlarge", instance_count=1, volume_size_in_gb=5),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{session.default_bucket()}/v3-jobs/output"),
        hyperparameters={"mode": "supervised", "min_count": 1, "vector_dim": 10, "epochs": 20, "learning_rate": 0.3},
    )


def test_a_tuner_finds_the_best_job(trainer: ModelTrainer, channels: list[InputData]) -> None:
    tuner = HyperparameterTuner(
        trainer,
        objective_metric_name="validation:accuracy",
        hyperparameter_ranges={"learning_rate": ContinuousParameter(0.01, 0.5)},
        max_jobs=2,
        strategy="Random",
    )
    tuner.tune(inputs=channels)
    found: Any = tuner.describe()
    assert found.hyper_parameter_tuning_job_status == "Completed"
    assert found.training_job_status_counters.completed == 2
    assert tuner.best_training_job() == found.best_training_job.training_job_name


def test_a_script_processor_runs_a_script_and_brings_its_output(
    session: Session, image: str, cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "upper.py").write_text(SCRIPT)
    (tmp_path / "a.txt").write_text("in small letters")
    bucket = session.default_bucket()
    data = session.upload_data(str(tmp_path / "a.txt"), bucket=bucket, key_prefix="v3-jobs/data")
    source = ProcessingS3Input(
        s3_uri=data, s3_data_type="S3Prefix", local_path=f"{BASE}/input/data", s3_input_mode="File"
    )
    target = ProcessingS3Output(
        s3_uri=f"s3://{bucket}/v3-jobs/upper", local_path=f"{BASE}/output", s3_upload_mode="EndOfJob"
    )
    processor = ScriptProcessor(
        role=cloud.role,
        image_uri=image,
        command=["python3"],
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )
    processor.run(
        code=str(tmp_path / "upper.py"),
        inputs=[ProcessingInput(input_name="data", s3_input=source)],
        outputs=[ProcessingOutput(output_name="upper", s3_output=target)],
        arguments=[f"{BASE}/input/data", f"{BASE}/output"],
    )
    text = S3Downloader.read_file(f"s3://{bucket}/v3-jobs/upper/a.txt", sagemaker_session=session)
    assert text == "IN SMALL LETTERS"


def test_a_transformer_labels_every_line(
    trainer: ModelTrainer, channels: list[InputData], session: Session, image: str, cloud: Cloud, tmp_path: Path
) -> None:
    trainer.train(input_data_config=channels, logs=False)
    job: Any = trainer._latest_training_job
    container = ContainerDefinition(image=image, model_data_url=job.model_artifacts.s3_model_artifacts)
    Model.create(model_name="v3-labels", primary_container=container, execution_role_arn=cloud.role)
    texts = ["the film was fine and lovely", "the film was dull and bad"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"source": text}) + "\n" for text in texts))
    bucket = session.default_bucket()
    data = session.upload_data(str(tmp_path / "texts.jsonl"), bucket=bucket, key_prefix="v3-jobs/texts")
    transformer = Transformer(
        model_name="v3-labels",
        instance_count=1,
        instance_type="ml.m4.xlarge",
        strategy="MultiRecord",
        assemble_with="Line",
        accept="application/jsonlines",
        output_path=f"s3://{bucket}/v3-jobs/labels",
        sagemaker_session=session,
    )
    transformer.transform(data, content_type="application/jsonlines", split_type="Line", logs=False)
    answers = S3Downloader.read_file(f"s3://{bucket}/v3-jobs/labels/texts.jsonl.out", sagemaker_session=session)
    labels = [json.loads(line)["label"][0] for line in answers.splitlines()]
    assert labels == ["__label__praise", "__label__blame"]
