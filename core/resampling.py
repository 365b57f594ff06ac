"""Resampling by area: exact for any ratio and any place, from one grid of pixels to another along the same axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["averaging_matrix", "resample", "resample_stream"]

_ROUNDING = 1e-9

Floats = npt.NDArray[np.float32]


def averaging_matrix(start: float, step: float, count: int, size: int) -> csr_array:
    """How much of each pixel along an axis makes each pixel of a resampled axis.

    A pixel of the result is the mean over its length of the source, linearly interpolated between its pixels'
    centres: constants and ramps stay what they are, and nothing is too fine to count. Beyond its ends the
    source is mirrored.

    Args:
        start: where the result begins, in source pixels.
        step: length of a pixel of the result, in source pixels.
        count: pixels of the result.
        size: pixels of the source.

    Returns:
        `(count, size)` float32; every row sums to 1.
    """
    # Late: most detections do without it, and it takes memory beside a network.
    from scipy.sparse import csr_array

    left = start + np.arange(count) * step
    sources = np.floor(left - 0.5).astype(np.int64)[:, None] + np.arange(math.ceil(step) + 2)
    from_centre = left[:, None] - (sources + 0.5)
    shares = (_hat_integral(from_centre + step) - _hat_integral(from_centre)) / step
    # What rounding leaves at a pixel's edge would have a pixel read for nothing.
    row, tap = np.nonzero(shares > _ROUNDING)
    folded = sources[row, tap] % (2 * size)
    column = np.minimum(folded, 2 * size - 1 - folded)
    return csr_array((shares[row, tap].astype(np.float32), (row, column)), shape=(count, size))


def resample(values: Floats, down: csr_array, across: csr_array) -> Floats:
    """Values `(N, H, W)` resampled to `(N, h, w)` by matrices `(h, H)` and `(w, W)`."""
    return np.stack([(across @ (down @ plane).T).T for plane in values])


def resample_stream(strips: Iterator[Floats], down: csr_array, across: csr_array, most: int) -> Iterator[Floats]:
    """As `resample`, from strips `(N, *, W)` to strips `(N, *, w)` of at most so many rows; few are held at a time."""
    starts = down.indptr[:-1]
    first_rows = np.append(np.minimum.reduceat(down.indices, starts), down.shape[1])
    end_rows = np.maximum.reduceat(down.indices, starts) + 1
    held: list[Floats] = []
    top = done = 0
    for strip in strips:
        rows = np.concatenate([*held, strip], axis=1)
        bottom = top + rows.shape[1]
        ready = int(np.searchsorted(end_rows, bottom, side="right"))
        for begin in range(done, ready, most):
            part = down[begin : min(begin + most, ready), top:bottom]
            yield resample(rows, part, across)
        held, top, done = [rows[:, first_rows[ready] - top :]], int(first_rows[ready]), ready


def _hat_integral(end: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Area up to a place under the hat of linear interpolation: 1 at 0, falling to 0 at -1 and 1."""
    end = np.clip(end, -1, 1)
    area: npt.NDArray[np.float64] = 0.5 + end - np.copysign(end**2, end) / 2
    return area
