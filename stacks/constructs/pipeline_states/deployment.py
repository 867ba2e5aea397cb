"""From a model that may be deployed to one that has answered."""

from __future__ import annotations

from contract.specification import Algorithm
from stacks.constructs.state_kinds import POLL_S, State, call, choice, function, job, who


def batch_states(*, networked: bool) -> dict[str, State]:
    """Answers to all records of a batch, by a model that is there for these alone; `networked`: in a VPC."""
    fields = ("TransformInput", "TransformOutput", "TransformResources", "BatchStrategy")
    return {
        "CreateBatchModel": _model("CreateBatchModel", "${BatchRole}", "Batch", "Batch", networked=networked),
        "Batch": job(
            "Batch",
            "createTransformJob",
            {
                "TransformJobName.$": "States.Format('{}-b{}', $.plan.base_name, $$.State.RetryCount)",
                "ModelName.$": "$.plan.deployment.model_name",
                "Tags.$": "$.plan.tags",
                **{f"{field}.$": f"$.plan.batch.{field}" for field in fields},
            },
            "$.plan.batch.TimeoutSeconds",
            "$.transformed",
            "DeleteBatchModel",
        ),
        "DeleteBatchModel": call(
            "DeleteBatchModel",
            {"ModelName.$": "$.plan.deployment.model_name"},
            "$.deleted",
            "NoteBatch",
            operation="DeleteModel",
            of="Batch",
        ),
        "NoteBatch": {
            "Type": "Pass",
            "Parameters": {
                "job_name.$": "$.transformed.TransformJobName",
                "output.$": "$.transformed.TransformOutput.S3OutputPath",
            },
            "ResultPath": "$.made.batch",
            "Next": "TellBatch",
        },
        "TellBatch": {
            "Type": "Pass",
            "Parameters": {
                "endpoint": None,
                "smoke_test": None,
                "words.$": "States.Format('the answers to the batch lie at {}.', $.made.batch.output)",
            },
            "ResultPath": "$.deployment",
            "Next": "IsToBeCleanedUp",
        },
    }


def deployment_states(algorithm: Algorithm, ours: str, *, networked: bool) -> dict[str, State]:
    """From a model that may be deployed to one that answered; `networked` ones have a VpcConfig.

    `ours` begins the names of what the pipeline made.
    """
    target = {
        "EndpointName.$": "$.plan.deployment.endpoint_name",
        "EndpointConfigName.$": "$.plan.deployment.config_name",
    }
    tags = {"Tags.$": "$.plan.tags"}
    update = {"DeploymentConfig.$": "$.plan.deployment.update"}
    config = {
        "EndpointConfigName.$": "$.plan.deployment.config_name",
        "DataCaptureConfig.$": "$.plan.deployment.capture",
        # For any instance: where it has local disks, which are encrypted by themselves, SageMaker leaves them.
        "KmsKeyId": "${Key}",
        **tags,
    }
    return {
        "CreateModel": _model("CreateModel", "${HostingRole}", "FindEndpoint", "CreateModel", networked=networked),
        "FindEndpoint": function(
            "FindEndpoint",
            "${EndpointFunction}",
            {**who(algorithm), "question": "former", "deployment.$": "$.plan.deployment"},
            "$.former",
            "IsToBeAShadow",
        ),
        "IsToBeAShadow": choice(
            {"Variable": "$.plan.deployment.shadow", "IsNull": False}, "CreateShadowConfig", "CreateEndpointConfig"
        ),
        "CreateEndpointConfig": call(
            "CreateEndpointConfig",
            {**config, "ProductionVariants.$": "$.plan.deployment.variants"},
            "$.config",
            "HasAlarms",
        ),
        # What serves stays as it is, with the new model beside it.
        "CreateShadowConfig": call(
            "CreateShadowConfig",
            {
                **config,
                "ProductionVariants.$": "$.former.variants",
                "ShadowProductionVariants.$": "$.former.shadow_variants",
            },
            "$.config",
            "UpdateEndpoint",
            operation="CreateEndpointConfig",
            of="CreateEndpointConfig",
        ),
        "HasAlarms": choice(
            {"Variable": "$.plan.deployment.alarms[0]", "IsPresent": True}, "PutAlarms", "CreateOrUpdate"
        ),
        # Before any traffic comes to the new model: an alarm that goes off takes it back.
        "PutAlarms": _guard(algorithm, "PutAlarms", "alarms", "CreateOrUpdate"),
        "CreateOrUpdate": choice(
            {"Variable": "$.former.action", "StringEquals": "updated"}, "UpdateEndpoint", "CreateEndpoint"
        ),
        "CreateEndpoint": call("CreateEndpoint", {**target, **tags}, "$.begun", "BeginChecks"),
        "UpdateEndpoint": call("UpdateEndpoint", {**target, **update}, "$.begun", "BeginChecks"),
        "BeginChecks": {
            "Type": "Pass",
            "Result": {"count": 0},
            "ResultPath": "$.check",
            "Next": "WaitForEndpoint",
        },
        "WaitForEndpoint": {"Type": "Wait", "Seconds": POLL_S, "Next": "CheckEndpoint"},
        "CheckEndpoint": function(
            "CheckEndpoint",
            "${EndpointFunction}",
            {**who(algorithm), "question": "ready", "deployment.$": "$.plan.deployment", "check.$": "$.check"},
            "$.check",
            "IsReady",
        ),
        "IsReady": choice({"Variable": "$.check.ready", "BooleanEquals": True}, "SmokeTest", "WaitForEndpoint"),
        "SmokeTest": function(
            "SmokeTest",
            "${SmokeTestFunction}",
            {
                **who(algorithm),
                "endpoint_name.$": "$.plan.deployment.endpoint_name",
                "smoke_test": algorithm.serving.smoke_test.model_dump(mode="json"),
                "shadow.$": "$.plan.deployment.shadow",
            },
            "$.smoke_test",
            "ScalesWhat",
        ),
        # The scaling of what serves stays as it is, too.
        "ScalesWhat": choice({"Variable": "$.plan.deployment.shadow", "IsNull": False}, "RetireOld", "Scale"),
        "Scale": _guard(algorithm, "Scale", "scaling", "RetireOld"),
        "RetireOld": function(
            "RetireOld",
            "${RetireFunction}",
            {
                **who(algorithm),
                "former.$": "$.former",
                "config_name.$": "$.plan.deployment.config_name",
                "shadow.$": "$.plan.deployment.shadow",
                "ours": f"{ours}-",
                "endpoint": {
                    "name.$": "$.plan.deployment.endpoint_name",
                    "arn.$": "$.check.arn",
                    "status.$": "$.check.status",
                },
                "smoke_test.$": "$.smoke_test",
            },
            "$.deployment",
            "IsToBeCleanedUp",
        ),
    }


def _model(state: str, role: str, then: str, of: str, *, networked: bool) -> State:
    return call(
        state,
        {
            "ModelName.$": "$.plan.deployment.model_name",
            "ExecutionRoleArn": role,
            "PrimaryContainer": {
                "Image.$": "$.plan.training.AlgorithmSpecification.TrainingImage",
                "ModelDataUrl.$": "$.job.ModelArtifacts.S3ModelArtifacts",
            },
            "EnableNetworkIsolation.$": "$.plan.deployment.network_isolation",
            **({"VpcConfig.$": "$.plan.training.VpcConfig"} if networked else {}),
            "Tags.$": "$.plan.tags",
        },
        "$.model",
        then,
        operation="CreateModel",
        of=of,
    )


def _guard(algorithm: Algorithm, state: str, question: str, then: str) -> State:
    return function(
        state,
        "${GuardFunction}",
        {
            **who(algorithm),
            "question": question,
            "deployment.$": "$.plan.deployment",
            "tags.$": "$.plan.tags",
            "topic": "${Topic}",
        },
        f"$.guarded_by_{question}",
        then,
    )
