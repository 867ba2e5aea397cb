"""Whether there is data at an address."""

from __future__ import annotations

from typing import Any

from lambdas.plan.inputs import HoldsData


def holds_data(s3: Any) -> HoldsData:
    """A function that says whether any object under a prefix has something in it."""

    def found(bucket: str, prefix: str) -> bool:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return any(found["Size"] > 0 for page in pages for found in page.get("Contents", ()))

    return found
