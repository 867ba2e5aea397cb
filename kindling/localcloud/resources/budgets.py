"""Budgets. Nothing is paid for here, so they are there to be looked at; none is ever spent."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any

from kindling.localcloud.resources.base import Made, Properties, ResourceType, gone_is_fine


class Budget(ResourceType):
    """A budget with its notifications. moto cannot change one, so a change makes it anew under its name."""

    type = "AWS::Budgets::Budget"

    def keeps(self, before: Properties, after: Properties) -> bool:
        return bool(before["Budget"].get("BudgetName") == after["Budget"].get("BudgetName"))

    def create(self, name: str, properties: Properties) -> Made:
        budget = {"BudgetName": name, **properties["Budget"]}
        limit = budget["BudgetLimit"]
        budget["BudgetLimit"] = {"Amount": str(limit["Amount"]), "Unit": limit["Unit"]}
        self.aws("budgets").create_budget(
            AccountId=self.aws.cloud.account_id,
            Budget=budget,
            NotificationsWithSubscribers=[
                _notification(one) for one in properties.get("NotificationsWithSubscribers") or []
            ],
        )
        return Made(budget["BudgetName"])

    def update(self, made: Made, properties: Properties) -> Made:
        self.delete(made, properties)
        return self.create(made.id, properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("budgets").delete_budget(AccountId=self.aws.cloud.account_id, BudgetName=made.id)


def _notification(given: dict[str, Any]) -> dict[str, Any]:
    threshold = float(given["Notification"]["Threshold"])
    return {**given, "Notification": {**given["Notification"], "Threshold": threshold}}


TYPES = (Budget,)
