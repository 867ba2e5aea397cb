"""How a seam changes moto: by replacing an attribute that must be there."""

from __future__ import annotations

from typing import Any


class SeamError(RuntimeError):
    """moto is not the version that a seam was written for."""


def replace(owner: Any, name: str, replacement: object) -> Any:
    """Put `replacement` in place of `owner.name`, and return what was there.

    Raises:
        SeamError: there is no such attribute, so the replacement would be without effect.
    """
    if not hasattr(owner, name):
        raise SeamError(f"{getattr(owner, '__name__', owner)} has no {name}; moto must be the pinned version.")
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    return original
