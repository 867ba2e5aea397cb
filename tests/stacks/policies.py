"""Every policy document in the templates, and what parliament says of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import cache

from kindling import policy_documents
from tests.stacks.synthesis import Assembly

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # parliament leaves files open and uses pkg_resources
    from parliament import analyze_policy_string


class Policy(policy_documents.Policy):
    """A policy document that parliament may be asked about."""

    def findings(self) -> set[str]:
        """What parliament has to say: `ISSUE: detail`."""
        return _findings(json.dumps(self.document))


@cache
def _findings(document: str) -> set[str]:
    """Kept, for a document that allows every action takes parliament some seconds, and several are the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysed = analyze_policy_string(document, include_community_auditors=True)
    return {f"{finding.issue}: {finding.detail}" for finding in analysed.findings}


def policies(assembly: Assembly) -> Iterator[Policy]:
    """The documents of roles, of managed policies and of the resources that carry one."""
    for policy in policy_documents.Documents(assembly.templates).policies():
        yield Policy(policy.resource, policy.property, policy.document)
