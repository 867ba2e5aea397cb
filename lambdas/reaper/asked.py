"""What the reaper is asked: the settings of the account, and the time."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Asked(BaseModel):
    """One look. `ours` begins the names that pipelines give; `at` is when the look was due.

    `prices_usd_per_hour` is by instance type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    ours: str = Field(min_length=1)
    action: Literal["report", "delete", "none"]
    idle_hours: int = Field(ge=1)
    topic_arn: str
    log_retention_days: int = Field(ge=1)
    prices_usd_per_hour: dict[str, float] = {}
