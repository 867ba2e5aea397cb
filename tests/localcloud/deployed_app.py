"""A CDK app with one of everything that the product's stacks use. Run by the CDK's command line, given the folder
with its assets; DEPLOYED_APP_GREETING changes what the function answers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

POWERTOOLS = "arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python311-x86_64:7"
REPOSITORY = "deployed/images"


class Base(cdk.Stack):
    """Bucket, key, topic, repository."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self.key = kms.Key(self, "Key", enable_key_rotation=True, removal_policy=cdk.RemovalPolicy.DESTROY)
        self.bucket = s3.Bucket(
            self,
            "Data",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            versioned=True,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(3))],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        self.topic.add_subscription(subscriptions.EmailSubscription("someone@example.com"))
        repository = ecr.Repository(
            self,
            "Images",
            repository_name=REPOSITORY,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=20)],
            empty_on_delete=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        repository.add_to_resource_policy(
            iam.PolicyStatement(actions=["ecr:BatchGetImage"], principals=[iam.AccountRootPrincipal()])
        )
        cdk.CfnOutput(self, "DataBucketName", value=self.bucket.bucket_name)
        cdk.CfnOutput(self, "KeyArn", value=self.key.key_arn)
        cdk.CfnOutput(self, "TopicArn", value=self.topic.topic_arn)


class Images(cdk.Stack):
    """An algorithm's image in the repository of Base."""

    def __init__(self, scope: Construct, id: str, assets: Path) -> None:
        synthesizer = cdk.DefaultStackSynthesizer(image_assets_repository_name=REPOSITORY)
        super().__init__(scope, id, synthesizer=synthesizer)
        self.image = ecr_assets.DockerImageAsset(
            self, "Image", directory=str(assets / "containers"), file="blazingtext/Dockerfile"
        )
        ssm.StringParameter(self, "Uri", parameter_name="/deployed/image", string_value=self.image.image_uri)
        cdk.CfnOutput(self, "ImageUri", value=self.image.image_uri)


class Pipeline(cdk.Stack):
    """A function with two layers, a state machine that invokes it, an alarm."""

    def __init__(self, scope: Construct, id: str, assets: Path, base: Base, images: Images) -> None:
        super().__init__(scope, id)
        own_layer = lambda_.LayerVersion(self, "Layer", code=lambda_.Code.from_asset(str(assets / "layer")))
        public_layer = lambda_.LayerVersion.from_layer_version_arn(self, "Powertools", POWERTOOLS)
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_11,
            handler="app.handler",
            code=lambda_.Code.from_asset(str(assets / "function")),
            layers=[own_layer, public_layer],
            tracing=lambda_.Tracing.ACTIVE,
            log_group=self._log_group("FunctionLog", base.key),
            timeout=cdk.Duration.seconds(30),
            environment={
                "BUCKET": base.bucket.bucket_name,
                "IMAGE": images.image.image_uri,
                "GREETING": os.environ.get("DEPLOYED_APP_GREETING", "hello"),
            },
        )
        base.bucket.grant_read_write(function)
        machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(
                tasks.LambdaInvoke(self, "Ask", lambda_function=function, payload_response_only=False)
            ),
            logs=sfn.LogOptions(destination=self._log_group("MachineLog", base.key), level=sfn.LogLevel.ALL),
            tracing_enabled=True,
        )
        alarm = cloudwatch.Alarm(self, "Failed", metric=machine.metric_failed(), threshold=1, evaluation_periods=1)
        alarm.add_alarm_action(actions.SnsAction(base.topic))
        cdk.CfnOutput(self, "StateMachineArn", value=machine.state_machine_arn)
        cdk.CfnOutput(self, "FunctionName", value=function.function_name)

    def _log_group(self, id: str, key: kms.Key) -> logs.LogGroup:
        key.grant_encrypt_decrypt(iam.ServicePrincipal("logs.amazonaws.com"))
        return logs.LogGroup(
            self,
            id,
            retention=logs.RetentionDays.ONE_WEEK,
            encryption_key=key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )


if __name__ == "__main__":
    app = cdk.App()
    assets = Path(sys.argv[1])
    base = Base(app, "DeployedBase")
    images = Images(app, "DeployedImages", assets)
    images.add_stack_dependency(base)
    Pipeline(app, "DeployedPipeline", assets, base, images)
    app.synth()
