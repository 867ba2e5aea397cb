"""Which algorithm an image URI stands for, as `kindling-docker` recorded it while the CDK published the image.

AWS's own images of the algorithms need no publishing: see aws_images.py.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from kindling.localcloud.atomic_files import write_atomically


class UnknownImageError(LookupError):
    """No image of that name was published here. The message is one sentence, fit to be shown as it is."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that was built: the algorithm's folder under containers/, and the name it was built under.

    `engine_id` is its id in the Docker engine, where one really built it; `pushed_as` its `repository@digest` in the
    cloud's registry, where there is one.
    """

    algorithm: str
    built_as: str
    engine_id: str = ""
    pushed_as: str = ""


class Images:
    """The published images, one record a name, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def record(self, uri: str, image: Image) -> None:
        """Make `uri` a name of `image`; a former image of that name is forgotten."""
        write_atomically(self._path(uri), json.dumps(asdict(image)))

    def find(self, uri: str) -> Image | None:
        """The image that `uri` names, or None."""
        try:
            return Image(**json.loads(self._path(uri).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def algorithm_of(self, uri: str) -> str:
        """The algorithm that runs when a job or a model asks for the image `uri`.

        Raises:
            UnknownImageError: nothing of that name was published to this embedded cloud, and no algorithm of this house
                answers for an image of AWS's own of that name.
        """
        # After the start: whoever only notes images has no use for every algorithm's description.
        from kindling.localcloud.aws_images import algorithm_of_aws, examples

        image = self.find(uri)
        algorithm = image.algorithm if image else algorithm_of_aws(uri)
        if algorithm is None:
            runnable = ", ".join([*self._published(), *examples()])
            raise UnknownImageError(
                f"image {uri} was not published to this embedded cloud; deploy the images stack to it first, "
                f"or use one that it can run: {runnable}."
            )
        return algorithm

    def _published(self) -> list[str]:
        """The addresses by which images were pushed, without those that are digests."""
        names = sorted(unquote(path.stem) for path in self._folder.glob("*.json"))
        return [name for name in names if ".dkr." in name and "@" not in name]

    def _path(self, uri: str) -> Path:
        return self._folder / f"{quote(uri, safe='')}.json"
