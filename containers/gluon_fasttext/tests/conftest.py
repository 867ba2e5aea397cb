"""Jobs of a small task, and a model trained once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.testing import Host, Jobs

from .jobs import jobs_below


@pytest.fixture
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    made = jobs_below(tmp_path_factory.mktemp("jobs"))
    yield made
    made.kill()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = jobs_below(tmp_path_factory.mktemp("trained")).train({"ngrams": "2", "epochs": "6"})
    assert host.process.returncode == 0, host.output
    return host
