"""A training container from start to exit: settings in, model out, and every failure named."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from importlib.resources import as_file, files
from types import FrameType

from contract import logs
from contract.environment import TrainingEnvironment
from contract.errors import failure_reason, is_users_mistake
from contract.paths import Paths
from contract.specification import Algorithm

logger = logging.getLogger(__name__)

TrainFunction = Callable[[TrainingEnvironment], None]


def installed_algorithm(package: str) -> Algorithm:
    """The description that is installed inside an algorithm's package."""
    with as_file(files(package) / "algorithm.toml") as path:
        return Algorithm.read(path)


def run_training(package: str, train: TrainFunction) -> int:
    """Train as the service expects, and give the exit code: 0, or 1 with the reason in output/failure.

    Args:
        package: the algorithm's package, which holds algorithm.toml.
        train: reads the environment's channels, writes `paths.model`; returns early when `stopping` is set.
    """
    logs.set_up()
    paths = Paths.from_environ()
    try:
        environment = TrainingEnvironment.read(installed_algorithm(package), paths)
        stop_on_sigterm(environment)
        paths.model.mkdir(parents=True, exist_ok=True)
        paths.output_data.mkdir(parents=True, exist_ok=True)
        train(environment)
    except Exception as error:  # noqa: BLE001 - every failure must reach the failure file
        report_failure(error, paths)
        return 1
    return 0


def stop_on_sigterm(environment: TrainingEnvironment) -> None:
    """Set `environment.stopping` when the service asks the job to stop; it kills the container 120 s later."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        environment.stopping.set()

    signal.signal(signal.SIGTERM, stop)


def report_failure(error: BaseException, paths: Paths) -> None:
    """Write the reason to the log, with the traceback where it is not the user's mistake, and to output/failure."""
    reason = failure_reason(error)
    logger.error("%s", reason, exc_info=None if is_users_mistake(error) else error)
    paths.failure.parent.mkdir(parents=True, exist_ok=True)
    paths.failure.write_text(reason, encoding="utf-8")
