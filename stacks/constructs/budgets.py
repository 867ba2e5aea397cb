"""What a month may cost before somebody is told."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.settings import Settings

# Percent of the amount that were spent, and that will be at the month's end as it goes.
_SPENT, _FORECAST = (50, 80, 100), (100,)
_SAGEMAKER = "Amazon SageMaker"


class Budgets(Construct):
    """A budget for the account and one for SageMaker, each where the settings have an amount."""

    def __init__(self, scope: Construct, id: str, settings: Settings, topic: sns.ITopic) -> None:
        super().__init__(scope, id)
        self._name, self._topic = settings.name, topic
        if settings.monthly_budget_usd is not None:
            self._budget("Account", settings.monthly_budget_usd)
        if settings.sagemaker_budget_usd is not None:
            self._budget("SageMaker", settings.sagemaker_budget_usd, _SAGEMAKER)

    def _budget(self, id: str, amount: float, service: str | None = None) -> None:
        budgets.CfnBudget(
            self,
            id,
            budget=budgets.CfnBudget.BudgetDataProperty(
                # Budgets belong to the account, and the stack to a region of it.
                budget_name=cdk.Fn.sub(f"{self._name}-{id.lower()}-${{AWS::Region}}"),
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=amount, unit="USD"),
                cost_filters={"Service": [service]} if service else None,
            ),
            notifications_with_subscribers=[
                *(self._notification("ACTUAL", percent) for percent in _SPENT),
                *(self._notification("FORECASTED", percent) for percent in _FORECAST),
            ],
        )

    def _notification(self, kind: str, percent: int) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
        return budgets.CfnBudget.NotificationWithSubscribersProperty(
            notification=budgets.CfnBudget.NotificationProperty(
                notification_type=kind,
                comparison_operator="GREATER_THAN",
                threshold=percent,
                threshold_type="PERCENTAGE",
            ),
            subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self._topic.topic_arn)],
        )
