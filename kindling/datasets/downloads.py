"""Files fetched over HTTP, whole or not at all."""

from __future__ import annotations

from typing import BinaryIO

from kindling.errors import UserError

_CHUNK = 1 << 20


def fetch(url: str, file: BinaryIO, what: str, instead: str) -> None:
    """Write what an address sends to a file.

    Args:
        what: the data set, as an error names it.
        instead: what a person without the network can do, the end of the error's sentence.
    Raises:
        UserError: it could not be downloaded.
    """
    import requests

    try:
        with requests.get(url, stream=True, timeout=(10, 60)) as response:
            response.raise_for_status()
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
    except requests.RequestException as error:
        raise UserError(f"{what} could not be downloaded from {url} ({_reason(error)}); {instead}.") from None


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "no connection"
