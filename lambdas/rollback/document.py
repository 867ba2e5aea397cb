"""The execution's document, read after a failure, when any part of it may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lambdas.rollback.cause import error_name, failed_state, in_words
from lambdas.rollback.undo import BATCH, PREPARATION, TRAINING, TUNING, Begun, Job, Progress


def begun(document: Mapping[str, Any], attempts: int) -> Begun | None:
    """What the execution may have made; None when it had no plan, and so made nothing."""
    plan = document.get("plan")
    if plan is None:
        return None
    base, tuning = plan["base_name"], plan["tuning"]
    wanted = (
        (plan["preparation"] is not None, PREPARATION, f"{base}-p"),
        (tuning is not None, TUNING, tuning["base_name"] if tuning else ""),
        (plan["training"]["EnableManagedSpotTraining"], TRAINING, f"{base}-s"),
        (True, TRAINING, f"{base}-"),
        (plan["batch"] is not None, BATCH, f"{base}-b"),
    )
    former = document.get("former") or {}
    deployment = plan["deployment"]
    return Begun(
        jobs=tuple(
            Job(kind=kind, name=f"{beginning}{attempt}")
            for there, kind, beginning in wanted
            if there
            for attempt in range(attempts)
        ),
        model=deployment["model_name"],
        config=deployment["config_name"],
        endpoint=deployment["endpoint_name"],
        action=former.get("action"),
        former_config=former.get("config_name"),
    )


def progress(document: Mapping[str, Any]) -> Progress:
    """How far the calls before this one came."""
    noted = (document.get("rollback") or {}).get("progress")
    return Progress(**{**noted, "undone": tuple(noted["undone"])}) if noted else Progress()


def outcome(failed: Mapping[str, Any], undone: Sequence[str]) -> tuple[str, str]:
    """The execution's error and its cause: the state, the reason in words, and what could not be undone."""
    state = failed_state(failed)
    cause = f"{state}: {_reason(state, failed[state])}"
    if undone:
        cause += f" What could not be undone: {'; '.join(undone)}."
    return error_name(state), cause


def _reason(state: str, failure: Mapping[str, Any]) -> str:
    if state == "Approve" and failure.get("Error") == "States.Timeout":
        return "nobody has decided in time."
    return in_words(failure)
