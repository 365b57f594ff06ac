"""Resampling by area: exact for any ratio and any place, from one grid of pixels to another along the same axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from ..images import Images, Mask, Pixels

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["averaging_matrix", "covered", "in_parts", "means_of_valid", "reach", "resample", "rows_to_resample"]

# Sums of such parts are exact in float32, in any order.
_PARTS = 2**23
# Matrices that are not made again for each tile: one for each column of tiles, and one down.
_KEPT = 256
_PIXELS_AT_ONCE = 4 * 2**20
# Less of a pixel than this is rounding.
_LEAST_SHARE = 1e-6


@lru_cache(_KEPT)
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
        `(count, size)` float32, not to be changed: others get the same; every row sums to 1, to the bit.
    """
    # Late: most detections do without it, and it takes memory beside a network.
    from scipy.sparse import csr_array

    left = start + np.arange(count) * step
    sources = np.floor(left - 0.5).astype(np.int64)[:, None] + np.arange(math.ceil(step) + 2)
    from_centre = left[:, None] - (sources + 0.5)
    shares = np.rint((_hat_integral(from_centre + step) - _hat_integral(from_centre)) / step * _PARTS)
    shares[np.arange(count), shares.argmax(axis=1)] += _PARTS - shares.sum(axis=1)
    row, tap = np.nonzero(shares)
    folded = sources[row, tap] % (2 * size)
    column = np.minimum(folded, 2 * size - 1 - folded)
    return csr_array(((shares[row, tap] / _PARTS).astype(np.float32), (row, column)), shape=(count, size))


def resample(values: Pixels, down: csr_array, across: csr_array) -> Images:
    """Numbers `(N, H, W)` of any type, resampled to `(N, h, w)` float32 by matrices `(h, H)` and `(w, W)`."""
    result = np.empty((len(values), down.shape[0], across.shape[0]), dtype=np.float32)
    finer = across.shape[0] > across.shape[1]
    for plane, resampled in zip(values, result, strict=True):
        # The axis first that leaves less to do; as values lie in memory, the one down is the faster.
        resampled[:] = down @ (across @ plane.T).T if finer else (across @ (down @ plane).T).T
    return result


def rows_to_resample(strips: Iterator[Images], down: csr_array, most: int) -> Iterator[tuple[Images, csr_array]]:
    """What `resample` takes for a few rows of its result after the other, from strips `(N, *, W)`.

    Args:
        strips: one below the other; few are held at a time.
        down: `(h, H)` for all of them.
        most: rows of the result at a time.

    Yields:
        Rows `(N, *, W)` and the matrix of at most `most` rows that is meant for them.
    """
    starts = down.indptr[:-1]
    first_rows = np.append(np.minimum.reduceat(down.indices, starts), down.shape[1])
    end_rows = np.maximum.reduceat(down.indices, starts) + 1
    held: list[Images] = []
    top = done = 0
    for strip in strips:
        rows = np.concatenate([*held, strip], axis=1)
        ready = int(np.searchsorted(end_rows, top + rows.shape[1], side="right"))
        for begin in range(done, ready, most):
            end = min(begin + most, ready)
            first, last = first_rows[begin], end_rows[end - 1]
            yield rows[:, first - top : last - top], down[begin:end, first:last]
        held, top, done = [rows[:, first_rows[ready] - top :]], int(first_rows[ready]), ready


def reach(down: csr_array, across: csr_array) -> Window:
    """The source pixels that two matrices `(h, H)` and `(w, W)` take from."""
    top, left = int(down.indices.min()), int(across.indices.min())
    return Window(left, top, int(across.indices.max()) + 1 - left, int(down.indices.max()) + 1 - top)


def in_parts(down: csr_array, across: csr_array, bands: int) -> Iterator[tuple[Window, csr_array, csr_array]]:
    """A resampling by rows, few enough that not many source pixels are held at a time.

    Args:
        down: `(h, H)` from the source's rows.
        across: `(w, W)` from its columns.
        bands: of the source.

    Yields:
        From the first row to the last, the window of the source that some rows are made of, and the matrices
        `(*, window.height)` and `(w, window.width)` that make them of it.
    """
    whole = reach(down, across)
    step = max(1, _PIXELS_AT_ONCE * down.shape[0] // (bands * whole.width * whole.height))
    for top in range(0, down.shape[0], step):
        rows = down[top : top + step]
        window = reach(rows, across)
        left, first = window.col_off, window.row_off
        yield window, rows[:, first : first + window.height], across[:, left : left + window.width]


def means_of_valid(values: Pixels, valid: Mask, down: csr_array, across: csr_array) -> tuple[Images, Mask]:
    """The mean of what is valid in each pixel of the result `(C, h, w)`, and where anything is `(h, w)`."""
    if valid.all():
        return resample(values, down, across), np.ones((down.shape[0], across.shape[0]), dtype=bool)
    share = _share(valid, down, across)
    means = resample(np.where(valid, values, 0), down, across)
    means /= np.maximum(share, _LEAST_SHARE)
    return means, share > _LEAST_SHARE


def covered(mask: Mask, down: csr_array, across: csr_array) -> Mask:
    """Which pixels of the result `(h, w)` a mask `(H, W)` covers any of."""
    some: Mask = _share(mask, down, across) > _LEAST_SHARE
    return some


def _share(mask: Mask, down: csr_array, across: csr_array) -> Images:
    """How much of each pixel of the result a mask covers, `(h, w)`."""
    share: Images = resample(mask[None].astype(np.float32), down, across)[0]
    return share


def _hat_integral(end: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Area up to a place under the hat of linear interpolation: 1 at 0, falling to 0 at -1 and 1."""
    end = np.clip(end, -1, 1)
    area: npt.NDArray[np.float64] = 0.5 + end - np.copysign(end**2, end) / 2
    return area
