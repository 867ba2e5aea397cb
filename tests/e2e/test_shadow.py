"""A new model beside the one that serves: it hears what is asked, and nobody hears what it answers."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import SMALL, Deployment

ENDPOINT = "shadowed"


def asked(corpus: str, seed: int, **endpoint: Any) -> dict[str, Any]:
    return {
        "inputs": {"train": corpus},
        "hyperparameters": {**SMALL, "epochs": "1", "seed": str(seed)},
        "endpoint": {"name": ENDPOINT, **endpoint},
    }


def succeeded(deployed: Deployment, request: dict[str, Any]) -> str:
    """Runs to success and gives the address of the model."""
    ended = deployed.run(request)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    return str(json.loads(ended["output"])["training"]["model_s3_uri"])


def answer(deployed: Deployment) -> Any:
    response = deployed.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="application/json", Body=b'{"instances": ["the"]}'
    )
    return json.loads(response["Body"].read())


def served(deployed: Deployment) -> tuple[list[str], list[str]]:
    """The archives of the models that answer, and of those in the shadow."""
    sagemaker = deployed.client("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=name)

    def archives(variants: list[dict[str, Any]]) -> list[str]:
        models = [sagemaker.describe_model(ModelName=variant["ModelName"]) for variant in variants]
        return [model["PrimaryContainer"]["ModelDataUrl"] for model in models]

    return archives(config["ProductionVariants"]), archives(config.get("ShadowProductionVariants", []))


def test_a_shadow_is_deployed_heard_and_replaced(deployed: Deployment, corpus: str) -> None:
    lonely = deployed.run(asked(corpus, 1, shadow=True))
    assert lonely["error"] == "DeployFailed"
    assert f"there is no endpoint {ENDPOINT} that a shadow could stand beside" in lonely["cause"]

    champion = succeeded(deployed, asked(corpus, 1, alarms=True))
    its_answer = answer(deployed)
    models = deployed.hosted()["models"]

    first = succeeded(deployed, asked(corpus, 2, shadow={"percent": 50}))
    assert served(deployed) == ([champion], [first])
    assert answer(deployed) == its_answer, "the champion answers"
    assert len(deployed.hosted()["models"]) == len(models) + 1

    second = succeeded(deployed, asked(corpus, 3, shadow=True))
    assert served(deployed) == ([champion], [second])
    assert len(deployed.hosted()["models"]) == len(models) + 1, "the shadow before it is retired"

    successor = succeeded(deployed, asked(corpus, 3))
    assert served(deployed) == ([successor], [])
    assert answer(deployed) != its_answer
    assert len(deployed.hosted()["models"]) == len(models), "champion and shadow are retired"
