"""CloudFormation resource types that moto lacks or makes only in part, made through the cloud's own API.

`TYPES` is the list; cloudformation.py gives it to moto.
"""

from __future__ import annotations

from kindling.localcloud.resources import (
    budgets,
    compute,
    events,
    identity,
    messaging,
    network,
    roles,
    sagemaker,
    scaling,
    storage,
)
from kindling.localcloud.resources.base import ResourceType

TYPES: tuple[type[ResourceType], ...] = (
    *storage.TYPES,
    *roles.TYPES,
    *identity.TYPES,
    *messaging.TYPES,
    *compute.TYPES,
    *network.TYPES,
    *events.TYPES,
    *budgets.TYPES,
    *sagemaker.TYPES,
    *scaling.TYPES,
)
