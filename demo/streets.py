"""The streets of the generated scene: a bent grid, an avenue, a roundabout, dead ends; their surfaces and cars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import shapely
from shapely import Geometry, LineString, Point, Polygon, box
from shapely.ops import substring

from .shapes import (
    SUN_SHADOW,
    Colour,
    Rng,
    Surface,
    direction_on,
    line,
    moved,
    parts,
    point_on,
    rectangle,
    shade,
    together,
    vary,
)

ASPHALTS: tuple[Colour, ...] = (
    (86, 87, 90),
    (104, 104, 104),
    (122, 120, 116),
    (138, 134, 127),
    (158, 153, 143),
)
WALK: Colour = (172, 168, 158)
GRASS: Colour = (90, 104, 64)
PAINT: Colour = (222, 220, 210)
CAR_COLOURS: tuple[Colour, ...] = (
    (232, 232, 230),
    (196, 198, 200),
    (120, 124, 128),
    (62, 64, 68),
    (34, 35, 38),
    (150, 34, 30),
    (44, 68, 118),
    (188, 180, 160),
)
CURB_RADIUS = 5.0  # metres, of the rounded corners where streets meet
WALK_WIDTH = 1.8


@dataclass(frozen=True)
class Street:
    """A centre line with a carriageway of one width; `busy` streets carry markings and moving cars."""

    centre: LineString
    width: float
    verge: float
    grey: Colour
    busy: bool = False
    bulb: float = 0.0  # radius of the turning circle at a dead end

    @cached_property
    def carriageway(self) -> Geometry:
        shape = self.centre.buffer(self.width / 2, cap_style="flat")
        return shape.union(Point(self.centre.coords[-1]).buffer(self.bulb)) if self.bulb else shape

    @property
    def right_of_way(self) -> Geometry:
        return self.carriageway.buffer(self.verge + WALK_WIDTH, cap_style="flat", join_style="mitre")


@dataclass
class Network:
    """All streets of a scene: the carriageway is what the scene's truth calls road."""

    streets: list[Street]
    carriageway: Geometry
    islands: list[Polygon]
    blocks: list[Polygon]
    sides: list[Surface] = field(default_factory=list)
    tops: list[Surface] = field(default_factory=list)
    cars: list[Surface] = field(default_factory=list)


def lay_streets(rng: Rng, bounds: tuple[float, float, float, float]) -> Network:
    """The streets for a place and its surroundings; a junction lies near the middle whatever the size."""
    place = box(*bounds)
    grid, roundabout = _grid(rng, place)
    streets = [*grid, _avenue(rng, place, roundabout)]
    ring = Point(roundabout.real, roundabout.imag)
    joined = shapely.union_all([street.carriageway for street in streets] + [ring.buffer(17)])
    islands = [ring.buffer(9)]
    carriageway = joined.buffer(CURB_RADIUS).buffer(-CURB_RADIUS).difference(islands[0])
    rights = shapely.union_all([street.right_of_way for street in streets] + [ring.buffer(20)])
    blocks = parts(place.difference(rights.union(carriageway.buffer(WALK_WIDTH))), least_area=60)
    network = Network(streets, carriageway, islands, blocks)
    network.sides.extend(_sides(rng, network, ring))
    network.tops.extend(_tops(rng, network))
    network.cars.extend(_traffic(rng, network))
    return network


def car(rng: Rng, centre: complex, along: complex) -> list[Surface]:
    """A car: its shadow, its body, its panes and its roof."""
    length, width = rng.uniform(3.9, 4.8), rng.uniform(1.7, 1.9)
    colour = vary(rng, CAR_COLOURS[rng.choice(len(CAR_COLOURS), p=_CAR_SHARES)], 0.05)
    body = rectangle(centre, along, length - 0.6, width - 0.6).buffer(0.3, quad_segs=2)
    cabin = rectangle(centre - along * 0.25, along, length * 0.56, width * 0.86)
    roof = rectangle(centre - along * 0.3, along, length * 0.32, width * 0.78)
    under = moved(body, SUN_SHADOW * 1.1)
    return [
        Surface(body.union(under).convex_hull, (40, 41, 45), 0.03, 0.0),
        Surface(body, colour, 0.03, 0.0),
        Surface(cabin, (46, 50, 56), 0.03, 0.0),
        Surface(roof, shade(colour, 1.08), 0.02, 0.0),
    ]


_CAR_SHARES = (0.24, 0.2, 0.16, 0.12, 0.1, 0.08, 0.06, 0.04)


def _grid(rng: Rng, place: Polygon) -> tuple[list[Street], complex]:
    """Streets along and across in bent coordinates, and the junction that becomes a roundabout."""
    bend = _bending(rng, complex(place.centroid.x, place.centroid.y))
    half = np.hypot(*(np.ptp(place.exterior.xy[0]), np.ptp(place.exterior.xy[1]))) / 2 + 30
    rows = _positions(rng, half, 58, 76)
    columns = _positions(rng, half, 104, 150)
    streets = [_row(rng, bend, half, v, main=index % 4 == 1) for index, v in enumerate(rows)]
    for index, u in enumerate(columns):
        streets.extend(_column(rng, bend, u, rows, main=index % 3 == 1))
    return streets, bend(complex(columns[len(columns) // 2 - 1], rows[len(rows) // 2 + 1]))


def _bending(rng: Rng, middle: complex) -> Callable[[complex], complex]:
    turn = np.exp(1j * np.radians(rng.uniform(-14, 14)))
    waves = rng.uniform((7, 200), (15, 330), (2, 2))
    phases = rng.uniform(0, 2 * np.pi, 2)

    def bend(at: complex) -> complex:
        sideways = waves[0, 0] * np.sin(2 * np.pi * at.imag / waves[0, 1] + phases[0])
        upwards = waves[1, 0] * np.sin(2 * np.pi * at.real / waves[1, 1] + phases[1])
        return complex(middle + turn * (at + complex(sideways, upwards)))

    return bend


def _positions(rng: Rng, half: float, least: float, most: float) -> list[float]:
    """Places from -half to half with the given gaps, one of them near zero."""
    start = rng.uniform(-8, 8)
    outwards = [np.cumsum(rng.uniform(least, most, int(half / least) + 1)) for _ in range(2)]
    return [float(at) for at in (*(start - outwards[0][::-1]), start, *(start + outwards[1])) if abs(at) <= half]


def _row(rng: Rng, bend: Callable[[complex], complex], half: float, v: float, main: bool) -> Street:
    centre = line(bend(complex(u, v)) for u in np.arange(-half, half, 4.0))
    return _street(rng, centre, main)


def _column(rng: Rng, bend: Callable[[complex], complex], u: float, rows: list[float], main: bool) -> Iterator[Street]:
    """A street across the rows; gaps in a side street leave T-junctions and dead ends."""
    run: list[complex] = []
    for low, high in pairwise(rows):
        open_ended = not main and min(abs(low), abs(high)) > 40 and rng.random() < 0.3
        reach = low + (high - low) * 0.45 if open_ended else high
        run.extend(bend(complex(u, v)) for v in np.linspace(low, reach, 16)[1 if run else 0 :])
        if open_ended:
            yield _street(rng, line(run), main, bulb=8.5)
            run = []
    if run:
        yield _street(rng, line(run), main)


def _street(rng: Rng, centre: LineString, main: bool, bulb: float = 0.0) -> Street:
    width = rng.uniform(9.5, 11.5) if main else rng.uniform(5.6, 8.2)
    grey = vary(rng, ASPHALTS[rng.integers(0, 3 if main else len(ASPHALTS))], 0.04)
    return Street(centre, width, 0.0 if main else rng.choice([0.0, 1.6, 2.4]), grey, main, bulb)


def _avenue(rng: Rng, place: Polygon, through: complex) -> Street:
    """A wide, slightly swinging road that cuts the grid on a slant and passes the roundabout."""
    left, bottom, right, top = place.bounds
    half = abs(complex(right - left, top - bottom))
    slant = np.exp(1j * np.radians(rng.choice([-1, 1]) * rng.uniform(32, 52)))
    swing, length = rng.uniform(8, 18), rng.uniform(260, 420)
    steps = np.arange(-half, half, 5.0)
    centre = line(through + slant * complex(s, swing * np.sin(2 * np.pi * s / length)) for s in steps)
    return Street(centre, rng.uniform(13, 14.5), 0.0, vary(rng, ASPHALTS[1], 0.04), busy=True)


def _sides(rng: Rng, network: Network, ring: Point) -> Iterator[Surface]:
    """Verges and pavements, under the carriageways."""
    for street in network.streets:
        yield Surface(street.right_of_way, vary(rng, GRASS, 0.05), 0.12, 0.2)
    for street in network.streets:
        inner = street.carriageway.buffer(street.verge, join_style="mitre")
        yield Surface(street.right_of_way.difference(inner), vary(rng, WALK, 0.05), 0.05, 0.05)
    yield Surface(ring.buffer(20), WALK, 0.05, 0.05)
    yield Surface(network.carriageway.buffer(WALK_WIDTH).difference(_rights(network)), WALK, 0.05, 0.05)


def _rights(network: Network) -> Geometry:
    return shapely.union_all([street.right_of_way for street in network.streets])


def _tops(rng: Rng, network: Network) -> Iterator[Surface]:
    """What lies on the carriageway, and may be painted nowhere else: asphalt, repairs, wear, markings."""
    order = sorted(network.streets, key=lambda street: street.width)
    for street in order:
        yield Surface(street.carriageway, street.grey, 0.05, 0.06)
        yield from _wear(rng, street)
    for street in order:
        yield from _markings(street, _junctions(network, street, 3.0))
    yield from _crossings(rng, network)


def _wear(rng: Rng, street: Street) -> Iterator[Surface]:
    length = street.centre.length
    lanes = (-0.36, -0.14, 0.14, 0.36) if street.width > 7 else (-0.2, 0.2)
    tracks = [street.centre.offset_curve(lane * street.width).buffer(0.35) for lane in lanes]
    yield Surface(together(tracks), shade(street.grey, 1.045), 0.05, 0.06)
    if street.busy:  # drips of oil between the wheels
        drips = [street.centre.offset_curve(lane * street.width).buffer(0.3) for lane in (-0.25, 0.25)]
        yield Surface(together(drips), shade(street.grey, 0.93), 0.05, 0.1)
    for _ in range(rng.poisson(length / 180)):  # stretches with a newer or an older surface
        start = rng.uniform(0, length - 1)
        stretch = substring(street.centre, start, start + rng.uniform(20, 70))
        newer = shade(street.grey, rng.choice([0.84, 0.93, 1.08]))
        yield Surface(stretch.buffer(street.width / 2, cap_style="flat"), newer, 0.05, 0.06)
    for _ in range(rng.poisson(length / 30)):  # trenches that were dug and filled
        at = rng.uniform(0, length)
        along = direction_on(street.centre, at)
        centre = point_on(street.centre, at) + along * 1j * rng.uniform(-0.4, 0.4) * street.width
        size = rng.uniform((1.0, 0.6), (9.0, 2.2))
        factor = rng.choice([0.8, 0.88, 1.1])
        yield Surface(rectangle(centre, along, *size), shade(street.grey, factor), 0.05, 0.04)
    for _ in range(rng.poisson(length / 25)):  # cracks sealed with tar
        at = rng.uniform(0, length)
        yield Surface(_crack(rng, street, at), shade(street.grey, 0.72), 0.03, 0.0)
    for at in np.arange(rng.uniform(5, 25), length, 32.0):  # manholes
        centre = point_on(street.centre, at) + direction_on(street.centre, at) * 1j * street.width * 0.18
        yield Surface(Point(centre.real, centre.imag).buffer(0.4), (66, 64, 62), 0.03, 0.0)


def _crack(rng: Rng, street: Street, at: float) -> Geometry:
    along = direction_on(street.centre, at)
    heading = along * np.exp(1j * rng.choice([0.1, 1.5]) * rng.uniform(0.8, 1.1))
    start = point_on(street.centre, at) + along * 1j * rng.uniform(-0.45, 0.2) * street.width
    steps = np.cumsum(rng.uniform(0.5, 1.2, 6) * np.exp(1j * rng.normal(0, 0.35, 6)))
    return line([start, *(start + heading * steps)]).buffer(0.11)


def _junctions(network: Network, street: Street, margin: float) -> Geometry:
    """Where other streets meet this one."""
    others = [other.carriageway for other in network.streets if other is not street]
    rings = [island.buffer(8) for island in network.islands]
    return shapely.union_all([*others, *rings]).buffer(margin)


def _markings(street: Street, junctions: Geometry) -> Iterator[Surface]:
    if street.width < 7:
        return
    starts = np.arange(2.0, street.centre.length, 9.0 if street.busy else 12.0)
    dashes = [substring(street.centre, start, start + 3.0).buffer(0.09, cap_style="flat") for start in starts]
    if street.busy:
        sides = [street.centre.offset_curve(side * (street.width / 2 - 0.5)) for side in (-1, 1)]
        dashes.extend(side.buffer(0.08, cap_style="flat") for side in sides)
    yield Surface(together([shapely.union_all(dashes).difference(junctions)]), PAINT, 0.05, 0.12)


def _crossings(rng: Rng, network: Network) -> Iterator[Surface]:
    """Zebra crossings on most arms of the junctions of busy streets."""
    for street in (street for street in network.streets if street.busy):
        arms = street.centre.intersection(_junctions(network, street, 3.4).boundary)
        for point in shapely.get_parts(arms):
            if rng.random() < 0.4:
                continue
            at = street.centre.project(point)
            along = direction_on(street.centre, at)
            offsets = np.arange(-street.width / 2 + 0.8, street.width / 2 - 0.5, 1.1)
            bars = [rectangle(point_on(street.centre, at) + along * 1j * off, along, 2.8, 0.55) for off in offsets]
            yield Surface(together(bars), PAINT, 0.05, 0.12)


def _traffic(rng: Rng, network: Network) -> Iterator[Surface]:
    for street in network.streets:
        clear = _junctions(network, street, 6.0)
        shapely.prepare(clear)
        fill = rng.uniform(0.05, 0.55)
        for side in (-1, 1):
            if street.width > 7 and not street.busy:
                yield from _queue(rng, street, clear, side, 0.5 - 1.25 / street.width, 6.3, fill)
            yield from _queue(rng, street, clear, side, 0.25, 14.0, 0.25 if street.busy else 0.04)


def _queue(
    rng: Rng, street: Street, clear: Geometry, side: int, lane: float, gap: float, fill: float
) -> Iterator[Surface]:
    """Cars on one side of a street, `lane` widths off its middle."""
    for start in np.arange(4.0, street.centre.length - 4, gap):
        at = start + rng.uniform(-0.15, 0.15) * gap
        along = direction_on(street.centre, at) * -side
        centre = point_on(street.centre, at) - along * 1j * lane * street.width
        if rng.random() < fill and not shapely.intersects_xy(clear, centre.real, centre.imag):
            yield from car(rng, centre, along * np.exp(1j * rng.normal(0, 0.02)))
