"""Outlines of a mask of any size as rings of pixel corners, exact to the pixel, found from its rows as they come by.

GDAL's polygonizer keeps some 200 bytes a corner: a street network of 40,000 x 40,000 pixels would need 2 GB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

__all__ = ["Rings", "Rows", "trace_rings"]

_PARTS_AT_ONCE = 32

Integers = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]
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
class Rings:
    """The rings around the 4-connected parts of a mask, in the order of their topmost, then leftmost corners.

    Attributes:
        corners: `(N, 2)` rows and columns of pixel corners; the rings one after the other, each with the road
            on its right as one looks at the image, none with its first corner again at the end.
        starts: `(R + 1,)` where each ring begins in `corners`, and N.
        hole: `(R,)` whether a ring goes round a hole.
        parent: `(R,)` the ring just around a ring, of the other kind; -1 for none.
        area: `(R,)` pixels that the ring encloses, negative for holes.
        total: `(R,)` sum of the values on those pixels, negative for holes; None where there are no values.
    """

    corners: Integers
    starts: Indices
    hole: Flags
    parent: Indices
    area: Values
    total: Values | None


@dataclass(frozen=True)
class _Corners:
    """Corners from top to bottom and left to right; two by two they bound the horizontal edges of the road.

    Where two pixels of road meet in a corner alone, there are two corners.

    Attributes:
        row: `(N,)` rows of the corners.
        column: `(N,)` columns of the corners.
        road_below: `(N,)` whether the pixel to the lower right of a corner is road.
        swapped: `(N,)` whether of two corners in one place the first goes down and the second up.
        left: `(N,)` column of the next vertical edge to the left in the row below; -1 for none.
        integral: `(N,)` sum of the values above and to the left; or None.
    """

    row: Integers
    column: Integers
    road_below: Flags
    swapped: Flags
    left: Integers
    integral: Values | None


@dataclass(frozen=True)
class _Walk:
    """Round all the rings with the road on the right, from one horizontal edge to the next.

    An edge is half the index of its left corner.

    Attributes:
        ring: `(E,)` the ring of each edge.
        starts: `(R + 1,)` where each ring begins in the order, and E.
        order: `(E,)` the edges as they are walked.
        first: `(E,)` of each edge in that order the corner that is come to first; the other is `first ^ 1`.
        by_column: `(N,)` the corners from left to right, then top to bottom; two by two they bound vertical edges.
    """

    ring: Integers
    starts: Indices
    order: Integers
    first: Integers
    by_column: Integers


def trace_rings(rows: Iterable[Rows]) -> Rings:
    """The rings of a mask that comes from top to bottom; memory grows with its corners, not with its pixels.

    It takes some 40 bytes a corner, of which there may be 2 ** 31.
    """
    found = _collected(_corners(rows))
    goes_down = _goes_down(found)
    walk = _walk(found, goes_down)
    pinched = _pinched(found, walk.ring)
    if pinched.any():
        del walk  # or two would lie in memory
        walk = _walk(found, goes_down ^ pinched)
    heads = 2 * walk.order[walk.starts[:-1]]
    hole = ~found.road_below[heads]
    return Rings(
        parent=_parents(found, walk, heads, hole),
        area=_areas(found, walk),
        total=None if found.integral is None else _sums(found.integral, walk),
        corners=_in_order(found, walk),
        starts=2 * walk.starts,
        hole=hole,
    )


def _corners(rows: Iterable[Rows]) -> Iterator[_Corners]:
    """The corners on the upper edge of every row, and at last on the lower edge of the last."""
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
        yield _corners_of_strip(padded, top, integral)
        top, above = top + len(strip.mask), padded[-1]
    if above is not None:
        last = np.stack([above, np.zeros_like(above)])
        yield _corners_of_strip(last, top, None if carry is None else carry[None])


def _corners_of_strip(padded: Flags, top: int, integral: Values | None) -> _Corners:
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
    return _Corners(
        row=(row + top).astype(np.int32),
        column=column.astype(np.int32),
        road_below=road_below,
        swapped=twice.ravel()[places] & ~road_below,
        left=np.where((before >= 0) & (left >= 0), left, -1).astype(np.int32),
        integral=None if integral is None else integral[row, column],
    )


def _integral(values: npt.NDArray[np.float32], carry: Values | None) -> Values:
    """Sums `(h + 1, W + 1)` of all above and to the left of each corner, going on from those of the row before."""
    height, width = values.shape
    integral = np.zeros((height + 1, width + 1))
    np.cumsum(values, axis=1, dtype=np.float64, out=integral[1:, 1:])
    if carry is not None:
        integral[0] = carry
    return np.cumsum(integral, axis=0, out=integral)


def _collected(parts: Iterator[_Corners]) -> _Corners:
    """All the corners; they are joined now and then, since memory for many small arrays is not given back."""
    blocks: list[_Corners] = []
    while some := list(islice(parts, _PARTS_AT_ONCE)):
        blocks.append(_joined(some))
    return _joined(blocks)


def _joined(parts: list[_Corners]) -> _Corners:
    integrals = [part.integral for part in parts if part.integral is not None]
    return _Corners(
        row=np.concatenate([part.row for part in parts]),
        column=np.concatenate([part.column for part in parts]),
        road_below=np.concatenate([part.road_below for part in parts]),
        swapped=np.concatenate([part.swapped for part in parts]),
        left=np.concatenate([part.left for part in parts]),
        integral=np.concatenate(integrals) if integrals else None,
    )


def _goes_down(corners: _Corners) -> Flags:
    """Whether a corner comes second of two in one place of its column: its vertical edge goes down."""
    return _is_twin(corners) ^ corners.swapped


def _is_twin(corners: _Corners) -> Flags:
    """Whether a corner is the second of two in one place."""
    twin = np.zeros(len(corners.row), dtype=bool)
    twin[1:] = (corners.row[1:] == corners.row[:-1]) & (corners.column[1:] == corners.column[:-1])
    return twin


def _pinched(corners: _Corners, ring: Integers) -> Flags:
    """Both corners of every place that one ring comes to twice; linked the other way, it falls into valid rings."""
    second = np.flatnonzero(_is_twin(corners))
    second = second[ring[second >> 1] == ring[(second - 1) >> 1]]
    pinched = np.zeros(len(corners.row), dtype=bool)
    pinched[second] = pinched[second - 1] = True
    return pinched


def _walk(corners: _Corners, goes_down: Flags) -> _Walk:
    by_column = _by_column(corners, goes_down)
    first = np.arange(0, len(by_column), 2, dtype=np.int32)
    first += ~corners.road_below[::2]
    ring, starts, order = _cycles(_beside(by_column)[first ^ 1] >> 1)
    return _Walk(ring, starts, order, first[order], by_column)


def _by_column(corners: _Corners, goes_down: Flags) -> Integers:
    """The corners from left to right, then top to bottom, of two in one place that which goes up before the other."""
    # They come from top to bottom.
    order = np.argsort(corners.column, kind="stable").astype(np.int32)
    turned = np.flatnonzero(_is_twin(corners)[order[1:]] & goes_down[order[:-1]])
    order[turned], order[turned + 1] = order[turned + 1], order[turned]
    return order


def _beside(by_column: Integers) -> Integers:
    """The other end of each corner's vertical edge."""
    other = np.empty_like(by_column)
    other[by_column[0::2]], other[by_column[1::2]] = by_column[1::2], by_column[0::2]
    return other


def _in_order(corners: _Corners, walk: _Walk) -> Integers:
    """Rows and columns of the corners `(N, 2)` as they are walked."""
    placed = np.empty((len(corners.row), 2), np.int32)
    for start, walked in enumerate((walk.first, walk.first ^ 1)):
        placed[start::2, 0], placed[start::2, 1] = corners.row[walked], corners.column[walked]
    return placed


def _cycles(following: Integers) -> tuple[Integers, Indices, Integers]:
    """The cycles of a permutation: which each element is in, where each begins in the order, and the order.

    They come in the order of their least elements, with which each begins.
    """
    least, steps = _least_ahead(following)
    number = np.cumsum(steps == 0, dtype=np.int32)  # of the cycles that begin up to each element
    label = number[least] - 1
    sizes = np.bincount(label).astype(np.int32)
    del least, number
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    places = -steps % sizes[label]
    places += starts.astype(np.int32)[label]
    order = np.empty(len(following), np.int32)
    order[places] = np.arange(len(following), dtype=np.int32)
    return label, starts, order


def _least_ahead(following: Integers) -> tuple[Integers, Integers]:
    """The least element of each element's cycle, and how many steps lead to it, by doubling the stride."""
    least = np.arange(len(following), dtype=np.int32)
    steps = np.zeros(len(following), np.int32)
    stride, length = following, 1
    while (least[following] != least).any():
        further = least[stride]
        nearer = further < least
        steps[nearer] = steps[stride[nearer]] + length
        np.minimum(least, further, out=least)
        stride, length = stride[stride], 2 * length
    return least, steps


def _parents(corners: _Corners, walk: _Walk, heads: Integers, hole: Flags) -> Indices:
    """The ring around each: the next one to the left of its head, or what is around that if both are of one kind."""
    keys = corners.column[walk.by_column].astype(np.int64)
    keys <<= 32
    keys += corners.row[walk.by_column]
    wanted = (corners.left[heads].astype(np.int64) << 32) + corners.row[heads]
    beside = walk.by_column[np.searchsorted(keys, wanted, side="right") - 1]
    parent = np.where(corners.left[heads] < 0, np.int64(-1), walk.ring[beside >> 1])
    sibling = (parent >= 0) & (hole[parent] == hole)
    while sibling.any():
        parent[sibling] = parent[parent[sibling]]
        sibling = (parent >= 0) & (hole[parent] == hole)
    return parent


def _areas(corners: _Corners, walk: _Walk) -> Values:
    """Pixels inside of rings: what lies above each horizontal edge, by its direction."""
    across = corners.column[walk.first] - corners.column[walk.first ^ 1]
    return _over_rings(np.multiply(across, corners.row[walk.first], dtype=np.float64), walk)


def _sums(integral: Values, walk: _Walk) -> Values:
    """Sums inside of rings, from those above and to the left of their corners (Green's theorem)."""
    return _over_rings(integral[walk.first] - integral[walk.first ^ 1], walk)


def _over_rings(edges: Values, walk: _Walk) -> Values:
    """Sums over the edges of each ring."""
    return np.add.reduceat(edges, walk.starts[:-1]) if len(edges) else np.zeros(0)
