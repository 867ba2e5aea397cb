"""Text classification with the SageMaker Python SDK v2: which AWS service is a sentence about?

Environment: SAGEMAKER_ROLE, a role's ARN; SAGEMAKER_BUCKET, a bucket, or the SDK's default one.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from pathlib import Path

import sagemaker
from botocore.session import get_session
from sagemaker.deserializers import JSONDeserializer
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import JSONSerializer

_SERVICES = ("s3", "sqs", "lambda", "iam", "dynamodb")


def write(folder: Path) -> tuple[Path, Path]:
    """Label each operation's sentences with their service; every fifth line is for validation."""
    lines = []
    for service in _SERVICES:
        model = get_session().get_service_model(service)
        for name in model.operation_names:
            text = re.sub("<[^>]+>", " ", model.operation_model(name).documentation).lower()
            for sentence in text.split(". "):
                words = re.findall("[a-z0-9]+", sentence)
                if len(words) > 4:
                    lines.append(f"__label__{service} {' '.join(words)}\n")
    random.Random(0).shuffle(lines)
    train, validation = folder / "train.txt", folder / "validation.txt"
    train.write_text("".join(line for number, line in enumerate(lines) if number % 5))
    validation.write_text("".join(lines[::5]))
    return train, validation


def main() -> None:
    session = sagemaker.Session()
    bucket = os.environ.get("SAGEMAKER_BUCKET") or session.default_bucket()
    channels = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in write(Path(folder)):
            uri = session.upload_data(str(path), bucket=bucket, key_prefix=f"classification/{path.stem}")
            channels[path.stem] = TrainingInput(uri, content_type="text/plain")
    classifier = sagemaker.estimator.Estimator(
        sagemaker.image_uris.retrieve("blazingtext", session.boto_region_name),
        os.environ["SAGEMAKER_ROLE"],
        instance_count=1,
        instance_type="ml.c4.4xlarge",
        output_path=f"s3://{bucket}/classification/output",
        metric_definitions=[{"Name": "validation:accuracy", "Regex": r"#validation_accuracy: (\S+)"}],
        hyperparameters={
            "mode": "supervised",
            "epochs": 40,
            "learning_rate": 0.2,
            "min_count": 2,
            "vector_dim": 10,
            "word_ngrams": 2,
        },
        sagemaker_session=session,
    )
    classifier.fit(channels, logs=False)
    for metric in classifier.latest_training_job.describe()["FinalMetricDataList"]:
        print(f"{metric['MetricName']} = {metric['Value']:.3f}")
    predictor = classifier.deploy(
        initial_instance_count=1,
        instance_type="ml.m4.xlarge",
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    sentences = ["deletes the specified queue and its messages", "grants a user the policy of a role"]
    answers = predictor.predict({"instances": sentences, "configuration": {"k": 1}})
    for sentence, answer in zip(sentences, answers, strict=True):
        print(f"{answer['label'][0]} ({answer['prob'][0]:.2f}): {sentence}")
    predictor.delete_model()
    predictor.delete_endpoint()


if __name__ == "__main__":
    main()
