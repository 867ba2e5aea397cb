"""A trained model as it lies on the disk: fastText's .bin or .ftz, ours, fastText's or gensim's, mapped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blazingtext._engine import FormatError, ModelFile
from contract.errors import ClientError
from contract.fasttext_format import Settings

_ARCHITECTURE_OFFSET = 36  # in the file


class Model(ModelFile):
    """A model file of any kind: word vectors or a classifier, versions 11 and 12, quantised or not.

    Args:
        instructions: that work on its rows, one of usable_instructions(), "" for the fastest.
    Raises:
        FormatError: no such model, or a truncated or corrupt one; gives the offset and the reason.
        OSError: the file cannot be read.
    """

    settings: Settings

    def __init__(self, path: Path, instructions: str = "") -> None:
        super().__init__(str(path), instructions)
        self.path = path
        self.settings = Settings(**self.header)

    @classmethod
    def of_word_vectors(cls, path: Path) -> Model:
        """A model of word vectors.

        Raises:
            FormatError: as above, or the file holds a classifier.
            OSError: the file cannot be read.
        """
        model = cls(path)
        if model.supervised:
            raise FormatError(
                f"{path} cannot be read: at offset {_ARCHITECTURE_OFFSET}, this is a supervised model, a text"
                " classifier; it must be cbow or skipgram."
            )
        return model

    @property
    def quantised(self) -> bool:
        """Whether the input matrix is."""
        return self.input.quantised


def model_file(folder: Path, names: Sequence[str]) -> Path:
    """The first of these files that a model folder holds.

    Raises:
        ClientError: it holds none of them.
    """
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None:
        raise ClientError(f"the model holds none of {', '.join(names)}; one must be at the root of model.tar.gz.")
    return path
