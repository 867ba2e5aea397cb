"""Every policy document in the templates, and what parliament says of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator

from kindling import policy_documents
from tests.stacks.synthesis import Assembly

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # parliament leaves files open and uses pkg_resources
    from parliament import analyze_policy_string


class Policy(policy_documents.Policy):
    """A policy document that parliament may be asked about."""

    def findings(self) -> set[str]:
        """What parliament has to say: `ISSUE: detail`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            analysed = analyze_policy_string(json.dumps(self.document), include_community_auditors=True)
        return {f"{finding.issue}: {finding.detail}" for finding in analysed.findings}


def policies(assembly: Assembly) -> Iterator[Policy]:
    """The documents of roles, of managed policies and of the resources that carry one."""
    for policy in policy_documents.Documents(assembly.templates).policies():
        yield Policy(policy.resource, policy.property, policy.document)
