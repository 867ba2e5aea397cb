"""An embedded cloud of SageMaker and moto alone, whose one image is the small program beside this file.

`python -m tests.localcloud.sagemaker.embedded STATE` runs one in a process of its own and prints its port.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from containers.catalogue import CONTAINERS
from kindling import image_builds
from kindling.localcloud import alarms, persistence
from kindling.localcloud.cloud import Cloud, RunnerName
from kindling.localcloud.controls import CONTROL_PATH
from kindling.localcloud.images import Image
from kindling.localcloud.persistence import Keeping
from kindling.localcloud.sagemaker import Limits, install
from kindling.localcloud.sagemaker.runner import ProcessRunner, Program
from kindling.ports import free_port

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kindling:small"
SERVING_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kindling:serving"
LIMITS = Limits(
    stop_grace_s=1,
    peers_grace_s=1,
    checkpoints_s=0.1,
    ping_s=20,
    serving_grace_s=1,
    invocation_s=2,
    settle_s=0,
    restart_pause_s=0.2,
    serverless_idle_s=1,
    time_scale=0.005,
    stream_s=2,
)
RUNNER: RunnerName = "docker" if os.environ.get("KINDLING_RUNNER") == "docker" else "process"
meet_in_a_file = pytest.mark.skipif(
    RUNNER == "docker", reason="the program and the test meet in a file of this machine"
)
stands_in = pytest.mark.skipif(RUNNER == "docker", reason="the small program stands in for a real algorithm")
looks_at_processes = pytest.mark.skipif(RUNNER == "docker", reason="it looks at the processes of this machine")
PROGRAM_DOCKERFILE = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG PROGRAM
COPY ${PROGRAM} /opt/program/program.py
COPY src /opt/program/src
ENV PYTHONPATH=/opt/program/src SAGEMAKER_BASE_DIR=/opt/ml SAGEMAKER_BIND_TO_PORT=8080
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python3", "/opt/program/program.py"]
"""
PROGRAM = Program((sys.executable, str(Path(__file__).with_name("program.py"))))
SERVING_PROGRAM = Program((sys.executable, str(Path(__file__).with_name("serving_program.py"))))


def start(state: Path) -> tuple[Cloud, Any]:
    """A cloud that answers, and its server."""
    cloud = Cloud(state=state, port=free_port(), runner=RUNNER)
    moto = Keeping(DomainDispatcherApplication(create_backend_app), cloud.persistence)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        controlled = environ["PATH_INFO"].startswith(CONTROL_PATH)
        return (cloud.controls if controlled else moto)(environ, start_response)

    persistence.install(cloud)
    servers = [
        make_server(host, cloud.port, application, threaded=True, request_handler=MotoRequestHandler)
        for host in dict.fromkeys(("127.0.0.1", cloud.gateway))
    ]
    for uri, name in ((IMAGE, "small"), (SERVING_IMAGE, "serving")):
        engine_id = program_images()[name] if RUNNER == "docker" else ""
        cloud.images.record(uri, Image(algorithm=name, built_as=name, engine_id=engine_id))
    programs = {"serving": SERVING_PROGRAM}
    runner = (
        ProcessRunner(cloud.processes, cloud.images, lambda name: programs.get(name, PROGRAM))
        if RUNNER == "process"
        else None
    )
    install(cloud, runner=runner, limits=LIMITS, cores=64)  # so that a job which waits keeps no other from running
    alarms.install(cloud, pause_s=0.1)
    for begin in cloud.late.values():
        begin()
    for server in servers:
        threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    return cloud, servers[0]


def is_running(instance: int | str) -> bool:
    """Whether a program still runs that answered with this as its instance."""
    if isinstance(instance, int):
        return psutil.pid_exists(instance)
    return bool(image_builds.connect().containers.list(filters={"id": instance}))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@cache
def program_images() -> dict[str, str]:
    """The ids of the images of the two programs, built by the Docker engine."""
    engine, here = image_builds.connect(), Path(__file__).parent
    base = image_builds.base_image(engine)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for name, program in (("small", "program.py"), ("serving", "serving_program.py")):
            shutil.copy(here / program, context)
            shutil.copytree(CONTAINERS / "contract" / "src", context / "src", dirs_exist_ok=True)
            (context / "Dockerfile").write_text(PROGRAM_DOCKERFILE)
            arguments = {"BASE_IMAGE": base, "PROGRAM": program}
            tag = f"kindling-test/{name}"
            found[name] = image_builds.build_image(engine, context, "Dockerfile", tag, arguments, _say).id
    return found


def client(service: str, port: int, *, retries: int = 1) -> Any:
    """A client of a service of the cloud, which asks again this often."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": retries}, parameter_validation=False),
    )


def make_role(port: int, name: str = "training") -> str:
    """The ARN of a role that SageMaker may assume."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = client("iam", port)
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    except iam.exceptions.EntityAlreadyExistsException:  # of a former process
        role = iam.get_role(RoleName=name)
    return str(role["Role"]["Arn"])


if __name__ == "__main__":
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    cloud, _ = start(Path(sys.argv[1]))
    print(cloud.port, flush=True)
    ending.wait()
    for end_part in (*cloud.at_end, cloud.processes.end_all):
        end_part()
    for thread in threading.enumerate():
        if thread.name.startswith("job-"):
            thread.join(10)
    os._exit(0)
