"""moto's backends as bytes and back: all of them in one pickle, so that what two of them share stays shared.

Left out, because they grow with use and are kept piece by piece (persistence.py): S3's objects and uploads, log events,
metric data and executions. Reading a pickle back makes nothing but moto's classes and those named here.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from types import BuiltinFunctionType, FunctionType
from typing import Any

_ATTEMPTS = 100
_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
# Attributes of moto's classes that are kept in part, or elsewhere: what remains of them.
_REDUCED: dict[tuple[str, str], dict[str, Callable[[Any], Any]]] = {
    ("moto.s3.models", "FakeBucket"): {"keys": lambda _keys: _key_store(), "multiparts": lambda _uploads: {}},
    ("moto.logs.models", "LogStream"): {"events": lambda _events: []},
    ("moto.cloudwatch.models", "CloudWatchBackend"): {"metric_data": lambda _data: []},
    ("moto.stepfunctions.models", "StateMachineInstance"): {"executions": lambda _executions: []},
    # AWS's own policies, a thousand of them, are there again with moto.
    ("moto.iam.models", "IAMBackend"): {
        "managed_policies": lambda policies: {
            arn: policy for arn, policy in list(policies.items()) if not _is_aws_own(policy)
        },
        "aws_managed_policies": lambda _policies: [],
    },
}


class UnreadableSnapshotError(ValueError):
    """The bytes are no snapshot, or one that asks for what a snapshot has no business with."""


def dumps(value: Any) -> bytes:
    """`value`, in which backends stand for themselves, as bytes.

    Other threads may be changing it: a collection that changes while it is read is read again.
    """
    for attempt in range(_ATTEMPTS):
        buffer = io.BytesIO()
        try:
            _Pickler(buffer, protocol=5).dump(value)
        except RuntimeError as error:
            if ("changed size" not in str(error) and "mutated" not in str(error)) or attempt == _ATTEMPTS - 1:
                raise
        else:
            return buffer.getvalue()
    raise AssertionError


def loads(data: bytes) -> Any:
    """The value that `dumps` was given.

    Raises:
        UnreadableSnapshotError: the bytes are not what `dumps` makes.
    """
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except UnreadableSnapshotError:
        raise
    except Exception as error:
        raise UnreadableSnapshotError(f"{type(error).__name__}: {error}") from error


def backends(wanted: Callable[[str], bool]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The attributes of every backend in use of the wanted services, by service, account and region."""
    from moto.core.base_backend import BackendDict

    return {
        (kind.service_name, account, region): _without(backend)
        for kind in list(BackendDict._instances)  # type: ignore[misc]
        if wanted(kind.service_name) and _kind(kind.service_name) is kind  # of two for Step Functions one counts
        for account, region, backend in list(kind.iter_backends())
        if not region.startswith("aws-")  # another partition, which moto makes and nobody asks
    }


def backends_of(service: str, account: str) -> list[tuple[str, Any]]:
    """The backends of a service that are in use, by region."""
    from moto.core.base_backend import BackendDict

    return [
        (region, backend)
        for kind in list(BackendDict._instances)  # type: ignore[misc]
        if kind.service_name == service
        for owner, region, backend in list(kind.iter_backends())
        if owner == account and not region.startswith("aws-")
    ]


def put_back(found: dict[tuple[str, str, str], dict[str, Any]]) -> None:
    """Have the backends be what `backends` found."""
    for (service, account, region), attributes in found.items():
        backend = _backend(service, account, region)
        fresh = dict(backend.__dict__)
        for name, value in attributes.items():
            if name in ("managed_policies", "aws_managed_policies"):
                value = fresh[name] | value if isinstance(value, dict) else fresh[name]
            if isinstance(value, defaultdict) and isinstance(fresh.get(name), defaultdict):
                value.default_factory = fresh[name].default_factory
            setattr(backend, name, value)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind in (_LOCK, _RLOCK):
            return _lock, (kind is _RLOCK,)
        if kind is threading.Condition:
            return _condition, ()
        if kind is FunctionType and "<locals>" in value.__qualname__:
            return _lost_function, ()
        if isinstance(value, type) or kind in (FunctionType, BuiltinFunctionType):
            return self._by_name(value)
        if kind is weakref.WeakValueDictionary:
            return weakref.WeakValueDictionary, (), None, None, iter(list(value.items()))
        if kind.__module__.startswith("cryptography."):
            return _private_key, (_pem(value),)
        if kind.__module__ == "kindling.localcloud.resources.base" and hasattr(value, "cloudformation_type"):
            return _resource, (value.cloudformation_type(),), value.__dict__
        if kind.__module__.startswith("moto."):
            return self._of_moto(kind, value)
        return NotImplemented

    @staticmethod
    def _by_name(value: Any) -> Any:
        """A class or a function, which a name stands for, if that can be read back."""
        if value.__qualname__ in _ALLOWED.get(value.__module__, ()) or _is_motos_class(value):
            return NotImplemented
        raise pickle.PicklingError(f"{value.__module__}.{value.__qualname__} has no place in a snapshot")

    def _of_moto(self, kind: type, value: Any) -> Any:
        from moto.core.base_backend import BaseBackend

        if isinstance(value, BaseBackend):
            service = kind.__module__.split(".")[1]
            return _backend, (_SERVICES.get(service, service), value.account_id, value.region_name)
        if _is_aws_own(value):
            return _aws_own_policy, (value.account_id, value.partition, value.arn), value.__dict__
        if any((base.__module__, base.__name__) in _REDUCED for base in kind.__mro__):
            return copyreg.__newobj__, (kind,), _without(value)  # type: ignore[attr-defined]
        if isinstance(value, dict):  # whose class may ask for more than a dict does
            new = copyreg.__newobj__  # type: ignore[attr-defined]
            return new, (kind,), value.__dict__ or None, None, iter(list(value.items()))
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("moto."):
            found = super().find_class(module, name)
            if _is_motos_class(found):
                return found
        raise UnreadableSnapshotError(f"it asks for {module}.{name}, which no snapshot holds")


# What a snapshot may hold beside moto's classes. It is looked at when one is written, too: one that could not be read
# back would lose everything.
_ALLOWED: Mapping[str, Set[str]] = {
    "builtins": {
        "bool",
        "bytearray",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "set",
        "str",
        "tuple",
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "kindling.localcloud.resources.base": {"Made"},
    "re": {"_compile"},
    "requests.structures": {"CaseInsensitiveDict"},
    "uuid": {"UUID"},
    "weakref": {"WeakValueDictionary"},
    __name__: {"_aws_own_policy", "_backend", "_condition", "_lock", "_lost_function", "_private_key", "_resource"},
}


def _is_motos_class(value: object) -> bool:
    return isinstance(value, type) and value.__module__.startswith("moto.")


# moto's packages whose services have another name.
_SERVICES = {"awslambda": "lambda"}


def _without(value: Any) -> dict[str, Any]:
    """An object's attributes, those that are not kept here reduced."""
    attributes = dict(value.__dict__)
    for base in type(value).__mro__:
        for name, reduced in _REDUCED.get((base.__module__, base.__name__), {}).items():
            attributes[name] = reduced(attributes[name])
    return attributes


def _is_aws_own(policy: Any) -> bool:
    return type(policy).__name__ == "AWSManagedPolicy"


def _aws_own_policy(account: str, partition: str, arn: str) -> Any:
    return _backend("iam", account, partition).managed_policies[arn]


def _key_store() -> Any:
    from moto.s3.utils import _VersionedKeyStore

    return _VersionedKeyStore()


def _backend(service: str, account: str, region: str) -> Any:
    return _kind(service)[account][region]


def _kind(service: str) -> Any:
    """The backends of a service."""
    if service == "stepfunctions":
        from moto.stepfunctions import models

        return models.stepfunctions_backends  # where a seam has put the interpreter's, which `get_backend` passes by
    from moto.backends import get_backend

    return get_backend(service)  # type: ignore[call-overload]


def _lock(reentrant: bool) -> Any:
    return threading.RLock() if reentrant else threading.Lock()


def _condition() -> threading.Condition:
    return threading.Condition()


def _lost_function() -> None:
    """What a function without a name becomes; `put_back` finds the factories of defaultdicts again."""


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem, None)


def _resource(resource_type: str) -> Any:
    from moto.cloudformation.parsing import get_model_map

    model: Any = get_model_map()[resource_type]
    return model.__new__(model)
