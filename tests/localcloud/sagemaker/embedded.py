"""An embedded cloud of SageMaker and moto alone, whose one image is the small program beside this file.

`python -m tests.localcloud.sagemaker.embedded STATE` runs one in a process of its own and prints its port.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from kindling.localcloud import alarms, persistence
from kindling.localcloud.cloud import Cloud
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
    invocation_s=1,
    settle_s=0,
    restart_pause_s=0.2,
    serverless_idle_s=1,
    time_scale=0.005,
    stream_s=2,
)
PROGRAM = Program((sys.executable, str(Path(__file__).with_name("program.py"))))
SERVING_PROGRAM = Program((sys.executable, str(Path(__file__).with_name("serving_program.py"))))


def start(state: Path) -> tuple[Cloud, Any]:
    """A cloud that answers, and its server."""
    cloud = Cloud(state=state, port=free_port())
    moto = Keeping(DomainDispatcherApplication(create_backend_app), cloud.persistence)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        controlled = environ["PATH_INFO"].startswith(CONTROL_PATH)
        return (cloud.controls if controlled else moto)(environ, start_response)

    persistence.install(cloud)
    server = make_server("127.0.0.1", cloud.port, application, threaded=True, request_handler=MotoRequestHandler)
    cloud.images.record(IMAGE, Image(algorithm="small", built_as="small"))
    cloud.images.record(SERVING_IMAGE, Image(algorithm="serving", built_as="serving"))
    programs = {"serving": SERVING_PROGRAM}
    runner = ProcessRunner(cloud.processes, cloud.images, lambda name: programs.get(name, PROGRAM))
    install(cloud, runner=runner, limits=LIMITS, cores=64)  # so that a job which waits keeps no other from running
    alarms.install(cloud, pause_s=0.1)
    for begin in cloud.late.values():
        begin()
    threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    return cloud, server


def client(service: str, port: int) -> Any:
    """A client of a service of the cloud."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, parameter_validation=False),
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
    cloud.processes.end_all()
    for thread in threading.enumerate():
        if thread.name.startswith("job-"):
            thread.join(10)
    os._exit(0)
