"""Cost-allocation tags: a bill is broken down by a tag once it is activated, which CloudFormation cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stacks.settings import Settings

# What pipelines tag their jobs, models and endpoints with (lambdas/plan/plan.py).
OF_PIPELINES: Final = ("kindling:algorithm", "kindling:run")
_AT_A_TIME = 20
_UNKNOWN = "TagKeysNotFoundException"


@dataclass(frozen=True)
class CostTags:
    """What became of the tags. `unknown` were on nothing that was billed until now; `refused` has AWS's own words."""

    active: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    refused: str | None = None

    def sentences(self) -> Iterator[str]:
        """What a person is told: nothing of what is as it should be but that it is."""
        if self.refused is not None:
            yield (
                f"Cost-allocation tags were not activated: {self.refused} In an organisation the management account "
                "activates them, under Billing, Cost allocation tags."
            )
        if self.active:
            yield f"The bill can be broken down by {', '.join(self.active)} from tomorrow on."
        if self.unknown:
            yield (
                f"AWS does not know the tags {', '.join(self.unknown)} yet: it does a day after they are first used. "
                "Run `kindling bootstrap` again then."
            )
        for key, why in self.failed:
            yield f"The tag {key} was not activated: {why}"


def keys_of(settings: Settings) -> tuple[str, ...]:
    """The tags by which a deployment's costs can be told apart: those of pipelines, and the settings' own."""
    return (*OF_PIPELINES, *(key for key in settings.tags if key not in OF_PIPELINES))


def activate(cost_explorer: Any, keys: Sequence[str]) -> CostTags:
    """Activates tags for cost allocation; those that are active stay so.

    An account that may not, such as a member of an organisation, is told in the result and is no error.

    Args:
        cost_explorer: a client of `ce`.
    Raises:
        ClientError: AWS failed for another reason than that it may not be asked.
    """
    from botocore.exceptions import ClientError

    errors: dict[str, dict[str, str]] = {}
    for first in range(0, len(keys), _AT_A_TIME):
        wanted = [{"TagKey": key, "Status": "Active"} for key in keys[first : first + _AT_A_TIME]]
        try:
            answer = cost_explorer.update_cost_allocation_tags_status(CostAllocationTagsStatus=wanted)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            return CostTags(refused=_sentence(error.response["Error"]["Message"]))
        errors |= {one["TagKey"]: one for one in answer.get("Errors", ())}
    return CostTags(
        active=tuple(key for key in keys if key not in errors),
        unknown=tuple(key for key, one in errors.items() if one["Code"] == _UNKNOWN),
        failed=tuple((key, _sentence(one["Message"])) for key, one in errors.items() if one["Code"] != _UNKNOWN),
    )


def _sentence(words: str) -> str:
    return f"{words.rstrip('. ')}."
