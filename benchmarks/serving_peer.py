"""The peer of the serving benchmark: the fastText package behind a plain Starlette application on uvicorn.

`python -m benchmarks.serving_peer MODEL PORT WORKERS` runs in BlazingText's environment and answers POST /invocations
as our endpoint does: words by their vectors, or texts by their labels, as the model is.
"""

from __future__ import annotations

import os
import sys

import fasttext
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MODEL = "PEER_MODEL"


def application() -> Starlette:
    """The application of one worker, with a model of its own."""
    model = fasttext.load_model(os.environ[MODEL])
    classifies = bool(model.f.getArgs().model.name == "supervised")

    async def ping(_request: Request) -> Response:
        return Response()

    async def invocations(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        instances = asked["instances"]
        if classifies:
            labels, probabilities = model.predict(instances, k=asked.get("configuration", {}).get("k", 1))
            found = [
                {"label": label, "prob": probability} for label, probability in zip(labels, probabilities, strict=True)
            ]
        else:
            found = [{"vector": model.get_word_vector(word), "word": word} for word in instances]
        return Response(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")

    return Starlette(
        routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])],
    )


def main() -> None:
    path, port, workers = sys.argv[1:]
    os.environ[MODEL] = path
    uvicorn.run(
        "benchmarks.serving_peer:application",
        factory=True,
        port=int(port),
        workers=int(workers),
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
