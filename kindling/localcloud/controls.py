"""What the embedded cloud is asked beside AWS's APIs: POST /_kindling/<name> with a JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

CONTROL_PATH = "/_kindling/"
INTERRUPT_TRAINING_JOB = "interrupt-training-job"

_LARGEST_BYTES = 1 << 16

Control = Callable[[dict[str, Any]], dict[str, Any]]


class Controls:
    """The controls of one cloud, as a WSGI application. What is refused has a JSON object with a `message`."""

    def __init__(self) -> None:
        self._controls: dict[str, Control] = {}

    def add(self, name: str, control: Control) -> None:
        """Answer the requests of that name. A control refuses with moto's ServiceException."""
        self._controls[name] = control

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, answer = self._answer(environ)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        from moto.core.exceptions import ServiceException  # the cloud listens before moto is imported

        control = self._controls.get(environ["PATH_INFO"].removeprefix(CONTROL_PATH))
        if control is None:
            return "404 Not Found", {"message": f"there is no {environ['PATH_INFO']}."}
        if environ["REQUEST_METHOD"] != "POST":
            return "405 Method Not Allowed", {"message": f"{environ['PATH_INFO']} is asked by POST."}
        try:
            request = json.loads(environ["wsgi.input"].read(min(int(environ["CONTENT_LENGTH"]), _LARGEST_BYTES)))
        except (KeyError, ValueError):
            request = None
        if not isinstance(request, dict):
            return "400 Bad Request", {"message": "the request is no JSON object."}
        try:
            return "200 OK", control(request)
        except ServiceException as error:
            return "400 Bad Request", {"message": str(error.message)}
