"""The classifier on MXNet's devices: mean of a text's rows, dropout, output matrix, softmax.

Joulin, Grave, Bojanowski and Mikolov 2017, section 2: the probabilities of a text's labels are softmax(B A x), where x
is the text's normalised bag of features, A the embedding matrix and B the output matrix; trained by cross-entropy.

A batch is a sparse matrix of its texts over the rows that it has, times these rows: what no text of the batch has takes
no time and no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gluon_fasttext.hashing import Bags
from gluon_fasttext.parameters import Parameters


@dataclass(frozen=True)
class Tally:
    """Sums over texts."""

    loss: float
    right: int
    texts: int

    @property
    def mean_loss(self) -> float:
        """In nats."""
        return self.loss / max(1, self.texts)

    @property
    def accuracy(self) -> float:
        """Share of the texts whose best label was the right one."""
        return self.right / max(1, self.texts)


class Network:
    """Trains and evaluates by batches.

    Args:
        mx: the module mxnet.
        devices: that share each batch.
        parameters: where the matrices are.
        dropout: share of the mean vector that training leaves out.
    """

    def __init__(self, mx: Any, devices: Sequence[Any], parameters: Parameters, dropout: float) -> None:
        self._mx, self._devices, self._parameters, self._dropout = mx, devices, parameters, dropout
        self._loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        self._loss.hybridize()
        self._losses: list[Any] = []
        self._rights: list[Any] = []
        self._texts = 0

    def train(self, parts: Sequence[tuple[Bags, NDArray[np.int64]]], texts: int) -> None:
        """One update. Its numbers come later: MXNet computes while the next batch is made.

        Args:
            parts: for each device, texts and their labels; may be of no text where there are fewer than devices.
            texts: of the update, over all devices and hosts: the gradient is of the mean loss.
        """
        matrices = [self._matrix(bags, device) for (bags, _), device in zip(parts, self._devices, strict=True)]
        rows = [own for own, _ in matrices]
        embeddings, outputs = self._parameters.pull(rows)
        for (_, labels), (_, matrix), embedding, output, device in zip(
            parts, matrices, embeddings, outputs, self._devices, strict=True
        ):
            if not len(labels):  # MXNet's arrays are never empty
                continue
            embedding.attach_grad(stype="row_sparse")
            output.attach_grad()
            target = self._mx.nd.array(labels, ctx=device)
            with self._mx.autograd.record():
                scores = self._scores(matrix, embedding, output)
                losses = self._loss(scores, target)
                total = losses.sum() / texts
            total.backward()
            self._note(losses, scores, target)
        has_rows = [len(bags.rows) > 0 for bags, _ in parts]
        self._parameters.push(
            [
                embedding.grad.data if has else embedding.zeros_like()
                for embedding, has in zip(embeddings, has_rows, strict=True)
            ],
            [
                output.grad if len(labels) else output.zeros_like()
                for output, (_, labels) in zip(outputs, parts, strict=True)
            ],
        )

    def scores(self, bags: Bags) -> NDArray[np.float32]:
        """What the softmax is taken of, shape (texts, labels); on the first device."""
        device, *others = self._devices
        rows, matrix = self._matrix(bags, device)
        nothing = np.zeros(1, np.int64)
        embeddings, outputs = self._parameters.pull([rows, *(nothing for _ in others)])
        found: NDArray[np.float32] = self._scores(matrix, embeddings[0], outputs[0]).asnumpy()
        return found

    def take_tally(self) -> Tally:
        """The sums over what was trained on since they were last taken; waits for the devices."""
        found = Tally(_total(self._losses), round(_total(self._rights)), self._texts)
        self._losses, self._rights, self._texts = [], [], 0
        return found

    def _matrix(self, bags: Bags, device: Any) -> tuple[NDArray[np.int64], Any]:
        """The distinct rows of texts, and the texts as a sparse matrix over them."""
        rows, columns = np.unique(bags.rows, return_inverse=True)
        if not len(rows):
            rows = np.zeros(1, np.int64)
        parts = (bags.weights, columns, bags.bounds)
        return rows, self._mx.nd.sparse.csr_matrix(parts, shape=(len(bags.sizes), len(rows)), ctx=device)

    def _scores(self, matrix: Any, embedding: Any, output: Any) -> Any:
        nd = self._mx.nd
        hidden = nd.sparse.dot(matrix, embedding)
        if self._dropout:
            hidden = nd.Dropout(hidden, p=self._dropout)  # nothing outside autograd.record
        return nd.dot(hidden, output, transpose_b=True)

    def _note(self, losses: Any, scores: Any, target: Any) -> None:
        self._losses.append(losses.sum())
        self._rights.append((scores.argmax(axis=1) == target).sum())
        self._texts += len(target)


def _total(sums: Sequence[Any]) -> float:
    return float(sum(part.asscalar() for part in sums))


def tally_of(scores: NDArray[np.float32], right: NDArray[np.bool_], labels: NDArray[np.int64]) -> Tally:
    """The sums over texts that are not trained on.

    Args:
        scores: shape (texts, labels).
        right: whether each text's best label is one of its own.
        labels: one of each text's own, by which its loss is measured.
    """
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return Tally(float(losses.sum()), int(right.sum()), len(labels))
