"""A report that a training job left in its output.tar.gz."""

from __future__ import annotations

import tarfile
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kindling.targets import Target

_LARGEST_BYTES = 64 << 20  # a report of more than anybody looks at

Report = TypeVar("Report", bound=BaseModel)


def report_in(target: Target, model_s3_uri: str, member: str, kind: type[Report]) -> Report | None:
    """A JSON file of the output.tar.gz beside a model; None where the job left none that can be read."""
    bucket, _, key = model_s3_uri.removeprefix("s3://").partition("/")
    s3 = target.client("s3")
    try:
        body: Any = s3.get_object(Bucket=bucket, Key=key.rpartition("/")[0] + "/output.tar.gz")["Body"]
    except s3.exceptions.NoSuchKey:
        return None
    try:
        with body, tarfile.open(fileobj=body, mode="r|gz") as archive:
            for found in archive:
                if found.name.removeprefix("./") == member and (file := archive.extractfile(found)) is not None:
                    return kind.model_validate_json(file.read(_LARGEST_BYTES))
    except (tarfile.TarError, EOFError, ValidationError):
        return None
    return None
