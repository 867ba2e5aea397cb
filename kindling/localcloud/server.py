"""The embedded cloud's process: a moto server on the loopback interface, with the seams applied.

It listens at once and answers its health check while moto's backends are still being imported; every other request
waits until the seams are in place.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from werkzeug.serving import BaseWSGIServer, make_server

from kindling.errors import UserError
from kindling.localcloud.atomic_files import write_atomically
from kindling.localcloud.cloud import HEALTH_PATH, LOOPBACK, RUNNERS, VERSION, Cloud
from kindling.localcloud.controls import CONTROL_PATH
from kindling.localcloud.requests import Request
from kindling.localcloud.web_pages import refuse, sent_by_a_page

# Each is a module with install(cloud). These are applied at the start, in this order ...
SEAMS = (
    "kindling.localcloud.footprint",
    "kindling.localcloud.identity",
    "kindling.localcloud.policy_simulation",
    "kindling.localcloud.buckets",
    "kindling.localcloud.persistence",
    "kindling.localcloud.alarms",
    "kindling.localcloud.sagemaker",
)
# ... and these when the service is asked for the first time, or when a former cloud's state of it is brought back:
# what they import takes longer than all the rest.
LATE_SEAMS = {
    "lambda": ("kindling.localcloud.functions",),
    "servicequotas": ("kindling.localcloud.quotas",),
    "ce": ("kindling.localcloud.cost_tags",),
    "events": ("kindling.localcloud.event_rules", "kindling.localcloud.bucket_events"),
    "cloudformation": (
        "kindling.localcloud.cloudformation",
        "kindling.localcloud.change_sets",
        "kindling.localcloud.termination_protection",
        "kindling.localcloud.stack_resources",
    ),
    "states": ("kindling.localcloud.stepfunctions", "kindling.localcloud.executions"),
}

_WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Application:
    """moto's WSGI application behind a door that opens when the seams are in place."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._moto: _WSGI | None = None
        self._opened = threading.Event()
        self._late = dict(LATE_SEAMS)
        self._applying = threading.RLock()

    def open(self) -> None:
        """Import moto, apply the seams, and let the waiting requests through."""
        with uncollected():
            from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

            from kindling.localcloud.persistence import Keeping

            for seam in SEAMS:
                more = {"prepare": self._apply_late} if seam == "kindling.localcloud.persistence" else {}
                import_module(seam).install(self._cloud, **more)
        self._moto = Keeping(DomainDispatcherApplication(create_backend_app), self._cloud.persistence)
        self._opened.set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if sent_by_a_page(environ):
            return refuse(start_response)
        if environ.get("PATH_INFO") == HEALTH_PATH:
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"pid": os.getpid(), "seams": self._opened.is_set()}).encode()]
        self._opened.wait()
        if environ.get("PATH_INFO", "").startswith(CONTROL_PATH):
            return self._cloud.controls(environ, start_response)
        assert self._moto is not None
        self._apply_late(Request(environ).service)
        return self._moto(environ, start_response)

    def _apply_late(self, service: str) -> None:
        """Apply the seams of a service that nobody asked for until now."""
        if service not in self._late and service not in self._cloud.late:
            return
        with self._applying, uncollected():
            for seam in self._late.get(service, ()):
                import_module(seam).install(self._cloud)
            self._late.pop(service, None)
            if begin := self._cloud.late.get(service):
                begin()
                del self._cloud.late[service]


@contextmanager
def uncollected() -> Iterator[None]:
    """Imports without garbage collection: nearly all that they make stays, and to look it through takes a fifth."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


def listen(cloud: Cloud, application: Application, host: str = LOOPBACK) -> BaseWSGIServer:
    """A server for the application, bound to the cloud's port on the loopback interface, or that of `host`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, cloud.port))
    listener.listen(128)
    listener.set_inheritable(False)
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(
        host, cloud.port, application, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
    )
    listener.detach()
    return server


def serve(cloud: Cloud) -> None:
    """Run the embedded cloud in this process until SIGTERM or SIGINT."""
    set_environment(cloud)
    application = Application(cloud)
    servers = [listen(cloud, application, host) for host in {LOOPBACK, cloud.gateway}]
    threading.Thread(target=_open_or_exit, args=(application,), name="seams", daemon=True).start()
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for server in servers:
        threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    _announce(cloud)
    ending.wait()
    for end_part in (*cloud.at_end, cloud.processes.end_all):
        end_part()
    (cloud.state / "cloud.json").unlink(missing_ok=True)
    sys.stdout.flush()
    os._exit(0)  # threads that wait for a request or for a job must not hold up the end


def set_environment(cloud: Cloud) -> None:
    """Point this process's own AWS calls, and moto's, at the cloud itself."""
    os.environ.update(cloud.client_environment)
    os.environ["MOTO_PORT"] = str(cloud.port)
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def _announce(cloud: Cloud) -> None:
    started = psutil.Process().create_time()
    record = {"pid": os.getpid(), "port": cloud.port, "started_at": started, "version": VERSION, "runner": cloud.runner}
    write_atomically(cloud.state / "cloud.json", json.dumps(record))


def _open_or_exit(application: Application) -> None:
    try:
        application.open()
    except Exception as error:  # noqa: BLE001  a cloud without its seams must not answer
        if isinstance(error, UserError):
            print(error, file=sys.stderr)
        else:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    """Command line: --port P --state DIR --runner R."""
    parser = argparse.ArgumentParser(prog="kindling.localcloud.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--runner", choices=RUNNERS, default="process")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # It reports every failed state with the whole of its parse tree; the execution's history says it in words.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    cloud = Cloud(state=arguments.state.resolve(), port=arguments.port, runner=arguments.runner)
    try:
        serve(cloud)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
