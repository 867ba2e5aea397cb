"""Topics, their policies and subscriptions."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map, text


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


TYPES = (Topic, TopicPolicy, Subscription)
