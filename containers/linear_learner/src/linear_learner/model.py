"""A trained linear model, on NumPy alone: its answers, and its folder.

The folder holds `model.json` (what it is: format, predictor_type, loss, feature_dim, outputs, threshold, settings),
`weights.npy`, float32, shape (outputs, features), and `bias.npy`, float32, shape (outputs,), for features as they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.errors import ClientError
from contract.recordio_protobuf import Rows

DESCRIPTION, WEIGHTS, BIAS = "model.json", "weights.npy", "bias.npy"


class Description(BaseModel):
    """model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["kindling-linear-1"] = "kindling-linear-1"
    predictor_type: Literal["regressor", "binary_classifier", "multiclass_classifier"]
    loss: str
    feature_dim: int = Field(ge=1)
    outputs: int = Field(ge=1)
    threshold: float | None = Field(default=None, description="score from which a binary classifier's label is 1")
    settings: dict[str, float | str] = Field(default={}, description="what the model was trained with")


@dataclass(frozen=True)
class LinearModel:
    """Scores of features x are weights @ x + bias; a classifier's are made probabilities, but for hinge_loss."""

    description: Description
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The model in a folder.

        Raises:
            ClientError: there is none, or it is damaged; names the file.
        """
        try:
            description = Description.model_validate_json((folder / DESCRIPTION).read_bytes())
        except FileNotFoundError:
            raise ClientError(f"the model folder has no {DESCRIPTION}; it must be what a training job wrote.") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "its JSON"
            raise ClientError(f"{DESCRIPTION} is damaged: {place}: {first['msg']}.") from None
        outputs, features = description.outputs, description.feature_dim
        weights = _array(folder / WEIGHTS, (outputs, features))
        return cls(description, weights, _array(folder / BIAS, (outputs,)))

    def write(self, folder: Path) -> None:
        """Write the files of the folder, which exists."""
        np.save(folder / WEIGHTS, np.ascontiguousarray(self.weights), allow_pickle=False)
        np.save(folder / BIAS, self.bias, allow_pickle=False)
        text = self.description.model_dump_json(indent=1, exclude_none=True)
        (folder / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")

    def scores(self, features: NDArray[np.float32] | Rows) -> NDArray[np.float64]:
        """What the endpoint calls score: shape (n,), or (n, outputs) of a multiclass_classifier.

        Args:
            features: shape (n, feature_dim), dense or sparse, finite.
        """
        raw = self._raw(features)
        if self.description.predictor_type == "multiclass_classifier":
            raw = np.exp(raw - raw.max(axis=1, keepdims=True))
            found: NDArray[np.float64] = raw / raw.sum(axis=1, keepdims=True)
            return found
        scores = raw[:, 0]
        if self.description.loss != "logistic":
            return scores
        # 1 / (1 + exp(-s)), by the form that cannot overflow.
        return np.exp(-np.logaddexp(0, -scores))

    def labels(self, scores: NDArray[np.float64]) -> NDArray[np.int64] | None:
        """The predicted labels of scores, shape (n,); None of a regressor."""
        if self.description.predictor_type == "regressor":
            return None
        found: NDArray[np.int64]
        if scores.ndim == 2:
            found = scores.argmax(axis=1)
        else:
            assert self.description.threshold is not None
            found = (scores >= self.description.threshold).astype(np.int64)
        return found

    def _raw(self, features: NDArray[np.float32] | Rows) -> NDArray[np.float64]:
        bias = self.bias.astype(np.float64)
        if not isinstance(features, Rows):
            return (features @ self.weights.T).astype(np.float64) + bias
        found = np.zeros((len(features.bounds) - 1, len(bias)))
        numbers = np.repeat(np.arange(len(found)), np.diff(features.bounds))
        np.add.at(found, numbers, features.values[:, None] * self.weights.T[features.keys])
        return found + bias


def _array(path: Path, shape: tuple[int, ...]) -> Any:
    """A float32 array of a shape, mapped."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ClientError(f"the model folder has no {path.name}; it must be what a training job wrote.") from None
    except (ValueError, EOFError, OSError) as error:
        raise ClientError(f"{path.name} is damaged: {error}.") from None
    if found.shape != shape or found.dtype != np.float32:
        raise ClientError(
            f"{path.name} is {found.dtype} of shape {found.shape}; {DESCRIPTION} says float32 of {shape}."
        )
    return found
