"""RecordIO-protobuf of ours beside the SDK's own writers and reader."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from sagemaker.amazon.common import read_records, write_numpy_to_dense_tensor, write_spmatrix_to_sparse_tensor
from scipy.sparse import csr_matrix

# The contract is no package of the SDK's environment.
sys.path.append(str(Path(__file__).resolve().parents[3] / "containers" / "contract" / "src"))
from contract.recordio_protobuf import Rows, read_batches, write_dense, write_sparse

DRAW = np.random.default_rng(7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labels", [True, False])
def test_dense_rows_are_the_sdks_bytes_and_are_read_by_both(dtype: type[np.floating], labels: bool) -> None:
    features = DRAW.normal(size=(300, 17)).astype(dtype)
    wanted = DRAW.normal(size=300).astype(dtype) if labels else None
    theirs, ours = io.BytesIO(), io.BytesIO()
    write_numpy_to_dense_tensor(theirs, features, wanted)
    write_dense(ours, features, wanted)
    assert ours.getvalue() == theirs.getvalue()

    ours.seek(0)
    name = "float32_tensor" if dtype is np.float32 else "float64_tensor"
    read = [list(getattr(record.features["values"], name).values) for record in read_records(ours)]
    assert np.array_equal(np.array(read, dtype), features)
    theirs.seek(0)
    found = list(read_batches(theirs))
    assert np.array_equal(np.concatenate([batch.features for batch in found]), features.astype(np.float32))
    if wanted is not None:
        assert np.array_equal(np.concatenate([batch.labels for batch in found])[:, 0], wanted.astype(np.float32))


def test_sparse_rows_are_the_sdks_bytes_and_are_read() -> None:
    dense = DRAW.normal(size=(200, 1000)).astype(np.float32) * (DRAW.random((200, 1000)) < 0.02)
    dense[3] = 0
    matrix, labels = csr_matrix(dense.astype(np.float32)), DRAW.normal(size=200).astype(np.float32)
    theirs, ours = io.BytesIO(), io.BytesIO()
    write_spmatrix_to_sparse_tensor(theirs, matrix, labels)
    write_sparse(ours, Rows(matrix.data, matrix.indices.astype(np.int64), matrix.indptr, 1000), labels)
    assert ours.getvalue() == theirs.getvalue()
    theirs.seek(0)
    (batch,) = read_batches(theirs)
    assert isinstance(batch.features, Rows)
    again = csr_matrix((batch.features.values, batch.features.keys, batch.features.bounds), shape=(200, 1000))
    assert (again != matrix).nnz == 0
