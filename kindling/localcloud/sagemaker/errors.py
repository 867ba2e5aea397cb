"""What SageMaker answers when it refuses, by the codes its clients know."""

from __future__ import annotations

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException

# Any service may answer with it, so no service's model has it; moto's list of such codes lacks it.
COMMON_ERROR_CODES.append("ThrottlingException")


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
    http_status = 400


class UnavailableError(ServiceException):
    """The runtime's ServiceUnavailable: no instance can answer now; asking again may help."""

    code = "ServiceUnavailable"
    http_status = 503


class ModelNotReadyError(ServiceException):
    """The runtime's ModelNotReadyException: a model of a multi-model endpoint is still being loaded."""

    code = "ModelNotReadyException"
    http_status = 429


class ThrottledError(ServiceException):
    """The runtime's ThrottlingException: as many requests are under way as a serverless variant may have."""

    code = "ThrottlingException"


class ModelFailedError(ServiceException):
    """The runtime's ModelError: the container answered with an error, or not at all."""

    code = "ModelError"
    http_status = 424

    def __init__(self, message: str, *, status: int, answer: str, log_stream_arn: str) -> None:
        super().__init__(message)
        # The names of the error's members in the service's model.
        self.OriginalStatusCode = status
        self.OriginalMessage = answer
        self.LogStreamArn = log_stream_arn


class DataError(Exception):
    """A job's or a model's data cannot be used. The message is one sentence, fit to be shown as it is."""
