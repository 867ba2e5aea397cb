"""Keeps web pages from the cloud: it has no authentication, runs code, and any page that is open in a browser here
could send it requests, which moto would even answer in a way that the page may read (CORS).

Browsers say in each request which page sends it; AWS's clients never do. An address that somebody has typed or pasted
into the browser comes from no page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_REFUSAL = json.dumps(
    {"__type": "AccessDeniedException", "message": "The embedded cloud answers no web page; use a client of AWS's."}
).encode()


def sent_by_a_page(environ: Mapping[str, Any]) -> bool:
    """Whether a page sends a request: https://fetch.spec.whatwg.org/#origin-header and W3C's Fetch Metadata."""
    return "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none"


def refuse(start_response: Callable[..., Any]) -> Iterable[bytes]:
    """403, with nothing that would let a page read it."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(_REFUSAL)))]
    start_response("403 Forbidden", headers)
    return [_REFUSAL]
