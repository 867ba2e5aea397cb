"""What the pinned moto does that makes each seam necessary. A failure here says: this seam can go, or must change."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace

import pytest

from kindling.localcloud.resources import TYPES
from kindling.localcloud.seams import SeamError, replace

MISSING = {
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
    "AWS::Lambda::Alias",
    "AWS::CloudWatch::Alarm",
    "AWS::AccessAnalyzer::Analyzer",
    "AWS::CDK::Metadata",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::ECR::RegistryScanningConfiguration",
    "AWS::Budgets::Budget",
    "AWS::SageMaker::ModelPackageGroup",
    "AWS::SageMaker::ModelPackage",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
}


def test_a_seam_without_its_attribute_is_an_error() -> None:
    with pytest.raises(SeamError, match=r"namespace.* has no gone; moto must be the pinned version"):
        replace(SimpleNamespace(), "gone", None)


def test_moto_lacks_these_resource_types() -> None:
    from moto.cloudformation.parsing import get_model_map

    known = {name for name in get_model_map() if name.startswith("AWS::")}
    assert {kind.type for kind in TYPES} - known == MISSING


def test_moto_finds_types_by_direct_subclass() -> None:
    from moto.cloudformation import parsing

    assert "CloudFormationModel.__subclasses__()" in inspect.getsource(parsing.get_model_list)


def test_moto_reads_a_template_s_bucket_from_the_host_name() -> None:
    from moto.cloudformation import utils

    assert 'if "localhost" in template_url' in inspect.getsource(utils.get_stack_from_s3_url)


def test_moto_leaves_versioning_logging_and_keys_out_of_what_it_makes() -> None:
    from moto.awslambda.models import LambdaFunction
    from moto.s3.models import FakeBucket
    from moto.stepfunctions.models import StateMachine

    assert "VersioningConfiguration" not in inspect.getsource(FakeBucket.create_from_cloudformation_json)
    assert "Layers" not in inspect.getsource(LambdaFunction.create_from_cloudformation_json)
    assert "LoggingConfiguration" not in inspect.getsource(StateMachine.create_from_cloudformation_json)


def test_moto_denies_whatever_a_conditional_statement_denies() -> None:
    from moto.iam.access_control import IAMPolicy, PermissionResult

    statement = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = IAMPolicy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert policy.is_action_permitted("s3:PutObject", "arn:aws:s3:::b/k") == PermissionResult.DENIED


def test_moto_lists_sagemaker_as_unsupported_in_state_machines() -> None:
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory

    assert "sagemaker" in state_task_service_factory._UNSUPPORTED_SERVICE_NAMES


def test_moto_keeps_two_backends_of_step_functions() -> None:
    from moto.stepfunctions.models import stepfunctions_backends
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    assert stepfunctions_backends is not stepfunctions_parser_backends


def test_moto_drops_the_cause_of_a_stop_and_the_pages_of_a_history() -> None:
    from moto.stepfunctions.responses import StepFunctionResponse

    assert "cause" not in inspect.getsource(StepFunctionResponse.stop_execution)
    assert "reverseOrder" not in inspect.getsource(StepFunctionResponse.get_execution_history)


def test_moto_runs_functions_in_docker_and_misspells_the_qualifier() -> None:
    from moto.awslambda.models import LambdaFunction
    from moto.awslambda.responses import LambdaResponse

    assert "docker" in inspect.getsource(LambdaFunction._invoke_lambda)
    assert '_get_param("qualifier")' in inspect.getsource(LambdaResponse.invoke)


def test_moto_cannot_change_termination_protection() -> None:
    from moto.cloudformation import models, responses

    assert "update_termination_protection" not in vars(responses.CloudFormationResponse)
    assert "enable_termination_protection" not in inspect.getsource(models.CloudFormationBackend.delete_stack)


def test_moto_s_rules_reach_neither_functions_nor_machines_and_know_no_time() -> None:
    from moto.events.models import EventsBackend, Rule

    source = inspect.getsource(Rule.send_to_targets)
    assert '"lambda"' not in source
    assert '"states"' not in source
    assert "NotImplementedError" in source
    assert 'get("Input")' not in source
    assert 're.compile(r"^cron\\(.*\\)")' in inspect.getsource(EventsBackend)


def test_moto_s_events_of_objects_have_one_sequencer_and_come_twice_for_an_upload_in_parts() -> None:
    from moto.s3 import notifications
    from moto.s3.models import S3Backend
    from moto.s3.responses import S3Response

    assert '"sequencer": "617f08299329d189"' in inspect.getsource(notifications._send_event_bridge_message)
    assert "self.put_object(" in inspect.getsource(S3Backend.complete_multipart_upload)
    assert "EventBridge" not in inspect.getsource(S3Response.get_bucket_notification)
