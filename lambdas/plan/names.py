"""Unique names that tell what they belong to and fit SageMaker: 63 letters, digits and single dashes."""

from __future__ import annotations

import hashlib
import re

LONGEST = 63
# What the state machine appends to a job's name for each attempt: "-0" to "-9", "-p0" for the preparation's.
_ATTEMPT = 3
_LONGEST_OF_TUNING = 32


def base_name(prefix: str, execution: str) -> str:
    """The name that everything of an execution bears, short enough for an attempt's number.

    Args:
        prefix: of all names that this algorithm's pipeline gives; the roles allow no other.
        execution: its name, up to 80 characters, which may hold more than SageMaker allows.
    """
    # One digit less for the longest names of deployment and algorithm.
    digest = hashlib.sha256(execution.encode()).hexdigest()[: min(8, LONGEST - _ATTEMPT - len(prefix) - 1)]
    room = LONGEST - _ATTEMPT - len(prefix) - len(digest) - 2
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", execution)[: max(room, 0)].strip("-")
    return "-".join(part for part in (prefix, readable, digest) if part)


def tuning_name(prefix: str, base: str) -> str:
    """The name of an execution's tuning job, one digit short of the 32 that SageMaker allows.

    Args:
        prefix: at most 24 characters, of all tuning jobs of the pipeline.
        base: the execution's `base_name`.
    """
    room = _LONGEST_OF_TUNING - 1 - len(prefix)
    return prefix + hashlib.sha256(base.encode()).hexdigest()[:room]
