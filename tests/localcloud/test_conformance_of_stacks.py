"""What the pinned moto does with stacks that makes these seams necessary. A failure says that a seam can go."""

from __future__ import annotations

import inspect


def test_moto_looks_for_parameters_in_ref_alone() -> None:
    from moto.cloudformation import parsing

    assert "Fn::Sub" not in inspect.getsource(parsing.ResourceMap.build_resource_diff)
    assert "get_references_from_template" in inspect.getsource(parsing.ResourceMap.build_resource_diff)


def test_moto_finds_a_change_set_by_its_name_alone_and_tells_no_property() -> None:
    from moto.cloudformation.models import ChangeSet
    from moto.cloudformation.responses import CloudFormationResponse

    assert "StackName" not in inspect.getsource(CloudFormationResponse.describe_change_set)
    assert "StackName" not in inspect.getsource(CloudFormationResponse.delete_change_set)
    assert "details" not in inspect.getsource(ChangeSet.diff)


def test_moto_leaves_an_update_without_a_change_and_a_failed_one_alone() -> None:
    from moto.cloudformation.models import CloudFormationBackend, Stack

    for part in (CloudFormationBackend.update_stack, Stack.update):
        assert "ROLLBACK" not in inspect.getsource(part)
        assert "No updates" not in inspect.getsource(part)


def test_moto_changes_a_role_only_in_part() -> None:
    from moto.iam.models import Role

    assert "Tags" not in inspect.getsource(Role.update_from_cloudformation_json)
