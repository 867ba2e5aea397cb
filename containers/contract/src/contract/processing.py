"""A processing container from start to exit: its work, and the reason of a failure where the service looks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from contract import logs
from contract.errors import failure_reason, is_users_mistake
from contract.paths import Paths

logger = logging.getLogger(__name__)


def run_processing(work: Callable[[Paths], None]) -> int:
    """Do the work, and give the exit code: 0, or 1 with the reason in output/message, which becomes the ExitMessage."""
    logs.set_up()
    paths = Paths.from_environ()
    try:
        work(paths)
    except Exception as error:
        logger.error("%s", failure_reason(error), exc_info=None if is_users_mistake(error) else error)
        tell_reason(paths, error)
        return 1
    return 0


def tell_reason(paths: Paths, error: BaseException) -> None:
    """Write why the job failed to where the service looks for it."""
    paths.processing_message.parent.mkdir(parents=True, exist_ok=True)
    paths.processing_message.write_text(failure_reason(error), encoding="utf-8")
