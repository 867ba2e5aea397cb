"""How many cores a host may use."""

from __future__ import annotations

import os
from collections.abc import Mapping

CPUS = "KINDLING_CPUS_PER_HOST"


def available_cpus(environ: Mapping[str, str] = os.environ) -> int:
    """Cores this process may use; KINDLING_CPUS_PER_HOST says it where several hosts share one machine."""
    given = environ.get(CPUS)
    if given:
        return max(1, int(float(given)))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
