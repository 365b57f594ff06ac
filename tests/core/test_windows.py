"""Where tiles stand and how much each counts, as properties of every size, tile and overlap."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.windows import Tiling, blend_weights, tile_starts


@st.composite
def axes(draw):
    tile = draw(st.integers(1, 70))
    return draw(st.integers(1, 400)), tile, draw(st.integers(0, tile - 1))


@given(axes())
@example((512, 512, 128))
@example((513, 512, 128))
@example((1, 512, 511))
@example((400, 64, 63))
def test_tiles_cover_the_axis_with_the_overlap_that_was_asked_for(axis):
    size, tile, overlap = axis
    starts = tile_starts(size, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, size - tile)
    steps = np.diff(starts)
    assert (steps >= 1).all()
    assert (steps <= tile - overlap).all()
    assert steps.size == 0 or steps.max() - steps.min() <= 2


@given(axes())
def test_there_are_as_few_tiles_as_can_be(axis):
    size, tile, overlap = axis
    count = len(tile_starts(size, tile, overlap))
    # One tile fewer, at the largest step that the overlap allows, would not reach the end.
    assert count == 1 or (count - 2) * (tile - overlap) + tile < size


def test_the_example_of_the_docstring():
    assert tile_starts(1000, 512, 128) == [0, 244, 488]


def test_a_raster_of_3200_by_4000_needs_88_tiles():
    assert len(tile_starts(3200, 512, 128)) * len(tile_starts(4000, 512, 128)) == 88


@given(axes())
@example((1, 512, 128))
@example((1000, 512, 0))
@example((400, 64, 63))
def test_weights_sum_to_one_at_every_pixel_and_none_is_zero(axis):
    size, tile, overlap = axis
    starts = tile_starts(size, tile, overlap)
    weights = blend_weights(size, starts, tile)
    assert weights.shape == (len(starts), tile)
    assert (weights > 0).all()
    total = np.zeros(max(size, tile), dtype=np.float64)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + tile] += weight
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_the_middle_of_a_tile_counts_more_than_its_edge():
    starts = tile_starts(96, 64, 32)
    first, second = blend_weights(96, starts, 64)
    assert starts == [0, 32]
    assert (first[:32] == 1).all()  # nobody else is there
    assert (np.diff(first[32:]) < 0).all()
    np.testing.assert_allclose(first[32:], second[:32][::-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("tile", "overlap", "batch", "message"),
    [
        (0, 0, 1, "multiple of 32 pixels, at most 8192, got 0"),
        (-32, 0, 1, "got -32"),
        (8224, 0, 1, "at most 8192, got 8224"),
        (100, 0, 1, "multiple of 32 pixels, at most 8192, got 100"),
        (64, 64, 1, "below the tile of 64, got 64"),
        (64, -1, 1, "at least 0 .* got -1"),
        (64, 16, 0, "at least 1, got 0"),
    ],
)
def test_a_wrong_number_is_named(tile, overlap, batch, message):
    with pytest.raises(SettingError, match=message):
        Tiling(tile, overlap, batch)


def test_the_ends_of_the_ranges_are_allowed():
    Tiling(32, 0, 1)
    Tiling(8192, 8191, 1)
