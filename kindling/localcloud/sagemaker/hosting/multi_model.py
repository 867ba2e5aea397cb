"""Multi-model endpoints: models brought and loaded when they are asked for, unloaded when there is no room.

The container's side is SageMaker's contract for multi-model containers: POST /models, DELETE /models/{name} and
POST /models/{name}/invoke. A model's name there is a hash of its address in S3, and its files lie unpacked in
models/<hash>/model below the folder that stands for /opt/ml.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, ref

import urllib3

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.errors import DataError, InvalidInvocationError, ModelNotReadyError
from kindling.localcloud.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.surroundings import Surroundings

_NO_MEMORY, _LOADED_ALREADY, _NOT_LOADED = 507, 409, 404


@dataclass
class _Loaded:
    """A model that the container is believed to have, and the requests to it that are under way."""

    name: str
    folder: Path
    under_way: int = 0
    present: bool = False
    loading: Future[urllib3.BaseHTTPResponse | None] | None = None


class MultiModels:
    """The models of all multi-model instances of a cloud."""

    def __init__(self, around: Surroundings, metrics: EndpointMetrics) -> None:
        self._around = around
        self._metrics = metrics
        self._lock = threading.Lock()
        self._instances: WeakKeyDictionary[Instance, _Models] = WeakKeyDictionary()

    def holder(self, instances: Sequence[Instance], model: str) -> Instance | None:
        """The first of some instances that has a model loaded, or None."""
        with self._lock:
            return next((one for one in instances if one in self._instances and model in self._instances[one]), None)

    def invoke(
        self, endpoint: str, instance: Instance, model: str, body: bytes, headers: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """The container's answer to an invocation of a model, which is loaded first when it is not.

        Raises:
            InvalidInvocationError: there is no such model, or its archive cannot be unpacked.
            ModelNotReadyError: loading it takes longer than an invocation may.
            urllib3.exceptions.HTTPError: no answer in time, or no connection.
        """
        with self._lock:
            models = self._instances.get(instance)
            if models is None:
                models = self._instances[instance] = _Models(endpoint, instance, self._around, self._metrics)
        return models.invoke(model, body, headers)


class _Models:
    """The models of one instance, the least recently used first."""

    def __init__(self, endpoint: str, instance: Instance, around: Surroundings, metrics: EndpointMetrics) -> None:
        self._endpoint, self._variant = endpoint, instance.variant.name
        # Weakly, for whoever holds this drops it when nobody else has the instance any more.
        self._instance = ref(instance)
        self._folder = instance.base / "models"
        self._inside = around.runner.inside(instance.base) / "models"
        prefix = instance.variant.model.data
        assert prefix is not None
        self._prefix = prefix
        self._around, self._metrics = around, metrics
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    def __contains__(self, model: str) -> bool:
        with self._lock:
            return model in self._loaded and self._loaded[model].present

    def invoke(self, model: str, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer to an invocation of a model."""
        began = time.perf_counter()
        with self._in_use(model) as loaded:
            self._metrics.model_hit(self._endpoint, self._variant, loaded=loaded.present)
            if (refused := self._wait_until_loaded(model, loaded)) is not None:
                return refused
            self._metrics.model_times(self._endpoint, self._variant, ModelLoadingWaitTime=time.perf_counter() - began)
            answer = self._ask(loaded, body, headers)
            if answer.status == _NOT_LOADED and not self._knows(loaded):
                loaded.present = False  # the container was started again, and begins without a model
                if (refused := self._wait_until_loaded(model, loaded)) is not None:
                    return refused
                answer = self._ask(loaded, body, headers)
            while answer.status == _NO_MEMORY and self._unload_one():
                answer = self._ask(loaded, body, headers)
            return answer

    @contextmanager
    def _in_use(self, model: str) -> Iterator[_Loaded]:
        """The model, which is not unloaded meanwhile."""
        with self._lock:
            loaded = self._loaded.get(model)
            if loaded is None:
                name = hashlib.sha256(str(self._prefix.below(model)).encode()).hexdigest()[:32]
                loaded = self._loaded[model] = _Loaded(name, self._folder / name / "model")
            self._loaded.move_to_end(model)
            loaded.under_way += 1
        try:
            yield loaded
        finally:
            self._let_go(model, loaded)

    def _let_go(self, model: str, loaded: _Loaded) -> None:
        with self._lock:
            loaded.under_way -= 1
            if not loaded.present and not loaded.under_way and self._loaded.get(model) is loaded:
                del self._loaded[model]

    def _wait_until_loaded(self, model: str, loaded: _Loaded) -> urllib3.BaseHTTPResponse | None:
        """Have the container load a model, unless it has; the container's answer when it refused.

        Raises:
            ModelNotReadyError: that takes longer than an invocation may; it goes on.
        """
        with self._lock:
            if loaded.present:
                return None
            loading = loaded.loading
            if loading is None:
                loading = loaded.loading = Future()
                loaded.under_way += 1
                work = (model, loaded, loading, self._instance())
                threading.Thread(target=self._load, args=work, name=f"load {model}", daemon=True).start()
        try:
            return loading.result(self._around.limits.invocation_s)
        except TimeoutError:
            raise ModelNotReadyError(f"The model {model} is still being downloaded or loaded. Try again.") from None

    def _load(
        self,
        model: str,
        loaded: _Loaded,
        loading: Future[urllib3.BaseHTTPResponse | None],
        _instance: Instance | None,  # held while it is asked
    ) -> None:
        try:
            refused = self._load_now(model, loaded)
        except Exception as error:  # noqa: BLE001  it belongs to those who wait for the model
            loaded.loading = None
            loading.set_exception(error)
        else:
            loaded.present, loaded.loading = refused is None, None
            loading.set_result(refused)
        finally:
            self._let_go(model, loaded)
        self._tell_count()

    def _load_now(self, model: str, loaded: _Loaded) -> urllib3.BaseHTTPResponse | None:
        self._bring(model, loaded.folder)
        began = time.perf_counter()
        answer = self._post(loaded)
        while answer.status == _NO_MEMORY and self._unload_one():
            answer = self._post(loaded)
        if not (200 <= answer.status < 300 or answer.status == _LOADED_ALREADY):
            shutil.rmtree(loaded.folder.parent, ignore_errors=True)
            return answer
        self._metrics.model_times(self._endpoint, self._variant, ModelLoadingTime=time.perf_counter() - began)
        return None

    def _bring(self, model: str, folder: Path) -> None:
        """Download and unpack a model's archive."""
        began = time.perf_counter()
        address = self._prefix.below(model)
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
            try:
                self._around.objects.read_into(address, archive.file)
            except DataError:
                raise _missing(address) from None
            archive.flush()
            try:
                archives.unpack(Path(archive.name), folder)
            except DataError as error:
                shutil.rmtree(folder.parent, ignore_errors=True)
                raise InvalidInvocationError(f"{address}: {error}") from None
        self._metrics.model_times(self._endpoint, self._variant, ModelDownloadingTime=time.perf_counter() - began)

    def _unload_one(self) -> bool:
        """Unload the model that was used least recently and that nobody uses now; False when there is none."""
        with self._lock:
            names = [name for name, loaded in self._loaded.items() if loaded.present and not loaded.under_way]
            if not names:
                return False
            loaded = self._loaded.pop(names[0])
        began = time.perf_counter()
        self._send("DELETE", f"/models/{loaded.name}", timeout_s=self._around.limits.loading_s)
        shutil.rmtree(loaded.folder.parent, ignore_errors=True)
        self._metrics.model_times(self._endpoint, self._variant, ModelUnloadingTime=time.perf_counter() - began)
        self._tell_count()
        return True

    def _post(self, loaded: _Loaded) -> urllib3.BaseHTTPResponse:
        wanted = json.dumps({"model_name": loaded.name, "url": str(self._inside / loaded.name / "model")}).encode()
        headers = {"Content-Type": "application/json"}
        return self._send("POST", "/models", body=wanted, headers=headers, timeout_s=self._around.limits.loading_s)

    def _ask(self, loaded: _Loaded, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        return self._send("POST", f"/models/{loaded.name}/invoke", body=body, headers=headers)

    def _send(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        instance = self._instance()
        assert instance is not None
        return instance.send(method, path, **more)

    def _knows(self, loaded: _Loaded) -> bool:
        return self._send("GET", f"/models/{loaded.name}").status != _NOT_LOADED

    def _tell_count(self) -> None:
        with self._lock:
            count = sum(loaded.present for loaded in self._loaded.values())
        self._metrics.models_loaded(self._endpoint, self._variant, count)


def _missing(address: Address) -> InvalidInvocationError:
    return InvalidInvocationError(
        f"Failed to download model data(bucket: {address.bucket}, key: {address.key}). Please ensure that there is an "
        "object located at the URL and that the role passed to CreateModel has permissions to download the model."
    )
