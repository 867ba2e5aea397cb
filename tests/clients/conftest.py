"""One embedded cloud for the clients of a session, started as a person starts it, and the environment it prints.

These tests run in the clients' own environments, so nothing of the house is imported here that needs its packages.
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from kindling.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ROOT / ".venv" / "bin" / "python"
IMAGE = "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext:1"  # AWS's own address, which the SDKs give
PATIENCE_S = 60


@dataclass(frozen=True)
class Cloud:
    """A running embedded cloud and the environment of its clients."""

    environment: dict[str, str]
    role: str

    def client(self, service: str) -> Any:
        """A client of boto3; the environment says where the service is."""
        return boto3.Session().client(service)


@pytest.fixture(scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    state = str(tmp_path_factory.mktemp("cloud"))
    kindling = [str(HOUSE), "-m", "kindling.cli"]
    printed = subprocess.run(
        [*kindling, "up", "--export", "--state", state, "--port", str(free_port())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    words = [shlex.split(line) for line in printed.splitlines()]
    assert all(export == "export" for export, _ in words)
    yield dict(assignment.split("=", 1) for _, assignment in words)
    subprocess.run([*kindling, "down", "--state", state], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module", autouse=True)
def cloud(_environment: dict[str, str]) -> Iterator[Cloud]:
    """The cloud; for the tests of a module, its environment is this process's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _environment.items():
            patch.setenv(name, value)
        yield Cloud(_environment, _role())


def _role() -> str:
    """The ARN of a role that SageMaker may assume, with the policy that AWS made for it."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    iam = boto3.Session().client("iam")
    try:
        role = iam.get_role(RoleName="clients")["Role"]
    except iam.exceptions.NoSuchEntityException:
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = iam.create_role(RoleName="clients", AssumeRolePolicyDocument=document)["Role"]
        policy = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
        iam.attach_role_policy(RoleName="clients", PolicyArn=policy)
    return str(role["Arn"])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text of real English words in random order, so that a job of it is over in a few seconds."""
    words = ["king", "queen", "tea", "money", "bank", "computer", "keyboard", "tiger", "cat", "book", "paper", "train"]
    order = random.Random(1)
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join(" ".join(order.choices(words, k=20)) for _ in range(500)) + "\n")
    return path


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts with one of two labels, which their words tell."""
    order = random.Random(2)
    words = {"praise": ["fine", "lovely", "great"], "blame": ["poor", "dull", "bad"]}
    lines = [
        f"__label__{label} {' '.join(order.choices([*words[label], 'the', 'film', 'was'], k=8))}"
        for label in order.choices(["praise", "blame"], k=400)
    ]
    path = tmp_path_factory.mktemp("labelled") / "labelled.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def until(look: Callable[[], Any]) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {PATIENCE_S} s")
