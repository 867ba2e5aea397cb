"""What is gone already need not be deleted."""

from __future__ import annotations

from contextlib import AbstractContextManager

from kindling.localcloud.resources.base import gone_is_fine

# What services say of what is not there, where the error's code does not.
_SAID = ("Could not find", "Cannot find", "does not exist", "No scalable target found")


def unless_gone() -> AbstractContextManager[None]:
    """Lets work on something pass that is not there any more."""
    return gone_is_fine(*_SAID)
