"""Training whose vectors grow beyond all bounds, told by the hyperparameter that is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from contract.errors import ClientError


@contextmanager
def divergence_named(learning_rate: float) -> Iterator[None]:
    """Name the hyperparameter by which the engine's vectors grew beyond all bounds.

    Raises:
        ClientError: they did.
    """
    try:
        yield
    except FloatingPointError:
        raise ClientError(
            f"learning_rate={learning_rate:g} is too high for this corpus: the vectors grew beyond all bounds; lower"
            " it."
        ) from None
