"""What is left of tuning jobs when the cloud's process is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.localcloud.sagemaker.conftest import until
from tests.localcloud.sagemaker.test_killed_server import embedded
from tests.localcloud.sagemaker.tuning import Tuner


def test_a_tuning_job_that_a_kill_cut_short_has_failed_with_the_reason_and_another_can_start_from_it(
    tmp_path: Path,
) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "9"]}]}
    with embedded(tmp_path) as (server, account):
        tuner = Tuner(account)
        name = tuner.begin("Grid", jobs=2, parallel=1, ranges=ranges, static={"hold": "x > 5"})
        before = until(lambda: len(found := tuner.trainings(name)) == 2 and found)
        until(lambda: tuner.describe(name)["BestTrainingJob"])
        account.job(before[1]["TrainingJobName"], "Training")
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with embedded(tmp_path) as (_, account):
        tuner = Tuner(account)
        job = tuner.describe(name)
        assert job["HyperParameterTuningJobStatus"] == "Failed"
        assert job["FailureReason"] == (
            "InternalServerError: the embedded cloud ended while the tuning job was running; create it again."
        )
        assert job["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1"}
        assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 1
        assert job["TrainingJobStatusCounters"]["RetryableError"] == 1
        assert "the embedded cloud ended" in tuner.trainings(name)[1]["FailureReason"]
        parents = [{"HyperParameterTuningJobName": name}]
        start = {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": parents}
        child = tuner.begin("Random", jobs=1, ranges=ranges, WarmStartConfig=start)
        assert tuner.ended(child)["HyperParameterTuningJobStatus"] == "Completed"
        assert tuner.tried(child) == [{"x": "1"}]
