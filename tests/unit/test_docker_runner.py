"""What of the docker runner needs no engine: an instance type's memory, the subnets, a runner's name."""

from __future__ import annotations

import pytest

from kindling.cli.cloud import runner_of
from kindling.errors import UserError
from kindling.localcloud.sagemaker import docker_runner
from kindling.localcloud.sagemaker.capacity import memory_bytes


@pytest.mark.parametrize(
    ("instance_type", "gibibytes"),
    [
        ("ml.m5.large", 8),
        ("ml.c5.2xlarge", 16),
        ("ml.c6i.xlarge", 8),
        ("ml.r5.4xlarge", 128),
        ("ml.g4dn.xlarge", 16),
        ("ml.inf1.xlarge", 8),
        ("ml.m5.24xlarge", 384),
    ],
)
def test_memory_of_an_instance_type(instance_type: str, gibibytes: int) -> None:
    assert memory_bytes(instance_type) == gibibytes << 30


def test_subnets_are_of_the_range_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINDLING_DOCKER_SUBNETS", raising=False)
    assert len(docker_runner._subnets()) == 1024
    monkeypatch.setenv("KINDLING_DOCKER_SUBNETS", "10.9.0.0/25")
    assert docker_runner._subnets() == ["10.9.0.0/26", "10.9.0.64/26"]
    for wrong in ("here", "10.9.0.0/27"):
        monkeypatch.setenv("KINDLING_DOCKER_SUBNETS", wrong)
        with pytest.raises(UserError, match=f"KINDLING_DOCKER_SUBNETS={wrong} must be a range of at least a /26"):
            docker_runner._subnets()


def test_a_runner_is_named_process_or_docker() -> None:
    assert [runner_of(name) for name in ("process", "docker", "", None)] == ["process", "docker", None, None]
    with pytest.raises(UserError, match="--runner podman must be one of process, docker"):
        runner_of("podman")
