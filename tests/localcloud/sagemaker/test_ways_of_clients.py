"""What clients rely on beside the operations themselves: found by running them, see tests/clients."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud.sagemaker.hosting.endpoint import CREATING, DELETING, IN_SERVICE, Endpoint
from tests.localcloud.sagemaker.conftest import Account, new_name


def test_a_job_without_a_key_is_described_with_an_empty_one(account: Account) -> None:
    """The SageMaker SDK's Estimator.attach reads it unasked."""
    assert account.train()["OutputDataConfig"]["KmsKeyId"] == ""


def test_a_configuration_may_go_while_its_endpoint_serves_on(account: Account) -> None:
    """The SageMaker SDK's Predictor.delete_endpoint deletes the configuration first."""
    name = account.serve()
    config = account.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    account.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert account.ask(name)["body"] == "hello"
    assert account.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == config


def test_a_configuration_stays_while_an_endpoint_is_on_the_way_to_it(account: Account) -> None:
    name, config = new_name("endpoint"), account.endpoint_config(account.model({"HEALTHY": "no"}))
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    with pytest.raises(ClientError, match=f'Cannot delete endpoint configuration .* while endpoint "{name}" uses it'):
        account.sagemaker.delete_endpoint_config(EndpointConfigName=config)


class Slow:
    """A fleet and the change-over to it, which ends when it is told to."""

    old = None

    def __init__(self) -> None:
        self.told = threading.Event()
        self.new = self

    def run(self) -> None:
        self.told.wait()

    def stop(self) -> None:
        pass


def test_a_change_that_is_soon_over_is_waited_for_and_a_long_one_is_not() -> None:
    """Waiters ask again after half a minute."""
    slow: Any = Slow()
    endpoint, gone = Endpoint("e", "arn", {}, slow, lambda *_: None, lambda: False), threading.Event()
    endpoint.deploy(slow)
    endpoint.settle(0.01)
    assert endpoint.status == CREATING
    threading.Timer(0.05, slow.told.set).start()
    endpoint.settle(60)
    assert endpoint.status == IN_SERVICE
    assert endpoint.begin(DELETING)
    endpoint.delete(gone.set)
    endpoint.settle(60)
    assert gone.is_set()
