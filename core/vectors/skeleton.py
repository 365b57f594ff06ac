"""The skeleton of a mask of any size as chains of points with widths, found in overlapping blocks.

Thinning (Lee, Kashyap and Chu, 1994, https://doi.org/10.1006/cgip.1994.1042) looks no further than about a
road's width, so that two blocks agree on what both see, and their chains meet in the pixels where they are cut.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import binary_dilation, find_objects, label
from scipy.spatial import KDTree
from skimage.morphology import remove_small_holes, skeletonize

from ..ahead import map_ahead
from .square_pixels import SquarePixels

__all__ = ["Chains", "count_blocks", "find_chains", "inner_points", "smooth_lines"]

_BLOCK = 2048
_WIDEST = 60.0  # metres; of a wider road two blocks may see different skeletons
_HALO = (32, 512)  # pixels, the least and the most
_SPACING = 1.0  # metres between a chain's points
_SMOOTHING = 6  # passes that take the pixels' steps out of a chain
_FACING = 0.9  # cosine between the ways to both edges of a road
_ALONG = 1.5  # widths of a road and its mirror image, from which on it is one along the raster's border
_ASIDE = np.array([1e-4, 0.618e-4])  # pixels; of edges equally far away it tells one, where rounding would

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chains:
    """Lines of the skeleton between its ends, its junctions and the edges of its block.

    Attributes:
        points: `(N, 3)` x, y and width in metres of the raster's plane; the chains one after the other.
        sizes: `(C,)` points of each chain.
        nodes: `(C, 2)` numbers of the pixels at which each chain begins and ends, row by row over the raster.
    """

    points: Floats
    sizes: Indices
    nodes: Indices


_NONE = Chains(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros((0, 2), np.int64))


@dataclass(frozen=True)
class _Block:
    """A part of a mask.

    Attributes:
        mask: its pixels and `halo` more on every side; what lies outside of the raster mirrors what lies inside.
        middles: as of `SquarePixels.read`.
        halo: in pixels.
        top: its first row.
        left: its first column.
        width: of the raster.
        last: whether it holds the raster's last row and its last column.
    """

    mask: Flags
    middles: tuple[Floats, Floats]
    halo: int
    top: int
    left: int
    width: int
    last: tuple[bool, bool]

    @property
    def corner(self) -> Indices:
        """`(2,)`, row and column in the raster of the mask's first pixel."""
        return np.array([self.top, self.left]) - self.halo


@dataclass(frozen=True)
class _Border:
    """A border of the raster in a block.

    Attributes:
        axis: across it.
        begins: whether the raster begins there; else it ends.
        place: along the axis, in the block, of the middle of the raster's own pixels, about which the road is mirrored.
    """

    axis: int
    begins: bool
    place: float

    @property
    def lines(self) -> slice:
        """The block's rows or columns in which a road and its mirror image have their common axis."""
        return slice(math.floor(self.place), math.ceil(self.place) + 1)


def find_chains(road: SquarePixels, fill_holes: float) -> Iterator[Chains]:
    """The chains of each block of a raster's road, in order.

    Args:
        road: whose pixels the nodes are.
        fill_holes: smaller holes are filled first, in square metres.
    """
    holes = math.ceil(fill_holes / math.prod(road.size)) - 1
    threads = os.cpu_count() or 1
    return map_ahead(lambda block: _chains(block, road, holes), _blocks(road), threads, threads)


def count_blocks(road: SquarePixels) -> int:
    """How many blocks a raster's road has."""
    return math.prod(math.ceil(side / _BLOCK) for side in road.shape)


def inner_points(sizes: Indices) -> Flags:
    """Which points of lines that follow each other are no ends, `(N,)`, by how many points each line has."""
    ends = np.cumsum(sizes)
    inner = np.ones(sizes.sum(), dtype=bool)
    inner[ends - sizes] = inner[ends - 1] = False
    return inner


def smooth_lines(points: Floats, sizes: Indices, passes: int) -> Floats:
    """Points of lines that follow each other, averaged with their neighbours (weights 1, 2, 1); ends stay."""
    inner = np.flatnonzero(inner_points(sizes))
    points = points.copy()
    for _ in range(passes):
        points[inner] = (points[inner - 1] + 2 * points[inner] + points[inner + 1]) / 4
    return points


def _blocks(road: SquarePixels) -> Iterator[_Block]:
    height, width = road.shape
    halo = int(np.clip(math.ceil(_WIDEST / max(road.size)), *_HALO))
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            bottom, right = min(top + _BLOCK, height), min(left + _BLOCK, width)
            mask, middles = road.read(range(top - halo, bottom + halo), range(left - halo, right + halo))
            yield _Block(mask, middles, halo, top, left, width, (bottom == height, right == width))


def _chains(block: _Block, road: SquarePixels, holes: int) -> Chains:
    if holes > 0:
        block = replace(block, mask=remove_small_holes(block.mask, max_size=holes))
    skeleton = _skeleton(block.mask)
    if block.mask.all() or not skeleton.any():
        return _NONE
    edge = KDTree(_edges(block) * road.size[::-1])
    cut = [(border, _clear(border, skeleton, edge, block, road)) for border in _borders(block)]
    # One row and one column more: neighbouring blocks share the pixels in which they are cut.
    inner = tuple(
        slice(block.halo, size - block.halo + (not last)) for size, last in zip(skeleton.shape, block.last, strict=True)
    )
    pixels = np.argwhere(skeleton[inner])
    order, sizes = _ordered(skeleton[inner], pixels, block)
    if not len(sizes):
        return _NONE
    numbers = (pixels[:, 0] + block.top) * block.width + pixels[:, 1] + block.left
    ends = np.cumsum(sizes)
    nodes = np.stack([numbers[order[ends - sizes]], numbers[order[ends - 1]]], axis=1)
    measured = _measured(edge, pixels + block.corner + block.halo, road)
    points = smooth_lines(_seen(cut, pixels + block.halo, measured, road)[order], sizes, _SMOOTHING)
    # Rounded twice: pixels of 0.4 m are a little smaller here and larger there.
    thin = _thinned(sizes, max(1, round(round(_SPACING / max(road.size), 1))))
    return Chains(points[thin], np.add.reduceat(thin, ends - sizes, dtype=np.int64), nodes)


def _skeleton(mask: Flags) -> Flags:
    """Thinning goes over an image as often as its widest part is wide: each part goes in a box of its own."""
    skeleton = np.zeros_like(mask)
    parts, _ = label(mask, np.ones((3, 3)))
    for part, box in enumerate(find_objects(parts), 1):
        # The usual method, Zhang and Suen's, takes two pixels wide diagonals away altogether: roads at 45 degrees.
        thin = skeletonize(parts[box] == part, method="lee")  # type: ignore[no-untyped-call]
        skeleton[box] |= thin > 0
    return skeleton


def _borders(block: _Block) -> Iterator[_Border]:
    for axis, starts in enumerate((block.top == 0, block.left == 0)):
        for begins, here, line in ((True, starts, block.halo), (False, block.last[axis], -block.halo - 1)):
            if here:
                yield _Border(axis, begins, block.middles[axis][line] - block.corner[axis])


def _clear(border: _Border, skeleton: Flags, edge: KDTree, block: _Block, road: SquarePixels) -> Flags:
    """Takes lines in a border from a skeleton, but for roads along it; returns where along it these are, `(N,)`.

    Others are the mirror image's alone: in a corner that a road covers, and beside where the axis of one leaves the
    raster.
    """
    axis, lines = border.axis, border.lines
    across, length = np.moveaxis(skeleton, axis, 0), skeleton.shape[1 - axis]
    places = np.flatnonzero(across[lines].any(axis=0))
    parts, count = label(np.moveaxis(block.mask, axis, 0)[lines.start])
    widths = _measured(edge, np.insert(places[:, None], axis, lines.start, axis=1) + block.corner, road)[:, 2]
    # What mirrors a road that covers a corner is no length of it.
    inside = (np.arange(length) + block.corner[1 - axis]) // road.shape[1 - axis] == 0
    lengths = np.bincount(parts, inside, count + 1) * road.size[axis]
    widest = np.zeros(count + 1)
    np.maximum.at(widest, parts[places], widths)
    along: Flags = (lengths > _ALONG * widest)[parts] & (parts > 0)
    across[lines] &= along | binary_dilation(across[lines.start - 1] | across[lines.stop], np.ones(3))
    return along


def _seen(cut: list[tuple[_Border, Flags]], pixels: Indices, measured: Floats, road: SquarePixels) -> Floats:
    """What is measured at pixels of a block; of roads along borders, without their mirror image."""
    seen = measured.copy()
    for border, along in cut:
        axis, across = border.axis, 1 - border.axis
        here = (np.abs(pixels[:, axis] - border.place) < 1) & along[pixels[:, across]]
        widths = (measured[here, 2] + road.grain[across]) / 2
        seen[here, 2] = widths
        seen[here, across] = widths / 2 if border.begins else road.shape[axis] * road.size[across] - widths / 2
    return seen


def _ordered(skeleton: Flags, pixels: Indices, block: _Block) -> tuple[Indices, Indices]:
    """Pixels along chains and how many each chain has; chains begin and end in the block's first and last lines."""
    index = np.full(skeleton.shape, -1, dtype=np.int32)
    index[tuple(pixels.T)] = np.arange(len(pixels))
    segments = shapely.linestrings(pixels[_links(skeleton, index, block)])
    lines = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(segments)))
    places, line = shapely.get_coordinates(lines, return_index=True)
    places = places.astype(np.int64)
    order = index[tuple(places.T)]
    cut = _on_a_cut(places, skeleton.shape, block) & (np.diff(line, prepend=-1) == 0) & (np.diff(line, append=-1) == 0)
    line = np.repeat(line, 1 + cut)
    order = np.repeat(order, 1 + cut)
    starts = np.diff(line, prepend=-1) != 0
    starts[(np.flatnonzero(cut) + np.arange(cut.sum())) + 1] = True
    return order, np.diff(np.append(np.flatnonzero(starts), len(order)))


def _on_a_cut(places: Indices, shape: tuple[int, ...], block: _Block) -> Flags:
    """Whether pixels are shared with a neighbouring block."""
    first = (block.top > 0, block.left > 0)
    shared: Flags = np.logical_or.reduce(
        [first[axis] & (places[:, axis] == 0) for axis in (0, 1)]
        + [(not block.last[axis]) & (places[:, axis] == shape[axis] - 1) for axis in (0, 1)]
    )
    return shared


def _links(skeleton: Flags, index: npt.NDArray[np.int32], block: _Block) -> Indices:
    """Pairs `(L, 2)` of neighbouring pixels, without diagonals beside two straight steps."""
    down = skeleton[:-1] & skeleton[1:]
    right = skeleton[:, :-1] & skeleton[:, 1:]
    # The next block has these too.
    if not block.last[0]:
        right[-1] = False
    if not block.last[1]:
        down[:, -1] = False
    square = skeleton[:-1, :-1], skeleton[:-1, 1:], skeleton[1:, :-1], skeleton[1:, 1:]
    falling = square[0] & square[3] & ~square[1] & ~square[2]
    rising = square[1] & square[2] & ~square[0] & ~square[3]
    pairs = (
        (index[:-1][down], index[1:][down]),
        (index[:, :-1][right], index[:, 1:][right]),
        (index[:-1, :-1][falling], index[1:, 1:][falling]),
        (index[:-1, 1:][rising], index[1:, :-1][rising]),
    )
    return np.concatenate([np.stack(pair, axis=1) for pair in pairs])


def _edges(block: _Block) -> Floats:
    """The places `(E, 2)` of the raster's own pixels that are not of a mask and share a side with one that is."""
    own = tuple(np.flatnonzero(np.diff(middle, prepend=-np.inf)) for middle in block.middles)
    beside = np.nonzero(_beside(block.mask[np.ix_(*own)]))
    return np.stack([middle[some][edge] for middle, some, edge in zip(block.middles, own, beside, strict=True)], axis=1)


def _measured(edge: KDTree, pixels: Indices, road: SquarePixels) -> Floats:
    """For pixels `(N, 2)` of a skeleton the middle of the road there, x and y, and its width: `(N, 3)`, in metres.

    Args:
        edge: of what is beside the road, metres down and across.
        pixels: rows and columns in the raster.
        road: whose pixels they are.
    """
    scale, grain = np.array(road.size[::-1]), np.array(road.grain[::-1])
    here = pixels * scale
    aside = _ASIDE * scale
    _, nearest = edge.query(here + aside)
    away = here - edge.data[nearest]
    distance = np.hypot(*away.T)
    away /= distance[:, None]
    # A pixel's length across the road; from the other side of its middle, the nearest edge is the other one.
    step = np.abs(away) @ grain
    _, opposite = edge.query(here + away * step[:, None] + aside)
    across = edge.data[opposite] - edge.data[nearest]
    faces = (across * away).sum(axis=1) > np.maximum(distance, _FACING * np.hypot(*across.T))
    middle = np.where(faces[:, None], (edge.data[opposite] + edge.data[nearest]) / 2, here)
    # Edge pixels stand back from the true edge: half a pixel along rows and columns, less on a slant, where the
    # nearest of many are the foremost (measured on drawn bars of any direction).
    along = (np.abs(here - edge.data[nearest]) < grain / 2).any(axis=1)
    setback = np.where(along, 1.0, 0.3) * step
    width = np.where(faces, np.hypot(*across.T), 2 * distance) - setback
    return np.column_stack([(middle + scale / 2)[:, ::-1], np.maximum(width, min(road.size))])


def _beside(mask: Flags) -> Flags:
    """Pixels that are not of a mask and share a side with one that is."""
    # SciPy's binary_dilation takes ten times as long.
    near = np.zeros_like(mask)
    near[1:] |= mask[:-1]
    near[:-1] |= mask[1:]
    near[:, 1:] |= mask[:, :-1]
    near[:, :-1] |= mask[:, 1:]
    beside: Flags = near & ~mask
    return beside


def _thinned(sizes: Indices, step: int) -> Flags:
    """Which points of chains to keep: every `step`-th, and the last."""
    ends = np.cumsum(sizes)
    kept: Flags = (np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)) % step == 0
    kept[ends - 1] = True
    return kept
