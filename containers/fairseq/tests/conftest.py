"""A translator of a small language, trained once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.testing import Host, Jobs

from .jobs import jobs_below


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    running = jobs_below(tmp_path)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A finished job on one host, whose checkpoints are kept."""
    folder = tmp_path_factory.mktemp("trained")
    (host,) = jobs_below(folder).start(checkpoints=folder / "checkpoints")
    assert host.finish() == 0, host.output
    return host
