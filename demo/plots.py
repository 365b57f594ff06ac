"""What stands on the blocks between the streets: houses and gardens, flats, shops and car parks, parks, yards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely import Geometry, LineString, Point, Polygon, STRtree

from .shapes import (
    SUN_SHADOW,
    Building,
    Colour,
    Rng,
    Surface,
    Tree,
    direction_on,
    line,
    moved,
    parts,
    point_on,
    polygon,
    rectangle,
    shade,
    together,
    vary,
)
from .streets import ASPHALTS, PAINT, WALK, Network, car

LAWNS: tuple[Colour, ...] = ((88, 104, 62), (78, 95, 58), (104, 114, 70), (124, 122, 84), (96, 110, 70))
SOILS: tuple[Colour, ...] = ((146, 124, 96), (128, 108, 84), (164, 148, 122), (112, 96, 78))
PITCHED: tuple[Colour, ...] = (
    (150, 82, 58),
    (126, 72, 56),
    (104, 84, 72),
    (82, 80, 82),
    (120, 112, 104),
    (62, 62, 66),
)
FLAT: tuple[Colour, ...] = ((196, 194, 188), (228, 228, 226), (140, 138, 132), (92, 92, 94), (170, 160, 144))
LEAVES: tuple[Colour, ...] = (
    (84, 108, 60),
    (68, 95, 55),
    (102, 122, 66),
    (78, 98, 70),
    (116, 118, 74),
    (128, 108, 72),
)
SETBACK = 6.0  # metres from the pavement to the front wall


@dataclass
class Plots:
    """The ground and what stands on it; `aprons` cross pavements, `paved` is all the asphalt that is no road."""

    ground: list[Surface] = field(default_factory=list)
    aprons: list[Surface] = field(default_factory=list)
    cars: list[Surface] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    paved: list[Polygon] = field(default_factory=list)

    def pave(self, shape: Geometry, colour: Colour, apron: bool = False) -> None:
        (self.aprons if apron else self.ground).append(Surface(shape, colour, 0.05, 0.08))
        self.paved.extend(parts(shape))


def fill_blocks(rng: Rng, network: Network) -> Plots:
    """Something on every block, and trees along the streets."""
    plots = Plots()
    roomy = [block.area > 1500 and not block.buffer(-12).is_empty for block in network.blocks]
    uses = iter(rng.permutation(np.resize(_MIX, sum(roomy))))
    for block, large in zip(network.blocks, roomy, strict=True):
        plots.ground.append(Surface(block, vary(rng, LAWNS[rng.integers(len(LAWNS))]), 0.14, 0.2))
        fill = _USES[next(uses)] if large else _park if block.area < 700 else _houses
        fill(rng, block, plots)
    plots.trees.extend(_street_trees(rng, network))
    plots.trees = list(filter(_free_ground(network, plots), plots.trees))
    return plots


def _houses(rng: Rng, block: Polygon, plots: Plots) -> None:
    """Houses in rows along the block's edge, each with its garden."""
    edge = LineString(shapely.remove_repeated_points(block.exterior.normalize(), 0.5))
    inwards = 1j if block.exterior.normalize().is_ccw else -1j
    step = rng.uniform(12.5, 17)
    built: list[Polygon] = []
    style = rng.choice(len(PITCHED), 3)
    for at in np.arange(step * 0.8, edge.length - step * 0.5, step):
        along = direction_on(edge, at, step * 0.4)
        if abs(point_on(edge, at + step * 0.45) - point_on(edge, at - step * 0.45)) < step * 0.82:
            continue  # round a corner
        front = _Front(point_on(edge, at), along, along * inwards, step)
        house = _house_on(rng, front, block, built)
        if house is not None:
            built.append(house)
            _garden(rng, front, house, block, plots)
            plots.buildings.append(_pitched(rng, house, PITCHED[rng.choice(style)]))
        elif rng.random() < 0.5:
            plots.trees.append(_tree(rng, front.at(rng.uniform(-4, 4), 8)))


@dataclass(frozen=True)
class _Front:
    """The street side of a lot."""

    middle: complex
    along: complex
    inwards: complex
    width: float

    def at(self, sideways: float, back: float) -> complex:
        return self.middle + self.along * sideways + self.inwards * back


def _house_on(rng: Rng, front: _Front, block: Polygon, built: list[Polygon]) -> Polygon | None:
    width, depth = rng.uniform(0.5, 0.68) * front.width, rng.uniform(8.5, 12.5)
    centre = front.at(-0.08 * front.width, SETBACK + rng.uniform(-1.5, 2.5) + depth / 2)
    house = rectangle(centre, front.along * np.exp(1j * rng.normal(0, 0.015)), width, depth)
    free = block.buffer(-2).contains(house) and not any(house.distance(other) < 2.5 for other in built)
    return house if free else None


def _garden(rng: Rng, front: _Front, house: Polygon, block: Polygon, plots: Plots) -> None:
    depth = min(_depth(front, block) / 2, 42.0)
    lot = polygon(front.at(s * front.width / 2, b) for s, b in ((-1, 0), (1, 0), (1, depth), (-1, depth)))
    bare = rng.random() < 0.08
    lawn = SOILS[rng.integers(len(SOILS))] if bare else LAWNS[rng.integers(len(LAWNS))]
    plots.ground.append(Surface(lot.intersection(block), vary(rng, lawn, 0.1), 0.14, 0.2))
    side = front.width * 0.36
    _driveway(rng, front, side, plots)
    _garden_things(rng, front, depth, plots)
    plots.ground.append(
        Surface(house.buffer(rng.uniform(0.3, 1.2), join_style="mitre"), vary(rng, SOILS[2]), 0.1, 0.15)
    )
    for _ in range(rng.poisson(2.4)):
        stem = front.at(rng.uniform(-0.45, 0.45) * front.width, rng.uniform(2, max(depth, 3)))
        plots.trees.append(_tree(rng, stem, rng.uniform(1.3, 4.4)))
    hedge = polygon(front.at(s, b) for s, b in _hedge(front.width, depth))
    if rng.random() < 0.5:
        plots.buildings.append(Building(hedge, 1.6, (Surface(hedge, vary(rng, LEAVES[1]), 0.22, 0.2),)))


def _hedge(width: float, depth: float) -> list[tuple[float, float]]:
    return [
        (-width / 2 - 0.4, 3),
        (-width / 2 + 0.4, 3),
        (-width / 2 + 0.4, depth),
        (-width / 2 - 0.4, depth),
    ]


def _depth(front: _Front, block: Polygon) -> float:
    """How far the block reaches behind this place."""
    return float(line([front.at(0, 0.1), front.at(0, 90)]).intersection(block).length)


def _driveway(rng: Rng, front: _Front, side: float, plots: Plots) -> None:
    """From the carriageway over the pavement to beside the house; often of the road's own asphalt."""
    reach = rng.uniform(9, 20)
    strip = polygon(front.at(side + s, b) for s, b in ((-1.5, -5), (1.5, -5), (1.5, reach), (-1.5, reach)))
    colour = ASPHALTS[rng.integers(len(ASPHALTS))] if rng.random() < 0.65 else WALK
    plots.pave(strip, vary(rng, colour, 0.06), apron=True)
    if rng.random() < 0.45:
        plots.cars.extend(car(rng, front.at(side, rng.uniform(3, reach - 3)), front.inwards))
    if rng.random() < 0.4:
        garage = rectangle(front.at(side, reach + 3), front.inwards, 6.0, 3.6)
        plots.buildings.append(_flat(rng, garage, 2.6))


def _garden_things(rng: Rng, front: _Front, depth: float, plots: Plots) -> None:
    """A path to the door, a terrace, beds, a shed, now and then a pool."""
    plots.ground.append(Surface(rectangle(front.at(0, 3), front.inwards, 8, 1.2), vary(rng, WALK), 0.05, 0.08))
    if depth < 24:
        return
    spot = front.at(rng.uniform(-0.3, 0.3) * front.width, rng.uniform(21, depth - 3))
    chance = rng.random()
    if chance < 0.1:
        basin = rectangle(spot, front.along, 7.5, 3.6)
        plots.ground.append(Surface(basin.buffer(0.9), (196, 190, 178), 0.05, 0.05))
        plots.ground.append(Surface(basin, (92, 170, 186), 0.03, 0.06))
    elif chance < 0.45:
        plots.buildings.append(_pitched(rng, rectangle(spot, front.inwards, 4.2, 3.0), PITCHED[2], height=2.4))
    elif chance < 0.75:
        plots.ground.append(Surface(rectangle(spot, front.along, 6, 4), vary(rng, SOILS[1]), 0.18, 0.3))
    terrace = rectangle(front.at(-1, 19), front.along, 5, 3.4)
    plots.ground.append(Surface(terrace, vary(rng, (168, 156, 142)), 0.07, 0.08))


def _flats(rng: Rng, block: Polygon, plots: Plots) -> None:
    """Slabs of flats on a lawn, with strips of parking between them."""
    frame = _Frame.of(block)
    inside = block.buffer(-3)
    for row, v in enumerate(np.arange(-frame.height / 2 + 12, frame.height / 2 - 7, 18.0)):
        if row % 2:
            _bays(rng, frame, (-frame.width / 2, frame.width / 2), v - 2, block, plots)
            lane = rectangle(frame.at(0, v + 3), frame.along, frame.width + 8, 5.0)
            plots.pave(lane, vary(rng, ASPHALTS[2], 0.05), apron=True)
            continue
        for u in np.arange(-frame.width / 2 + 18, frame.width / 2 - 14, 36.0):
            slab = rectangle(frame.at(u, v), frame.along, rng.uniform(22, 32), rng.uniform(10, 13))
            if inside.contains(slab):
                plots.buildings.append(_flat(rng, slab, rng.uniform(9, 14)))
    _scatter_trees(rng, block, 150, plots)


def _shops(rng: Rng, block: Polygon, plots: Plots) -> None:
    """A large flat roof in a car park as wide as the block."""
    frame = _Frame.of(block)
    plots.pave(block.buffer(-2.5), vary(rng, ASPHALTS[rng.integers(1, 4)], 0.04))
    for side in (-1, 1):  # two entrances from the street
        entrance = rectangle(frame.at(side * frame.width * 0.22, frame.height / 2), frame.along * 1j, 20, 6.5)
        plots.pave(entrance, vary(rng, ASPHALTS[2], 0.04), apron=True)
    split = frame.width * rng.uniform(-0.14, 0.0)
    hall = _largest(frame, (-frame.width / 2 + 3, split), block.buffer(-5))
    if hall.area > 200:
        plots.buildings.append(_flat(rng, hall, rng.uniform(6, 9)))
    for v in np.arange(-frame.height / 2 + 6, frame.height / 2 - 4, 16.5):
        _bays(rng, frame, (split + 7, frame.width / 2), v, block, plots)
        _bays(rng, frame, (split + 7, frame.width / 2), v + 5.2, block, plots)


def _largest(frame: _Frame, span: tuple[float, float], inside: Geometry) -> Polygon:
    """A rectangle over a span of the frame, as large as fits; it may be small where the shape is odd."""
    centre = frame.at((span[0] + span[1]) / 2, 0)
    sizes = [(share * (span[1] - span[0]), share * frame.height) for share in np.arange(1.0, 0.1, -0.06)]
    shapes = [rectangle(centre, frame.along, *size) for size in sizes]
    return next((shape for shape in shapes if inside.contains(shape)), shapes[-1])


def _bays(rng: Rng, frame: _Frame, span: tuple[float, float], v: float, block: Polygon, plots: Plots) -> None:
    """A row of parking bays with their lines, as far as they fit on the block, some of them taken."""
    bays = [rectangle(frame.at(u, v), frame.along, 2.7, 5.2) for u in np.arange(*span, 2.7)]
    inside = block.buffer(-3.2)
    bays = [bay for bay in bays if inside.contains(bay)]
    if not bays:
        return
    plots.pave(shapely.union_all(bays), vary(rng, ASPHALTS[2], 0.03))
    lines = [line([complex(*bay.exterior.coords[k]) for k in (1, 2)]).buffer(0.08) for bay in bays]
    plots.ground.append(Surface(together(lines), PAINT, 0.05, 0.1))
    for bay in bays:
        if rng.random() < 0.6:
            spot = complex(*bay.centroid.coords[0]) + frame.along * complex(rng.normal(0, 0.1), rng.normal(0, 0.2))
            plots.cars.extend(car(rng, spot, frame.along * 1j * rng.choice([-1, 1])))


def _park(rng: Rng, block: Polygon, plots: Plots) -> None:
    """Lawn, trees in groups, gravel paths, a playing field where it fits."""
    frame = _Frame.of(block)
    for heading in (frame.along, frame.along * np.exp(1.1j)):
        bow = [frame.at(0, 0) + heading * complex(s, 5 * np.sin(s / 14)) for s in np.arange(-90, 90, 4.0)]
        path = line(bow).buffer(1.1).intersection(block)
        plots.ground.append(Surface(path, (186, 172, 146), 0.07, 0.1))
    field_outline = rectangle(frame.at(-frame.width * 0.2, 0), frame.along, 36, 19)
    if block.buffer(-3).contains(field_outline):
        colour = ((148, 84, 66), (72, 104, 84), (92, 122, 60))[rng.integers(3)]
        plots.ground.append(Surface(field_outline, vary(rng, colour, 0.04), 0.04, 0.06))
        rings = [
            field_outline.buffer(-1).boundary.buffer(0.1),
            Point(*field_outline.centroid.coords).buffer(3).boundary.buffer(0.1),
        ]
        plots.ground.append(Surface(together(rings), PAINT, 0.05, 0.1))
    _scatter_trees(rng, block, 75, plots, avoid=field_outline)


def _yard(rng: Rng, block: Polygon, plots: Plots) -> None:
    """Bare, driven-over ground with sheds and heaps, of a colour near that of worn asphalt."""
    frame = _Frame.of(block)
    plots.ground.append(Surface(block.buffer(-1.5), vary(rng, SOILS[2], 0.06), 0.12, 0.13))
    for _ in range(5):  # tracks of vehicles
        bend = rng.normal(0, 0.006)
        start = frame.at(rng.uniform(-0.5, 0.5) * frame.width, -frame.height / 2)
        heading = frame.along * 1j * np.exp(1j * rng.normal(0, 0.5))
        track = line(start + heading * complex(s, bend * s * s) for s in np.arange(0, 80, 4.0))
        plots.ground.append(Surface(track.buffer(1.6).intersection(block), vary(rng, SOILS[1], 0.06), 0.12, 0.13))
    for _ in range(4):
        spot = frame.at(rng.uniform(-0.35, 0.35) * frame.width, rng.uniform(-0.35, 0.35) * frame.height)
        shed = rectangle(spot, frame.along, rng.uniform(10, 24), rng.uniform(8, 14))
        if block.buffer(-4).contains(shed) and all(shed.disjoint(other.footprint) for other in plots.buildings):
            plots.buildings.append(_flat(rng, shed, rng.uniform(4, 7)))
    for _ in range(14):
        spot = frame.at(rng.uniform(-0.45, 0.45) * frame.width, rng.uniform(-0.45, 0.45) * frame.height)
        if block.buffer(-3).contains(Point(spot.real, spot.imag)):
            plots.cars.extend(car(rng, spot, np.exp(1j * rng.uniform(0, 6.3))))


@dataclass(frozen=True)
class _Frame:
    """The directions of a block: u along its longer side, v across, from its middle."""

    middle: complex
    along: complex
    width: float
    height: float

    @classmethod
    def of(cls, block: Polygon) -> _Frame:
        around = block.minimum_rotated_rectangle
        corners = [complex(x, y) for x, y in around.exterior.coords[:3]]
        sides = sorted((corners[1] - corners[0], corners[2] - corners[1]), key=abs)
        return cls(complex(*around.centroid.coords[0]), sides[1] / abs(sides[1]), abs(sides[1]), abs(sides[0]))

    def at(self, u: float, v: float) -> complex:
        return self.middle + self.along * complex(u, v)


def _pitched(rng: Rng, house: Polygon, colour: Colour, height: float | None = None) -> Building:
    """A gable or hip roof: every face is as light as the sun on it makes it."""
    corners = [complex(x, y) for x, y in house.exterior.coords[:4]]
    if abs(corners[1] - corners[0]) < abs(corners[2] - corners[1]):
        corners = corners[1:] + corners[:1]
    a, b, c, d = corners
    inset = rng.choice([0.0, 0.5]) * abs(d - a) * (b - a) / abs(b - a)
    ridge = (a + d) / 2 + inset, (b + c) / 2 - inset
    tone = vary(rng, colour, 0.1)
    outlines = ((a, b, ridge[1], ridge[0]), (c, d, ridge[0], ridge[1]), (b, c, ridge[1]), (d, a, ridge[0]))
    faces = tuple(_face(outline, (a + c) / 2, tone) for outline in outlines if polygon(outline).area > 0.1)
    return Building(house, height or rng.uniform(5, 7.5), faces + tuple(_roof_things(rng, a, b, d)))


def _face(outline: tuple[complex, ...], middle: complex, colour: Colour) -> Surface:
    eaves = outline[1] - outline[0]
    downhill = (outline[0] + outline[1]) / 2 - middle
    away = eaves * 1j / abs(eaves)
    away *= 1 if (away * downhill.conjugate()).real > 0 else -1
    sun = -SUN_SHADOW / abs(SUN_SHADOW)
    light = 0.92 + 0.27 * (away * sun.conjugate()).real
    return Surface(polygon(outline), shade(colour, light), 0.07, 0.07, ribs=away)


def _roof_things(rng: Rng, a: complex, b: complex, d: complex) -> Iterator[Surface]:
    """A chimney; on some roofs windows or solar panels."""
    if abs(b - a) < 7:
        return
    across, down = (b - a), (d - a)
    along = across / abs(across)
    chimney = a + across * rng.uniform(0.2, 0.8) + down * 0.42
    yield Surface(rectangle(chimney + SUN_SHADOW * 0.9, along, 0.9, 0.9), (44, 42, 42), 0.03)
    yield Surface(rectangle(chimney, along, 0.8, 0.8), (142, 112, 98), 0.03)
    if rng.random() < 0.22:
        yield Surface(
            rectangle(a + across * 0.5 + down * 0.24, along, abs(across) * 0.5, abs(down) * 0.26),
            (38, 44, 62),
        )
    elif rng.random() < 0.4:
        panes = [rectangle(a + across * s + down * 0.75, along, 0.8, 1.1) for s in (0.3, 0.6)]
        yield Surface(together(panes), (190, 202, 212), 0.02)


def _flat(rng: Rng, footprint: Polygon, height: float) -> Building:
    """A flat roof with its parapet and, on large ones, machines."""
    colour = vary(rng, FLAT[rng.integers(len(FLAT))], 0.07)
    faces = [
        Surface(footprint, shade(colour, 1.16), 0.04, 0.03),
        Surface(footprint.buffer(-0.4), colour, 0.05, 0.08),
    ]
    left, bottom, right, top = footprint.bounds
    for _ in range(int(footprint.area / 110)):
        spot = complex(rng.uniform(left, right), rng.uniform(bottom, top))
        machine = rectangle(spot, direction_on(LineString(footprint.exterior), 1.0), *rng.uniform(0.9, 3.0, 2))
        if footprint.buffer(-2).contains(machine):
            faces.append(Surface(machine.buffer(0.1).union(moved(machine, SUN_SHADOW * 1.2)), shade(colour, 0.5), 0.03))
            faces.append(Surface(machine, vary(rng, (190, 190, 188), 0.1), 0.03))
    return Building(footprint, height, tuple(faces))


def _tree(rng: Rng, stem: complex, radius: float | None = None) -> Tree:
    size = radius or rng.uniform(2.0, 4.6)
    count = 6 + int(size * 2.2)
    offsets = size * 0.68 * np.sqrt(rng.random(count)) * np.exp(2j * np.pi * rng.random(count))
    radii = size * rng.uniform(0.26, 0.48, count)
    lobes = ((0j, size * 0.55), *((complex(o), float(r)) for o, r in zip(offsets, radii, strict=True)))
    colour = vary(rng, LEAVES[rng.choice(len(LEAVES), p=[0.3, 0.25, 0.2, 0.13, 0.08, 0.04])], 0.1)
    return Tree(stem, size * rng.uniform(1.5, 2.1), lobes, colour)


def _scatter_trees(rng: Rng, block: Polygon, area_each: float, plots: Plots, avoid: Polygon | None = None) -> None:
    left, bottom, right, top = block.bounds
    inner = block.buffer(-1).difference(avoid.buffer(2)) if avoid else block.buffer(-1)
    for _ in range(int((right - left) * (top - bottom) / area_each)):
        x, y = rng.uniform(left, right), rng.uniform(bottom, top)
        if shapely.contains_xy(inner, x, y):
            plots.trees.append(_tree(rng, complex(x, y)))


def _street_trees(rng: Rng, network: Network) -> Iterator[Tree]:
    """Rows of trees at the edge of the carriageway, whose crowns hide a part of the road."""
    for street in network.streets:
        density = 0.12 if street.busy else rng.choice([0.05, 0.3, 0.6])
        for side in (-1, 1):
            for at in np.arange(rng.uniform(4, 12), street.centre.length, rng.uniform(8, 12)):
                away = direction_on(street.centre, at) * 1j * side
                stem = point_on(street.centre, at) + away * (street.width / 2 + max(street.verge * 0.6, 1.0))
                if rng.random() < density:
                    yield _tree(rng, stem, rng.uniform(2.2, 4.8))


def _free_ground(network: Network, plots: Plots) -> Callable[[Tree], bool]:
    """Whether a tree's stem stands neither on the carriageway nor in a house."""
    houses = STRtree([building.footprint for building in plots.buildings])
    shapely.prepare(network.carriageway)

    def grows(tree: Tree) -> bool:
        stem = Point(tree.stem.real, tree.stem.imag)
        return not network.carriageway.contains(stem) and not len(houses.query(stem, "dwithin", distance=1.0))

    return grows


# Ten blocks of a town; a small scene has the first few of them.
_MIX = ("houses", "shops", "houses", "flats", "houses", "park", "houses", "houses", "yard", "houses")
_USES = {"houses": _houses, "flats": _flats, "shops": _shops, "park": _park, "yard": _yard}
