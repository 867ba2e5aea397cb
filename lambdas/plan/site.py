"""Where a pipeline runs: what its state machine knows and the user does not say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Site(BaseModel):
    """Buckets, key and image of one algorithm's pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name_prefix: str
    image: str
    data_bucket: str
    model_bucket: str
    key_arn: str
    inter_container_encryption: bool
