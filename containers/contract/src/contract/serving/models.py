"""Multi-model endpoints: models that are loaded, listed, unloaded and invoked while the server runs.

POST /models, GET /models, GET /models/{name}, DELETE /models/{name} and POST /models/{name}/invoke, as SageMaker's
contract for multi-model containers has them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import orjson

from contract.errors import ClientError, is_users_mistake
from contract.memory import files_bytes, private_bytes
from contract.serving.application import Answer, Application, BodyTooLargeError, Receive, Scope, not_allowed, refusal
from contract.serving.handlers import Handlers, encode, kind, short
from contract.serving.registry import Entry, Registry
from contract.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

PAGE = 100  # models that one answer lists
_MODELS, _INVOKE = "/models", "/invoke"


class NoMemoryError(Exception):
    """A model needs more memory than there is. The message is one sentence."""


class MultiModelApplication(Application):
    """The ASGI application of a multi-model endpoint, which begins without a model.

    Args:
        load: reads the model in a folder; raises ClientError where it is not one of ours.
    """

    def __init__(self, load: Callable[[Path], Handlers], registry: Registry, settings: ServingSettings) -> None:
        super().__init__({}, settings)
        self._load, self._registry = load, registry
        self._mapped: dict[str, tuple[tuple[int, int], Handlers]] = {}  # this worker's, by name, with their versions
        self._mapping: dict[str, asyncio.Lock] = {}

    def at_once(self, method: bytes, path: bytes, content_type: str, accept: str, body: bytes) -> Answer | None:
        """The answer to a short request to a model that this worker has mapped."""
        if method == b"POST" and path.startswith(b"/models/") and path.endswith(b"/invoke"):
            name = path[len(_MODELS) + 1 : -len(_INVOKE)].decode("ascii", "replace")
            handlers = self._present(unquote(name) if "%" in name else name)
            return self.answer_at_once(handlers, content_type, accept, body) if handlers else None
        return super().at_once(method, path, content_type, accept, body) if method == b"GET" else None

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to any request."""
        method, path = scope["method"], scope["path"]
        if path == "/invocations":
            return refusal(404, "this endpoint has several models; invoke one by /models/{name}/invoke.")
        if path == _MODELS:
            if method == "POST":
                return await self._load_one(scope, receive)
            return self._list(scope) if method == "GET" else not_allowed(method, "GET, POST")
        if not path.startswith(f"{_MODELS}/"):
            return await super().answer(scope, receive)
        name = path[len(_MODELS) + 1 :]
        if name.endswith(_INVOKE):
            if method != "POST":
                return not_allowed(method, "POST")
            return await self._invoke_one(name[: -len(_INVOKE)], scope, receive)
        entry = self._registry.find(name)
        if method not in ("GET", "DELETE"):
            return not_allowed(method, "GET, DELETE")
        if entry is None or (method == "DELETE" and not self._registry.remove(name)):
            return _unknown(name)
        self.forget()
        return Answer(200, encode(_shown(entry) if method == "GET" else {}))

    def forget(self) -> None:
        """Let go of the models that have been unloaded, here or by another worker."""
        for name, (version, _) in list(self._mapped.items()):
            entry = self._registry.find(name)
            if entry is None or entry.version != version:
                del self._mapped[name]

    async def _load_one(self, scope: Scope, receive: Receive) -> Answer:
        try:
            name, url = _asked(await self.body(scope, receive))
            return await asyncio.to_thread(self._add, name, url)
        except BodyTooLargeError:
            return refusal(413, "the body is too long.")
        except (NoMemoryError, MemoryError) as error:
            return refusal(507, str(error) or "there is not enough memory for the model; unload another first.")
        except ClientError as error:
            return refusal(400, str(error))

    def _add(self, name: str, url: str) -> Answer:
        """Map a model and show it to the other workers. Runs in a thread."""
        folder = Path(url)
        if not folder.is_dir():
            raise ClientError(f"url={url[:200]!r} is not a folder; it must be the one that holds the unpacked model.")
        with self._registry.locked():
            if self._registry.find(name) is not None:
                return refusal(409, f"a model named {name[:200]!r} is loaded already; unload it first.")
            on_disk, free = files_bytes(folder), self._registry.free_bytes()
            self._check_memory(name, on_disk, free)
            before = private_bytes()
            try:
                handlers = self._load(folder)
            except Exception as error:
                if is_users_mistake(error) or isinstance(error, MemoryError):
                    raise
                logger.error("the model %r cannot be loaded", name, exc_info=error)
                return refusal(500, f"the model cannot be loaded: {type(error).__name__}.")
            # Workers share what is mapped; the rest, such as the words' index, each of them has for itself.
            needed = on_disk + self.settings.workers * max(0, private_bytes() - before)
            self._check_memory(name, needed, free)
            self._registry.add(Entry(name, url, needed))
            entry = self._registry.find(name)
            if entry is not None:
                self._mapped[name] = (entry.version, handlers)
        return Answer(200, encode({}))

    def _check_memory(self, name: str, needed: int, free: int) -> None:
        if needed > free:
            raise NoMemoryError(
                f"the model {name[:200]!r} needs {needed / 2**20:.0f} MiB of memory, and {max(0, free) / 2**20:.0f} MiB"
                " are free; unload another first."
            )

    def _list(self, scope: Scope) -> Answer:
        after = parse_qs(scope["query_string"].decode("latin-1")).get("next_page_token", [""])[-1]
        models = [entry for entry in self._registry.all() if quote(entry.name) > after]
        models.sort(key=lambda entry: quote(entry.name))
        page: dict[str, Any] = {"models": [_shown(entry) for entry in models[:PAGE]]}
        if len(models) > PAGE:
            page["nextPageToken"] = quote(models[PAGE - 1].name)
        return Answer(200, encode(page))

    async def _invoke_one(self, name: str, scope: Scope, receive: Receive) -> Answer:
        try:
            handlers = self._present(name) or await self._map(name)
        except MemoryError:
            return refusal(507, f"there is not enough memory for the model {name[:200]!r}; unload another first.")
        except Exception as error:
            logger.error("the model %r cannot be loaded", name, exc_info=error)
            return refusal(500, f"the model cannot be loaded: {type(error).__name__}.")
        return await self.invoke(handlers, scope, receive) if handlers else _unknown(name)

    def _present(self, name: str) -> Handlers | None:
        """A model's handlers, if it is loaded and this worker has mapped it."""
        mapped = self._mapped.get(name)
        if mapped is None:
            return None
        entry = self._registry.find(name)
        return mapped[1] if entry is not None and entry.version == mapped[0] else None

    async def _map(self, name: str) -> Handlers | None:
        """A model that another worker was told to load; None where it is not loaded."""
        async with self._mapping.setdefault(name, asyncio.Lock()):
            handlers = self._present(name)
            entry = self._registry.find(name)
            if handlers is None and entry is not None:
                handlers = await asyncio.to_thread(self._load, Path(entry.url))
                self._mapped[name] = (entry.version, handlers)
        self._mapping.pop(name, None)
        return handlers


def _asked(body: bytes) -> tuple[str, str]:
    """The name and the folder in a request to load a model.

    Raises:
        ClientError: one is missing, or no text.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError(f"the request is not JSON: {error.msg}.") from None
    if not isinstance(request, dict):
        raise ClientError(f"the request is {kind(request)}; it must be an object.")
    for field in ("model_name", "url"):
        value = request.get(field)
        if not isinstance(value, str) or not value or "\0" in value:
            raise ClientError(f"{field}={short(value)} is not valid; it must be a text that is not empty.")
    return request["model_name"], request["url"]


def _shown(entry: Entry) -> dict[str, str]:
    return {"modelName": entry.name, "modelUrl": entry.url}


def _unknown(name: str) -> Answer:
    return refusal(404, f"no model named {name[:200]!r} is loaded.")
