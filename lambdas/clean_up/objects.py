"""Deleting the objects below addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit


def delete_below(s3: Any, addresses: Sequence[str], keep: str, in_time: Callable[[], bool]) -> tuple[int, list[str]]:
    """Deletes every object whose address begins with one of `addresses`, but for those beside `keep`.

    Args:
        keep: the address of the run's model; what lies in the job's folder stays.
        in_time: whether there is time for another thousand.
    Returns:
        How many were deleted, and the addresses below which some are left.
    """
    folder = keep.removesuffix("output/model.tar.gz")
    deleted = 0
    for number, address in enumerate(addresses):
        place = urlsplit(address)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=place.path.lstrip("/"))
        for page in pages:
            if not in_time():
                return deleted, list(addresses[number:])
            found = [one["Key"] for one in page.get("Contents", ())]
            gone = [{"Key": key} for key in found if not f"s3://{place.netloc}/{key}".startswith(folder)]
            if gone:
                s3.delete_objects(Bucket=place.netloc, Delete={"Objects": gone, "Quiet": True})
                deleted += len(gone)
    return deleted, []
