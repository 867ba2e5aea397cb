"""Deploying the CDK app and taking it away again, with the CDK's own command line as package.json pins it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kindling import resources
from kindling.datasets.files import whole
from kindling.environments import ROOT
from kindling.errors import UserError
from kindling.targets import AwsTarget, Target

# What the embedded cloud holds is made again at will, so nothing there is kept against its owner.
EMBEDDED_CONTEXT = {"removal": "destroy", "termination_protection": "false"}

# All that decides what is deployed. The catalogue's folders are the assets of the images.
_INPUTS = (
    "app.py",
    "cdk.json",
    "package-lock.json",
    "requirements/kindling.txt",
    "settings",
    "stacks",
    "containers",
    "lambdas",
)
_NOT_INPUTS = {"__pycache__", "tests", "build", "dist", ".pytest_cache", ".hypothesis", ".ruff_cache", ".mypy_cache"}

Report = Callable[[str], None]

_STACK_LINE = re.compile(
    r"^\s*(?:✅|❌)?\s*(?P<stack>[A-Z]\w+)(?: \([^)]*\))?(?:: (?P<doing>deploying|destroying)\b.*)?$"
)


def deploy(target: Target, context: Mapping[str, str], report: Report) -> None:
    """Bootstraps the account and region unless they are, then deploys every stack.

    Args:
        report: is told each step in a few words.
    Raises:
        UserError: the CDK failed; the message has the last of its output.
    """
    cdk = Cdk(target, context, report)
    if resources.outputs(target, "CDKToolkit") is None:
        report("bootstrapping the account and region")
        cdk.bootstrap()
    report("synthesising the templates")
    if target.kind == "embedded":
        cdk.run("deploy", "--all", "--method", "direct", "--require-approval", "never", "--output", str(cdk.output))
        _remember(target)
    else:
        cdk.run("deploy", "--all", "--output", str(cdk.output))


def deploy_unless_unchanged(target: Target, report: Report) -> bool:
    """Deploys to the embedded cloud unless what runs there was made from these very files; returns whether it did."""
    if _recollection(target) == _fingerprint(target) and resources.outputs(target, _last_stack()) is not None:
        return False
    deploy(target, {}, report)
    return True


def destroy(target: Target, context: Mapping[str, str], report: Report) -> None:
    """Takes every stack away. What their templates say to retain stays; a bucket that goes must be empty.

    Raises:
        UserError: the CDK failed; the message has the last of its output.
    """
    cdk = Cdk(target, context, report)
    if target.kind == "embedded":
        _memory(target).unlink(missing_ok=True)
    report("synthesising the templates")
    cdk.run("destroy", "--all", "--force", "--output", str(cdk.output))


class Cdk:
    """The CDK's command line, its environment and its log."""

    def __init__(self, target: Target, context: Mapping[str, str], report: Report) -> None:
        self._target, self._report = target, report
        chosen = {"environment": resources.environment_name()}
        self._context = {**chosen, **(EMBEDDED_CONTEXT if target.kind == "embedded" else {}), **context}
        self._log = target.state / "deploy.log"
        self.output = target.state / f"cdk.out.{target.kind}"
        self._program = ROOT / "node_modules" / ".bin" / "cdk"
        if not self._program.exists():
            raise UserError("the CDK's command line is not installed; run `make setup`.")

    def account_and_region(self) -> str:
        sts = self._target.client("sts")
        return f"aws://{sts.get_caller_identity()['Account']}/{sts.meta.region_name}"

    def bootstrap(self, *options: str) -> None:
        """Bootstraps the account and region."""
        # Away from cdk.json: bootstrapping needs no templates, so there is no app to wait for.
        self._target.state.mkdir(parents=True, exist_ok=True)
        self.run("bootstrap", self.account_and_region(), *options, cwd=self._target.state)

    def run(self, command: str, *arguments: str, cwd: Path = ROOT) -> None:
        line = [str(self._program), command, *arguments, *self._common_arguments()]
        tail: list[str] = []
        # The CDK asks before it widens permissions: that question and its answer go through the terminal.
        if command == "deploy" and "--require-approval" not in arguments and sys.stdin.isatty():
            code = subprocess.run(line, cwd=ROOT, env=self._environment(), check=False).returncode
        else:
            code, tail = self._logged(line, cwd)
        if code != 0:
            shown = "".join(f"\n    {text}" for text in tail[-15:])
            raise UserError(f"`cdk {command}` failed with exit code {code}; its whole output is in {self._log}.{shown}")

    def told(self, command: str, *arguments: str) -> str:
        """What a command prints that asks no cloud.

        Raises:
            UserError: it failed.
        """
        line = [str(self._program), command, *arguments, *self._common_arguments()]
        ended = subprocess.run(line, cwd=ROOT, env=self._environment(), capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            words = (ended.stderr or ended.stdout).strip()
            raise UserError(f"`cdk {command}` failed with exit code {ended.returncode}: {words[-2000:]}")
        return ended.stdout

    def _common_arguments(self) -> Iterator[str]:
        yield from ("--no-notices", "--no-color", "--no-version-reporting", "--progress", "events", "--ci")
        for name, value in self._context.items():
            yield from ("--context", f"{name}={value}")
        if isinstance(self._target, AwsTarget) and self._target.profile:
            yield from ("--profile", self._target.profile)

    def _environment(self) -> dict[str, str]:
        executables = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": os.pathsep.join([executables, os.environ.get("PATH", os.defpath)])}
        if self._target.kind == "embedded":
            from kindling.localcloud import lifecycle

            info = lifecycle.info(self._target.state)
            if info is None:
                raise UserError("the embedded cloud does not run any more; start it with `kindling up`.")
            ours = lifecycle.deploy_environment(info)
            environment = {name: value for name, value in environment.items() if not name.startswith("AWS_")} | ours
        elif isinstance(self._target, AwsTarget) and self._target.region:
            environment |= {"AWS_REGION": self._target.region, "AWS_DEFAULT_REGION": self._target.region}
        return environment

    def _logged(self, line: Sequence[str], cwd: Path) -> tuple[int, list[str]]:
        """Runs a command into the log; returns its exit code and what it said last."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        tail: list[str] = []
        with (
            self._log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                line,
                cwd=cwd,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            log.write(f"\n$ {' '.join(line)}\n")
            assert process.stdout is not None
            try:
                for text in process.stdout:
                    log.write(text)
                    log.flush()
                    tail = [*tail[-40:], text.rstrip()] if text.strip() else tail
                    if (step := step_of(text)) is not None:
                        self._report(step)
            except BaseException:
                process.terminate()
                raise
        code = process.returncode
        return code, tail


def step_of(line: str) -> str | None:
    """What a line of the CDK's output says that a person wants to know: which stack it is at."""
    found = _STACK_LINE.match(line.rstrip())
    return f"{found['doing']} {found['stack']}" if found and found["doing"] else None


def _fingerprint(target: Target) -> dict[str, str | int | float]:
    """What is deployed and into which run of the embedded cloud, whose stacks end with it."""
    from kindling.localcloud import lifecycle

    info = lifecycle.info(target.state)
    cloud = {} if info is None else {"pid": info.pid, "started_at": info.started_at}
    return {"inputs": inputs_digest(ROOT), **cloud}


def inputs_digest(root: Path) -> str:
    """A digest of every file that has a part in what is deployed: names and contents."""
    digest = hashlib.sha256()
    for path in _files(root / name for name in _INPUTS):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.name in _NOT_INPUTS or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from _files(sorted(path.iterdir()))
        elif path.is_file():
            yield path


def _memory(target: Target) -> Path:
    return target.state / "deployed.json"


def _remember(target: Target) -> None:
    with whole(_memory(target)) as file:
        file.write(json.dumps(_fingerprint(target), indent=1).encode())


def _recollection(target: Target) -> object:
    try:
        return json.loads(_memory(target).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _last_stack() -> str:
    return f"{resources.stack_prefix()}Experiments"
