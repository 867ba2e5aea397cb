"""The log of a container: standard output, line by line, in the form BlazingText's users know."""

from __future__ import annotations

import io
import logging
import sys

FORMAT = "[%(asctime)s %(levelname)s %(thread)d] %(message)s"
DATE_FORMAT = "%m/%d/%Y %H:%M:%S"


def set_up(level: int = logging.INFO) -> None:
    """Send log records, and what is printed, to standard output without delay.

    A record reads "[11/28/2020 12:46:55 INFO 140259373856576] message"; the number is the thread.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(FORMAT, DATE_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
