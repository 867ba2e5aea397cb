"""Jobs of small tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .jobs import QuickJobs, jobs_below


@pytest.fixture
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuickJobs]:
    made = jobs_below(tmp_path_factory.mktemp("jobs"))
    yield made
    made.kill()
