"""Resampling against integrals over the same lengths: means, ramps, mirrors, streams."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qgis_sslkd.core.geodata.resampling import averaging_matrix, resample, rows_to_resample

STEPS = st.floats(0.1, 12)
SIZES = st.integers(1, 60)


def mean_over(values, left, right):
    """The mean between two places of what lies linearly between the pixels of a mirrored row, in float64."""
    centres, mirrored = np.arange(-200, len(values) + 200) + 0.5, np.pad(values, 200, mode="symmetric")
    places = np.unique([left, *centres[(centres > left) & (centres < right)], right])
    return np.trapezoid(np.interp(places, centres, mirrored), places) / (right - left)


@settings(max_examples=100, deadline=None)
@given(st.floats(-20, 60), STEPS, st.integers(1, 12), SIZES)
@example(0.0, 1.0, 5, 5)
@example(0.0, 0.5, 10, 5)
@example(0.0, 2.0, 3, 5)
@example(0.0, 60 / 7, 7, 60)
def test_each_pixel_is_the_mean_over_what_it_covers(start, step, count, size):
    values = np.random.default_rng(0).random(size)
    found = averaging_matrix(start, step, count, size) @ values
    begins = start + np.arange(count) * step
    expected = [mean_over(values, begin, begin + step) for begin in begins]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_hand_computed():
    # Beyond its ends a row goes on as its mirror: half of what the first pixel counts comes from there.
    found = averaging_matrix(0, 2, 2, 4).toarray()
    np.testing.assert_array_equal(found, [[0.5, 0.4375, 0.0625, 0], [0, 0.0625, 0.4375, 0.5]])
    np.testing.assert_array_equal(averaging_matrix(1, 1, 1, 3).toarray(), [[0.125, 0.75, 0.125]])
    # Twice as fine: a quarter of a pixel from a centre; the edge keeps its value.
    expected = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_array_equal(averaging_matrix(0, 0.5, 4, 2).toarray(), expected)


@settings(deadline=None)
@given(st.floats(-20, 60), STEPS, st.integers(1, 12), SIZES)
def test_weights_sum_to_one_to_the_bit_and_none_is_negative(start, step, count, size):
    matrix = averaging_matrix(start, step, count, size)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix @ np.ones(size, np.float32), 1)
    assert (matrix.data > 0).all()


@pytest.mark.parametrize("step", [0.3, 0.5, 0.77, 1.0, 1.3, 2.0, 6.45])
def test_a_ramp_stays_that_ramp(step):
    """Not shifted by half a pixel of either grid."""
    size, count = 64, int(64 / step)
    found = averaging_matrix(0, step, count, size) @ (np.arange(size) + 0.5)
    ends = (np.arange(count) * step, (np.arange(count) + 1) * step)
    inner = (ends[0] >= 0.5) & (ends[1] <= size - 0.5)
    np.testing.assert_allclose(found[inner], np.mean(ends, axis=0)[inner], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("step", [3, 0.8])
def test_both_axes_are_resampled(step, dtype):
    values = np.random.default_rng(0).integers(0, 200, (3, 6, 8)).astype(dtype)
    down, across = averaging_matrix(0, 3, 2, 6), averaging_matrix(0, step, int(8 / step), 8)
    found = resample(values, down, across)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    expected = np.einsum("rh,chw,sw->crs", down.toarray(), values, across.toarray())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 90), st.integers(1, 12), st.integers(1, 9))
@example([1], 1, 1, 1)
@example([3, 3], 90, 5, 7)
@example([20, 20, 20], 4, 5, 100)
def test_rows_of_strips_give_what_the_whole_gives(heights, count, width, most):
    size = sum(heights)
    values = np.random.default_rng(0).random((2, size, 7)).astype(np.float32)
    down, across = averaging_matrix(0, size / count, count, size), averaging_matrix(0, 7 / width, width, 7)
    strips = np.split(values, np.cumsum(heights)[:-1], axis=1)
    found = [resample(rows, part, across) for rows, part in rows_to_resample(iter(strips), down, most)]
    assert max(part.shape[1] for part in found) <= most
    np.testing.assert_array_equal(np.concatenate(found, axis=1), resample(values, down, across))


def test_rows_of_a_stream_come_as_soon_as_they_can():
    """Flat memory: of what was read, what was needed for the last row is all that waits."""
    given_out = []

    def strips():
        for _ in range(10):
            given_out.append(4)
            yield np.zeros((1, 4, 3), np.float32)

    rows, part = next(rows_to_resample(strips(), averaging_matrix(0, 2, 20, 40), 100))
    # The second row leans on the fifth pixel.
    assert rows.shape == (1, 3, 3) and part.shape == (1, 3)
    assert len(given_out) == 1
