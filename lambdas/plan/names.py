"""Unique names that tell what they belong to and fit SageMaker: 63 letters, digits and single dashes."""

from __future__ import annotations

import hashlib
import re

LONGEST = 63
# What the state machine appends to a job's name for each attempt: "-0" to "-9".
_ATTEMPT = 2


def base_name(prefix: str, execution: str) -> str:
    """The name that everything of an execution bears, short enough for an attempt's number.

    Args:
        prefix: of all names that this algorithm's pipeline gives; the roles allow no other.
        execution: its name, up to 80 characters, which may hold more than SageMaker allows.
    """
    digest = hashlib.sha256(execution.encode()).hexdigest()[:8]
    room = LONGEST - _ATTEMPT - len(prefix) - len(digest) - 2
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", execution)[: max(room, 0)].strip("-")
    return "-".join(part for part in (prefix, readable, digest) if part)
