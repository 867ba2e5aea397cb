"""Where moto's SageMaker gives way: requests reach the embedded one first."""

from __future__ import annotations

from typing import Any

import moto.sagemaker.urls
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sagemaker.responses import SageMakerResponse

from kindling.localcloud.metric_minutes import teach_percentiles
from kindling.localcloud.sagemaker.errors import ResourceNotFoundError
from kindling.localcloud.sagemaker.runtime import Runtime
from kindling.localcloud.sagemaker.service import Service
from kindling.localcloud.seams import replace


def take_over(service: Service) -> None:
    """Let `service` answer what moto's servers are asked from now on."""

    class Api(_Api):
        embedded = service

    moto.sagemaker.urls.url_paths["{0}/$"] = Api.dispatch
    runtime = Runtime(service)
    application_of = DomainDispatcherApplication.get_application

    def application(self: DomainDispatcherApplication, environ: dict[str, Any]) -> Any:
        return runtime if runtime.owns(environ) else application_of(self, environ)

    replace(DomainDispatcherApplication, "get_application", application)
    teach_percentiles()


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
