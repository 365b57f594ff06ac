"""Centre lines of known shapes: on the axis, as wide and as long as drawn, meeting in points, whole across blocks."""

from collections import Counter
from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter
from shapely import affinity

from qgis_sslkd.core.errors import CancelledError
from qgis_sslkd.core.geodata.ground import metres_per_unit
from qgis_sslkd.core.geodata.outputs import SURFACE_NODATA
from qgis_sslkd.core.vectors import gaps, skeleton
from qgis_sslkd.core.vectors.centre_lines import write_centre_lines
from qgis_sslkd.core.vectors.gaps import FreeEnd, corners_ahead, facing_ends, sides_ahead
from qgis_sslkd.core.vectors.lines import Line
from qgis_sslkd.core.vectors.outlines import VectorSettings

LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 0.5
PLAIN = Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP)
SETTINGS = VectorSettings(bridge=15, tolerance=0.3)


@pytest.fixture
def lines_of(make_raster, read_vector, reporter, tmp_path):
    """Draws roads, given in metres from the raster's corner, and finds their centre lines in the same metres."""

    def find(roads, shape=(240, 320), options=SETTINGS, transform=PLAIN, crs="EPSG:32632", target=None):
        drawn = shapely.transform(np.atleast_1d(roads), lambda points: points / PIXEL)
        mask = rasterize(list(drawn), out_shape=shape) if len(drawn) else np.zeros(shape, np.uint8)
        surface = make_raster(mask[None], "s.tif", transform=transform, crs=crs, nodata=SURFACE_NODATA)
        path = tmp_path / "lines.gpkg"
        path.unlink(missing_ok=True)
        count = write_centre_lines(surface, path, options, reporter, target)
        lines, fields, meta = read_vector(path)
        assert count == len(lines)
        if transform == PLAIN and target is None:
            lines = shapely.transform(lines, lambda points: (points - (LEFT, TOP)) * (1, -1))
        return lines, fields, meta

    return find


def street(*points, width=8.0, cap="flat"):
    return shapely.LineString(points).buffer(width / 2, cap_style=cap)


def length_of(line):
    return pytest.approx(line.length, rel=2e-3)


@pytest.mark.parametrize("width", [3.0, 5.5, 8.0, 13.0, 20.0])
@pytest.mark.parametrize("angle", [0, 7, 30, 45, 90, 118])
def test_a_bar_gives_its_axis_and_its_width(lines_of, width, angle):
    way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = np.array([75.13, 74.81])
    axis = shapely.LineString([middle - 45 * way, middle + 45 * way])
    (line,), fields, _ = lines_of(axis.buffer(width / 2, cap_style="flat"), (300, 300))
    assert shapely.hausdorff_distance(line, axis) < 0.2 * width + PIXEL
    inner = shapely.line_interpolate_point(line, [20, 30, 40, 50, 60, 70])
    assert shapely.distance(inner, axis).max() < PIXEL
    # At 45 degrees all pixels of an edge are cut alike: what is drawn is up to 0.7 pixels wider or narrower.
    assert fields["width"] == pytest.approx([width], rel=0.05, abs=0.7 * PIXEL)
    assert fields["length"] == length_of(line)


def test_a_cross_gives_four_lines_that_meet_in_a_point(lines_of):
    lines, fields, _ = lines_of([street((10, 55), (150, 60)), street((80, 5), (76, 115), width=11)])
    ends = shapely.get_coordinates(lines[:, None])
    assert len(lines) == 4
    starts = [{line.coords[0], line.coords[-1]} for line in lines]
    (node,) = set.intersection(*starts)
    assert shapely.Point(node).distance(shapely.Point(78.1, 57.4)) < 0.5
    assert sorted(fields["width"]) == pytest.approx([8, 8, 11, 11], rel=0.05)
    assert len(ends) < 20


def test_a_junction_does_not_bend_the_road_that_goes_through(lines_of):
    lines, _, _ = lines_of([street((0, 50), (160, 50), width=10), street((70, 50), (70, 120), width=8)])
    assert len(lines) == 3
    points = shapely.get_coordinates(lines)
    along = points[points[:, 0] < 60]
    assert abs(along[:, 1] - 50).max() < 0.3
    assert shapely.distance(shapely.Point(70, 50), lines).max() < 0.4


@pytest.mark.parametrize("aside", [1, 3, 5])
def test_a_slant_crossing_is_one_junction(lines_of, aside):
    """The skeleton has two, farther from each other than half a width until they are where the roads meet."""
    arms = [street((80, 60), (122, 102), width=6), street((80 + aside, 60), (38 + aside, 18), width=6)]
    lines, _, _ = lines_of([street((10, 60), (150, 60), width=10), *arms])
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == (4, 4, 1)
    assert junctions[0] == pytest.approx((80 + aside / 2, 60), abs=1)


@pytest.mark.parametrize("width", [3, 4, 6])
@pytest.mark.parametrize("angle", [35, 40, 45, 60])
@pytest.mark.parametrize("turn", [20, 75, 130])
def test_roads_that_cross_at_an_acute_angle_have_one_junction_on_both(lines_of, width, angle, turn):
    middle = (80.2, 59.9)
    axes = [affinity.rotate(shapely.LineString([(10, 59.9), (150.4, 59.9)]), turn + by, middle) for by in (0, angle)]
    roads = [axis.buffer(width / 2) for axis in axes]
    lines, _, _ = lines_of(roads, options=VectorSettings(fill_holes=30, bridge=15))
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == (4, 4, 1)
    assert np.hypot(*np.subtract(junctions[0], middle)) < max(PIXEL, width / 4)


def test_roads_of_a_staggered_crossing_keep_their_junctions(lines_of):
    """Also a street's at a wide road, of which it is not half a width away."""
    arms = [street((76, 60), (76, 5), width=6), street((84, 60), (84, 115), width=6)]
    assert len(ends_and_junctions(lines_of([street((10, 60), (150, 60), width=6), *arms])[0])[1]) == 2
    fork = [street((80, 60), (20, 20), width=6), street((80, 60), (20, 100), width=6)]
    roads = [street((90, 0), (90, 120), width=14), street((80, 60), (90, 60)), *fork]
    assert len(ends_and_junctions(lines_of(roads)[0])[1]) == 2


@pytest.mark.parametrize("turn", [0, 30, 160])
def test_wide_roads_with_short_arms_meet_where_their_axes_do(lines_of, turn):
    arms = [street((80, 60), end, width=30) for end in ((20, 60), (140, 60), (80, 120))]
    lines, _, _ = lines_of([affinity.rotate(arm, turn, (80, 60)) for arm in arms])
    _, (junction,) = ends_and_junctions(lines)
    assert np.hypot(*np.subtract(junction, (80, 60))) < 2


def test_a_wide_road_s_junctions_with_a_ring_lie_on_the_roads(lines_of):
    """Its bent arms point at places in the island."""
    middle = shapely.Point(80, 60)
    through = affinity.rotate(street((0, 60), (160, 60), width=14), 45)
    road = shapely.union(middle.buffer(15), through).buffer(5).buffer(-5).difference(middle.buffer(7))
    lines, _, _ = lines_of([road])
    assert shapely.union_all(lines).difference(road.buffer(PIXEL)).length == 0


def test_a_ring_gives_one_closed_line(lines_of):
    circle = shapely.Point(80, 60).buffer(40, quad_segs=64)
    (line,), fields, _ = lines_of(circle.boundary.buffer(3.5))
    assert line.is_closed
    assert fields["length"] == pytest.approx([2 * np.pi * 40], rel=0.02)
    assert fields["width"] == pytest.approx([7], rel=0.05)


def wave(way):
    """An S from left to right."""
    return shapely.LineString(np.column_stack([way, 60 + 30 * np.sin(2 * np.pi * (way - 15) / 130)]))


def eight(angles):
    return shapely.LineString(np.column_stack([80 + 60 * np.sin(angles), 60 + 40 * np.sin(2 * angles)]))


# The axes that meet in points, how many free ends they have and how many junctions.
SHAPES = {
    "cross": ([[(10, 60), (150, 60)], [(80, 5), (80, 115)]], 4, 1),
    "T": ([[(10, 40), (150, 40)], [(80, 40), (80, 110)]], 3, 1),
    "Y": ([[(80, 60), (20, 20)], [(80, 60), (140, 20)], [(80, 60), (80, 112)]], 3, 1),
    "S-curve": ([wave(np.linspace(15, 145, 200)).coords], 2, 0),
    "dead end off a road from edge to edge": ([[(0, 30), (160, 30)], [(60, 30), (60, 95)]], 3, 1),
    "eight": ([eight(np.linspace(0, 2 * np.pi, 200)).coords], 0, 1),
    "block of houses": ([[(30, 25), (130, 25), (130, 95), (30, 95), (30, 25)], [(80, 25), (80, 95)]], 0, 2),
}


@pytest.mark.parametrize("width", [5.0, 9.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_shapes_have_their_ends_junctions_and_lengths(lines_of, shape, width):
    axes, free_ends, junctions = SHAPES[shape]
    lines, fields, _ = lines_of([street(*axis, width=width) for axis in axes])
    free, places = ends_and_junctions(lines)
    assert (free, len(places)) == (free_ends, junctions)
    assert fields["length"].sum() == pytest.approx(sum(shapely.LineString(axis).length for axis in axes), rel=0.03)
    axis = shapely.union_all([shapely.LineString(axis) for axis in axes])
    assert shapely.distance(shapely.points(shapely.get_coordinates(lines)), axis).max() < width / 4 + PIXEL


@pytest.mark.parametrize(("gap", "count"), [(6, 1), (14, 1), (17, 2), (60, 2)])
def test_gaps_are_bridged_up_to_the_length(lines_of, gap, count):
    roads = [street((5, 50), (50, 52)), street((50 + gap, 52.3), (155, 54))]
    lines, fields, _ = lines_of(roads)
    assert len(lines) == count
    assert fields["length"].sum() == pytest.approx(150 - (gap if count == 2 else 0), abs=1.5)
    assert len(lines_of(roads, options=VectorSettings(bridge=0))[0]) == 2


@pytest.mark.parametrize("width", [6, 8])
@pytest.mark.parametrize("turn", [0, 20, 110])
@pytest.mark.parametrize("slant", [True, False])
def test_ragged_gaps_as_under_trees_are_bridged(lines_of, width, turn, slant):
    """The roads end in corners that are narrower than they."""
    if slant:
        gap = affinity.rotate(shapely.box(78.5, 20, 81.5, 100), 40, (80, 60))
    else:
        trees = [
            ((80 - width * 0.3, 60 - width * 0.35), width * 0.45),
            ((80 + width * 0.3, 60 + width * 0.35), width * 0.45),
            ((80, 60), 3),
        ]
        gap = shapely.union_all([shapely.Point(at).buffer(radius) for at, radius in trees])
    axis = shapely.LineString([(35, 60), (125, 60)])
    road = affinity.rotate(axis.buffer(width / 2, cap_style="flat").difference(gap), turn, (80, 60))
    (line,), _, _ = lines_of([road])
    assert shapely.hausdorff_distance(line, affinity.rotate(axis, turn, (80, 60)), densify=0.01) < width / 4


def test_ends_that_point_elsewhere_are_not_bridged(lines_of):
    assert len(lines_of([street((5, 50), (60, 50)), street((67, 63), (67, 110))])[0]) == 2
    # Two that pass each other.
    assert len(lines_of([street((5, 50), (70, 50), width=6), street((68, 59), (150, 59), width=6)])[0]) == 2


@pytest.mark.parametrize("turn", [90, 60, 110])
@pytest.mark.parametrize(("gap", "joined"), [(4, True), (7, True), (8, False)])
def test_a_bend_that_is_cut_is_closed_in_its_corner(lines_of, gap, joined, turn):
    corner, way = np.array([80, 60]), np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    roads = [street((10, 60), (80 - gap, 60), width=4), street(corner + gap * way, corner + 50 * way, width=4)]
    lines, fields, _ = lines_of(roads)
    assert len(lines) == (1 if joined else 2)
    if joined:
        assert shapely.distance(lines[0], shapely.Point(corner)) < 1
        assert fields["length"] == pytest.approx([120], abs=1.5)
        assert fields["width"] == pytest.approx([4], rel=0.1)


def free_end(number, place, direction, width=2.0):
    return FreeEnd(number, number, np.array([*place, width]), np.array(direction))


def test_a_bend_is_not_closed_across_a_road_and_not_at_a_narrow_angle():
    ends = [free_end(0, (0, 0), (1.0, 0.0)), free_end(1, (12, 8), (-0.6, -0.8))]
    ((a, b, place),) = corners_ahead(ends, {}, 14.01)
    assert (a.line, b.line, *place) == pytest.approx((0, 1, 6, 0))
    assert corners_ahead(ends, {}, 13.9) == []
    assert corners_ahead(ends, {9: Line(np.array([[4.0, -3, 1], [4, 3, 1]]), (-1, -2))}, 14.01) == []
    narrow = [ends[0], free_end(1, (0, 4), (0.96, -0.28))]
    assert corners_ahead(narrow, {}, 60) == []


def test_of_ways_to_a_side_that_cross_the_shortest_is_taken():
    """The side's line leads on beside the ends and behind them."""
    points = [(0, 0, 2), (40, 0, 2), (40, -30, 2), (27, -30, 2), (27, -20, 2), (28.5, -30, 2)]
    side = {9: Line(np.array(points, float), (-1, -2))}
    up = np.sqrt(0.5)
    far, near = free_end(0, (30, -8), (-up, up)), free_end(1, (20, -6), (up, up))
    for ends, at in (([far], 22), ([far, near], 26), ([near, far], 26)):
        ((number, (crossing,)),) = sides_ahead(ends, side, 15).items()
        assert (number, crossing.at, *crossing.place) == pytest.approx((9, at, at, 0))


def ends_and_junctions(lines):
    """How many ends of lines are free, and the places where three or more meet."""
    ends = Counter(end for line in lines for end in (line.coords[0], line.coords[-1]))
    return sum(count == 1 for count in ends.values()), [place for place, count in ends.items() if count > 2]


@pytest.mark.parametrize(("gap", "joined"), [(4, True), (13.5, True), (16.5, False)])
@pytest.mark.parametrize("turn", [90, 60, 40])
def test_an_end_is_led_over_a_gap_to_the_side_that_it_points_at(lines_of, gap, joined, turn):
    main = street((5, 30), (155, 30), width=8)
    way = np.array([-np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    met = np.array([100, 30])
    start = met + (gap + 4 / np.sin(np.radians(turn))) * way
    lines, fields, _ = lines_of([main, street(start, met + 75 * way, width=5)])
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == ((3, 3, 1) if joined else (2, 4, 0))
    if joined:
        assert np.hypot(*(junctions[0] - met)) < 1.5
        assert fields["length"].sum() == pytest.approx(150 + 75, abs=2)
        assert sorted(fields["width"]) == pytest.approx([5, 8, 8], rel=0.1)


def test_an_end_is_not_led_to_a_road_that_runs_along_with_it(lines_of):
    lines, _, _ = lines_of([street((5, 30), (155, 30)), street((20, 59.5), (90, 37.5), width=4)])
    assert ends_and_junctions(lines) == (4, [])


def test_ends_from_both_sides_are_led_to_one_junction(lines_of):
    main = street((5, 60), (155, 60))
    lines, _, _ = lines_of([main, street((80, 5), (80, 50)), street((81, 70), (81, 115))])
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == (4, 4, 1)
    assert junctions[0] == pytest.approx((80.5, 60), abs=1)


# Roads with gaps, how many free ends are left and how many junctions.
ARMS = [street((0, 60), (74, 60)), street((86, 60), (160, 60)), street((80, 0), (80, 54)), street((80, 66), (80, 120))]
ACROSS = street((0, 60), (160, 60), width=3)
GAPS = {
    "crossing with all arms cut": (ARMS, 4, 1),
    "road that crosses a narrow one": ([ACROSS, street((80, 0), (80, 53)), street((80, 67), (80, 120))], 4, 1),
    "speck in the gap": ([*ARMS[:2], street((80, 57.5), (80, 62.5), width=2)], 2, 0),
    "two ends to one side, on ways that cross": (
        [street((0, 10), (160, 10)), street((76, 26), (40, 62), width=5), street((80, 23), (128, 71), width=5)],
        4,
        2,
    ),
}


@pytest.mark.parametrize("scene", GAPS)
def test_bridges_meet_roads_and_each_other_in_junctions_alone(lines_of, scene):
    roads, free_ends, junctions = GAPS[scene]
    lines, _, _ = lines_of(roads)
    free, places = ends_and_junctions(lines)
    assert (free, len(places)) == (free_ends, junctions)
    assert not any(a.crosses(b) for a, b in combinations(lines, 2))


@pytest.mark.parametrize(("end", "first"), [([(80, 62), (80, 115)], 57), ([(80, 45), (80, 5)], 50)])
def test_an_end_is_led_to_the_first_of_two_lines(lines_of, end, first):
    lines, _, _ = lines_of([street(*road, width=4) for road in ([(5, 50), (155, 50)], [(5, 57), (155, 57)], end)])
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free) == (4, 5)
    assert junctions == [pytest.approx((80, first), abs=0.5)]


def test_a_speck_is_not_led_to_a_road(lines_of):
    assert len(lines_of([street((5, 50), (155, 50)), street((80, 60), (80, 66), width=3)])[0]) == 1


def test_an_end_is_led_to_a_corner_and_to_a_ring(lines_of):
    (corner,), _, _ = lines_of([street((5, 50), (100, 50)), street((96, 60), (96, 115))])
    assert corner.length == pytest.approx(93 + 65, abs=4)
    ring = shapely.Point(100, 60).buffer(30).boundary.buffer(3)
    lines, fields, _ = lines_of([ring, street((5, 58), (60, 58))])
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == (2, 1, 1)
    assert fields["length"].sum() == pytest.approx(2 * np.pi * 30 + 65, rel=0.01)


def test_spurs_of_rough_edges_are_pruned(lines_of):
    rng = np.random.default_rng(1)
    bumps = [shapely.Point(x, 50 + side * 4).buffer(r) for x, side, r in
             zip(rng.uniform(15, 145, 40), rng.choice([-1, 1], 40), rng.uniform(0.5, 2, 40), strict=True)]  # fmt: skip
    road = shapely.union_all([street((5, 50), (155, 50)), *bumps])
    (line,), _, _ = lines_of(road)
    assert shapely.hausdorff_distance(line, shapely.LineString([(5, 50), (155, 50)])) < 2


@pytest.mark.parametrize("turn", [0, 20, 45])
@pytest.mark.parametrize(("ends", "count"), [([(80, 60), (80, 96)], 3), ([(80, 18), (80, 102)], 4)])
def test_wide_roads_keep_arms_that_are_longer_than_wide(lines_of, ends, count, turn):
    """Their lines end half a width before them: 24 m and 30 m from where they meet."""
    length = ends[-1][1] - 60
    axes = [((80 - length, 60), (80 + length, 60)), ends]
    roads = shapely.union_all([street(*axis, width=24) for axis in axes])
    lines, fields, _ = lines_of(affinity.rotate(roads, turn, (80, 60)))
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == (count, count, 1)
    assert fields["length"].sum() == pytest.approx(count * length, rel=0.05)


def test_a_crossing_at_the_raster_s_border_keeps_the_arms_that_lead_there(lines_of):
    lines, _, _ = lines_of([street((0, 13), (160, 13), width=10), street((80, 0), (80, 120), width=10)])
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, junctions) == (4, 4, [pytest.approx((80, 13), abs=0.5)])
    assert shapely.union_all(lines).bounds == pytest.approx((0, 0, 160, 120), abs=PIXEL)


@pytest.mark.parametrize(("reach", "count"), [(12, 1), (16, 3)])
@pytest.mark.parametrize("turn", [0, 25])
def test_a_drive_is_an_arm_where_it_leads_farther_than_the_road_is_wide(lines_of, reach, count, turn):
    roads = [street((10, 50), (150, 50), width=14), street((80, 50), (80, 50 + reach), width=6)]
    lines, _, _ = lines_of([affinity.rotate(road, turn, (80, 60)) for road in roads])
    assert len(lines) == count


def test_small_holes_do_not_split_a_road(lines_of):
    road = street((5, 50), (155, 50), width=10).difference(shapely.Point(80, 50).buffer(2))
    assert len(lines_of(road)[0]) == 4
    (line,), fields, _ = lines_of(road, options=VectorSettings(fill_holes=20))
    assert abs(shapely.get_coordinates(line)[:, 1] - 50).max() < 0.5
    assert fields["width"] == pytest.approx([10], rel=0.05)


def test_patches_that_are_no_road_give_no_line(lines_of):
    assert len(lines_of([shapely.Point(40, 50).buffer(10), street((100, 20), (104, 20), width=3)])[0]) == 0


def test_roads_that_are_too_small_are_left_out(lines_of):
    """By the area of the road, which is longer than the line in it: 36 square metres."""
    road = street((100, 20), (112, 20), width=3)
    for least, count in ((33, 1), (39, 0)):
        assert len(lines_of(road, options=VectorSettings(least))[0]) == count


def test_a_road_goes_on_to_the_raster_s_edge(lines_of):
    lines, fields, _ = lines_of([street((-20, 30), (200, 60)), street((120, 80), (120, 140))])
    assert len(lines) == 2
    long, short = lines[np.argsort(-fields["length"])]
    assert (long.bounds[0], long.bounds[2]) == pytest.approx((0, 160), abs=PIXEL)
    assert short.bounds[3] == pytest.approx(120, abs=PIXEL)
    assert short.bounds[1] == pytest.approx(80, abs=1)


@pytest.mark.parametrize("width", [4, 8, 15])
@pytest.mark.parametrize("angle", [55, 70, 90, 100, 123])
def test_a_road_that_the_raster_ends_is_straight_up_to_its_border(lines_of, width, angle):
    axis = affinity.rotate(shapely.LineString([(-119, 60), (281, 60)]), angle)
    (line,), fields, _ = lines_of([axis.buffer(width / 2)])
    inside = axis.intersection(shapely.box(0, 0, 160, 120))
    assert shapely.hausdorff_distance(line, inside) < PIXEL
    assert fields["width"] == pytest.approx([width], abs=0.5 * PIXEL)


@pytest.mark.parametrize(("width", "aside"), [(12, 6), (20, 10), (20, 14)])
@pytest.mark.parametrize("turn", [0, 90])
def test_a_road_that_the_raster_ends_at_its_corner_has_no_leg_there(lines_of, width, aside, turn):
    drawn = shapely.LineString([(aside - 60, -60), (aside + 50, 50)])
    axis = affinity.rotate(drawn, turn, (60, 60))
    (line,), _, _ = lines_of([axis.buffer(width / 2, cap_style="flat")], (240, 240))
    inside = axis.intersection(shapely.box(0, 0, 120, 120))
    assert shapely.hausdorff_distance(line, inside) < 1.5


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("angle", [10, 15, 22, 30])
def test_a_road_that_leaves_the_raster_at_a_slant_ends_where_its_axis_does(lines_of, width, angle):
    """Beside the border its edge is still in the raster, up to 46 m farther."""
    axis = affinity.rotate(shapely.LineString([(-200, 0), (300, 0)]), angle, (30, 0))
    (line,), fields, _ = lines_of([axis.buffer(width / 2)])
    assert shapely.hausdorff_distance(line, axis.intersection(shapely.box(0, 0, 160, 120))) < PIXEL
    assert fields["width"] == pytest.approx([width], abs=0.5 * PIXEL)


@pytest.mark.parametrize(("wide", "slip"), [
    (street((78, 123), (56, -10), width=33), street((80, 123), (108, 98), (168, 116), width=11)),
    (street((68, 123), (40, -10), width=27), street((75, 123), (98, 95), (158, 121), width=11)),
    (street((70, 123), (46, -10), width=30), street((71, 123), (100, 96), (160, 111), width=10)),
])  # fmt: skip
def test_lines_led_to_the_raster_s_border_do_not_cross_others(lines_of, wide, slip):
    """Where roads meet just beyond it."""
    lines, _, _ = lines_of([wide, slip])
    assert not any(a.crosses(b) for a, b in combinations(lines, 2))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("axis", [4, 3, 0, -2])
def test_a_road_along_the_raster_s_border_is_where_and_as_wide_as_the_raster_shows(lines_of, axis, turn):
    roads = [street((20, axis), (200, axis)), street((70, axis), (70, 200), width=5)]
    lines, fields, _ = lines_of([affinity.rotate(road, turn, (60, 60)) for road in roads], (240, 240))
    shown = axis + 4
    arms = [affinity.rotate(shapely.LineString([(70, shown / 2), end]), turn, (60, 60))
            for end in ((20, shown / 2), (120, shown / 2), (70, 120))]  # fmt: skip
    assert len(lines) == 3
    axes, found = shapely.union_all(arms), shapely.union_all(lines)
    assert shapely.distance(shapely.points(shapely.get_coordinates(found)), axes).max() < PIXEL
    assert shapely.hausdorff_distance(found, axes) <= shown / 2
    assert sorted(fields["width"]) == pytest.approx(sorted([shown, shown, 5]), abs=PIXEL)


@pytest.mark.parametrize("pixel", [(0.5, 1.0), (1.0, 0.5), (0.5, 1.5)])
@pytest.mark.parametrize("end", [(160, 3), (2, 120)])
def test_a_road_along_the_border_of_oblong_pixels_is_as_wide_as_they_show(oblong_lines_of, pixel, end):
    (line,), fields, _ = oblong_lines_of(
        street((-20, 3), (180, 3)) if end[0] == 160 else street((3, -20), (3, 140)), pixel
    )
    middle = shapely.line_interpolate_point(line, 0.5, normalized=True)
    aside = TOP - middle.y if end[0] == 160 else middle.x - LEFT
    assert aside == pytest.approx(3.5, abs=max(pixel) / 2)
    assert fields["width"] == pytest.approx([7], abs=max(pixel))


@pytest.mark.parametrize(("width", "aside"), [(8, 0), (16, 4), (40, -10), (60, -20)])
@pytest.mark.parametrize("angle", [25, 45, 65])
def test_a_road_that_only_covers_the_raster_s_corner_has_no_line_around_it(lines_of, width, aside, angle):
    axis = affinity.rotate(shapely.LineString([(-300, aside), (300, aside)]), -angle, (0, 0))
    assert len(lines_of([axis.buffer(width / 2), street((100, 60), (140, 60))])[0]) == 1


@pytest.mark.parametrize("axis", ["(70 -10, 70 8, 150 9)", "(-10 1, 100 1, 150 60)"])
def test_a_road_that_turns_at_the_raster_s_border_is_followed(lines_of, axis):
    axis = shapely.from_wkt(f"LINESTRING {axis}")
    (line,), _, _ = lines_of([axis.buffer(4)])
    inside = axis.intersection(shapely.box(0, 0, 160, 120))
    assert shapely.hausdorff_distance(line, inside) < 4


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_no_line_leaves_the_raster(lines_of, turn):
    """Junctions of a road that the raster cuts lengthwise settle beyond its border."""
    along, across = street((-31, -100), (54, 300), width=24), street((3, 60), (103, 60))
    roads = [affinity.rotate(each, turn, (60, 60)) for each in (along, across)]
    lines, _, _ = lines_of(roads, (240, 240))
    assert len(lines) >= 3
    assert shapely.box(0, 0, 120, 120).buffer(1e-3).covers(shapely.union_all(lines))


def town():
    """Streets of many widths and directions that cross the blocks' edges, along them, too."""
    rng = np.random.default_rng(3)
    across = [street((-10, y), (170, y + rng.uniform(-15, 15)), width=w) for y, w in ((20, 5), (60, 9), (100, 6))]
    down = [street((x, -10), (x + rng.uniform(-15, 15), 130), width=w) for x, w in ((25, 7), (64, 4), (130, 12))]
    ring = shapely.Point(96, 60).buffer(20).boundary.buffer(3)
    return shapely.union_all([*across, *down, ring, street((45, 0), (45, 120), width=4)])


def test_blocks_make_no_difference(lines_of, monkeypatch):
    whole, whole_fields, _ = lines_of(town())
    for block in (128, 97):
        monkeypatch.setattr(skeleton, "_BLOCK", block)
        lines, fields, _ = lines_of(town())
        assert len(lines) == len(whole)
        assert fields["length"].sum() == pytest.approx(whole_fields["length"].sum(), rel=1e-3)
        inner = [shapely.intersection(shapely.union_all(each), shapely.box(2, 2, 158, 118)) for each in (lines, whole)]
        assert shapely.hausdorff_distance(*inner, densify=0.1) < PIXEL
        assert fields["width"].mean() == pytest.approx(whole_fields["width"].mean(), rel=0.01)


def test_blocks_make_no_difference_along_the_raster_s_border(lines_of, monkeypatch):
    roads = [street((-20, 2), (200, 2)), street((157, -20), (162, 200), width=10), street((60, 0), (66, 120))]
    whole, whole_fields, _ = lines_of(roads)
    assert len(whole) == 3
    for block in (128, 97):
        monkeypatch.setattr(skeleton, "_BLOCK", block)
        lines, fields, _ = lines_of(roads)
        assert shapely.hausdorff_distance(shapely.union_all(lines), shapely.union_all(whole)) < PIXEL
        assert sorted(fields["width"]) == pytest.approx(sorted(whole_fields["width"]), rel=0.01)


@pytest.mark.parametrize("block", range(98, 102))
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_junction_on_the_edge_of_two_blocks_is_one(lines_of, monkeypatch, block, turn):
    """A road that ends in the row, or column, of pixels along which another leads from block to block."""
    monkeypatch.setattr(skeleton, "_BLOCK", block)
    roads = [street((20, 50), (80, 50)), street((50, 50), (50, 20))]
    turned = [affinity.rotate(road, turn, (50, 50)) for road in roads]
    lines, _, _ = lines_of(turned, (240, 240))
    free, junctions = ends_and_junctions(lines)
    assert (len(lines), free, len(junctions)) == (3, 3, 1)


@pytest.mark.parametrize("tolerance", [0, 0.3, 1])
def test_no_line_runs_as_another_does(lines_of, tolerance):
    """Around small holes the skeleton has a line on either side."""
    rng = np.random.default_rng(0)
    holes = [shapely.box(x, y, x + PIXEL, y + PIXEL) for x, y in rng.uniform((0, 0), (160, 120), (60, 2))]
    lines, fields, _ = lines_of([town() - shapely.union_all(holes)], options=VectorSettings(tolerance=tolerance))
    assert len({line.normalize().wkb for line in lines}) == len(lines)
    rings = shapely.is_closed(lines)
    assert (fields["length"][rings] > 2 * fields["width"][rings]).all()
    _, whole_fields, _ = lines_of([town()], options=VectorSettings(tolerance=tolerance))
    areas = [(each["width"] * each["length"]).sum() for each in (fields, whole_fields)]
    assert areas[0] == pytest.approx(areas[1], rel=0.05)


def test_roads_that_do_not_touch_do_not_change_each_other(lines_of):
    """Though one surrounds another, and comes into the box around a third."""
    ring = shapely.Point(80, 60).buffer(45).boundary.buffer(4)
    inside = shapely.union_all([street((55, 60), (105, 64), width=13), street((80, 35), (76, 85), width=5)])
    roads = [ring, inside, street((112, 112), (152, 76), width=9)]
    apart = VectorSettings(bridge=0, tolerance=0.3)
    alone = [line for road in roads for line in lines_of([road], options=apart)[0].tolist()]
    together = lines_of(roads, options=apart)[0].tolist()
    assert {line.wkb for line in together} == {line.wkb for line in alone}
    assert len(together) == len(alone) == 6


# Of the last, many lines are as long as their roads are wide.
@pytest.mark.parametrize(("grain", "bridge", "pixel"), [(2.5, 5, 0.3), (2.5, 0, 0.4), (0, 0, 0.3)])
def test_the_same_mask_gives_the_same_lines_wherever_it_lies(
    make_raster, read_vector, reporter, tmp_path, grain, bridge, pixel
):
    """Many of its pixels are as far from one edge as from another."""
    field = gaussian_filter(np.random.default_rng(0).random((160, 200)), grain)
    mask = (field <= np.quantile(field, 0.4)).astype(np.uint8)[None]

    def lines_at(x, y):
        transform = Affine.translation(466_000 + x, 5_250_000 + y) @ Affine.scale(pixel, -pixel)
        surface = make_raster(mask, transform=transform, crs="EPSG:32632")
        (tmp_path / "lines.gpkg").unlink(missing_ok=True)
        write_centre_lines(surface, tmp_path / "lines.gpkg", VectorSettings(tolerance=0, bridge=bridge), reporter)
        lines = read_vector(tmp_path / "lines.gpkg")[0]
        return shapely.union_all(shapely.transform(lines, lambda points: points - transform @ (0, 0)))

    here = lines_at(0, 0)
    for x, y in ((3000, 0), (1234.5, 3000), (-300_000, -50_000)):
        assert shapely.hausdorff_distance(here, lines_at(x, y)) < 0.01


def test_a_hall_wider_than_the_blocks_see_does_not_fail(lines_of, monkeypatch):
    monkeypatch.setattr(skeleton, "_BLOCK", 64)
    monkeypatch.setattr(skeleton, "_HALO", (16, 16))
    lines, _, _ = lines_of([shapely.box(20, 10, 140, 110), street((0, 60), (30, 60))])
    assert shapely.is_valid(lines).all()


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        # 0.5 m of longitude and of latitude at 60 degrees north.
        ("EPSG:4326", Affine(0.5 / 55800.0, 0, 10, 0, -0.5 / 111412.0, 60)),
        # At 60 degrees north a metre of Web Mercator is half a metre.
        ("EPSG:3857", Affine(1, 0, 1113195, 0, -1, 8399738)),
        ("EPSG:32632", Affine.translation(LEFT, TOP) @ Affine.rotation(33) @ Affine.scale(0.5, -0.5)),
        ("EPSG:32632", Affine(0.5, 0, LEFT, 0, 0.5, TOP)),
    ],
    ids=["degrees", "web mercator", "rotated", "south up"],
)
def test_measures_are_metres_on_the_ground_anywhere(lines_of, crs, transform):
    (line,), fields, meta = lines_of(street((20, 30), (140, 80), width=9), crs=crs, transform=transform)
    assert fields["length"] == pytest.approx([130], rel=0.01)
    assert fields["width"] == pytest.approx([9], rel=0.05)
    assert CRS.from_user_input(meta["crs"]) == CRS.from_user_input(crs)
    ends = sorted([~transform @ line.coords[0], ~transform @ line.coords[-1]])
    assert np.array(ends) == pytest.approx(np.array([(40, 60), (280, 160)]), abs=2)


OBLONG = [(0.5, 1.0), (0.5, 2.9), (2.0, 0.5)]


@pytest.fixture
def oblong_lines_of(lines_of):
    """As `lines_of`, for pixels of any width and height in metres."""

    def find(roads, pixel):
        drawn = shapely.transform(np.atleast_1d(roads), lambda points: points * PIXEL / pixel)
        shape = round(120 / pixel[1]), round(160 / pixel[0])
        transform = Affine(pixel[0], 0, LEFT, 0, -pixel[1], TOP)
        return lines_of(drawn, shape, VectorSettings(tolerance=0.3), transform)

    return find


@pytest.mark.parametrize("width", [5.0, 12.0])
@pytest.mark.parametrize("angle", [0, 30, 90])
@pytest.mark.parametrize("pixel", OBLONG)
def test_roads_in_oblong_pixels_are_as_long_and_as_wide_as_drawn(oblong_lines_of, pixel, angle, width):
    way = 45 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    ends = np.add([way, -way], (80, 60))
    (line,), fields, _ = oblong_lines_of(street(*ends, width=width), pixel)
    assert fields["length"] == pytest.approx([90], abs=0.5 + max(pixel))
    assert fields["width"] == pytest.approx([width], rel=0.05, abs=0.7 * max(pixel))
    axis = shapely.LineString(ends * (1, -1) + (LEFT, TOP))
    assert shapely.hausdorff_distance(line, axis) < 0.2 * width + max(pixel)


@pytest.mark.parametrize("pixel", OBLONG)
def test_blocks_make_no_difference_to_oblong_pixels(oblong_lines_of, monkeypatch, pixel):
    whole, whole_fields, _ = oblong_lines_of(town(), pixel)
    monkeypatch.setattr(skeleton, "_BLOCK", 97)
    lines, fields, _ = oblong_lines_of(town(), pixel)
    assert len(lines) == len(whole)
    assert fields["length"].sum() == pytest.approx(whole_fields["length"].sum(), rel=1e-3, abs=max(pixel))
    assert fields["width"].mean() == pytest.approx(whole_fields["width"].mean(), rel=0.01)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 62)), ("EPSG:3857", Affine(2000, 0, 1113195, 0, -2000, 8859143))],
    ids=["degrees", "web mercator"],
)
def test_widths_hold_far_from_the_raster_s_centre(lines_of, crs, transform):
    """Rasters eight degrees high, with roads along both axes at their upper and lower ends."""
    along_x, along_y = [(10, 15), (90, 15)], [(50, 330), (50, 390)]
    _, fields, _ = lines_of(
        [street(*road, width=5) for road in (along_x, along_y)], (800, 200), SETTINGS, transform, crs
    )
    for road, axis, width in zip((along_x, along_y), (1, 0), fields["width"], strict=True):
        x, y = transform @ (np.mean(road, axis=0) / PIXEL)
        across = metres_per_unit(CRS.from_string(crs), [x], [y])[axis]
        assert width == pytest.approx(5 / PIXEL * transform.a * across[0], rel=0.02)


def test_lines_can_be_in_another_crs(lines_of):
    (line,), fields, meta = lines_of(street((20, 30), (140, 80)), target=CRS.from_epsg(4326))
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 4326
    expected = rasterio.warp.transform("EPSG:32632", "EPSG:4326", [LEFT + 80], [TOP - 55])
    assert line.distance(shapely.Point(*np.ravel(expected))) < 1e-5
    assert fields["length"] == pytest.approx([130], rel=0.01)


@pytest.mark.parametrize("value", [0, SURFACE_NODATA])
def test_no_road_gives_an_empty_layer(make_raster, read_vector, reporter, tmp_path, value):
    surface = make_raster(np.full((1, 40, 50), value, np.uint8), nodata=SURFACE_NODATA)
    assert write_centre_lines(surface, tmp_path / "c.gpkg", SETTINGS, reporter) == 0
    lines, fields, meta = read_vector(tmp_path / "c.gpkg")
    assert (len(lines), list(fields), meta["geometry_type"]) == (0, ["width", "length"], "LineString")


def test_a_raster_that_is_all_road_has_no_line(make_raster, reporter, tmp_path):
    for shape in ((1, 1), (1, 50), (40, 50)):
        surface = make_raster(np.ones((1, *shape), np.uint8), f"{shape}.tif")
        assert write_centre_lines(surface, tmp_path / f"{shape}.gpkg", SETTINGS, reporter) == 0


# Of the second, junctions with a line between them settle in one place.
@pytest.mark.parametrize(("seed", "share", "shape"), [(0, 0.4, (100, 100)), (33, 0.97, (200, 300))])
def test_noise_gives_valid_lines(make_raster, read_vector, reporter, tmp_path, seed, share, shape):
    noise = np.random.default_rng(seed).random((1, *shape)) < share
    surface = make_raster(noise.astype(np.uint8))
    settings = VectorSettings(0, fill_holes=0, tolerance=0, smooth=2, bridge=5)
    count = write_centre_lines(surface, tmp_path / "c.gpkg", settings, reporter)
    lines, fields, _ = read_vector(tmp_path / "c.gpkg")
    assert len(lines) == count
    assert shapely.is_valid(lines).all()
    assert (fields["width"] > 0).all() and (fields["length"] > 0).all()


def test_it_stops_where_the_user_asks(make_raster, stopping_reporter, tmp_path):
    surface = make_raster(np.zeros((1, 40, 50), np.uint8))
    with pytest.raises(CancelledError):
        write_centre_lines(surface, tmp_path / "c.gpkg", SETTINGS, stopping_reporter(0.5))


def test_ends_that_face_each_other_are_those_of_all_pairs():
    """An oracle that looks at every pair, the nearest first, and at what stands between them."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 400)
    ends = [
        FreeEnd(number, number, np.array([*rng.uniform(0, 150, 2), width]), np.array([np.cos(angle), np.sin(angle)]))
        for number, (angle, width) in enumerate(zip(angles, rng.uniform(1, 70, 400), strict=True))
    ]
    walls = rng.uniform(0, 150, (20, 2, 2))
    lines = {number: Line(np.insert(wall, 2, 4, axis=1), (-1, -2)) for number, wall in enumerate(walls)}
    found = []
    for a, b in combinations([end for end in ends if end.point[2] <= 60], 2):
        way = b.place - a.place
        distance = np.hypot(*way)
        gap = max(distance - (a.point[2] + b.point[2]) / 2, 0)
        aims = np.degrees(np.arccos(np.clip([way @ a.direction, -way @ b.direction] / distance, -1, 1)))
        straight = shapely.LineString([a.place, b.place])
        if gap <= 12 and aims.max() <= 30 and not shapely.crosses(straight, shapely.linestrings(walls)).any():
            found.append((gap, a.line, b.line, straight))
    nearest, taken = [], set()
    for _, a, b, straight in sorted(found, key=lambda each: each[:3]):
        if not {a, b} & taken:
            taken |= {a, b}
            nearest.append((a, b, straight))
    expected, ways = [], []
    for a, b, straight in nearest:
        if not shapely.crosses(straight, ways).any():
            ways.append(straight)
            expected.append((a, b))
    with patch.object(gaps, "_ENDS_AT_ONCE", 7):
        pairs = facing_ends(ends, lines, 12)
    assert len(nearest) > len(expected) > 30
    assert [(a.line, b.line) for a, b in pairs] == expected


def test_ways_that_touch_are_bridged_alike_wherever_they_lie():
    rng = np.random.default_rng(0)
    places, angles = rng.permutation(400)[:200], rng.uniform(0, 2 * np.pi, 200)

    def pairs_at(origin):
        points = np.stack(np.divmod(places, 20), axis=1) * 0.3 + origin
        ends = [
            FreeEnd(number, number, np.append(point, 0.1), np.array([np.cos(angle), np.sin(angle)]))
            for number, (point, angle) in enumerate(zip(points, angles, strict=True))
        ]
        return [(a.line, b.line) for a, b in facing_ends(ends, {}, 4.1)]

    assert len(pairs_at((0, 0))) > 20
    assert pairs_at((0, 0)) == pairs_at((1234.56, 789.1)) == pairs_at((4e4, 7e4))
