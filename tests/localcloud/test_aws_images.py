"""What AWS calls its own images of algorithms runs this house's, in every region."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from containers.catalogue import algorithms
from contract.specification import Algorithm
from kindling.localcloud import aws_images
from kindling.localcloud.images import Image, Images, UnknownImageError

# One region of each of AWS's partitions, as the SageMaker Python SDK writes the addresses.
ADDRESSES = (
    "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext",
    "685385470294.dkr.ecr.eu-west-1.amazonaws.com/blazingtext",
    "387376663083.dkr.ecr.cn-northwest-1.amazonaws.com.cn/blazingtext",
    "226302683700.dkr.ecr.us-gov-west-1.amazonaws.com/blazingtext",
    "490574956308.dkr.ecr.us-iso-east-1.c2s.ic.gov/blazingtext",
    "765400339828.dkr.ecr.us-isob-east-1.sc2s.sgov.gov/blazingtext",
    "108575199400.dkr.ecr.us-isof-east-1.csp.hci.ic.gov/blazingtext",
)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path)


@pytest.mark.parametrize("tag", ["", ":1", ":latest"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_aws_own_image_runs_the_algorithm_of_this_house(images: Images, address: str, tag: str) -> None:
    assert images.algorithm_of(address + tag) == "blazingtext"


@pytest.mark.skipif(importlib.util.find_spec("sagemaker") is None, reason="the SageMaker Python SDK is not installed")
def test_the_sdk_names_the_same_addresses_in_every_region() -> None:
    from sagemaker import image_uris

    for repository, regions in aws_images.registries().items():
        assert set(regions) == set(image_uris.config_for_framework(repository)["versions"]["1"]["registries"])
        for region in regions:
            assert image_uris.retrieve(repository, region) == f"{aws_images.address(repository, region)}:1"


def test_every_region_has_an_address_of_its_own() -> None:
    for repository, regions in aws_images.registries().items():
        assert len(regions) == 37
        assert all(len(account) == 12 and account.isdigit() for account in regions.values())
        assert len({aws_images.address(repository, region) for region in regions}) == len(regions)


def test_aws_linear_learner_is_run_by_ours(images: Images) -> None:
    uri = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
    assert images.algorithm_of(uri) == "linear_learner"
    assert uri in aws_images.examples()


def test_every_algorithm_that_answers_for_an_image_names_one_that_aws_has() -> None:
    named = [algorithm.aws_image for algorithm in algorithms().values() if algorithm.aws_image is not None]
    assert set(named) <= set(aws_images.registries())
    assert "aws_image" in Algorithm.model_fields


def test_an_unknown_image_is_refused_with_what_can_be_run(images: Images) -> None:
    ours = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kindling:abc"
    images.record("built", Image(algorithm="blazingtext", built_as="built"))
    images.record(ours, Image(algorithm="blazingtext", built_as="built"))
    for unknown in ("811284229777.dkr.ecr.eu-west-1.amazonaws.com/blazingtext:1", f"{ADDRESSES[0]}:2"):
        with pytest.raises(UnknownImageError) as caught:
            images.algorithm_of(unknown)
        assert str(caught.value) == (
            f"image {unknown} was not published to this embedded cloud; deploy the images stack to it first, "
            f"or use one that it can run: {', '.join((ours, *aws_images.examples()))}."
        )
