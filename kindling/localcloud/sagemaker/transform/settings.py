"""How a transform job sends its records: what the request says, else the container, else the service's defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.instance import Instance

_STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
_MB = 1 << 20
_DEFAULTS = {"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 6, "BatchStrategy": "MULTI_RECORD"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`max_payload_mb` of 0 means that a payload of any size is sent in chunks."""

    max_concurrent: int
    max_payload_mb: int
    strategy: str

    @property
    def max_payload_bytes(self) -> int | None:
        """Bytes that the body of a request may have; None for any number."""
        return self.max_payload_mb * _MB or None

    def __str__(self) -> str:
        return (
            f"MaxConcurrentTransforms={self.max_concurrent}, MaxPayloadInMB={self.max_payload_mb}, "
            f"BatchStrategy={self.strategy}"
        )


def settings_of(request: Mapping[str, Any], instance: Instance) -> Settings:
    """The settings of a job.

    Args:
        instance: a healthy one, which may answer /execution-parameters.
    Raises:
        DataError: it answers what cannot be used.
    """
    found = {**_DEFAULTS, **_asked(instance), **_given(request)}
    concurrent, payload, strategy = (found[name] for name in _DEFAULTS)
    return Settings(max_concurrent=concurrent, max_payload_mb=payload, strategy=strategy)


def environment_of(request: Mapping[str, Any]) -> dict[str, str]:
    """What the container's environment says of the job; of the settings only those that the request has."""
    names = {
        "MaxConcurrentTransforms": "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
        "MaxPayloadInMB": "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        "BatchStrategy": "SAGEMAKER_BATCH_STRATEGY",
    }
    given = {names[name]: str(value) for name, value in _given(request).items()}
    return {**request.get("Environment", {}), "SAGEMAKER_BATCH": "true", **given}


def _given(request: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: request[name] for name in _DEFAULTS if name in request}
    if not given.get("MaxConcurrentTransforms", 1):
        del given["MaxConcurrentTransforms"]  # 0 leaves it to the container
    if "BatchStrategy" in given:
        given["BatchStrategy"] = _STRATEGIES[given["BatchStrategy"]]
    return given


def _asked(instance: Instance) -> dict[str, Any]:
    """What the container wishes; nothing when it has no /execution-parameters."""
    try:
        answer = instance.send("GET", "/execution-parameters")
    except urllib3.exceptions.HTTPError:
        return {}
    if answer.status != 200 or not answer.data.strip():
        return {}
    try:
        found = json.loads(answer.data)
        wishes = {name: found[name] for name in _DEFAULTS if name in found}
    except (ValueError, TypeError) as error:
        raise DataError(f"the container's /execution-parameters is not a JSON object: {error}.") from None
    for name, value in wishes.items():
        is_strategy = name == "BatchStrategy"
        if value not in _STRATEGIES.values() if is_strategy else not (type(value) is int and value >= 0):
            raise DataError(f"the container's /execution-parameters has {name}={value!r}, which is not allowed.")
    return {name: value for name, value in wishes.items() if value or name != "MaxConcurrentTransforms"}
