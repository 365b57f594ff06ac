"""Outlines of a mask of any size as rings of pixel corners, exact to the pixel, found from its rows as they come by.

Polygons leave when they are whole: now and then all rings are found as if the mask ended there, and those that come to
that edge wait for the rest. GDAL's polygonizer keeps some 200 bytes a corner: a street network of 40,000 x 40,000
pixels would need 2 GB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .corners import Corners, Flags, Integers, Rows, Values, find_corners

__all__ = ["Rings", "trace_rings"]

_PARTS_AT_ONCE = 32
_CORNERS_AT_ONCE = 2**21
# Corners that wait are gone through again; so often only that the time stays in proportion to their number.
_GROWTH = 2

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rings:
    """The rings around 4-connected parts of a mask, in the order of their topmost, then leftmost corners.

    The parts are whole, but holes of others are here for what stands in them, and come again with their own part.

    Attributes:
        corners: `(N, 2)` rows and columns of pixel corners; the rings one after the other, each with the road
            on its right as one looks at the image, none with its first corner again at the end.
        starts: `(R + 1,)` where each ring begins in `corners`, and N.
        hole: `(R,)` whether a ring goes round a hole.
        parent: `(R,)` the ring just around a ring, of the other kind; -1 for none here.
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


@dataclass(frozen=True)
class _Tree:
    """How rings lie beside and in each other.

    Attributes:
        heads: `(R,)` the corner that each begins with.
        hole: `(R,)` whether a ring goes round a hole.
        beside: `(R,)` the ring to the left of each head; -1 for none.
        parent: `(R,)` the ring just around each, of the other kind; -1 for none.
        area: `(R,)` pixels that each encloses, negative for holes.
    """

    heads: Integers
    hole: Flags
    beside: Indices
    parent: Indices
    area: Values


def trace_rings(rows: Iterable[Rows], wait: tuple[float, float] = (0, 0)) -> Iterator[Rings]:
    """The rings of a mask that comes from top to bottom, whole parts as soon as many corners have come together.

    It takes some 40 bytes for each corner of the parts that are not whole, of which there may be 2 ** 31.

    Args:
        rows: of the mask.
        wait: parts that enclose from the first to less than the second number of pixels come with the hole that
            they stand in, or else at the end; others may come before it.
    """
    held: list[Corners] = []
    most = _CORNERS_AT_ONCE
    edge = None
    for corners, edge in find_corners(rows):
        held.append(corners)
        if len(held) > _PARTS_AT_ONCE:
            held = [Corners.joined(held)]  # memory for many small arrays is not given back
        if sum(map(len, held)) > most:
            held.append(edge)
            rings, *held = _parted(held, len(edge), wait)
            most = max(_CORNERS_AT_ONCE, _GROWTH * len(held[0]))
            yield rings
            del rings  # it would lie in memory while the next are found
    if edge is not None:
        held.append(edge)
        yield _parted(held, 0, (0, 0))[0]


def _parted(parts: list[Corners], loose: int, wait: tuple[float, float]) -> tuple[Rings, Corners]:
    """The rings that can leave, and the corners of those that stay.

    Args:
        parts: corners of the mask, as if it ended where it has come to; emptied, or all would lie in memory twice.
        loose: how many of them, the last ones, are there only since it is taken to end; 0 where it does.
        wait: as of `trace_rings`.
    """
    corners = Corners.joined(parts)
    parts.clear()
    goes_down = _goes_down(corners)
    walk = _walk(corners, goes_down)
    # Of rings at that edge, too: where one part comes to a place twice, it will have done so with one ring.
    pinched = _pinched(corners, walk.ring)
    if pinched.any():
        del walk  # or two would lie in memory
        walk = _walk(corners, goes_down ^ pinched)
    tree = _tree(corners, walk)
    leaves = _leaves(tree, _is_open(walk, loose), wait)
    around = np.zeros(len(leaves), dtype=bool)
    around[tree.parent[leaves & (tree.parent >= 0)]] = True
    rings = _rings(corners, walk, tree, leaves | around)
    stay = np.repeat(~leaves[walk.ring], 2)
    stay[len(corners) - loose :] = False
    del walk
    _look_past(corners, tree, leaves)
    return rings, corners.taken(stay)


def _is_open(walk: _Walk, loose: int) -> Flags:
    """Which rings come to the edge at which the mask is taken to end."""
    is_open = np.zeros(len(walk.starts) - 1, dtype=bool)
    is_open[walk.ring[len(walk.ring) - loose // 2 :]] = True
    return is_open


def _tree(corners: Corners, walk: _Walk) -> _Tree:
    heads = 2 * walk.order[walk.starts[:-1]]
    hole = ~corners.road_below[heads]
    beside = _beside_heads(corners, walk, heads)
    sibling = (beside >= 0) & (hole[beside] == hole)
    # What is around the siblings to the left is around a ring, too.
    parent = beside[_ends(beside, sibling)]
    return _Tree(heads, hole, beside, parent, _areas(corners, walk.first, walk.starts))


def _ends(following: Indices, goes_on: Flags) -> Indices:
    """Where one comes to from each element by going on to the following as long as that is flagged."""
    ends = np.where(goes_on, following, np.arange(len(following)))
    while (ends[ends] != ends).any():
        ends = ends[ends]
    return ends


def _leaves(tree: _Tree, is_open: Flags, wait: tuple[float, float]) -> Flags:
    """Which rings leave: those of whole parts, if what is around them is known or does not matter."""
    least, most = wait
    leaves = ~is_open & ((tree.parent >= 0) | (tree.area < least) | (tree.area >= most))
    return np.where(tree.hole, leaves[tree.parent], leaves)


def _rings(corners: Corners, walk: _Walk, tree: _Tree, some: Flags) -> Rings:
    """The rings that are flagged."""
    sizes = np.diff(walk.starts)
    first = walk.first[np.repeat(some, sizes)]
    starts = np.concatenate([[0], np.cumsum(sizes[some])])
    number = np.where(some, np.cumsum(some) - 1, -1)
    parent = tree.parent[some]
    return Rings(
        parent=np.where(parent < 0, -1, number[parent]),
        area=tree.area[some],
        total=None if corners.integral is None else _sums(corners.integral, first, starts),
        corners=_in_order(corners, first),
        starts=2 * starts,
        hole=tree.hole[some],
    )


def _look_past(corners: Corners, tree: _Tree, leaves: Flags) -> None:
    """Gives heads whose neighbour to the left leaves that one's neighbour, until one stays; in place."""
    ends = tree.heads[_ends(tree.beside, (tree.beside >= 0) & leaves[tree.beside])]
    corners.left[tree.heads] = corners.left[ends]
    corners.left_row[tree.heads] = corners.left_row[ends]


def _goes_down(corners: Corners) -> Flags:
    """Whether a corner comes second of two in one place of its column: its vertical edge goes down."""
    return _is_twin(corners) ^ corners.swapped


def _is_twin(corners: Corners) -> Flags:
    """Whether a corner is the second of two in one place."""
    twin = np.zeros(len(corners.row), dtype=bool)
    twin[1:] = (corners.row[1:] == corners.row[:-1]) & (corners.column[1:] == corners.column[:-1])
    return twin


def _pinched(corners: Corners, ring: Integers) -> Flags:
    """Both corners of every place that one ring comes to twice; linked the other way, it falls into valid rings."""
    second = np.flatnonzero(_is_twin(corners))
    second = second[ring[second >> 1] == ring[(second - 1) >> 1]]
    pinched = np.zeros(len(corners.row), dtype=bool)
    pinched[second] = pinched[second - 1] = True
    return pinched


def _walk(corners: Corners, goes_down: Flags) -> _Walk:
    by_column = _by_column(corners, goes_down)
    first = np.arange(0, len(by_column), 2, dtype=np.int32)
    first += ~corners.road_below[::2]
    ring, starts, order = _cycles(_beside(by_column)[first ^ 1] >> 1)
    return _Walk(ring, starts, order, first[order], by_column)


def _by_column(corners: Corners, goes_down: Flags) -> Integers:
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


def _in_order(corners: Corners, first: Integers) -> Integers:
    """Rows and columns of corners `(N, 2)` as they are walked."""
    placed = np.empty((2 * len(first), 2), np.int32)
    for start, walked in enumerate((first, first ^ 1)):
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


def _beside_heads(corners: Corners, walk: _Walk, heads: Integers) -> Indices:
    """The ring of the next vertical edge to the left of each head; -1 for none."""
    keys = corners.column[walk.by_column].astype(np.int64)
    keys <<= 32
    keys += corners.row[walk.by_column]
    wanted = (corners.left[heads].astype(np.int64) << 32) + corners.left_row[heads]
    beside = walk.by_column[np.searchsorted(keys, wanted, side="right") - 1]
    return np.where(corners.left[heads] < 0, np.int64(-1), walk.ring[beside >> 1])


def _areas(corners: Corners, first: Integers, starts: Indices) -> Values:
    """Pixels inside of rings: what lies above each horizontal edge, by its direction."""
    across = corners.column[first] - corners.column[first ^ 1]
    return _over_rings(np.multiply(across, corners.row[first], dtype=np.float64), starts)


def _sums(integral: Values, first: Integers, starts: Indices) -> Values:
    """Sums inside of rings, from those above and to the left of their corners (Green's theorem)."""
    return _over_rings(integral[first] - integral[first ^ 1], starts)


def _over_rings(edges: Values, starts: Indices) -> Values:
    """Sums over the edges of each ring."""
    return np.add.reduceat(edges, starts[:-1]) if len(edges) else np.zeros(0)
