"""What a request to the embedded cloud may change, told by its method and its operation's name alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qs

Changes = Literal["nothing", "later", "objects", "everything"]

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[\w-]+/([\w-]+)/aws4_request")
_READING = re.compile(
    r"(Get|List|Describe|Head|BatchGet|BatchDescribe|Lookup|Filter|Search|Test|Validate|Simulate|Estimate)[A-Z]"
)
# Operations that leave traces which may follow a moment later: a function's log, an endpoint's metrics.
_LATER = re.compile(r"/functions/[^/]+/invocations$|/endpoints/[^/]+/(invocations|async-invocations)")
_BUCKET_IN_HOST = re.compile(r"(.+)\.(?:s3[.-]|localhost)")
_FORM_BYTES = 1 << 20
_LARGE_BYTES = 4 << 20


class Request:
    """A request, before it is answered."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self._method: str = environ["REQUEST_METHOD"]
        self._path: str = environ.get("PATH_INFO", "")
        self._query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        self.operation = self._operation()

    def __str__(self) -> str:
        return f"{self._method} {self._path} {self.operation or ''}".strip()

    @property
    def is_large(self) -> bool:
        """Whether the body is one that takes memory while it is read."""
        return int(self._environ.get("CONTENT_LENGTH") or 0) > _LARGE_BYTES

    @cached_property
    def changes(self) -> Changes:
        """What must be kept before the answer goes out."""
        if self._method in ("GET", "HEAD", "OPTIONS") or _READING.match(self.operation or ""):
            return "nothing"
        if _LATER.search(self._path):
            return "later"
        if self.service == "s3" and self._key and not self._environ.get("HTTP_X_AMZ_TAGGING"):
            return "everything" if "tagging" in self._query else "objects"
        return "everything"

    def touched(self) -> Iterator[tuple[str, str]]:
        """The bucket and key, and the bucket and upload, that an S3 request names."""
        if self.service == "s3" and self._key:
            yield self._bucket, self._key
            for upload in self._query.get("uploadId", []):
                yield self._bucket, upload

    def refuse(self, start_response: Callable[..., Any], message: str) -> Iterable[bytes]:
        """Answer with a server's error, in the form that the service's clients read."""
        if self._environ.get("HTTP_X_AMZ_TARGET") or self.service in ("lambda", "sagemaker"):
            kind, body = "application/x-amz-json-1.1", json.dumps({"__type": "InternalFailure", "message": message})
        else:
            escaped = message.replace("&", "&amp;").replace("<", "&lt;")
            error = f"<Error><Code>InternalError</Code><Message>{escaped}</Message></Error>"
            wrapped = error if self.service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"
            kind, body = "application/xml", wrapped
        start_response("500 Internal Server Error", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body.encode()]

    @cached_property
    def service(self) -> str:
        """The service that the request is signed for; S3 where it is not signed."""
        signed = self._environ.get("HTTP_AUTHORIZATION", "")
        if found := _SCOPE.search(signed):
            return found[1]
        credential = (self._query.get("X-Amz-Credential") or [""])[0].split("/")
        return credential[3] if len(credential) == 5 else "s3"

    @property
    def _bucket(self) -> str:
        return self._split[0]

    @property
    def _key(self) -> str:
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[str, str]:
        if found := _BUCKET_IN_HOST.match(self._environ.get("HTTP_HOST", "")):
            return found[1], self._path.removeprefix("/")
        bucket, _, key = self._path.removeprefix("/").partition("/")
        return bucket, key

    def _operation(self) -> str | None:
        if target := self._environ.get("HTTP_X_AMZ_TARGET"):
            return str(target).rpartition(".")[2]
        if "/operation/" in self._path:  # Smithy's RPC protocol
            return self._path.rpartition("/operation/")[2]
        if self._environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            return self._form_action()
        return _first(self._query)

    def _form_action(self) -> str | None:
        size = int(self._environ.get("CONTENT_LENGTH") or 0)
        if not 0 < size <= _FORM_BYTES:
            return None
        body = self._environ["wsgi.input"].read(size)
        self._environ["wsgi.input"] = io.BytesIO(body)
        return _first(parse_qs(body.decode("utf-8", errors="replace")))


def _first(form: dict[str, list[str]]) -> str | None:
    return form["Action"][0] if form.get("Action") else None
