"""How a training job's metrics become a data frame, with the SageMaker Python SDK v2.

Environment: SAGEMAKER_ROLE, a role's ARN; SAGEMAKER_BUCKET, a bucket, or the SDK's default one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import corpus
import sagemaker


def main() -> None:
    session = sagemaker.Session()
    bucket = os.environ.get("SAGEMAKER_BUCKET") or session.default_bucket()
    with tempfile.TemporaryDirectory() as folder:
        text = corpus.write(Path(folder) / "corpus.txt")
        train = session.upload_data(str(text), bucket=bucket, key_prefix="word2vec-metrics/train")
    bt_model = sagemaker.estimator.Estimator(
        sagemaker.image_uris.retrieve("blazingtext", session.boto_region_name),
        os.environ["SAGEMAKER_ROLE"],
        instance_count=1,
        instance_type="ml.c4.2xlarge",
        output_path=f"s3://{bucket}/word2vec-metrics/output",
        metric_definitions=[
            {"Name": "train:mean_rho", "Regex": r"#mean_rho: (\S+)"},
            {"Name": "train:million_words_a_second", "Regex": r"Million Words/sec: (\S+)"},
        ],
        hyperparameters={"mode": "skipgram", "epochs": 3, "min_count": 5, "vector_dim": 50, "evaluation": True},
        sagemaker_session=session,
    )
    bt_model.fit({"train": train}, logs=False)
    print(bt_model.training_job_analytics.dataframe().to_string(index=False))


if __name__ == "__main__":
    main()
