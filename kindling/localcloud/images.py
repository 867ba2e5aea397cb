"""Which algorithm an image URI stands for, as `kindling-docker` recorded it while the CDK published the image."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from kindling.localcloud.atomic_files import write_atomically


class UnknownImageError(LookupError):
    """No image of that name was published here. The message is one sentence, fit to be shown as it is."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that was built: the algorithm's folder under containers/, and the name it was built under."""

    algorithm: str
    built_as: str


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
            UnknownImageError: nothing of that name was published to this embedded cloud.
        """
        image = self.find(uri)
        if image is None:
            raise UnknownImageError(
                f"image {uri} was not published to this embedded cloud; deploy the images stack to it first."
            )
        return image.algorithm

    def _path(self, uri: str) -> Path:
        return self._folder / f"{quote(uri, safe='')}.json"
