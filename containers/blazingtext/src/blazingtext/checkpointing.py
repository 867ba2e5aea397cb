"""What a word2vec job writes into its checkpoints, and how it goes on from one.

Every host's file holds the places of its threads in the corpus; the first host's holds also the matrices, which are the
same on all hosts when these have just synchronised.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext import gpu
from blazingtext._engine import Corpus
from contract.checkpoints import Checkpoints
from contract.environment import TrainingEnvironment
from contract.rendezvous import Hosts

logger = logging.getLogger(__name__)

# To be raised when the engine would misread what it wrote before.
_FORMAT = 1
# What a job may change when it goes on: the words that are trained do not depend on it.
_FREE = frozenset({"threads", "evaluation", "quantize", "quantized_block"})


class TrainerCheckpoints:
    """Goes on from the newest checkpoint, and writes more; does nothing in a job that has no checkpoints.

    Args:
        environment: of this host.
        hosts: of the job; each does the same at the same point.
        trainer: of this host, before its first step.
        corpus: that it trains on.
    Raises:
        ClientError: the checkpoint that was found is of a job with other hyperparameters or another corpus.
    """

    def __init__(self, environment: TrainingEnvironment, hosts: Hosts, trainer: gpu.AnyTrainer, corpus: Corpus) -> None:
        self._hosts, self._trainer = hosts, trainer
        self._paused: NDArray[np.uint64] | None = None
        self._files = Checkpoints.of_job(environment, hosts, _job(environment, trainer, corpus))
        if self._files:
            self._resume(self._files)

    @property
    def active(self) -> bool:
        """Whether this job writes checkpoints."""
        return self._files is not None

    @property
    def due(self) -> bool:
        """Whether it is time for one, by this host's clock."""
        return self._files is not None and self._files.due

    def pause(self) -> int:
        """Bring the trainer to where `save` can tell its place; returns how many words that took.

        Raises:
            FloatingPointError: as in `Trainer.train`.
        """
        before = self._trainer.words_done
        self._paused = self._trainer.pause()
        return self._trainer.words_done - before

    def save(self) -> None:
        """Write a checkpoint, after `pause` and a synchronisation of all rows."""
        assert self._files is not None
        assert self._paused is not None
        matrices = self._matrices() if self._hosts.rank == 0 else {}
        self._files.write({}, {"paused": self._paused, **matrices})

    def _resume(self, files: Checkpoints) -> None:
        found = files.newest()
        if found is None:
            return
        self._trainer.resume(found.arrays["paused"])
        for name, matrix in self._matrices().items():
            matrix[:] = found.arrays[name] if self._hosts.rank == 0 else 0
            self._hosts.add_up(matrix)
        logger.info("Going on from checkpoint %d, with %.2f%% trained.", found.number, 100 * self._trainer.progress)

    def _matrices(self) -> dict[str, NDArray[np.float32]]:
        return {"input": self._trainer.input, "output": self._trainer.output}


def _job(environment: TrainingEnvironment, trainer: gpu.AnyTrainer, corpus: Corpus) -> Mapping[str, Any]:
    """What a checkpoint must share with the job that goes on from it."""
    vocabulary = zlib.crc32(corpus.counts.tobytes(), zlib.crc32("\0".join(corpus.words).encode()))
    return {
        "checkpoint_format": _FORMAT,
        **{name: value for name, value in environment.hyperparameters.items() if name not in _FREE},
        "instance_count": len(environment.hosts),
        "processor": "GPU" if isinstance(trainer, gpu.Trainer) else "CPU",
        "channel 'train'": f"{corpus.tokens_read} tokens ({vocabulary:08x})",
    }
