"""Topics, queues, their policies and subscriptions."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any, Final

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map, text

# Attributes of a queue as the API's operations have them, with what each is where a template leaves it out.
_OF_QUEUES: Final[dict[str, Any]] = {
    "DelaySeconds": 0,
    "KmsDataKeyReusePeriodSeconds": 300,
    "KmsMasterKeyId": "",
    "MaximumMessageSize": 262_144,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": True,
    "VisibilityTimeout": 30,
}
_NO_QUEUE: Final = "The specified queue does not exist"
_OF_NEW_QUEUES: Final = ("FifoQueue", "ContentBasedDeduplication")


class Topic(ResourceType):
    """An SNS topic."""

    type = "AWS::SNS::Topic"
    name_property = "TopicName"
    attributes = ("TopicArn", "TopicName")

    def create(self, name: str, properties: Properties) -> Made:
        tags = [{"Key": key, "Value": value} for key, value in tag_map(properties).items()]
        options = chosen(properties, "KmsMasterKeyId", "DisplayName")
        arn = self.aws("sns").create_topic(Name=name, Attributes=options, Tags=tags)["TopicArn"]
        for subscription in properties.get("Subscription") or []:
            self.aws("sns").subscribe(TopicArn=arn, **chosen(subscription, "Protocol", "Endpoint"))
        return Made(arn, {"TopicArn": arn, "TopicName": name})

    def update(self, made: Made, properties: Properties) -> Made:
        for name in ("KmsMasterKeyId", "DisplayName"):
            value = properties.get(name, "")
            self.aws("sns").set_topic_attributes(TopicArn=made.id, AttributeName=name, AttributeValue=value)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("sns").delete_topic(TopicArn=made.id)


class TopicPolicy(ResourceType):
    """The policy of one or more topics."""

    type = "AWS::SNS::TopicPolicy"

    def create(self, name: str, properties: Properties) -> Made:
        return self.update(Made(name), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        policy = text(properties["PolicyDocument"])
        for topic in properties["Topics"]:
            self.aws("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        """A topic always has a policy, so there is nothing to remove."""


class Subscription(ResourceType):
    """A subscription of a topic."""

    type = "AWS::SNS::Subscription"
    attributes = ("Arn",)
    in_place = False

    def create(self, name: str, properties: Properties) -> Made:
        arn = self.aws("sns").subscribe(
            **chosen(properties, "TopicArn", "Protocol", "Endpoint"), ReturnSubscriptionArn=True
        )["SubscriptionArn"]
        return Made(arn, {"Arn": arn})

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("sns").unsubscribe(SubscriptionArn=made.id)


class Queue(ResourceType):
    """An SQS queue."""

    type = "AWS::SQS::Queue"
    name_property = "QueueName"
    attributes = ("Arn", "QueueName", "QueueUrl")

    def keeps(self, before: Properties, after: Properties) -> bool:
        return all(before.get(name) == after.get(name) for name in _OF_NEW_QUEUES)

    def create(self, name: str, properties: Properties) -> Made:
        given = chosen(properties, *_OF_QUEUES, *_OF_NEW_QUEUES)
        attributes = {key: _attribute(value) for key, value in given.items()}
        url = self.aws("sqs").create_queue(QueueName=name, Attributes=attributes, tags=tag_map(properties))["QueueUrl"]
        cloud = self.aws.cloud
        arn = f"arn:aws:sqs:{cloud.region}:{cloud.account_id}:{name}"
        return Made(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})

    def update(self, made: Made, properties: Properties) -> Made:
        wanted = {key: _attribute(properties.get(key, default)) for key, default in _OF_QUEUES.items()}
        kept = self.aws("sqs").get_queue_attributes(QueueUrl=made.id, AttributeNames=["Policy"]).get("Attributes", {})
        # moto would forget the policy, which is a resource of its own.
        self.aws("sqs").set_queue_attributes(QueueUrl=made.id, Attributes=wanted | kept)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine(_NO_QUEUE):
            self.aws("sqs").delete_queue(QueueUrl=made.id)


class QueuePolicy(ResourceType):
    """The policy of one or more queues."""

    type = "AWS::SQS::QueuePolicy"

    def create(self, name: str, properties: Properties) -> Made:
        return self.update(Made(name), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        self._set(properties, text(properties["PolicyDocument"]))
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine(_NO_QUEUE):
            self._set(properties, "")

    def _set(self, properties: Properties, policy: str) -> None:
        for url in properties["Queues"]:
            self.aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def _attribute(value: Any) -> str:
    """An attribute of a queue as its API has it: as text."""
    return str(value).lower() if isinstance(value, bool) else text(value) if isinstance(value, dict) else str(value)


TYPES = (Topic, TopicPolicy, Subscription, Queue, QueuePolicy)
