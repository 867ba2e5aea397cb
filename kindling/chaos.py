"""Provoking what a cloud does to one now and then. Only the embedded cloud can be asked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from kindling.errors import UserError
from kindling.targets import EmbeddedTarget


def interrupt(target: EmbeddedTarget, job: str) -> None:
    """Take the spot instances of a training job back.

    Raises:
        UserError: there is no such job, it does not run on spot instances, or has none now; or nobody answers.
    """
    from kindling.localcloud.controls import CONTROL_PATH, INTERRUPT_TRAINING_JOB

    request = urllib.request.Request(
        f"{target.endpoint_url}{CONTROL_PATH}{INTERRUPT_TRAINING_JOB}",
        json.dumps({"TrainingJobName": job}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise UserError(f"{job} was not interrupted: {json.load(error)['message']}") from None
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise UserError(f"the target does not answer ({error}); {target.how_to_start()}.") from None
