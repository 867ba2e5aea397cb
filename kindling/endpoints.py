"""Asking an endpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kindling.errors import UserError
from kindling.targets import Target

JSON = "application/json"


@dataclass(frozen=True)
class Neighbor:
    """A word near another, and the cosine of the angle between their vectors."""

    word: str
    similarity: float


def invoke(target: Target, endpoint: str, body: bytes, content_type: str = JSON) -> bytes:
    """What an endpoint answers to a request's body.

    Raises:
        UserError: there is no such endpoint, or its model refused the request or failed.
    """
    from botocore.exceptions import ClientError

    runtime = target.client("sagemaker-runtime")
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType=content_type, Accept=content_type
        )
    except ClientError as error:
        raise UserError(_refusal(endpoint, error.response)) from None
    return bytes(answer["Body"].read())


def _refusal(endpoint: str, response: Any) -> str:
    error = response["Error"]
    if error["Code"] == "ModelError":
        status, said = response.get("OriginalStatusCode", ""), response.get("OriginalMessage") or error["Message"]
        return f"endpoint {endpoint} answered {status}: {_sentence(str(said))}".replace(" :", ":")
    return f"endpoint {endpoint} could not be asked: {error['Message']}"


def _sentence(said: str) -> str:
    """The model's own words, out of the JSON that carries them."""
    try:
        content = json.loads(said)
    except ValueError:
        return said.strip()
    return str(content.get("error", said)).strip() if isinstance(content, dict) else said.strip()


def neighbors(target: Target, endpoint: str, words: Sequence[str], k: int) -> dict[str, list[Neighbor]]:
    """The k nearest words of each word, the nearest first; none for a word that the model does not know.

    Raises:
        UserError: as `invoke`, or the endpoint's model has no word vectors.
    """
    request = {"instances": list(words), "configuration": {"nearest": k}}
    answer = json.loads(invoke(target, endpoint, json.dumps(request).encode()))
    try:
        return {
            item["word"]: [Neighbor(near["word"], near["similarity"]) for near in item["neighbors"]] for item in answer
        }
    except (KeyError, TypeError):
        raise UserError(f"endpoint {endpoint} does not answer with nearest words; is its model one of words?") from None
