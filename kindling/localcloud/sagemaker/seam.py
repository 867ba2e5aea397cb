"""Where moto's SageMaker gives way: requests reach the embedded one first."""

from __future__ import annotations

from typing import Any

import moto.sagemaker.urls
import moto.sagemakerruntime.urls
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from kindling.localcloud.sagemaker.errors import InvalidInvocationError
from kindling.localcloud.sagemaker.service import Service, not_implemented

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
                return super().call_action()
            result = ActionResult(found)
        except ServiceException as error:
            result = ActionResult(error)
        except NotImplementedError:
            result = ActionResult(not_implemented(operation))
        return self.serialized(result)


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

    def invoke_endpoint_async(self) -> Any:
        """Refused: moto would make up an answer."""
        raise InvalidInvocationError("InvokeEndpointAsync is not implemented by the embedded cloud.")
