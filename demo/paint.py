"""Paints a town as a camera in an aeroplane sees it: materials, shadows, roofs, crowns, light, lens, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely import Geometry

from .plots import Plots
from .shapes import SUN_SHADOW, Building, Rng, Surface, Tree, moved
from .streets import ASPHALTS, GRASS, Network

Floats = NDArray[np.float32]
Bounds = tuple[float, float, float, float]

OVERSAMPLING = 2  # the painter's pixels for one of the picture's, along each side
SKYLIGHT = np.array([0.36, 0.40, 0.47], np.float32)  # what is left of the light in a shadow
SUN = np.array([-SUN_SHADOW.real, -SUN_SHADOW.imag, 1.0], np.float32) / np.float32(np.hypot(abs(SUN_SHADOW), 1))
TILE_ROW = 0.9  # metres between the rows of tiles on a roof
KERB = (178, 175, 168)


@dataclass(frozen=True)
class Picture:
    """The finished image (rows, columns, 3) and, on the painter's finer grid, where it painted road."""

    image: NDArray[np.uint8]
    road: NDArray[np.bool_]


def paint(rng: Rng, bounds: Bounds, pixel: float, network: Network, plots: Plots) -> Picture:
    """Everything inside the bounds (whole pixels), at a ground size of `pixel` metres."""
    canvas = _Canvas(rng, bounds, pixel / OVERSAMPLING)
    for layer in (plots.ground, network.sides, plots.aprons, [_kerb(network)]):
        canvas.lay(layer)
    road = canvas.lay([Surface(network.carriageway, ASPHALTS[2], 0.05, 0.05)])
    canvas.lay(network.tops, inside=road)
    for layer in (_islands(network), [*plots.cars, *network.cars]):
        canvas.lay(layer)
    shadow = canvas.shadows(plots.buildings)
    roofs = [face for building in sorted(plots.buildings, key=attrgetter("height")) for face in building.roof]
    shadow[canvas.lay(roofs)] = 0
    crowns = [_crown(rng, tree, canvas) for tree in sorted(plots.trees, key=attrgetter("height"))]
    for crown in crowns:
        crown.cast(shadow)
    canvas.darken(shadow)
    for crown in crowns:
        crown.cover(canvas.colours)
    return Picture(_photograph(rng, canvas.colours, pixel), road)


class _Canvas:
    """The painter's pixels, row 0 in the north, and the textures of the whole scene."""

    def __init__(self, rng: Rng, bounds: Bounds, pixel: float) -> None:
        left, bottom, right, top = bounds
        self.shape = round((top - bottom) / pixel), round((right - left) / pixel)
        self.left, self.top, self.pixel = left, top, pixel
        self.transform = Affine(pixel, 0, left, 0, -pixel, top)
        self.grain = _noise(rng, self.shape, [(1, 0.9), (2.5, 0.5)])
        self.mottle = _noise(rng, self.shape, [(8, 0.35), (26, 0.4), (90, 0.35)])
        self.tint = _noise(rng, self.shape, [(16, 0.3), (60, 0.4)])
        self.colours = np.empty((*self.shape, 3), np.float32)
        self.colours[:] = GRASS

    def lay(self, surfaces: Sequence[Surface], inside: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Paint surfaces, later ones over earlier ones, and return where any of them lies."""
        numbers = self._burn([surface.outline for surface in surfaces])
        on = numbers > 0 if inside is None else (numbers > 0) & inside
        index = numbers[on] - 1
        if not index.size:
            return on
        colours = np.array([surface.colour for surface in surfaces], np.float32)
        grain, mottle = np.array([(surface.grain, surface.mottle) for surface in surfaces], np.float32)[index].T
        texture = 1 + grain * self.grain[on] + mottle * self.mottle[on]
        if any(surface.ribs for surface in surfaces):
            texture += self._ribs(np.array([surface.ribs for surface in surfaces])[index], on)
        painted = colours[index] * texture[:, None]
        painted[:, 0] *= 1 + 0.4 * mottle * self.tint[on]  # drier and fresher patches differ in hue too
        self.colours[on] = painted
        return on

    def shadows(self, buildings: Sequence[Building]) -> Floats:
        """How much of the sun the buildings take from the ground, 0 to 1."""
        cast = [_cast_shadow(building) for building in buildings]
        return _soften((self._burn(cast) > 0).astype(np.float32))

    def darken(self, shadow: Floats) -> None:
        self.colours *= 1 - shadow[:, :, None] * (1 - SKYLIGHT)

    def _burn(self, shapes: Sequence[Geometry]) -> NDArray[np.int32]:
        """The number (from 1) of the last shape on each pixel, 0 where there is none."""
        numbered = [(shape, number) for number, shape in enumerate(shapes, 1) if not shape.is_empty]
        if not numbered:
            return np.zeros(self.shape, np.int32)
        return rasterize(numbered, out_shape=self.shape, transform=self.transform, dtype="int32")

    def _ribs(self, across: NDArray[np.complex128], on: NDArray[np.bool_]) -> Floats:
        rows, columns = np.nonzero(on)
        phase = (columns * across.real - rows * across.imag) * (2 * np.pi * self.pixel / TILE_ROW)
        return (0.05 * np.sin(phase) * (across != 0)).astype(np.float32)


@dataclass(frozen=True)
class _Crown:
    """A tree from above: its place on the canvas, its colours, its cover (0 to 1), its shadow's shift (pixels)."""

    row: int
    column: int
    colours: Floats
    cover_share: Floats
    shift: tuple[int, int]

    def cast(self, shadow: Floats) -> None:
        window, part = _overlap(
            shadow.shape[:2], self.cover_share.shape, self.row + self.shift[0], self.column + self.shift[1]
        )
        shadow[window] = np.maximum(shadow[window], 0.92 * self.cover_share[part])

    def cover(self, colours: Floats) -> None:
        window, part = _overlap(colours.shape[:2], self.cover_share.shape, self.row, self.column)
        share = self.cover_share[part][:, :, None]
        colours[window] = colours[window] * (1 - share) + self.colours[part] * share


def _crown(rng: Rng, tree: Tree, canvas: _Canvas) -> _Crown:
    """Round lobes, lit from the sun's side, with leaves that the sun picks out."""
    size = int(np.ceil(tree.reach / canvas.pixel)) + 2
    rows, columns = np.mgrid[-size : size + 1, -size : size + 1].astype(np.float32) * np.float32(canvas.pixel)
    ruffle = _noise(rng, rows.shape, [(1.5, 0.5), (4, 0.6)])
    height = np.full(rows.shape, -1.0, np.float32)
    for offset, radius in tree.lobes:
        square = radius**2 - (columns - offset.real) ** 2 - (rows + offset.imag) ** 2
        height = np.maximum(height, np.where(square > 0, np.sqrt(np.abs(square)), -1.0))
    surface = height + 0.28 * ruffle
    down, right = np.gradient(surface, canvas.pixel)
    light = (-right * SUN[0] + down * SUN[1] + SUN[2]) / np.sqrt(1 + right**2 + down**2)
    bright = 0.5 + 0.7 * np.clip(light, -0.2, 1) + 0.1 * ruffle
    middle = complex(tree.stem.real - canvas.left, canvas.top - tree.stem.imag) / canvas.pixel
    throw = SUN_SHADOW * tree.height * 0.75 / canvas.pixel
    return _Crown(
        int(middle.imag) - size,
        int(middle.real) - size,
        bright[:, :, None] * np.array(tree.colour, np.float32),
        np.clip((height + 0.35 * ruffle) * 2.2, 0, 1).astype(np.float32),
        (-round(throw.imag), round(throw.real)),
    )


def _overlap(
    whole: tuple[int, ...], part: tuple[int, ...], row: int, column: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a part placed at (row, column) lies on the whole, and which of its pixels do."""
    starts = (row, column)
    low = [min(max(start, 0), side) for start, side in zip(starts, whole, strict=True)]
    high = [min(max(start + length, 0), side) for start, length, side in zip(starts, part, whole, strict=True)]
    window = slice(low[0], high[0]), slice(low[1], high[1])
    inside = slice(low[0] - row, high[0] - row), slice(low[1] - column, high[1] - column)
    return window, inside


def _kerb(network: Network) -> Surface:
    return Surface(network.carriageway.buffer(0.2), KERB, 0.04, 0.03)


def _islands(network: Network) -> list[Surface]:
    grass = [Surface(island.buffer(-1.2), GRASS, 0.14, 0.25) for island in network.islands]
    return [Surface(island, KERB) for island in network.islands] + grass


def _cast_shadow(building: Building) -> Geometry:
    """The ground between a footprint and its image at the eaves' height (exact for convex footprints)."""
    far = moved(building.footprint, SUN_SHADOW * building.height)
    return building.footprint.union(far).convex_hull


def _noise(rng: Rng, shape: tuple[int, ...], octaves: Sequence[tuple[float, float]]) -> Floats:
    """Smooth noise around zero: a sum of (size in pixels, strength)."""
    total = np.zeros(shape, np.float32)
    for size, strength in octaves:
        coarse = rng.standard_normal([int(np.ceil(side / size)) + 2 for side in shape], np.float32)
        coarse *= np.float32(strength)
        total += _stretch(_stretch(coarse, shape[0], size, 0), shape[1], size, 1)
    return total


def _stretch(values: Floats, length: int, size: float, axis: int) -> Floats:
    """Values interpolated along an axis so that each becomes `size` values."""
    at = np.arange(length, dtype=np.float32) / np.float32(size)
    low = at.astype(int)
    share = np.expand_dims(at - low, 1 - axis)
    share = share * share * (3 - 2 * share)
    lower = values.take(low, axis)
    lower += (values.take(low + 1, axis) - lower) * share
    return lower


def _soften(values: Floats) -> Floats:
    """Each pixel with some of its neighbours', along both axes: the blur of a lens, or of a shadow's edge."""
    for axis in (0, 1):
        padded = np.concatenate([values.take([0], axis), values, values.take([-1], axis)], axis)
        before, after = (padded.take(range(k, k + values.shape[axis]), axis) for k in (0, 2))
        values = values * np.float32(0.6) + (before + after) * np.float32(0.2)
    return values


def _photograph(rng: Rng, colours: Floats, pixel: float) -> NDArray[np.uint8]:
    """The camera: fewer pixels, a lens, uneven light, haze, noise."""
    rows, columns = (side // OVERSAMPLING for side in colours.shape[:2])
    image = colours.reshape(rows, OVERSAMPLING, columns, OVERSAMPLING, 3).mean((1, 3))
    image = 0.84 * _soften(image) + 0.16 * image.mean(2, keepdims=True)
    light = 1 + 0.045 * _noise(rng, (rows, columns), [(130 / pixel, 1.0)])
    light += 0.05 * (
        np.linspace(-1, 1, rows, dtype=np.float32)[:, None] - np.linspace(-1, 1, columns, dtype=np.float32)
    )
    image = image * light[:, :, None] * np.float32(0.97) + np.array([6, 8, 11], np.float32)
    image += rng.standard_normal(image.shape, np.float32) * 2.2
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
