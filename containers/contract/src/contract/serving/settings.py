"""How the server runs, as its environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from contract.cores import available_cpus
from contract.errors import ClientError
from contract.paths import BASE_DIRECTORY

WORKERS = ("KINDLING_WORKERS", "SAGEMAKER_MODEL_SERVER_WORKERS")


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """How the server runs. `max_body_bytes` bounds a request, whatever the service in front of it allows.

    `memory_bytes` is what the models of a multi-model endpoint may take together; None is most of the container's.
    """

    host: str = "0.0.0.0"
    port: int = 8080
    workers: int = 1
    max_body_bytes: int = 25 * 2**20
    max_payload_mb: int = 6
    batch_strategy: str = "MULTI_RECORD"
    concurrent_transforms: int = 1
    multi_model: bool = False
    memory_bytes: int | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> ServingSettings:
        """Read SAGEMAKER_BIND_TO_PORT, the number of workers, the limits, and what a batch transform sets.

        A container is reached from outside itself; a plain process (it has a base directory of its own) only from its
        machine.

        Raises:
            ClientError: a variable holds no number where one must be.
        """
        cores = available_cpus(environ)
        workers = next((name for name in WORKERS if environ.get(name)), WORKERS[0])
        max_payload_mb = _number(environ, "SAGEMAKER_MAX_PAYLOAD_IN_MB", cls.max_payload_mb)
        max_body_mb = _number(environ, "KINDLING_MAX_BODY_MB", cls.max_body_bytes // 2**20)
        memory_mb = _number(environ, "KINDLING_MODELS_MEMORY_MB", 0)
        return cls(
            host="127.0.0.1" if BASE_DIRECTORY in environ else cls.host,
            port=_number(environ, "SAGEMAKER_BIND_TO_PORT", cls.port),
            workers=max(1, _number(environ, workers, cores)),
            max_body_bytes=max(max_body_mb, max_payload_mb) * 2**20,
            max_payload_mb=max_payload_mb,
            batch_strategy=environ.get("SAGEMAKER_BATCH_STRATEGY", cls.batch_strategy),
            concurrent_transforms=_number(environ, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", cores),
            multi_model=environ.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true",
            memory_bytes=memory_mb * 2**20 or None,
        )


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    given = environ.get(name)
    if not given:
        return default
    if not given.isdecimal():
        raise ClientError(f"the environment has {name}={given!r:.100}; it must be a whole number.")
    return int(given)
