"""After a failure nothing is left behind, and the cause is in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.rollback.cause import error_name, in_words
from lambdas.rollback.document import begun, outcome, progress
from lambdas.rollback.guards import reject_package, remove_guards
from lambdas.rollback.undo import BATCH, PREPARATION, TRAINING, TUNING, Begun, Job, Progress, undo


def trainings(*names: str) -> tuple[Job, ...]:
    return tuple(Job(kind=TRAINING, name=name) for name in names)


CREATED = Begun(jobs=trainings("j-0", "j-1"), model="m", config="c", endpoint="e", action="created", former_config=None)
UPDATED = Begun(jobs=trainings("j-0"), model="m", config="c", endpoint="e", action="updated", former_config="old")


class SageMaker:
    """As much of SageMaker as a rollback sees: what there is, and what becomes of it when asked."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.endpoints: dict[str, dict[str, str]] = {}
        self.configs: dict[str, str] = {}
        self.shadows: dict[str, str] = {}
        self.models: set[str] = set()
        self.refused: dict[str, str] = {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        return {"TrainingJobStatus": self._found(self.jobs, TrainingJobName)}

    def stop_training_job(self, TrainingJobName: str) -> None:  # noqa: N803
        self.jobs[TrainingJobName] = "Stopping"

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        found = self._found(self.endpoints, EndpointName)
        return {"EndpointArn": "arn", "EndpointStatus": found["status"], "EndpointConfigName": found["config"]}

    def delete_endpoint(self, EndpointName: str) -> None:  # noqa: N803
        self._allowed("delete_endpoint")
        self.endpoints[EndpointName]["status"] = "Deleting"

    def update_endpoint(self, EndpointName: str, EndpointConfigName: str) -> None:  # noqa: N803
        self._allowed("update_endpoint")
        self.endpoints[EndpointName] = {"status": "Updating", "config": EndpointConfigName}

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        found = {"ProductionVariants": [{"ModelName": self._found(self.configs, EndpointConfigName)}]}
        shadow = self.shadows.get(EndpointConfigName)
        return {**found, "ShadowProductionVariants": [{"ModelName": shadow}]} if shadow else found

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        self._allowed("delete_endpoint_config")
        self._found(self.configs, EndpointConfigName)
        del self.configs[EndpointConfigName]

    def delete_model(self, ModelName: str) -> None:  # noqa: N803
        self._allowed("delete_model")
        self._found({name: name for name in self.models}, ModelName)
        self.models.remove(ModelName)

    def settle(self) -> None:
        """Time passes."""
        self.jobs = {name: status.replace("Stopping", "Stopped") for name, status in self.jobs.items()}
        self.endpoints = {
            name: {**found, "status": "InService"}
            for name, found in self.endpoints.items()
            if found["status"] != "Deleting"
        }

    def _found(self, things: dict[str, Any], name: str) -> Any:
        if name not in things:
            raise _refusal("ValidationException", f'Could not find "{name}".')
        return things[name]

    def _allowed(self, operation: str) -> None:
        if operation in self.refused:
            raise _refusal("AccessDeniedException", self.refused[operation])


def _refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@pytest.fixture
def sagemaker() -> SageMaker:
    """An execution that came to its end: job done, endpoint in service on the new configuration."""
    made = SageMaker()
    made.jobs = {"j-0": "Completed"}
    made.models, made.configs = {"m", "n"}, {"c": "m", "old": "n"}
    made.endpoints = {"e": {"status": "InService", "config": "c"}}
    return made


def rolled_back(sagemaker: SageMaker, made: Begun, calls: int = 50) -> Progress:
    now = Progress()
    for _ in range(calls):
        now = undo(sagemaker, made, now, longest=1000)
        if now.done:
            return now
        sagemaker.settle()
    raise AssertionError("the rollback does not end")


def test_an_endpoint_that_was_created_goes_with_all_behind_it(sagemaker: SageMaker) -> None:
    assert rolled_back(sagemaker, CREATED).undone == ()
    assert (sagemaker.endpoints, sagemaker.configs, sagemaker.models) == ({}, {"old": "n"}, {"n"})


def test_an_endpoint_that_was_updated_is_put_back(sagemaker: SageMaker) -> None:
    assert rolled_back(sagemaker, UPDATED).undone == ()
    assert sagemaker.endpoints == {"e": {"status": "InService", "config": "old"}}
    assert (sagemaker.configs, sagemaker.models) == ({"old": "n"}, {"n"})


def test_a_half_made_endpoint_is_waited_for_and_deleted(sagemaker: SageMaker) -> None:
    sagemaker.endpoints["e"]["status"] = "Creating"
    assert rolled_back(sagemaker, CREATED).undone == ()
    assert sagemaker.endpoints == {}


def test_a_running_job_is_stopped(sagemaker: SageMaker) -> None:
    sagemaker.jobs = {"j-1": "InProgress"}
    rolled_back(sagemaker, CREATED)
    assert sagemaker.jobs == {"j-1": "Stopped"}


def test_an_endpoint_that_this_execution_never_touched_stays(sagemaker: SageMaker) -> None:
    untouched = Begun(jobs=(), model="m", config="c", endpoint="e", action=None, former_config=None)
    sagemaker.endpoints["e"]["config"] = "old"
    rolled_back(sagemaker, untouched)
    assert sagemaker.endpoints == {"e": {"status": "InService", "config": "old"}}


def test_an_endpoint_that_someone_else_made_meanwhile_stays(sagemaker: SageMaker) -> None:
    sagemaker.endpoints["e"]["config"] = "theirs"
    assert rolled_back(sagemaker, CREATED).undone == ()
    assert sagemaker.endpoints["e"]["config"] == "theirs"


def test_rolling_back_twice_is_the_same_as_once(sagemaker: SageMaker) -> None:
    rolled_back(sagemaker, CREATED)
    assert rolled_back(sagemaker, CREATED) == Progress(calls=1, done=True)


def test_an_endpoint_whose_former_configuration_is_gone_keeps_the_new_model(sagemaker: SageMaker) -> None:
    del sagemaker.configs["old"]
    (words,) = rolled_back(sagemaker, UPDATED).undone
    assert "keeps the new model" in words
    assert sagemaker.endpoints["e"]["config"] == "c"
    assert "c" in sagemaker.configs
    assert "m" in sagemaker.models


def test_what_cannot_be_deleted_is_named_and_the_rest_goes(sagemaker: SageMaker) -> None:
    sagemaker.refused["delete_endpoint_config"] = "not you"
    assert rolled_back(sagemaker, CREATED).undone == ("endpoint configuration c: not you",)
    assert sagemaker.models == {"n"}


def test_an_endpoint_that_cannot_be_deleted_keeps_what_it_serves(sagemaker: SageMaker) -> None:
    sagemaker.refused["delete_endpoint"] = "not you"
    assert rolled_back(sagemaker, CREATED).undone == ("endpoint e: not you",)
    assert "c" in sagemaker.configs
    assert "m" in sagemaker.models


def test_a_rollback_is_bounded(sagemaker: SageMaker) -> None:
    sagemaker.endpoints["e"]["status"] = "Updating"
    now = Progress()
    for _ in range(7):
        now = undo(sagemaker, UPDATED, now, longest=7)
    assert now.done
    assert now.undone == ("endpoint e is still Updating after 7 looks",)


def test_an_execution_without_a_plan_made_nothing() -> None:
    assert begun({"execution": {}, "failed": {"Plan": {}}}, 9) is None


def planned(**more: Any) -> dict[str, Any]:
    deployment = {
        "model_name": "m",
        "config_name": "c",
        "endpoint_name": "e",
        "alarms": [{"AlarmName": "e-5xx"}],
        "scaling": None,
        "variants": [{"VariantName": "v"}],
    }
    training = {"EnableManagedSpotTraining": False}
    return {
        "base_name": "j",
        "deployment": deployment,
        "training": training,
        "preparation": None,
        "tuning": None,
        "batch": None,
        **more,
    }


def test_every_attempt_at_training_is_looked_for() -> None:
    made = begun({"plan": planned()}, 3)
    assert made is not None
    assert made.jobs == trainings("j-0", "j-1", "j-2")
    assert made.action is None


def test_every_kind_of_job_that_the_plan_has_is_looked_for() -> None:
    spot = {"EnableManagedSpotTraining": True}
    made = begun({"plan": planned(preparation={}, tuning={"base_name": "t-"}, training=spot, batch={})}, 1)
    assert made is not None
    # An empty part is a part: only null says that there is none.
    assert [(job.kind, job.name) for job in made.jobs] == [
        (PREPARATION, "j-p0"),
        (TUNING, "t-0"),
        (TRAINING, "j-s0"),
        (TRAINING, "j-0"),
        (BATCH, "j-b0"),
    ]


class Recorder:
    """A client of any service that notes what it is asked, and may refuse one operation."""

    def __init__(self, refused: str | None = None, **answers: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._refused, self._answers = refused, answers

    def __call__(self, service: str) -> Recorder:
        return self

    def __getattr__(self, operation: str) -> Any:
        def ask(**request: Any) -> Any:
            if operation == self._refused:
                raise _refusal("AccessDenied", "not you")
            self.asked.append((operation, request))
            return self._answers.get(operation, {})

        return ask


PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/kindling-blazingtext/1"


def test_the_registry_is_told_that_the_run_failed() -> None:
    client = Recorder()
    assert reject_package(client, {"made": {"package": PACKAGE}}, "Train: " + "x" * 2000) == []
    ((operation, request),) = client.asked
    assert operation == "update_model_package"
    assert (request["ModelPackageArn"], request["ModelApprovalStatus"]) == (PACKAGE, "Rejected")
    assert len(request["ApprovalDescription"]) == 1024
    assert reject_package(client, {"made": {"package": None}}, "Train") == []
    assert len(client.asked) == 1


def test_a_package_that_cannot_be_rejected_is_named() -> None:
    client = Recorder(refused="update_model_package")
    assert reject_package(client, {"made": {"package": PACKAGE}}, "x") == [
        "model package kindling-blazingtext/1: not you"
    ]


def test_alarms_and_scaling_go_with_an_endpoint_that_was_created() -> None:
    deployment = {**planned()["deployment"], "scaling": {"max_instances": 2}}
    document = {"former": {"action": "created"}, "plan": planned(deployment=deployment)}
    client = Recorder(describe_scalable_targets={"ScalableTargets": [{}]})
    assert remove_guards(client, document) == []
    assert [operation for operation, _ in client.asked] == [
        *("delete_alarms", "describe_scalable_targets", "deregister_scalable_target")
    ]
    assert client.asked[-1][1]["ResourceId"] == "endpoint/e/variant/v"


def test_alarms_of_an_endpoint_that_was_updated_stay() -> None:
    client = Recorder()
    for action in ("updated", None):
        assert remove_guards(client, {"former": {"action": action}, "plan": planned()}) == []
    assert client.asked == []


def test_an_approval_that_nobody_gave_is_told_as_such() -> None:
    error, cause = outcome({"Approve": {"Error": "States.Timeout", "Cause": ""}}, ())
    assert (error, cause) == ("ApproveFailed", "Approve: nobody has decided in time.")


def test_progress_survives_the_document() -> None:
    now = Progress(calls=3, endpoint_changed_at=2, undone=("x",))
    noted = json.loads(json.dumps({"rollback": {"progress": now.__dict__}}))
    assert progress(noted) == now
    assert progress({}) == Progress()


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            {"Error": "States.TaskFailed", "Cause": json.dumps({"FailureReason": "ClientError: no word."})},
            "ClientError: no word.",
        ),
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps({"FailureReason": "AlgorithmError: ClientError: no word., exit code: 1"}),
            },
            "ClientError: no word.",
        ),
        (
            {"Error": "States.TaskFailed", "Cause": json.dumps({"FailureReason": "AlgorithmError: , exit code: 137"})},
            "AlgorithmError: , exit code: 137",
        ),
        (
            {"Error": "InvalidJobError", "Cause": json.dumps({"errorMessage": "gate is 3.", "errorType": "X"})},
            "gate is 3.",
        ),
        (
            {
                "Error": "ClientError",
                "Cause": json.dumps(
                    {"errorMessage": "An error occurred (ModelError) when calling the InvokeEndpoint operation: 500"}
                ),
            },
            "500",
        ),
        (
            {"Error": "SageMaker.SageMakerException", "Cause": "No such role (Service: SageMaker, Status Code: 400)"},
            "No such role",
        ),
        (
            {"Error": "States.TaskFailed", "Cause": json.dumps({"SecondaryStatus": "MaxRuntimeExceeded"})},
            "the training job reached max_runtime_s before it was done.",
        ),
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps({"ExitMessage": "ClientError: no rows.", "FailureReason": "x"}),
            },
            "ClientError: no rows.",
        ),
        (
            {"Error": "States.TaskFailed", "Cause": json.dumps({"HyperParameterTuningJobStatus": "Stopped"})},
            "the tuning job was stopped.",
        ),
        ({"Error": "States.Timeout", "Cause": ""}, "it took longer than it may."),
        ({"Error": "States.Runtime", "Cause": ""}, "States.Runtime."),
    ],
)
def test_the_reason_is_dug_out_of_what_aws_wraps_it_in(failure: dict[str, str], words: str) -> None:
    assert in_words(failure) == words


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("Plan", "PlanFailed"),
        ("Train", "TrainFailed"),
        ("Gate", "GateFailed"),
        ("CreateModel", "DeployFailed"),
        ("CheckEndpoint", "DeployFailed"),
        ("SmokeTest", "SmokeTestFailed"),
    ],
)
def test_the_error_names_the_step(state: str, error: str) -> None:
    assert error_name(state) == error


def test_the_cause_begins_with_the_state_and_ends_with_what_is_left() -> None:
    failed = {"Train": {"Error": "E", "Cause": "It broke."}}
    assert outcome(failed, ()) == ("TrainFailed", "Train: It broke.")
    assert outcome(failed, ("model m: no",))[1] == "Train: It broke. What could not be undone: model m: no."
