"""Spot instances that are taken back now and then, at the rate that KINDLING_SPOT_INTERRUPTIONS_PER_HOUR says."""

from __future__ import annotations

import math
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RATE = "KINDLING_SPOT_INTERRUPTIONS_PER_HOUR"


def interruptions_per_hour() -> float:
    """How often a spot job is interrupted on average; 0 unless the environment says otherwise.

    Raises:
        ValueError: it says what is no rate.
    """
    text = os.environ.get(RATE) or "0"
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < math.inf:
        raise ValueError(f"{RATE}={text} must be a number from 0 on.")
    return rate


@contextmanager
def taken_back(interrupt: Callable[[], object]) -> Iterator[None]:
    """Call `interrupt` after a random time, exponentially distributed, unless what is done meanwhile ends before."""
    rate = interruptions_per_hour()
    if not rate:
        yield
        return
    timer = threading.Timer(random.expovariate(rate / 3600), interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
