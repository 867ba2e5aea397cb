"""Lambda: functions run, each in warm processes of its own; moto would run them in Docker, or echo."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import tempfile
import threading
import uuid
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.function_process import Deployment, FunctionProcess, Outcome
from kindling.localcloud.seams import replace

if TYPE_CHECKING:
    from moto.awslambda.models import LambdaFunction

_LAYER_ARN = re.compile(r"arn:[\w-]+:lambda:[\w-]+:(?P<account>\d+):layer:[\w-]+:\d+")
_LOG_RESULT_BYTES = 4096


class Functions:
    """The processes of every function, and the folders with their code."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._folder = cloud.state / "functions"
        self._idle: dict[str, list[FunctionProcess]] = defaultdict(list)
        self._lock = threading.Lock()
        shutil.rmtree(self._folder / "logs", ignore_errors=True)
        (self._folder / "code").mkdir(parents=True, exist_ok=True)

    def invoke(self, function: LambdaFunction, event: Any, request_id: str) -> Outcome:
        """Run a function on an event in a warm process, or in a new one when all are busy, and keep its log."""
        process = self._take(self._deployment(function))
        outcome = process.invoke(event, request_id)
        self._keep_log(function, process, outcome.lines)
        if process.alive:
            with self._lock:
                self._idle[process.deployment.arn].append(process)
        else:
            process.end()
        return outcome

    def forget(self, name: str) -> None:
        """End the idle processes of a function that is gone."""
        with self._lock:
            arns = [arn for arn, found in self._idle.items() if any(one.deployment.name == name for one in found)]
            gone = [process for arn in arns for process in self._idle.pop(arn)]
        for process in gone:
            process.end()

    def _take(self, deployment: Deployment) -> FunctionProcess:
        with self._lock:
            idle = self._idle.pop(deployment.arn, [])
            fit = [one for one in idle if one.deployment == deployment and one.alive]
            unfit = [one for one in idle if one not in fit]
            taken = fit.pop() if fit else None
            self._idle[deployment.arn] = fit
        for process in unfit:
            process.end()
        return taken or FunctionProcess.start(
            deployment, self._cloud.processes, self._folder / "logs", self._cloud.client_environment
        )

    def _deployment(self, function: LambdaFunction) -> Deployment:
        return Deployment(
            name=function.function_name,
            arn=function.function_arn,
            version=str(function.version),
            handler=function.handler or "",
            code=self._unpacked(function.code_bytes, function.code_digest),
            layers=tuple(self._layers(function)),
            variables=tuple(sorted((name, str(value)) for name, value in function.environment_vars.items())),
            timeout_s=float(function.timeout),
            memory_mb=int(function.memory_size),
            log_group=function.logs_group_name,
        )

    def _layers(self, function: LambdaFunction) -> list[Path]:
        from moto.awslambda.models import lambda_backends

        backend = lambda_backends[function.account_id][function.region]
        found = [backend.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
        # The content of another account's public layer is not to be had; its packages are in this environment.
        own = [layer for layer in found if layer is not None]
        return [self._unpacked(layer.code_bytes, layer.code_digest) / "python" for layer in own]

    def _unpacked(self, archive: bytes, digest: str) -> Path:
        folder = self._folder / "code" / digest
        if not folder.is_dir():
            draft = Path(tempfile.mkdtemp(dir=self._folder))
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(draft)  # leaves out "..", drives and leading slashes
            try:
                draft.rename(folder)
            except OSError:  # another invocation was faster
                shutil.rmtree(draft)
        return folder

    def _keep_log(self, function: LambdaFunction, process: FunctionProcess, lines: list[str]) -> None:
        from moto.core.utils import unix_time_millis

        logs, group, stream = function.logs_backend, function.logs_group_name, process.log_stream
        logs.ensure_log_group(group)
        if stream not in logs.groups[group].streams:
            logs.create_log_stream(group, stream)
        events = [{"timestamp": int(unix_time_millis()), "message": line} for line in lines]
        logs.put_log_events(group, stream, events)


def install(cloud: Cloud) -> None:
    """Have moto's functions run in processes, accept the public layers of other accounts, and log where they say."""
    from moto.awslambda import models

    functions = Functions(cloud)

    def invoke(
        self: LambdaFunction, body: str | bytes, request_headers: Mapping[str, str], response_headers: dict[str, str]
    ) -> bytes:
        event = json.loads(body) if body else {}
        request_id = str(uuid.uuid4())
        response_headers |= {"x-amzn-RequestId": request_id, "x-amz-executed-version": str(self.version)}
        kind = {name.lower(): value for name, value in request_headers.items()}.get("x-amz-invocation-type")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            threading.Thread(target=functions.invoke, args=(self, event, request_id), daemon=True).start()
            return b""
        outcome = functions.invoke(self, event, request_id)
        log = "\n".join(outcome.lines).encode()[-_LOG_RESULT_BYTES:]
        response_headers["x-amz-log-result"] = base64.b64encode(log).decode()
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload.encode()

    replace(models.LambdaFunction, "invoke", invoke)
    _follow_qualifiers()
    _forget_deleted(functions)
    _accept_foreign_layers(cloud)
    _follow_logging_config()


def _follow_qualifiers() -> None:
    """Invoke the version or alias that is asked for; moto looks for the parameter under another spelling."""
    from moto.awslambda.responses import LambdaResponse

    def invoke(self: Any) -> Any:
        if "Qualifier" in self.querystring:
            self.querystring["qualifier"] = self.querystring["Qualifier"]
        return invoke_unqualified(self)

    invoke_unqualified = replace(LambdaResponse, "invoke", invoke)


def _forget_deleted(functions: Functions) -> None:
    from moto.awslambda.models import LambdaBackend

    def delete_function(self: Any, function_name: str, qualifier: str | None = None) -> None:
        delete(self, function_name, qualifier)
        if qualifier is None:
            functions.forget(function_name.split(":function:")[-1].split(":")[0])

    delete = replace(LambdaBackend, "delete_function", delete_function)


def _accept_foreign_layers(cloud: Cloud) -> None:
    from moto.awslambda.models import LambdaFunction

    def get_layers_data(self: Any, arns: list[str]) -> list[dict[str, Any]]:
        layers: list[dict[str, Any]] = []
        for arn in arns:
            named = _LAYER_ARN.fullmatch(arn)
            if named is not None and named["account"] != cloud.account_id:
                layers.append({"Arn": arn, "CodeSize": 0})
            else:
                layers.extend(own_layers(self, [arn]))
        return layers

    own_layers = replace(LambdaFunction, "_get_layers_data", get_layers_data)


def _follow_logging_config() -> None:
    from moto.awslambda.models import LambdaFunction

    def initialise(self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **named: Any) -> None:
        create(self, account_id, spec, *rest, **named)
        self.logs_group_name = (spec.get("LoggingConfig") or {}).get("LogGroup") or self.logs_group_name

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        group = (config_updates.get("LoggingConfig") or {}).get("LogGroup")
        self.logs_group_name = group or self.logs_group_name
        self.tracing_config = config_updates.get("TracingConfig") or self.tracing_config
        return update(self, config_updates)

    create = replace(LambdaFunction, "__init__", initialise)
    update = replace(LambdaFunction, "update_configuration", update_configuration)
