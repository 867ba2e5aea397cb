"""Where a pipeline runs: what its state machine knows and the user does not say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Site(BaseModel):
    """Names, buckets, key, image and roles of one algorithm's pipeline, and what its owner has settled.

    `prices_usd_per_hour` is by instance type; `max_cost_usd` of an execution, None for no limit;
    `endpoint_alarms` says whether endpoints of which nothing else is said have alarms; `vpc` is the VpcConfig of jobs
    and models, None where they have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name_prefix: str
    image: str
    data_bucket: str
    model_bucket: str
    key_arn: str
    inter_container_encryption: bool
    tuning_prefix: str
    training_role: str
    prices_usd_per_hour: dict[str, float] = {}
    max_cost_usd: float | None = None
    endpoint_alarms: bool = False
    vpc: dict[Literal["Subnets", "SecurityGroupIds"], list[str]] | None = None
