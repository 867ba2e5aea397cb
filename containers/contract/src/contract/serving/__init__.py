"""The inference server of every image: GET /ping, POST /invocations, GET /execution-parameters.

An algorithm gives one handler per content type, from a request's body to the answer's; `instances_handler` and
`lines_handler` make both from one `predict` function. `run_server` does the rest: it loads the model, forks a worker
per core, which all share it, and serves until SIGTERM. With SAGEMAKER_MULTI_MODEL=true it serves the models that it is
told to load. openapi.json describes all of it.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from contract import logs
from contract.errors import ClientError, is_users_mistake
from contract.paths import Paths
from contract.serving.application import Application
from contract.serving.handlers import (
    JSON,
    JSON_LINES,
    Handler,
    Handlers,
    InstanceError,
    at_least_one,
    decode,
    encode,
    encoded,
    instances_handler,
    kind,
    lines_handler,
    short,
    source_of,
    usual_first,
)
from contract.serving.models import MultiModelApplication
from contract.serving.registry import Registry
from contract.serving.settings import ServingSettings
from contract.serving.supervisor import Supervisor, bind

__all__ = [
    "JSON",
    "JSON_LINES",
    "Application",
    "Handler",
    "Handlers",
    "InstanceError",
    "MultiModelApplication",
    "Registry",
    "ServingSettings",
    "at_least_one",
    "decode",
    "encode",
    "encoded",
    "instances_handler",
    "kind",
    "lines_handler",
    "run_server",
    "short",
    "source_of",
    "usual_first",
]

logger = logging.getLogger(__name__)


def run_server(load: Callable[[Path], Handlers], load_only: Callable[[Path], Handlers] | None = None) -> int:
    """Load the model, answer requests until SIGTERM, finish those under way, and give the exit code.

    Args:
        load: reads the model in a folder and gives its handlers; raises ClientError where it is not one of ours.
        load_only: the same for a model that is the server's only one, if that differs: it is loaded once, before the
            workers are forked, which share what it takes.
    """
    logs.set_up()
    signal.signal(signal.SIGTERM, _leave)  # while the model is loaded: a container's first process has no default
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # its workers' comings and goings are told by us
    try:
        settings = ServingSettings.from_environ()
        listener = bind(settings)
    except OSError as error:
        logger.error("the server cannot listen on port %d: %s.", settings.port, error.strerror)
        return 1
    except ClientError as error:
        logger.error("the server cannot be started: %s", error)
        return 1
    if settings.multi_model:
        with Registry.temporary(settings) as registry:
            return Supervisor(MultiModelApplication(load, registry, settings), settings, listener).run()
    try:
        application = Application((load_only or load)(Paths.from_environ().model), settings)
    except Exception as error:
        logger.error("the model cannot be served: %s", error, exc_info=None if is_users_mistake(error) else error)
        return 1
    return Supervisor(application, settings, listener).run()


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
