"""The SDK's own estimator of Linear Learner: record sets of arrays, training, an endpoint asked in RecordIO."""

from __future__ import annotations

import numpy as np
import pytest
import sagemaker
from sagemaker import LinearLearner, image_uris
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

from tests.clients.conftest import Cloud

DRAW = np.random.default_rng(1)
FEATURES = DRAW.normal(0, 1, (2000, 5)).astype(np.float32)
LABELS = (FEATURES @ [1, -2, 0.5, 0, 0] > 0.3).astype(np.float32)


def test_the_sdks_estimator_trains_deploys_and_predicts(cloud: Cloud) -> None:
    session = sagemaker.Session()
    estimator = LinearLearner(
        cloud.role,
        instance_count=2,
        instance_type="ml.c5.xlarge",
        predictor_type="binary_classifier",
        binary_classifier_model_selection_criteria="recall_at_target_precision",
        target_precision=0.9,
        epochs=5,
        sagemaker_session=session,
    )
    assert estimator.training_image_uri() == image_uris.retrieve("linear-learner", session.boto_region_name)
    # The SDK writes RecordIO-protobuf, a part a host, and a manifest: the channel is ShardedByS3Key.
    train = estimator.record_set(FEATURES[:1600], LABELS[:1600])
    validation = estimator.record_set(FEATURES[1600:], LABELS[1600:], channel="validation")
    estimator.fit([train, validation], mini_batch_size=100, logs=False)
    job = estimator.latest_training_job.describe()
    assert job["TrainingJobStatus"] == "Completed"
    predictor = estimator.deploy(1, "ml.m4.xlarge", wait=False)
    cloud.client("sagemaker").get_waiter("endpoint_in_service").wait(EndpointName=predictor.endpoint_name)
    records = predictor.predict(FEATURES[:50])
    assert len(records) == 50
    labels = [record.label["predicted_label"].float32_tensor.values[0] for record in records]
    scores = [record.label["score"].float32_tensor.values[0] for record in records]
    assert np.mean(labels == LABELS[:50]) > 0.9
    plain = Predictor(predictor.endpoint_name, session, CSVSerializer(), JSONDeserializer())
    found = plain.predict(FEATURES[:50])["predictions"]
    assert [one["score"] for one in found] == pytest.approx(scores, rel=1e-5)
    assert [one["predicted_label"] for one in found] == labels
    predictor.delete_endpoint()
