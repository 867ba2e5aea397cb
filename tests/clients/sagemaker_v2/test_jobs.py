"""The SageMaker Python SDK v2's other jobs: HyperparameterTuner, Processor, ScriptProcessor, Transformer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sagemaker
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor, ScriptProcessor
from sagemaker.s3 import S3Downloader
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.slow

SCRIPT = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--data", type=pathlib.Path)
parser.add_argument("--to", type=pathlib.Path)
given = parser.parse_args()
for path in given.data.iterdir():
    text = path.read_text().upper()
    (given.to / path.name).write_text(text)
    print("wrote", len(text))
"""


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> sagemaker.Session:
    return sagemaker.Session()


@pytest.fixture(scope="module")
def image(session: sagemaker.Session) -> str:
    return str(image_uris.retrieve("blazingtext", session.boto_region_name))


@pytest.fixture(scope="module")
def channels(session: sagemaker.Session, labelled: Path) -> dict[str, TrainingInput]:
    uri = session.upload_data(str(labelled), bucket=session.default_bucket(), key_prefix="jobs/labelled")
    return {name: TrainingInput(uri, content_type="text/plain") for name in ("train", "validation")}


def classifier_of(session: sagemaker.Session, image: str, role: str) -> Estimator:
    return Estimator(
        image,
        role,
        instance_count=1,
        instance_type="ml.c4.xlarge",
        output_path=f"s3://{session.default_bucket()}/jobs/output",
        hyperparameters={"mode": "supervised", "min_count": 1, "vector_dim": 10, "epochs": 5},
        sagemaker_session=session,
    )


def test_a_tuner_finds_the_best_job_and_attaches_to_it(
    session: sagemaker.Session, image: str, cloud: Cloud, channels: dict[str, TrainingInput]
) -> None:
    tuner = HyperparameterTuner(
        classifier_of(session, image, cloud.role),
        objective_metric_name="validation:accuracy",
        hyperparameter_ranges={"learning_rate": ContinuousParameter(0.01, 0.5), "epochs": IntegerParameter(5, 15)},
        max_jobs=3,
        max_parallel_jobs=1,
        strategy="Random",
    )
    tuner.fit(channels)
    frame = tuner.analytics().dataframe()
    assert len(frame) == 3
    assert set(frame["TrainingJobStatus"]) == {"Completed"}
    assert set(frame.columns) >= {"learning_rate", "epochs", "FinalObjectiveValue"}
    best = tuner.best_estimator()
    assert best.latest_training_job.name == tuner.best_training_job()
    best_value = frame.set_index("TrainingJobName")["FinalObjectiveValue"][tuner.best_training_job()]
    assert best_value == frame["FinalObjectiveValue"].max()
    again = HyperparameterTuner.attach(tuner.latest_tuning_job.name, sagemaker_session=session)
    assert again.best_training_job() == tuner.best_training_job()


def test_a_script_processor_runs_a_script_and_brings_its_output(
    session: sagemaker.Session, image: str, cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "upper.py").write_text(SCRIPT)
    (tmp_path / "a.txt").write_text("in small letters")
    processor = ScriptProcessor(
        image_uri=image,
        command=["python3"],
        role=cloud.role,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )
    processor.run(
        code=str(tmp_path / "upper.py"),
        inputs=[ProcessingInput(source=str(tmp_path / "a.txt"), destination="/opt/ml/processing/input/data")],
        outputs=[ProcessingOutput(output_name="upper", source="/opt/ml/processing/output")],
        arguments=["--data", "/opt/ml/processing/input/data", "--to", "/opt/ml/processing/output"],
        logs=True,
    )
    assert "wrote 16" in capsys.readouterr().out
    found: Any = processor.latest_job.outputs[0]
    assert S3Downloader.read_file(f"{found.destination}/a.txt", sagemaker_session=session) == "IN SMALL LETTERS"


def test_a_processor_runs_a_command(session: sagemaker.Session, image: str, cloud: Cloud) -> None:
    command = "import pathlib, sys; pathlib.Path(sys.argv[1], 'said.txt').write_text('hello')"
    processor = Processor(
        role=cloud.role,
        image_uri=image,
        instance_count=1,
        instance_type="ml.m5.large",
        entrypoint=["python3", "-c", command],
        sagemaker_session=session,
    )
    processor.run(
        outputs=[ProcessingOutput(output_name="said", source="/opt/ml/processing/said")],
        arguments=["/opt/ml/processing/said"],
        logs=False,
    )
    assert processor.latest_job.describe()["ProcessingJobStatus"] == "Completed"
    uri = processor.latest_job.outputs[0].destination
    assert S3Downloader.read_file(f"{uri}/said.txt", sagemaker_session=session) == "hello"


def test_a_transformer_labels_every_line(
    session: sagemaker.Session, image: str, cloud: Cloud, channels: dict[str, TrainingInput], tmp_path: Path
) -> None:
    classifier = classifier_of(session, image, cloud.role)
    classifier.set_hyperparameters(mode="supervised", min_count=1, vector_dim=10, epochs=20, learning_rate=0.3)
    classifier.fit(channels, logs=False)
    texts = ["the film was fine and lovely", "the film was dull and bad"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"source": text}) + "\n" for text in texts))
    data = session.upload_data(str(tmp_path / "texts.jsonl"), bucket=session.default_bucket(), key_prefix="jobs/texts")
    transformer = classifier.transformer(
        1, "ml.m4.xlarge", strategy="MultiRecord", assemble_with="Line", accept="application/jsonlines"
    )
    transformer.transform(data, content_type="application/jsonlines", split_type="Line", logs=False)
    answers = S3Downloader.read_file(f"{transformer.output_path}/texts.jsonl.out", sagemaker_session=session)
    labels = [json.loads(line)["label"][0] for line in answers.splitlines()]
    assert labels == ["__label__praise", "__label__blame"]
