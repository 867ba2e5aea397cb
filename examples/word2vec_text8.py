"""Word vectors by two hosts with the SageMaker Python SDK v2: fit, deploy, predict, download, and draw by t-SNE.

Environment: SAGEMAKER_ROLE, a role's ARN; SAGEMAKER_BUCKET, a bucket, or the SDK's default one.
`python word2vec_text8.py [CORPUS] [--out FOLDER]`; without a corpus it is made of botocore's documentation.
"""

from __future__ import annotations

import argparse
import os
import tarfile
from pathlib import Path

import boto3
import corpus
import matplotlib
import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import JSONSerializer
from sklearn.manifold import TSNE

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NUM_POINTS = 200


def train(session: sagemaker.Session, bucket: str, text: Path) -> sagemaker.estimator.Estimator:
    """Run a job on two hosts, with its log on the screen."""
    session.upload_data(str(text), bucket=bucket, key_prefix="word2vec/train")
    bt_model = sagemaker.estimator.Estimator(
        sagemaker.image_uris.retrieve("blazingtext", session.boto_region_name),
        os.environ["SAGEMAKER_ROLE"],
        instance_count=2,
        instance_type="ml.c4.2xlarge",
        volume_size=5,
        max_run=3600,
        input_mode="File",
        output_path=f"s3://{bucket}/word2vec/output",
        sagemaker_session=session,
    )
    bt_model.set_hyperparameters(
        mode="batch_skipgram",
        epochs=3,
        min_count=5,
        sampling_threshold=0.0001,
        learning_rate=0.05,
        window_size=5,
        vector_dim=50,
        negative_samples=5,
        batch_size=11,
        evaluation=True,
        subwords=False,
    )
    channel = TrainingInput(
        f"s3://{bucket}/word2vec/train",
        distribution="FullyReplicated",
        content_type="text/plain",
        s3_data_type="S3Prefix",
    )
    bt_model.fit(inputs={"train": channel}, logs=True)
    return bt_model


def ask(bt_model: sagemaker.estimator.Estimator, words: list[str]) -> None:
    """Deploy the model, ask it for vectors, and delete what was deployed."""
    predictor = bt_model.deploy(
        initial_instance_count=1,
        instance_type="ml.m4.xlarge",
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    for found in predictor.predict({"instances": words}):
        print(f"{found['word']}: {len(found['vector'])} numbers, first {found['vector'][0]:.4f}")
    predictor.delete_model()
    predictor.delete_endpoint()


def download(model_data: str, folder: Path) -> Path:
    """Fetch model.tar.gz and unpack it; the path of vectors.txt."""
    bucket, key = model_data.removeprefix("s3://").split("/", 1)
    boto3.client("s3").download_file(bucket, key, str(folder / "model.tar.gz"))
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "vectors.txt"


def draw(vectors: Path, picture: Path) -> None:
    """The most frequent words in the plane."""
    lines = vectors.read_text(encoding="utf-8").splitlines()[1 : NUM_POINTS + 1]
    labels = [line.split(" ", 1)[0] for line in lines]
    matrix = np.array([line.split()[1:] for line in lines], dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    plane = TSNE(perplexity=30, n_components=2, init="pca", max_iter=1000, random_state=0).fit_transform(matrix)
    plt.figure(figsize=(15, 15))
    plt.scatter(plane[:, 0], plane[:, 1], s=8)
    for label, (x, y) in zip(labels, plane, strict=True):
        plt.annotate(label, xy=(x, y), xytext=(5, 2), textcoords="offset points")
    plt.savefig(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?", type=Path)
    parser.add_argument("--out", type=Path, default=Path("word2vec"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    session = sagemaker.Session()
    text = arguments.corpus or corpus.write(arguments.out / "corpus.txt")
    bt_model = train(session, os.environ.get("SAGEMAKER_BUCKET") or session.default_bucket(), text)
    ask(bt_model, ["instance", "bucket"])
    draw(download(bt_model.model_data, arguments.out), arguments.out / "tsne.png")
    print(f"see {arguments.out / 'tsne.png'}")


if __name__ == "__main__":
    main()
