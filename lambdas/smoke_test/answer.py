"""Whether an endpoint's answer is what a healthy one gives."""

from __future__ import annotations

import json

import jmespath

_SHOWN = 200


class SmokeTestError(RuntimeError):
    """The endpoint answered, but not as it should. The message is one sentence."""


def check_answer(body: bytes, expect: str) -> None:
    """Looks for `expect`, a JMESPath, in an answer; anything but null, false or nothing is enough. Zero is a value.

    Raises:
        SmokeTestError: the answer is not JSON, or nothing is found in it.
    """
    shown = body[:_SHOWN].decode("utf-8", "replace")
    try:
        answer = json.loads(body)
    except ValueError:
        raise SmokeTestError(f"the endpoint's answer is not JSON; it begins {shown!r}.") from None
    found = jmespath.search(expect, answer)
    if found is None or found is False or found in ("", [], {}):
        raise SmokeTestError(f"the endpoint's answer has nothing at {expect}; it begins {shown!r}.")
