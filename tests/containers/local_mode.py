"""The SageMaker SDK's own local mode with an image: `local_mode.py IMAGE FOLDER HOSTS`, in the environment of the SDK.

FOLDER/corpus holds the text. Prints the model's address and what the endpoint answers, each as a line of JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.serializers import JSONSerializer


def main(image: str, folder: Path, hosts: int) -> None:
    estimator = Estimator(
        image,
        "arn:aws:iam::123456789012:role/local",
        hosts,
        "local",
        sagemaker_session=LocalSession(boto3.Session()),
        output_path=f"file://{folder}/output",
        hyperparameters={"mode": "batch_skipgram", "vector_dim": 20, "min_count": 1, "sampling_threshold": 0.9},
    )
    estimator.fit({"train": f"file://{folder}/corpus"})
    print(json.dumps({"model": estimator.model_data}), flush=True)
    predictor = estimator.deploy(1, "local", serializer=JSONSerializer(), deserializer=JSONDeserializer())
    print(json.dumps({"answer": predictor.predict({"instances": ["cat", "dog", "bus"]})}), flush=True)
    predictor.delete_endpoint()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
