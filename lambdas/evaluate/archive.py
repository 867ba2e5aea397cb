"""One small file out of a model archive, without holding the archive."""

from __future__ import annotations

import json
import math
import tarfile
from typing import IO, Any

# Step Functions carries 256 KiB in all; an evaluation that is no summary does not belong there.
LARGEST = 64 * 1024


class UnreadableEvaluationError(ValueError):
    """The evaluation in a model archive is not what the pipeline can carry. The message is one sentence."""


def evaluation_in(archive: IO[bytes], name: str) -> dict[str, Any]:
    """The JSON object in the file `name` at the root of a .tar.gz that is read once, front to back.

    Reading stops at the file; memory stays within one block. An archive without the file gives {}.
    Numbers that JSON has not (NaN, infinities) become null.

    Raises:
        UnreadableEvaluationError: the archive or the file cannot be read, or the file is too large.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as members:
            for member in members:
                if member.isfile() and member.name.removeprefix("./") == name:
                    return _parsed(members, member)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnreadableEvaluationError(f"model.tar.gz cannot be read: {error}.") from error
    return {}


def _parsed(members: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    if member.size > LARGEST:
        raise UnreadableEvaluationError(f"{member.name} has {member.size} bytes; it must have at most {LARGEST}.")
    content = members.extractfile(member)
    assert content is not None
    try:
        found = json.loads(content.read())
    except ValueError as error:
        raise UnreadableEvaluationError(f"{member.name} in model.tar.gz is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise UnreadableEvaluationError(f"{member.name} in model.tar.gz holds no JSON object.")
    return {key: _finite(value) for key, value in found.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_finite(below) for below in value]
    return value
