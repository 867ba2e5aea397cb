"""What the stacks are made of is what the embedded cloud can make, change and remove."""

from __future__ import annotations

from tests.localcloud.test_resource_types import template
from tests.stacks.synthesis import Assembly


def test_the_stacks_have_no_type_that_is_not_tried_on_the_embedded_cloud(
    assembly: Assembly, account_assembly: Assembly
) -> None:
    used = {
        resource["Type"]
        for each in (assembly, account_assembly)
        for stack in each.templates.values()
        for resource in stack.get("Resources", {}).values()
    }
    tried = {resource["Type"] for resource in template("word", 1)["Resources"].values()}
    assert len(used) > 10
    assert used <= tried
