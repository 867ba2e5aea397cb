"""What an exception says to the person at the keyboard, when it is theirs to mend."""

from __future__ import annotations

import sys


def sentence_of(error: BaseException) -> str | None:
    """One sentence, or None for an error that is not the user's."""
    from contract.specification import InvalidJobError
    from kindling.environments import EnvironmentNotMadeError
    from kindling.errors import UserError

    if isinstance(error, UserError | InvalidJobError | EnvironmentNotMadeError):
        return str(error)
    # A class that can have been raised comes from a module that is loaded; nothing is imported only to be compared.
    if _is(error, "kindling.localcloud.lifecycle", "CloudError"):
        return str(error)
    if _is(error, "botocore.exceptions", "BotoCoreError", "ClientError"):
        return _of_botocore(error)
    if _is(error, "boto3.exceptions", "Boto3Error"):
        return f"{error}."
    return None


def _is(error: BaseException, module: str, *names: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, tuple(getattr(loaded, name) for name in names))


def _of_botocore(error: BaseException) -> str:
    from botocore import exceptions

    from kindling.targets import NO_REGION

    match error:
        case exceptions.ClientError():
            return _refused(error)
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return (
                "no AWS credentials were found; sign in (`aws sso login`, `aws configure`) or choose --target embedded."
            )
        case exceptions.NoRegionError():
            return NO_REGION
        case exceptions.EndpointConnectionError() | exceptions.ConnectionClosedError() | exceptions.HTTPClientError():
            return f"the target does not answer ({error}); is it still running? `kindling status` tells."
    return f"AWS could not be asked: {error}"


def _refused(error: object) -> str:
    response = getattr(error, "response", {})
    operation, found = getattr(error, "operation_name", "the call"), response.get("Error", {})
    if found.get("Code") in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return "your AWS credentials have expired; sign in again."
    return f"{operation} was refused: {str(found.get('Message', '')).rstrip('.')} ({found.get('Code')})."
