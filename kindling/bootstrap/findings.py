"""What a check found: pass, warn or fail, in words, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pass", "warn", "fail"]

# AWS says which permission is missing in its message, but not always in the same words.
_PERMISSION = re.compile(r"perform: ([a-z0-9-]+:\w+)")
_DENIED = ("AccessDenied", "UnauthorizedOperation", "AuthorizationError")


@dataclass(frozen=True)
class Finding:
    """One line of the table. `remedy` says what to do, where something is to be done."""

    check: str
    status: Status
    found: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check by its name, with the IAM actions that it asks for, the first of which is named when AWS names none."""

    name: str
    needs: Sequence[str]
    look: Callable[[], Iterable[Finding]]

    def findings(self) -> list[Finding]:
        """What the check found; that it could not be done is a finding, too."""
        from botocore.exceptions import BotoCoreError, ClientError

        from kindling.cli.failures import sentence_of

        try:
            return list(self.look())
        except ClientError as error:
            if (missing := missing_permission(error, self.needs)) is not None:
                return [
                    Finding(
                        self.name,
                        "warn",
                        f"not looked at: the permission {missing} is missing",
                        f"allow {missing}, or let somebody look who may.",
                    )
                ]
            return [Finding(self.name, "warn", f"not looked at: {sentence_of(error)}", "try again.")]
        except BotoCoreError as error:
            return [Finding(self.name, "fail", f"AWS could not be asked: {error}", "check the network and the region.")]


def missing_permission(error: Any, needs: Sequence[str]) -> str | None:
    """The IAM action that a refused call lacked; None when it was refused for something else."""
    found = error.response.get("Error", {})
    if not str(found.get("Code", "")).startswith(_DENIED):
        return None
    if named := _PERMISSION.search(str(found.get("Message", ""))):
        return named[1]
    of_call = [need for need in needs if need.partition(":")[2] == error.operation_name]
    return of_call[0] if of_call else needs[0]
