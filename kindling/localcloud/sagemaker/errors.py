"""What SageMaker answers when it refuses, by the codes its clients know."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class InvalidRequestError(ServiceException):
    """ValidationException: the request asks for something that cannot be done."""

    code = "ValidationException"


class ResourceInUseError(ServiceException):
    """ResourceInUse: the name is taken."""

    code = "ResourceInUse"


class ConflictError(ServiceException):
    """ConflictException: the resource is in a state that does not allow it."""

    code = "ConflictException"


class ResourceNotFoundError(ServiceException):
    """ResourceNotFound: there is no resource of that name."""

    code = "ResourceNotFound"


class ResourceLimitExceededError(ServiceException):
    """ResourceLimitExceeded: more than an account may have."""

    code = "ResourceLimitExceeded"


class InvalidInvocationError(ServiceException):
    """The runtime's ValidationError: the endpoint cannot be asked."""

    code = "ValidationError"


class ModelFailedError(ServiceException):
    """The runtime's ModelError: the container answered with an error, or not at all."""

    code = "ModelError"

    def __init__(self, message: str, *, status: int, answer: str, log_stream_arn: str) -> None:
        super().__init__(message)
        # The names of the error's members in the service's model.
        self.OriginalStatusCode = status
        self.OriginalMessage = answer
        self.LogStreamArn = log_stream_arn


class DataError(Exception):
    """A job's or a model's data cannot be used. The message is one sentence, fit to be shown as it is."""
