"""The data of a job: kept in memory where they fit, else read anew in every epoch; scaled, in mini-batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.memory import container_bytes
from contract.recordio_protobuf import Batch, Rows
from contract.rendezvous import Hosts
from linear_learner.records import Dense, Records, Sparse, sparse_records
from linear_learner.scaling import Scaler
from linear_learner.settings import Settings
from linear_learner.vectors import concatenated, read, width_of

logger = logging.getLogger(__name__)

_HELD_BACK = 10  # one record of so many, where there is no validation channel to choose a model by
_MOST_HELD_BACK = 100_000
_MEMORY_SHARE = 0.4  # of the container's, that a channel's files may be expected to take
_SCALED_AT_A_TIME = 65_536
_UNPACKED = {True: 8.0, False: 2.0}  # bytes of memory for one of a file that is packed, or plain


@dataclass(frozen=True)
class Shape:
    """What the records of a job have in common. `rows` counts the features, and the bias where there is one."""

    features: int
    sparse: bool
    bias: bool

    @property
    def rows(self) -> int:
        return self.features + self.bias


class Data(Protocol):
    """The training data of this host."""

    shape: Shape
    scaler: Scaler
    sample: Batch
    """Some of this host's records, as they came."""
    label_counts: NDArray[np.int64]
    """Records by class over all hosts, of those that were looked at before training; empty of a regressor."""

    @property
    def held_back(self) -> Batch | None:
        """Records, as they came, that are not trained on; None where there are none."""

    def epoch(self, number: int) -> Iterator[Records]:
        """The mini-batches of an epoch, from 0."""

    def identity(self) -> list[float]:
        """What tells these data from others, for checkpoints."""


def training_data(channel: InputChannel, settings: Settings, hosts: Hosts, *, hold_back: bool) -> Data:
    """The data of the channel on this host; every host must call this at the same point.

    Args:
        hold_back: whether some records are kept from training.
    Raises:
        ClientError: the channel cannot be read, or the hosts' data do not fit together.
    """
    kept = not channel.is_pipe and _expected_bytes(channel) <= _MEMORY_SHARE * container_bytes()
    if not kept and not channel.is_pipe:
        logger.info("Channel %r does not fit into memory: its files are read in every epoch.", channel.name)
    return (Stored if kept else Streamed)(channel, settings, hosts, hold_back=hold_back)


def scaled(batch: Batch, scaler: Scaler, shape: Shape, order: NDArray[np.int64] | None = None) -> Records:
    """Records as they are trained on; of all of them those at the places of `order`, in that order."""
    if isinstance(batch.features, Rows):
        chosen = batch if order is None else taken(batch, order)
        rows, labels = chosen.features, chosen.labels
        assert isinstance(rows, Rows)
        assert labels is not None
        return sparse_records(rows, scaler.labels(labels), scaler.scale, shape.bias)
    assert batch.labels is not None
    order = np.arange(len(batch.labels)) if order is None else order
    labels = scaler.labels(batch.labels[order])
    features = np.ones((len(order), shape.rows), np.float32)
    # Some at a time, so that besides the records as they came there are only these.
    for start in range(0, len(order), _SCALED_AT_A_TIME):
        some = slice(start, start + _SCALED_AT_A_TIME)
        np.subtract(batch.features[order[some]], scaler.shift, out=features[some, : shape.features])
        features[some, : shape.features] /= scaler.scale
    return Dense(torch.from_numpy(features), torch.from_numpy(labels.reshape(-1, 1)))


def own_part(channel: InputChannel, settings: Settings, data: Data, hosts: Hosts) -> Batch:
    """This host's part of a channel that models are measured on: its shard, or every n-th record of what all have.

    Raises:
        ClientError: it cannot be read, no host has a record of it, or not what the training data hold.
    """
    sharded = channel.distribution == "ShardedByS3Key"
    nothing = taken(data.sample, np.zeros(0, np.int64))
    # Where there are fewer objects than hosts, some have none.
    absent = sharded and not channel.is_pipe and not channel.holds_files()
    found = [] if absent else list(read(channel, settings, data.shape.features))
    if not any(hosts.exchange(len(found))):
        raise _no_record(channel.name)
    batch = concatenated(found) if found else nothing
    if isinstance(batch.features, Rows) != data.shape.sparse:
        kinds = ("dense", "sparse") if data.shape.sparse else ("sparse", "dense")
        raise ClientError(f"channel {channel.name!r} is {kinds[0]}, but the training data are {kinds[1]}.")
    assert batch.labels is not None
    return batch if sharded else taken(batch, np.arange(hosts.rank, len(batch.labels), hosts.size))


class Stored:
    """Data that are kept in memory, shuffled once; in every epoch their mini-batches come in another order.

    Memory: 4 * rows bytes a dense record, 12 a sparse value; while they are read, up to 3 and 5 times as much.
    """

    def __init__(self, channel: InputChannel, settings: Settings, hosts: Hosts, *, hold_back: bool) -> None:
        self._settings, self._rank = settings, hosts.rank
        batch = _all(read(channel, settings), channel.name)
        assert batch.labels is not None
        self.shape = _agreed(Shape(width_of(batch), isinstance(batch.features, Rows), settings.use_bias), hosts)
        count = len(batch.labels)
        _check_batch_size(settings, count)
        # The same order on every host, so that what replicated data hold back is the same, too.
        order = np.random.default_rng(settings.seed).permutation(count)
        held = _to_hold_back(count, settings) if hold_back else 0
        sample = order[held:][: max(1, settings.num_point_for_scaler // hosts.size)]
        self.sample = taken(batch, np.sort(sample))
        self.scaler = Scaler.of(self.sample, settings, hosts)
        self.label_counts = _label_counts(batch.labels, settings, hosts)
        self.held_back = taken(batch, order[:held]) if held else None
        self._records = scaled(batch, self.scaler, self.shape, order[held:])
        self._batches = -(-len(self._records) // settings.mini_batch_size)

    def epoch(self, number: int) -> Iterator[Records]:
        """See Data."""
        size = self._settings.mini_batch_size
        # Another order on every host: with replicated data they would else all take the same records.
        for place in np.random.default_rng((self._settings.seed, self._rank, number)).permutation(self._batches):
            yield self._records.part(place * size, min((place + 1) * size, len(self._records)))

    def identity(self) -> list[float]:
        """See Data."""
        return [len(self._records), float(self.scaler.shift.sum()), float(self.scaler.scale.sum())]


class Streamed:
    """Data that are read anew in every epoch, in the order in which they come."""

    def __init__(self, channel: InputChannel, settings: Settings, hosts: Hosts, *, hold_back: bool) -> None:
        self._channel, self._settings = channel, settings
        self._stream: Iterator[Batch] = read(channel, settings)
        head, count = [], 0
        for batch in self._stream:
            head.append(batch)
            count += len(batch.labels)  # type: ignore[arg-type]
            if count >= max(settings.num_point_for_scaler, settings.mini_batch_size):
                break
        self.sample = sample = _all(iter(head), channel.name)
        assert sample.labels is not None
        _check_batch_size(settings, count)
        self.shape = _agreed(Shape(width_of(sample), isinstance(sample.features, Rows), settings.use_bias), hosts)
        self.scaler = Scaler.of(sample, settings, hosts)
        self.label_counts = _label_counts(sample.labels, settings, hosts)
        self._head = head
        self._most_held = min(_MOST_HELD_BACK, settings.calibration_samples) if hold_back else 0
        self._held: list[Batch] = []
        self._first = True

    @property
    def held_back(self) -> Batch | None:
        """See Data; those of the first epoch, once it was read."""
        return concatenated(self._held) if self._held else None

    def epoch(self, number: int) -> Iterator[Records]:  # noqa: ARG002 - the order is the data's own
        """See Data."""
        batches: Iterator[Batch] = read(self._channel, self._settings, self.shape.features)
        if self._first:
            batches, self._head = chain(self._head, self._stream), []
        place = 0
        rest: Batch | None = None
        for batch in batches:
            assert batch.labels is not None
            numbers = np.arange(place, place + len(batch.labels))
            place += len(numbers)
            back = (numbers % _HELD_BACK == 0) & (numbers < self._most_held * _HELD_BACK)
            if back.any():
                if self._first:
                    self._held.append(taken(batch, np.flatnonzero(back)))
                batch = taken(batch, np.flatnonzero(~back))
            rest = concatenated([rest, batch]) if rest else batch
            size = self._settings.mini_batch_size
            whole = len(rest.labels) // size * size  # type: ignore[arg-type]
            if whole:
                records = scaled(rest, self.scaler, self.shape)
                yield from (records.part(start, start + size) for start in range(0, whole, size))
                rest = taken(rest, np.arange(whole, len(records)))
        self._first = False
        if rest is not None and len(rest.labels):  # type: ignore[arg-type]
            yield scaled(rest, self.scaler, self.shape)

    def identity(self) -> list[float]:
        """See Data."""
        return [float(self.scaler.shift.sum()), float(self.scaler.scale.sum())]


def taken(batch: Batch, places: NDArray[np.int64]) -> Batch:
    """The records at some places."""
    assert batch.labels is not None
    labels, features = batch.labels[places], batch.features
    if not isinstance(features, Rows):
        return Batch(features[places], labels)
    values, keys, bounds = map(torch.from_numpy, (features.values, features.keys, features.bounds))
    found = Sparse(values, keys, bounds, torch.empty(len(batch.labels), 1)).taken(torch.from_numpy(places))
    return Batch(Rows(found.values.numpy(), found.keys.numpy(), found.bounds.numpy(), features.width), labels)


def _all(batches: Iterator[Batch], channel: str) -> Batch:
    found = list(batches)
    if not found:
        raise _no_record(channel)
    return concatenated(found)


def _no_record(channel: str) -> ClientError:
    return ClientError(f"channel {channel!r} holds no record; give it at least one.")


def _agreed(shape: Shape, hosts: Hosts) -> Shape:
    """The shape, if all hosts have the same."""
    shapes = hosts.exchange([shape.features, shape.sparse])
    if any(other != shapes[0] for other in shapes):
        found = sorted({f"{width} {'sparse' if sparse else 'dense'}" for width, sparse in shapes})
        raise ClientError(f"the hosts' records differ: {' and '.join(found)} features; all must be alike.")
    return shape


def _check_batch_size(settings: Settings, count: int) -> None:
    if settings.mini_batch_size > count:
        raise ClientError(
            f"mini_batch_size={settings.mini_batch_size} is more than the {count} records to train on; lower it."
        )


def _to_hold_back(count: int, settings: Settings) -> int:
    return min(count // _HELD_BACK, _MOST_HELD_BACK, settings.calibration_samples)


def _label_counts(labels: NDArray[np.float32], settings: Settings, hosts: Hosts) -> NDArray[np.int64]:
    if settings.is_regressor:
        return np.zeros(0, np.int64)
    counts = np.bincount(labels.astype(np.int64), minlength=settings.classes).astype(np.float64)[None, :]
    hosts.add_up(counts)
    whole: NDArray[np.int64] = counts[0].astype(np.int64)
    return whole


def _expected_bytes(channel: InputChannel) -> float:
    return sum(_UNPACKED[path.name.endswith(".gz")] * path.stat().st_size for path in channel.files())
