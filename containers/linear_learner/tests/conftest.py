"""Jobs of small tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.testing import Jobs

from .jobs import jobs_below


@pytest.fixture
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    made = jobs_below(tmp_path_factory.mktemp("jobs"))
    yield made
    made.kill()
