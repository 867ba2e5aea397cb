"""Where moto's SageMaker gives way: requests reach the embedded one first."""

from __future__ import annotations

from typing import Any

import moto.sagemaker.urls
import moto.sagemakerruntime.urls
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from kindling.localcloud.sagemaker.errors import InvalidInvocationError, ResourceNotFoundError
from kindling.localcloud.sagemaker.service import Service

RUNTIME_OPERATIONS = frozenset({"InvokeEndpoint"})  # those of SageMaker Runtime that are answered
_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
_PASSED_ON = ("Content-Type", "Accept", _CUSTOM, "X-Amzn-SageMaker-Inference-Id")
_NOT_IMPLEMENTED = (
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Enable-Explanations",
)


def take_over(service: Service) -> None:
    """Let `service` answer what moto's servers made from now on are asked."""

    class Api(_Api):
        embedded = service

    class Runtime(_Runtime):
        embedded = service

    moto.sagemaker.urls.url_paths["{0}/$"] = Api.dispatch
    for path in moto.sagemakerruntime.urls.url_paths:
        moto.sagemakerruntime.urls.url_paths[path] = Runtime.dispatch
    # moto takes this path for one of SageMaker's own.
    moto.sagemaker.urls.url_paths["{0}/endpoints/(?P<name>[^/]+)/invocations-response-stream$"] = Runtime.dispatch


class _Api(SageMakerResponse):
    embedded: Service

    def parse_parameters(self, request: Any) -> None:
        """Leave the requests of the embedded operations as they are: their checks want them so."""
        if self.embedded.owns(self._get_action()):
            self.params: Any = {}
        else:
            super().parse_parameters(request)

    def call_action(self) -> Any:
        """Answer, or let moto answer."""
        operation = self._get_action()
        try:
            found = self.embedded.answer(operation, self.body, self.region)
            if found is None:
                return self._motos_answer()
            result = ActionResult(found)
        except ServiceException as error:
            result = ActionResult(error)
        return self.serialized(result)

    def _motos_answer(self) -> Any:
        try:
            return super().call_action()
        except (KeyError, AttributeError):  # what it comes to where moto does not ask whether there is such a record
            words = f"{self._get_action()}: Could not find one of the resources that the request names."
            raise ResourceNotFoundError(words) from None


class _Runtime(SageMakerRuntimeResponse):
    embedded: Service
    use_raw_body = True

    def invoke_endpoint(self) -> Any:
        """Pass the body on to a container, and its answer back."""
        for header in _NOT_IMPLEMENTED:
            if self.headers.get(header):
                raise InvalidInvocationError(f"{header} is not implemented by the embedded cloud.")
        name = self.path.split("/")[2]
        headers = {header: self.headers[header] for header in _PASSED_ON if self.headers.get(header)}
        variant = self.headers.get("X-Amzn-SageMaker-Target-Variant")
        variant, answer = self.embedded.endpoints.invoke(name, self.raw_body, headers, variant)
        passed_back = {
            header: answer.headers[header] for header in ("Content-Type", _CUSTOM) if header in answer.headers
        }
        return answer.status, {**passed_back, "x-Amzn-Invoked-Production-Variant": variant}, answer.data

    def call_action(self) -> Any:
        """Answer, or refuse by name: moto would make up an answer."""
        operation = self._get_action()
        if operation not in RUNTIME_OPERATIONS:
            refusal = InvalidInvocationError(f"{operation} is not implemented by the embedded cloud.")
            return self.serialized(ActionResult(refusal))
        return super().call_action()
