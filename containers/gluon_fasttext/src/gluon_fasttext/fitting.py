"""The epochs of a job: batches, measurements, checkpoints, and when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from contract.checkpoints import Checkpoint, Checkpoints
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.rendezvous import Hosts
from contract.text_classification.report import Epoch
from gluon_fasttext.examples import Data
from gluon_fasttext.hashing import Bags
from gluon_fasttext.network import Network, Tally, tally_of
from gluon_fasttext.parameters import Parameters

logger = logging.getLogger(__name__)

_LOOKS_PER_EPOCH = 20  # at the service's wish to stop, at the clock and at the checkpoints
_LINE_S = 2.0  # between two lines of progress
_STATE = "state/"


class Settings(BaseModel):
    """The hyperparameters, typed; defaults and ranges are in algorithm.toml."""

    model_config = ConfigDict(frozen=True, strict=True)

    batch_size: int
    buckets: int
    dropout: float
    early_stopping: bool
    emsize: int
    epochs: int
    gpu: int | None
    lr: float
    lr_schedule: str
    max_length: int
    min_count: int
    ngrams: int
    normalize: bool
    optimizer: str
    patience: int
    seed: int


@dataclass(frozen=True)
class Weights:
    """The embedding matrix, shape (rows, dim), and the output matrix, shape (labels, dim)."""

    embedding: NDArray[np.float32]
    output: NDArray[np.float32]


@dataclass(frozen=True)
class Best:
    """The epoch of the best accuracy on the validation channel so far."""

    epoch: int = 0
    accuracy: float = -1.0
    loss: float = 0.0


@dataclass(frozen=True)
class Standing:
    """How far a job is: `step` updates into the epoch after `epochs_done`, with the epoch's sums over all hosts."""

    epochs_done: int = 0
    step: int = 0
    loss: float = 0.0
    right: int = 0
    texts: int = 0
    best: Best = field(default_factory=Best)
    history: tuple[Epoch, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How the hosts' texts are cut into updates, alike on all of them.

    A host with fewer texts than another takes some of them twice in an epoch, so that all have as many.

    Args:
        texts: that each host has in an epoch.
        batch_size: of each host.
    """

    texts: int
    batch_size: int

    @property
    def updates(self) -> int:
        """Of an epoch."""
        return -(-self.texts // self.batch_size)

    @property
    def looks_at(self) -> int:
        """Updates from one look to the next."""
        return max(1, self.updates // _LOOKS_PER_EPOCH)

    def batches(
        self, count: int, seed: tuple[int, ...], first: int
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        """An epoch's updates from the `first` on: the number, the texts out of `count`, and a draw for each.

        Args:
            seed: of this epoch on this host.
        """
        random = np.random.default_rng(seed)
        order = np.resize(random.permutation(count), self.texts)
        draws = random.random(self.texts)
        for update in range(first, self.updates):
            part = slice(update * self.batch_size, (update + 1) * self.batch_size)
            yield update, order[part], draws[part]


def plan(data: Data, settings: Settings, hosts: Hosts, environment: TrainingEnvironment) -> Plan:
    """The same on all hosts.

    Raises:
        ClientError: a host has no text.
    """
    counts = hosts.exchange(len(data.train))
    if not min(counts):
        raise ClientError(
            f"host {environment.hosts[counts.index(0)]} has no text to train on; give channel 'train' more texts, or"
            " (ShardedByS3Key) more files than hosts, or the job fewer hosts."
        )
    return Plan(max(counts), settings.batch_size)


def first_weights(data: Data, settings: Settings) -> Weights:
    """fastText's beginning: uniform from -1/dim to 1/dim, and an output matrix of zeros."""
    embedding = np.random.default_rng(settings.seed).random((data.rows, settings.emsize), dtype=np.float32)
    embedding *= 2 / settings.emsize
    embedding -= 1 / settings.emsize
    return Weights(embedding, np.zeros((len(data.vocabulary.labels), settings.emsize), np.float32))


class Clock:
    """Words trained and the time that it took: of this host since they were last taken, and of all hosts."""

    def __init__(self) -> None:
        self._own = self._words = 0
        self._began = time.monotonic()

    def count(self, tokens: int) -> None:
        """This host has trained on some tokens."""
        self._own += tokens

    def take(self) -> int:
        """This host's tokens since they were last taken."""
        own, self._own = self._own, 0
        return own

    def add(self, tokens: int) -> None:
        """All hosts have trained on some tokens."""
        self._words += tokens

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time that does not count."""
        began = time.monotonic()
        yield
        self._began += time.monotonic() - began

    @property
    def seconds(self) -> float:
        """Of training."""
        return time.monotonic() - self._began

    @property
    def million_words_per_second(self) -> float:
        """Over all hosts."""
        return self._words / 1e6 / max(self.seconds, 1e-9)


class Fitting:
    """A job from where it stands to its end.

    Args:
        found: a checkpoint to go on from; `parameters` has its weights already.
    """

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        devices: int,
        data: Data,
        settings: Settings,
        hosts: Hosts,
        environment: TrainingEnvironment,
        plan: Plan,
        checkpoints: Checkpoints | None,
        found: Checkpoint | None,
    ) -> None:
        self._network, self._parameters, self._devices = network, parameters, devices
        self._data, self._settings, self._hosts, self._environment = data, settings, hosts, environment
        self._plan, self._checkpoints = plan, checkpoints
        self._at = Standing()
        self._kept: Weights | None = None
        if found:
            self._go_on_from(found)
        self._clock = Clock()
        self._looked = time.monotonic()

    @property
    def history(self) -> tuple[Epoch, ...]:
        """The epochs that are done, those before a checkpoint too."""
        return self._at.history

    def run(self) -> Weights | None:
        """Train to the end; on the first host the weights of the last epoch, or with early stopping of the best."""
        stopped = False
        while not stopped and self._at.epochs_done < self._settings.epochs:
            stopped = self._epoch() or self._epoch_ended()
        if any(self._hosts.exchange(self._environment.stopping.is_set())):
            logger.warning("The job was asked to stop; keeping what was trained so far.")
        print("\nTraining finished")
        print(f"Average throughput in Million words/sec: {self._clock.million_words_per_second:.3f}")
        print(f"Total training time in seconds: {self._clock.seconds:.2f}")
        return self._result()

    def _epoch(self) -> bool:
        """One epoch, or what is left of it; whether the job should stop in it."""
        seed = (self._settings.seed, self._at.epochs_done, self._hosts.rank)
        train = self._data.train
        for update, texts, draws in self._plan.batches(len(train), seed, self._at.step):
            parts = [self._part(own, draw) for own, draw in self._shares(texts, draws)]
            self._network.train(parts, len(texts) * self._hosts.size)
            self._clock.count(train.tokens_of(texts))
            last = update + 1 == self._plan.updates
            if (last or (update + 1) % self._plan.looks_at == 0) and self._look(update + 1, last=last):
                return True
        return False

    def _shares(
        self, texts: NDArray[np.int64], draws: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """What each device takes of a batch."""
        yield from zip(np.array_split(texts, self._devices), np.array_split(draws, self._devices), strict=True)

    def _part(self, texts: NDArray[np.int64], draws: NDArray[np.float64]) -> tuple[Bags, NDArray[np.int64]]:
        train = self._data.train
        return train.bags(texts, self._data.hashing), train.targets(texts, draws)

    def _look(self, step: int, *, last: bool) -> bool:
        """Sum up over the hosts, tell, write a checkpoint where it is time for one; whether to stop before the end."""
        tally = self._network.take_tally()
        due = self._checkpoints is not None and self._checkpoints.due
        stopping = self._environment.stopping.is_set()
        reports = self._hosts.exchange([tally.loss, tally.right, tally.texts, self._clock.take(), stopping, due])
        losses, rights, texts, tokens, stops, dues = zip(*reports, strict=True)
        self._at = replace(
            self._at,
            step=step,
            loss=self._at.loss + sum(losses),
            right=self._at.right + sum(rights),
            texts=self._at.texts + sum(texts),
        )
        if not np.isfinite(self._at.loss):
            raise ClientError(f"training diverged with lr={self._settings.lr}; lower lr.")
        self._clock.add(sum(tokens))
        done = (self._at.epochs_done + step / self._plan.updates) / self._settings.epochs
        if last or time.monotonic() - self._looked > _LINE_S:
            self._looked = time.monotonic()
            speed, loss = self._clock.million_words_per_second, self._at.loss / self._at.texts
            print(f"Progress: {done:.2%}  Million Words/sec: {speed:.3f}  Loss: {loss:.4f}")
        if (any(dues) or any(stops)) and not last:
            self._write_checkpoint()
        return any(stops) and not last

    def _epoch_ended(self) -> bool:
        """Measure; whether this was enough."""
        at = self._at
        epoch = Epoch(at.epochs_done + 1, at.right / at.texts, at.loss / at.texts)
        print(f"-------------- End of epoch: {epoch.epoch}")
        print(f"#train_accuracy: {epoch.train_accuracy:.4f}")
        print(f"#train_loss: {epoch.train_loss:.5f}")
        best, enough = at.best, False
        if self._data.validation:
            with self._clock.paused():
                found = self._measure()
            tell(found.accuracy, found.mean_loss)
            epoch = replace(epoch, validation_accuracy=found.accuracy, validation_loss=found.mean_loss)
            if found.accuracy > best.accuracy:
                best = Best(epoch.epoch, found.accuracy, found.mean_loss)
                if self._settings.early_stopping:
                    self._kept = self._weights()
            enough = self._settings.early_stopping and epoch.epoch - best.epoch >= self._settings.patience
        self._at = Standing(epochs_done=epoch.epoch, best=best, history=(*at.history, epoch))
        stopping = any(self._hosts.exchange(self._environment.stopping.is_set()))
        ends = enough or stopping or self._at.epochs_done == self._settings.epochs
        due = self._checkpoints is not None and any(self._hosts.exchange(self._checkpoints.due))
        if due or stopping:
            self._write_checkpoint()
        if enough:
            print(f"Reached patience. Best epoch: {best.epoch}, best validation accuracy: {best.accuracy:.4f}")
        return ends

    def _measure(self) -> Tally:
        """Accuracy and loss on the validation channel, of which each host takes a part."""
        examples = self._data.validation
        assert examples
        loss, right, texts = 0.0, 0, 0
        for batch in examples.in_order(max(self._settings.batch_size, 1024)):
            own = batch[self._hosts.rank :: self._hosts.size]
            if len(own):
                scores = self._network.scores(examples.bags(own, self._data.hashing))
                hits = examples.has_label(own, scores.argmax(axis=1))
                tally = tally_of(scores, hits, examples.targets(own, np.zeros(len(own))))
                loss, right, texts = loss + tally.loss, right + tally.right, texts + tally.texts
        losses, rights, counts = zip(*self._hosts.exchange([loss, right, texts]), strict=True)
        return Tally(sum(losses), sum(rights), sum(counts))

    def _result(self) -> Weights | None:
        best = self._at.best
        if not (self._settings.early_stopping and best.epoch):
            return self._weights()
        tell(best.accuracy, best.loss)  # the last values are those of the model that is kept
        return self._kept

    def _weights(self) -> Weights | None:
        """A copy of the weights, on the first host; the others wait, so that it is of one moment."""
        if self._hosts.rank:
            return None
        return Weights(self._parameters.embedding(), self._parameters.output())

    def _write_checkpoint(self) -> None:
        if self._checkpoints is None:
            return
        with self._clock.paused():
            arrays = {f"{_STATE}{name}": array for name, array in self._parameters.state().items()}
            for name, weights in (("", self._weights()), ("best_", self._kept)):
                if weights:
                    arrays |= {f"{name}embedding": weights.embedding, f"{name}output": weights.output}
            self._checkpoints.write(asdict(self._at), arrays)

    def _go_on_from(self, found: Checkpoint) -> None:
        state = dict(found.state)
        history = tuple(Epoch(**epoch) for epoch in state["history"])
        self._at = Standing(**{**state, "best": Best(**state["best"]), "history": history})
        if "best_embedding" in found.arrays:
            self._kept = Weights(found.arrays["best_embedding"], found.arrays["best_output"])
        self._parameters.restore(
            {name.removeprefix(_STATE): array for name, array in found.arrays.items() if name.startswith(_STATE)}
        )
        done = self._at.epochs_done + self._at.step / self._plan.updates
        logger.info("Resuming from checkpoint %d, after %.2f epochs.", found.number, done)


def weights_of(found: Checkpoint, hosts: Hosts) -> Weights:
    """The weights of a checkpoint, of which the first host's part has them, on every host.

    A kvstore begins with the weights of whichever host it numbers first.
    """
    if hosts.size == 1:
        return Weights(found.arrays["embedding"], found.arrays["output"])
    matrices = []
    for name in ("embedding", "output"):
        own = found.arrays.get(name)
        content = hosts.share(b"" if own is None else own.tobytes())[0]
        dim = hosts.exchange(None if own is None else own.shape[1])[0]
        matrices.append(np.frombuffer(content, np.float32).reshape(-1, dim))
    return Weights(*matrices)


def tell(accuracy: float, loss: float) -> None:
    """Print the metric lines of the validation channel."""
    print(f"#validation_accuracy: {accuracy:.4f}")
    print(f"#validation_loss: {loss:.5f}")
