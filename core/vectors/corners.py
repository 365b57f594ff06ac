"""Corners of the road in a mask of any size, found from its rows as they come by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Corners", "Flags", "Integers", "Rows", "Values", "find_corners"]

Integers = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """The next rows of a mask.

    Attributes:
        mask: where the road is, `(h, W)`.
        values: a number at every pixel, `(h, W)`, 0 off the road; None where there is none.
    """

    mask: Flags
    values: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Corners:
    """Corners from top to bottom and left to right; two by two they bound the horizontal edges of the road.

    Where two pixels of road meet in a corner alone, there are two corners.

    Attributes:
        row: `(N,)` rows of the corners.
        column: `(N,)` columns of the corners.
        road_below: `(N,)` whether the pixel to the lower right of a corner is road.
        swapped: `(N,)` whether of two corners in one place the first goes down and the second up.
        left: `(N,)` column of the next vertical edge to the left in the row below `left_row`; -1 for none.
        left_row: `(N,)` the corner's row, or that of another corner which this edge is left of.
        integral: `(N,)` sum of the values above and to the left; or None.
    """

    row: Integers
    column: Integers
    road_below: Flags
    swapped: Flags
    left: Integers
    left_row: Integers
    integral: Values | None

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def joined(cls, parts: list[Corners]) -> Corners:
        """Corners that follow each other."""
        integrals = [part.integral for part in parts if part.integral is not None]
        return cls(
            row=np.concatenate([part.row for part in parts]),
            column=np.concatenate([part.column for part in parts]),
            road_below=np.concatenate([part.road_below for part in parts]),
            swapped=np.concatenate([part.swapped for part in parts]),
            left=np.concatenate([part.left for part in parts]),
            left_row=np.concatenate([part.left_row for part in parts]),
            integral=np.concatenate(integrals) if integrals else None,
        )

    def taken(self, some: Flags) -> Corners:
        """The corners that are flagged, `(N,)`."""
        return Corners(
            row=self.row[some],
            column=self.column[some],
            road_below=self.road_below[some],
            swapped=self.swapped[some],
            left=self.left[some],
            left_row=self.left_row[some],
            integral=None if self.integral is None else self.integral[some],
        )


def find_corners(rows: Iterable[Rows]) -> Iterator[tuple[Corners, Corners]]:
    """The corners on the upper edges of some rows, and those on the lower edge of the last if the mask ends there."""
    top = 0
    above: Flags | None = None
    carry: Values | None = None
    for strip in rows:
        padded = np.pad(strip.mask, ((1, 0), (1, 1)))
        if above is not None:
            padded[0] = above
        integral = None
        if strip.values is not None:
            integral = _integral(strip.values, carry)
            carry = integral[-1]
        corners = _corners_of_strip(padded, top, integral)
        top, above = top + len(strip.mask), padded[-1]
        last = np.stack([above, np.zeros_like(above)])
        yield corners, _corners_of_strip(last, top, None if carry is None else carry[None])


def _corners_of_strip(padded: Flags, top: int, integral: Values | None) -> Corners:
    """Corners between the rows `(h + 1, W + 2)` of a mask with one row more above and a column on either side."""
    edge = padded[:, 1:] != padded[:, :-1]
    twice = edge[1:] & edge[:-1] & (padded[1:, 1:] != padded[:-1, 1:])
    places = np.flatnonzero((edge[1:] != edge[:-1]) | twice)
    places = np.repeat(places, 1 + twice.ravel()[places])
    row, column = np.divmod(places, edge.shape[1])
    edges = np.flatnonzero(edge[1:])
    before = np.searchsorted(edges, places) - 1
    left = edges[before] - row * edge.shape[1] if len(edges) else before
    road_below = padded[row + 1, column + 1]
    rows = (row + top).astype(np.int32)
    return Corners(
        row=rows,
        column=column.astype(np.int32),
        road_below=road_below,
        swapped=twice.ravel()[places] & ~road_below,
        left=np.where((before >= 0) & (left >= 0), left, -1).astype(np.int32),
        left_row=rows,
        integral=None if integral is None else integral[row, column],
    )


def _integral(values: npt.NDArray[np.float32], carry: Values | None) -> Values:
    """Sums `(h + 1, W + 1)` of all above and to the left of each corner, going on from those of the row before."""
    height, width = values.shape
    integral = np.zeros((height + 1, width + 1))
    if carry is not None:
        integral[0] = carry
    # Row by row: a sum down the columns goes through memory the slow way.
    for row, above, sums in zip(values, integral, integral[1:], strict=False):
        np.cumsum(row, dtype=np.float64, out=sums[1:])
        sums += above
    return integral
