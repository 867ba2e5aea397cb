"""Vectors to start training from: the channel `pretrained_vectors`.

Its words join the vocabulary, so that none of them is lost; those that the corpus holds are trained on, also below
min_count. Where the job or the model has subwords and the other has not, what is carried over is each word's vector as
a user gets it: the mean over the word's own row and those of its n-grams.
"""

from __future__ import annotations

import logging
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import StoredMatrix, VectorFile, subword_buckets
from blazingtext.model import Model
from blazingtext.packed import unpack
from contract import fasttext_format
from contract.channels import InputChannel
from contract.environment import TrainingEnvironment
from contract.errors import ClientError

logger = logging.getLogger(__name__)

CHANNEL = "pretrained_vectors"
_MODEL_FILE = "vectors.bin"
_BLOCK_ROWS = 65536

Rows = NDArray[np.int64]


class Startable(Protocol):
    """A trainer before its first step. `input` has a row for each word and then one for each of `bucket_ids`."""

    @property
    def input(self) -> NDArray[np.float32]: ...
    @property
    def output(self) -> NDArray[np.float32]: ...
    @property
    def bucket_ids(self) -> NDArray[np.uint32]: ...
    def word_vectors(self) -> NDArray[np.float32]:
        """The vectors that a user gets, shape (words, dim), a copy."""


class Vocabulary(Protocol):
    """The trainer's words, and how often they occur in what is to be trained on."""

    @property
    def words(self) -> list[str]: ...
    @property
    def counts(self) -> NDArray[np.int64]: ...


class _Vectors(Protocol):
    """Vectors of words from a file of whatever format."""

    words: list[str]
    dim: int

    def check(self, settings: fasttext_format.Settings) -> str | None:
        """Why a job with these settings cannot go on from here; None when it can."""

    def start(self, trainer: Startable, corpus: Vocabulary, settings: fasttext_format.Settings, rows: Rows) -> None:
        """Make word i's vector that of row rows[i] of the trainer's, where rows[i] >= 0."""


class PretrainedVectors:
    """The vectors of the channel.

    Args:
        channel: holds one file of vectors, or the files or model.tar.gz of a trained model.
        settings: of the job; without subwords, `buckets`, `min_char` and `max_char` are 0.
        threads: to read with.
    Raises:
        ClientError: no such file, a damaged one, or one that does not fit the settings.
    """

    def __init__(self, channel: InputChannel, settings: fasttext_format.Settings, threads: int) -> None:
        self._channel, self._settings = channel, settings
        path = _file_of(channel)
        self._name = str(path.relative_to(channel.directory))
        with TemporaryDirectory(prefix="unpacked-") as scratch, self._mistakes_named(scratch):
            # What is mapped stays readable when its name has gone.
            self._vectors = _opened(channel, path, Path(scratch), threads)
        if self._vectors.dim != settings.dim:
            raise ClientError(
                f"channel {channel.name!r}: {self._name} has vectors of {self._vectors.dim} dimensions, but vector_dim"
                f" is {settings.dim}; set vector_dim to {self._vectors.dim}."
            )
        if reason := self._vectors.check(settings):
            raise ClientError(f"channel {channel.name!r}: {self._name} {reason}")

    @classmethod
    def of(
        cls, environment: TrainingEnvironment, settings: fasttext_format.Settings, threads: int
    ) -> PretrainedVectors | None:
        """The vectors of the job's channel; None when it has none."""
        if CHANNEL not in environment.channels:
            return None
        return cls(environment.channel(CHANNEL), settings, threads)

    @property
    def words(self) -> list[str]:
        """The words that have vectors, in the order of the file."""
        return self._vectors.words

    def start(self, trainer: Startable, corpus: Vocabulary) -> None:
        """Let the trainer's words begin with these vectors, those that the file does not have at random as ever.

        Args:
            trainer: before its first step, of `corpus`.
            corpus: its vocabulary has `words`.
        Raises:
            ClientError: a vector that is damaged; names the file and the line.
        """
        place = {word: row for row, word in enumerate(corpus.words)}
        # The first of a word's vectors counts, where a file has several.
        rows = np.array([place.pop(word, -1) for word in self._vectors.words], dtype=np.int64)
        with self._mistakes_named():
            self._vectors.start(trainer, corpus, self._settings, rows)
        occurring = int(np.count_nonzero(corpus.counts))
        found = int(np.count_nonzero(corpus.counts[rows[rows >= 0]]))
        logger.info(
            "Channel %s: %d of the corpus's %d words start from %s; its %d other words stay as they are.",
            CHANNEL,
            found,
            occurring,
            self._name,
            len(corpus.counts) - occurring,
        )

    @contextmanager
    def _mistakes_named(self, scratch: str = "") -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            reason = str(error).replace(f"{self._channel.directory}/", "").replace(f"{scratch}/", "")
            raise ClientError(f"channel {self._channel.name!r}: {reason}") from error


class _WordVectorFile:
    """word2vec's formats: a vector for each word, and nothing else."""

    def __init__(self, path: Path, threads: int) -> None:
        self._file = VectorFile(str(path), threads)
        self.words, self.dim = self._file.words, self._file.dim
        if self._file.skipped:
            logger.warning(
                "%s: %d words were left out, which no corpus can hold (not UTF-8, or with a separator inside).",
                path.name,
                self._file.skipped,
            )

    def check(self, settings: fasttext_format.Settings) -> str | None:  # noqa: ARG002
        return None

    def start(self, trainer: Startable, corpus: Vocabulary, settings: fasttext_format.Settings, rows: Rows) -> None:
        if not settings.max_char:
            self._file.copy(trainer.input, rows)
            return
        wanted = trainer.word_vectors()
        self._file.copy(wanted, rows)
        _set_composed(trainer, corpus, settings, wanted)


class _FastTextModel:
    """fastText's .bin, ours among them: all that training left, so that it can go on."""

    def __init__(self, path: Path) -> None:
        self._model = Model.of_word_vectors(path)
        if self._model.quantised:
            raise ValueError(f"{path} is quantised; training goes on from the .bin that it was made from.")
        self.words, self.dim = self._model.words, self._model.settings.dim

    def check(self, settings: fasttext_format.Settings) -> str | None:
        names = ("min_char", "max_char", "buckets")
        own = {name: getattr(self._model.settings, name) for name in names}
        asked = {name: getattr(settings, name) for name in names}
        if not own["max_char"] or not asked["max_char"] or own == asked:
            return None
        differing = [name for name in names if own[name] != asked[name]]
        return (
            f"was trained with {_listed(own, differing)}, but this job has {_listed(asked, differing)};"
            f" set {'it' if len(differing) == 1 else 'them'} alike, or subwords to False."
        )

    def start(self, trainer: Startable, corpus: Vocabulary, settings: fasttext_format.Settings, rows: Rows) -> None:
        model, same = self._model, bool(self._model.settings.max_char) == bool(settings.max_char)
        if same:
            _copy(model.input, np.arange(len(rows)), trainer.input, rows)
            buckets = trainer.bucket_ids.astype(np.int64)
            ngrams = len(corpus.counts) + np.arange(len(buckets))
            _copy(model.input, len(self.words) + buckets, trainer.input, ngrams)
        elif settings.max_char:
            wanted = trainer.word_vectors()
            _copy(model.input, np.arange(len(rows)), wanted, rows)
            _set_composed(trainer, corpus, settings, wanted)
        else:
            for block in _blocks(np.flatnonzero(rows >= 0)):
                trainer.input[rows[block]] = model.vectors([self.words[index] for index in block])
        if model.settings.loss == "ns" and settings.architecture != "supervised":
            _copy(model.output, np.arange(len(rows)), trainer.output, rows)


def _file_of(channel: InputChannel) -> Path:
    """The file of vectors: the only one, or a model's vectors.bin."""
    files = channel.files()
    for path in files:
        if len(files) == 1 or path.name == _MODEL_FILE:
            return path
    raise ClientError(
        f"channel {channel.name!r} holds {len(files)} files, none of them {_MODEL_FILE};"
        " it must hold one file of vectors, or the files of one model."
    )


def _opened(channel: InputChannel, path: Path, scratch: Path, threads: int) -> _Vectors:
    """The vectors of a file, by what it begins with; what is packed is unpacked into a folder.

    Raises:
        ClientError: packed data that is damaged.
        ValueError: the file is damaged, or of no format that is known.
    """
    if _is_archive(path):
        path = _member(path, scratch / _MODEL_FILE)
    else:
        [path] = unpack(channel, [path], scratch, threads)
    if fasttext_format.is_fasttext(path):
        return _FastTextModel(path)
    return _WordVectorFile(path, threads)


def _is_archive(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error):  # packed, and damaged before it tells
        return False


def _member(archive: Path, copy: Path) -> Path:
    """The vectors.bin at the root of a model.tar.gz, copied to a file."""
    try:
        with tarfile.open(archive) as members:
            for member in members:
                if member.name.removeprefix("./") != _MODEL_FILE or not member.isfile():
                    continue
                content = members.extractfile(member)
                assert content is not None  # it is a file
                with content, copy.open("wb") as file:
                    copyfileobj(content, file, 2**20)
                return copy
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{archive} is damaged ({error}); pack or upload it again.") from None
    raise ValueError(f"{archive} holds no {_MODEL_FILE} at its root.")


def _listed(values: dict[str, int], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names)


def _blocks(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield rows[start : start + _BLOCK_ROWS]


def _copy(source: StoredMatrix, taken: Rows, target: NDArray[np.float32], rows: Rows) -> None:
    """target[rows] = source[taken] where rows >= 0, with little memory of its own."""
    for block in _blocks(np.flatnonzero(rows >= 0)):
        target[rows[block]] = source[taken[block]]


def _set_composed(
    trainer: Startable, corpus: Vocabulary, settings: fasttext_format.Settings, wanted: NDArray[np.float32]
) -> None:
    """Change the words' own rows so that the means over them and their n-grams' are `wanted`, shape (V, dim)."""
    shape = (settings.min_char, settings.max_char, settings.buckets)
    rows = np.array([1 + len(subword_buckets(word, *shape)) for word in corpus.words], dtype=np.float32)
    wanted -= trainer.word_vectors()
    wanted *= rows[:, None]
    trainer.input[: len(wanted)] += wanted
