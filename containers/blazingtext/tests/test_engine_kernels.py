"""The arithmetic of a training step, for every instruction set of this processor, against numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blazingtext._engine import update_batch, usable_instructions

Matrix = NDArray[np.float32]


def expected_step(inputs: Matrix, targets: Matrix, learning_rate: float) -> tuple[NDArray[np.float64], ...]:
    x, y = inputs.astype(np.float64), targets.astype(np.float64)
    labels = np.zeros(len(y))
    labels[0] = 1
    gradients = learning_rate * (labels - 1 / (1 + np.exp(-x @ y.T)))
    return x + gradients @ y, y + gradients.T @ x


def test_the_portable_kernel_is_always_there() -> None:
    assert usable_instructions()[-1] == "portable"


@pytest.mark.parametrize("instructions", usable_instructions())
@settings(max_examples=40, deadline=None)
@given(
    contexts=st.integers(1, 32),
    targets=st.integers(1, 20),
    dim=st.one_of(st.integers(1, 70), st.sampled_from([100, 300, 2048])),
    scale=st.sampled_from([1e-3, 0.3, 2.0]),
    seed=st.integers(0, 1000),
)
def test_a_step_is_the_gradient_of_negative_sampling(
    instructions: str, contexts: int, targets: int, dim: int, scale: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = (scale * random.standard_normal((contexts, dim)) / dim**0.25).astype(np.float32)
    y = (scale * random.standard_normal((targets, dim)) / dim**0.25).astype(np.float32)

    new_x, new_y = update_batch(x, y, 0.05, instructions)

    expected_x, expected_y = expected_step(x, y, 0.05)
    np.testing.assert_allclose(new_x, expected_x, rtol=2e-5, atol=2e-6 * scale)
    np.testing.assert_allclose(new_y, expected_y, rtol=2e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("instructions", usable_instructions())
def test_products_far_from_zero_saturate(instructions: str) -> None:
    x = np.full((1, 4), 5, np.float32)
    for signs in ([[1], [-1]], [[-1], [1]]):
        targets = np.full((2, 4), 5, np.float32) * np.array(signs, np.float32)
        expected_x, expected_y = expected_step(x, targets, 0.1)
        new_x, new_y = update_batch(x, targets, 0.1, instructions)
        np.testing.assert_allclose(new_x, expected_x, rtol=1e-6)
        np.testing.assert_allclose(new_y, expected_y, rtol=1e-6)


@pytest.mark.parametrize("instructions", usable_instructions())
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30])
def test_values_beyond_all_bounds_are_refused(instructions: str, value: float) -> None:
    with pytest.raises(FloatingPointError):
        update_batch(np.full((3, 10), value, np.float32), np.full((7, 10), 1e10, np.float32), 0.1, instructions)


def test_an_instruction_set_that_the_processor_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"instructions=neon2 cannot be used here; this processor runs .*portable\."):
        update_batch(np.ones((1, 4), np.float32), np.ones((1, 4), np.float32), 0.1, "neon2")
