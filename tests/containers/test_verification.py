"""`kindling verify` finds nothing in images that keep the contract, and every planted fault in those that do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kindling import image_builds, image_trial, verification
from kindling.image_trial import Subject
from kindling.verification import Finding, verify

from .example_jobs import EXAMPLES

pytestmark = pytest.mark.timeout(900)

DOCKERFILE = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY broken_program.py /program.py
RUN mkdir -p /var/cache && chmod 755 /var/cache
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["python3", "/program.py"]
"""
# The fault, and the checks that find it.
FAULTS = {
    "fails though it trained": {"train", "train as any user", "read-only input"},
    "leaves no model": {"train"},
    "writes into its input": {"read-only input"},
    "writes beside /opt/ml": {"train as any user"},
    "takes any hyperparameter": {"unknown hyperparameter"},
    "trains on nothing": {"missing channel"},
    "leaves no failure file": {"unknown hyperparameter", "missing channel"},
    "fails without a name": {"unknown hyperparameter", "missing channel"},
    "ignores SIGTERM in train": {"SIGTERM while it trains"},
    "ignores SIGTERM in serve": {"SIGTERM while it serves"},
    "answers /ping late": {
        "serve",
        "serve as any user",
        "read-only model",
        "SIGTERM while it serves",
        "hostile requests",
    },
    "listens elsewhere": {
        "serve",
        "serve as any user",
        "read-only model",
        "SIGTERM while it serves",
        "hostile requests",
    },
    "is root or nothing": {"serve as any user"},
    "unpacks beside its model": {"read-only model"},
    "dies of a bad request": {"hostile requests"},
    "answers bad requests with 500": {"hostile requests"},
    "serves every path": {"hostile requests"},
}


@pytest.fixture(scope="module")
def program(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of the small program, without a fault."""
    context = tmp_path_factory.mktemp("program")
    shutil.copy(Path(__file__).with_name("broken_program.py"), context)
    (context / "Dockerfile").write_text(DOCKERFILE)
    base = image_builds.base_image(engine)
    built = image_builds.build_image(
        engine, context, "Dockerfile", "kindling-test/program", {"BASE_IMAGE": base}, print
    )
    return str(built.id)


def with_fault(engine: Any, program: str, fault: str) -> str:
    """The same image with a fault."""
    container = engine.containers.create(program)
    try:
        return str(container.commit(changes=f'ENV FAULT="{fault}"').id)
    finally:
        container.remove()


def subject(image: str, text: Path, **changes: Any) -> Subject:
    return Subject(
        image=image,
        **{
            "channels": {"train": text},
            "long": {"seconds": "600"},
            "body": b'{"text": "one two"}',
            "patience_s": 15,
            **changes,
        },
    )


def failed(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.words for finding in findings if finding.outcome == "fail"}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("a few words\n")
    return path


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a fault which shows by waiting shows soon."""
    monkeypatch.setattr(verification, "_STOP_S", 3.0)
    monkeypatch.setattr(verification, "_SERVING_STOP_S", 3.0)
    monkeypatch.setattr(image_trial, "_PING_S", 4.0)


@pytest.mark.usefixtures("impatient")
def test_an_image_that_keeps_the_contract_passes_every_check(engine: Any, program: str, text: Path) -> None:
    findings = verify(engine, subject(program, text))
    assert failed(findings) == {}
    assert {finding.outcome for finding in findings} == {"pass"}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_the_checks_that_concern_it(
    engine: Any, program: str, text: Path, fault: str
) -> None:
    image = with_fault(engine, program, fault)
    try:
        assert set(failed(verify(engine, subject(image, text)))) == FAULTS[fault]
    finally:
        engine.images.remove(image, force=True)


def test_an_entry_point_in_shell_form_is_found(engine: Any, program: str, text: Path) -> None:
    container = engine.containers.create(program)
    image = str(container.commit(changes='ENTRYPOINT exec python3 /program.py "$0"').id)
    container.remove()
    assert "shell form" in failed(verify(engine, subject(image, text)))["entry point"]
    engine.images.remove(image, force=True)


def test_a_check_without_what_it_needs_is_skipped_and_says_so(engine: Any, program: str, text: Path) -> None:
    findings = verify(engine, subject(program, text, long={}, channels={}))
    skipped = {finding.check: finding.words for finding in findings if finding.outcome == "skip"}
    assert "use --long" in skipped["SIGTERM while it trains"]
    assert "name one with --channel" in skipped["missing channel"]


def test_our_image_passes_and_the_command_says_so(image: str, algorithm: str, tmp_path: Path) -> None:
    job = EXAMPLES[algorithm]
    options: list[str] = []
    for channel, files in job.channels.items():
        (tmp_path / channel).mkdir()
        for name, text in files.items():
            (tmp_path / channel / name).write_text(text)
        options += ["--channel", f"{channel}={tmp_path / channel}"]
    for name, value in job.hyperparameters.items():
        options += ["--set", f"{name}={value}"]
    command = [sys.executable, "-m", "kindling.cli", "verify", image, *options, "--long", job.long]
    done = subprocess.run([*command, "--body", job.request, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)
    assert {finding["outcome"] for finding in findings} == {"pass"}, findings


def test_an_image_that_is_nowhere_is_told(engine: Any) -> None:
    command = [sys.executable, "-m", "kindling.cli", "verify", "no/such:image"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the Docker engine has no image no/such:image" in done.stderr
