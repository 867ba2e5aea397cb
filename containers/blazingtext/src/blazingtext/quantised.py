"""Making and writing quantised models, fastText's .ftz: a code of one byte for every few dimensions in place of floats.

A matrix's rows are kept by product quantisation (Jegou, Douze and Schmid 2011), lengths apart from directions:
fastText's `qnorm`. Two things are left out of the file that lookup does not need: the output matrix, which has no rows,
and the hash buckets that no word's n-grams use, by the list with which fastText prunes them (src/dictionary.cc).

Layout of a quantised matrix, little-endian (fastText src/quantmatrix.cc, src/productquantizer.cc): one byte "lengths
apart", rows and columns as int64, the number of codes as int32, the codes, the quantiser of directions; then the
lengths' codes, a byte for each row, and their quantiser. A quantiser is its dimensions, blocks, dimensions of a block
and of the last one as int32, and 256 x dimensions numbers as float32: block after block its centroids.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import quantise

CENTROIDS = 256

_MATRIX = struct.Struct("<?2qi")
_QUANTISER = struct.Struct("<4i")


@dataclass(frozen=True)
class Quantiser:
    """Centroids of each block of a row's dimensions.

    `centroids` has shape (blocks, 256, block), float32; the last block may have fewer dimensions, `last`, and zeros
    behind them.
    """

    centroids: NDArray[np.float32]
    last: int

    @property
    def dim(self) -> int:
        """Dimensions of a row."""
        blocks, _, block = self.centroids.shape
        return int((blocks - 1) * block + self.last)

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of codes, shape (n, blocks), as rows of numbers, shape (n, dim)."""
        blocks = np.arange(len(self.centroids))
        _, _, block = self.centroids.shape
        decoded: NDArray[np.float32] = self.centroids[blocks, codes].reshape(len(codes), len(blocks) * block)
        return decoded[:, : self.dim]

    @classmethod
    def of(cls, values: NDArray[np.float32], dim: int, block: int) -> Quantiser:
        """From centroids block after block without gaps, shape (256 x dim,)."""
        blocks = -(-dim // block)
        last = dim - (blocks - 1) * block
        centroids = np.zeros((blocks, CENTROIDS, block), dtype=np.float32)
        whole = (blocks - 1) * CENTROIDS * block
        centroids[:-1] = values[:whole].reshape(blocks - 1, CENTROIDS, block)
        centroids[-1, :, :last] = values[whole:].reshape(CENTROIDS, last)
        return cls(centroids, last)

    def write(self, file: BinaryIO) -> None:
        blocks, _, block = self.centroids.shape
        file.write(_QUANTISER.pack(self.dim, blocks, block, self.last))
        file.write(np.ascontiguousarray(self.centroids[:-1], dtype="<f4").data)
        file.write(np.ascontiguousarray(self.centroids[-1, :, : self.last], dtype="<f4").data)


@dataclass(frozen=True)
class QuantisedMatrix:
    """A matrix of quantised rows, which are decoded when they are taken: `matrix[rows]`.

    `codes` has shape (rows, blocks), `length_codes` (rows,); `lengths` is None where rows were quantised as they are.
    """

    codes: NDArray[np.uint8]
    directions: Quantiser
    length_codes: NDArray[np.uint8] | None
    lengths: Quantiser | None

    @classmethod
    def of(cls, matrix: NDArray[np.float32], block: int, *, seed: int, threads: int) -> QuantisedMatrix:
        """Quantise a matrix, shape (rows, dim), any strides, with one code for each `block` dimensions."""
        centroids, codes, length_centroids, length_codes = quantise(matrix, block, seed, threads)
        return cls(
            codes, Quantiser.of(centroids, matrix.shape[1], block), length_codes, Quantiser.of(length_centroids, 1, 1)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimensions."""
        return len(self.codes), self.directions.dim

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The numbers of some rows, shape (len(rows), dim)."""
        decoded = self.directions.decode(self.codes[rows])
        if self.lengths is not None and self.length_codes is not None:
            decoded *= self.lengths.decode(self.length_codes[rows][:, None])
        return decoded

    def write(self, file: BinaryIO) -> None:
        """Write the matrix as fastText does."""
        apart = self.lengths is not None
        file.write(_MATRIX.pack(apart, *self.shape, self.codes.size))
        file.write(np.ascontiguousarray(self.codes).data)
        self.directions.write(file)
        if self.lengths is not None and self.length_codes is not None:
            file.write(np.ascontiguousarray(self.length_codes).data)
            self.lengths.write(file)
