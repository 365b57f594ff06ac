"""From vector files to labels: the right pixels, whatever the CRS, the type and the state of the geometries."""

import os
import sqlite3
from contextlib import closing
from zipfile import ZipFile

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from qgis_sslkd.core.errors import AnnotationError, SettingError
from qgis_sslkd.core.geodata import ground
from qgis_sslkd.core.geodata.annotations import Annotation, annotate, are_near, read_polygons
from qgis_sslkd.core.geodata.rasters import RasterInfo, inspect_raster
from qgis_sslkd.core.labels import IGNORE

UTM = CRS.from_epsg(32632)
DEGREES = CRS.from_epsg(4326)
LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 0.5
LOCAL = 'LOCAL_CS["Arbitrary (m)",UNIT["metre",1]]'
BOWTIE = "POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))"


def raster(width=40, height=30, crs=UTM, transform=None):
    transform = transform or Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP)
    return RasterInfo("raster.tif", width, height, crs, transform, (1,), "uint8", False, (PIXEL, PIXEL))


def on_ground(shape, info, crs):
    """A shape in pixels of a raster as a shape in a CRS."""

    def place(points):
        xs, ys = info.transform @ tuple(points.T)
        return np.column_stack(transform_points(info.crs, crs, xs, ys))

    return shapely.transform(shape, place)


def all_labels(annotation, info):
    return annotation.labels(info.window, (info.height, info.width))


def drawn(*boxes, shape=(30, 40)):
    mask = np.zeros(shape, dtype=np.uint8)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 1
    return mask


def assert_labels_are(expected, path, info):
    """Whether all of a layer is read or only what is at the raster."""
    for rasters in ([], [info]):
        roads = read_polygons(path, None, rasters)
        np.testing.assert_array_equal(all_labels(annotate(info, [roads], []), info), expected)


ROADS = [(3, 5, 11, 9), (20, 0, 25, 30), (30, 20, 40, 30)]
PLACES = {
    "utm": (UTM, None),
    "rotated": (UTM, Affine.translation(LEFT, TOP) @ Affine.rotation(30) @ Affine.scale(PIXEL, -PIXEL)),
    "south up": (UTM, Affine(PIXEL, 0, LEFT, 0, PIXEL, TOP)),
    "degrees": (DEGREES, Affine(2.7e-6, 0, -115.17, 0, -2.7e-6, 36.24)),
    "web mercator": (CRS.from_epsg(3857), Affine(1, 0, 1.1e6, 0, -1, 8.4e6)),
    "antimeridian": (CRS.from_epsg(3832), Affine(1, 0, 3339584 - 20, 0, -1, -1.8e6)),
    "custom": (CRS.from_proj4("+proj=laea +lat_0=46 +lon_0=9 +datum=WGS84"), Affine(PIXEL, 0, 7e3, 0, -PIXEL, 9e3)),
}


@pytest.mark.parametrize("drawn_in", ["own", "EPSG:4326", "EPSG:3857", "ESRI:54009"])
@pytest.mark.parametrize("place", PLACES)
def test_roads_lie_on_their_pixels_whatever_the_crs(make_vector, place, drawn_in):
    crs, transform = PLACES[place]
    info = raster(crs=crs, transform=transform)
    target = crs if drawn_in == "own" else CRS.from_user_input(drawn_in)
    boxes = [on_ground(shapely.box(*box), info, target) for box in ROADS]
    path = str(make_vector(boxes, crs=target.to_wkt()))
    assert_labels_are(drawn(*ROADS), path, info)


MERCATOR = CRS.from_epsg(3857)
TURNS = {"EPSG:4326": 360.0, "EPSG:4269": 360.0, "EPSG:3857": 2 * np.pi * 6378137}
ANTIMERIDIAN = {
    **{f"degrees {lon}": (DEGREES, Affine(1e-5, 0, lon - 20e-5, 0, -1e-5, -17)) for lon in (-180, 180, 180.01, -181)},
    **{
        f"web mercator {x}": (MERCATOR, Affine(1, 0, x * TURNS["EPSG:3857"] / 2 - 20, 0, -1, -2e6))
        for x in (-1, 1, 1.001, -1.1)
    },
    "utm": (CRS.from_epsg(32701), Affine(1, 0, 184_000, 0, -1, 8.1e6)),
    "pacific": (CRS.from_epsg(3832), Affine(1, 0, 3339584 - 20, 0, -1, -1.8e6)),
}


@pytest.mark.parametrize("drawn_in", ["EPSG:4326", "EPSG:4269", "EPSG:3857", "EPSG:32760", "EPSG:32701", "EPSG:3832"])
@pytest.mark.parametrize("place", ANTIMERIDIAN)
@pytest.mark.parametrize("turns", [-1, 0])
def test_roads_meet_rasters_across_and_beyond_the_antimeridian(make_vector, place, turns, drawn_in):
    crs, transform = ANTIMERIDIAN[place]
    info = raster(crs=crs, transform=transform)
    here = [on_ground(shapely.box(*box), info, CRS.from_user_input(drawn_in)) for box in ROADS]
    turn = TURNS.get(drawn_in, 0)
    # Drawn without a jump from one side to the other.
    whole = shapely.transform(here, lambda points: points + np.outer((points[:, 0] < 0) * turn, (1, 0)))
    boxes = shapely.transform(whole, lambda points: points + np.array([turn * turns, 0]))
    assert_labels_are(drawn(*ROADS), str(make_vector(boxes, crs=drawn_in)), info)


@pytest.mark.parametrize("turns", [-1, 0, 1])
def test_rasters_are_near_whichever_way_round_the_earth_is_counted(turns):
    east = raster(crs=CRS.from_epsg(32701), transform=Affine(1, 0, 184_500, 0, -1, 8.1e6))
    (x,), (y,) = transform_points(east.crs, MERCATOR, [184_500], [8.1e6])
    beside = Affine(1, 0, x + turns * TURNS["EPSG:3857"], 0, -1, y)
    moves = ((0, 0), (1000, 0), (-1000, 0), (0, 1000), (0, -1000))
    others = [raster(crs=MERCATOR, transform=Affine.translation(*move) @ beside) for move in moves]
    assert are_near(east, others).tolist() == [True, False, False, False, False]
    assert are_near(east, []).tolist() == []


def test_each_of_many_rasters_is_brought_to_degrees_once(monkeypatch):
    """A training may have a thousand of them, each of which is looked for beside all the others."""
    rasters = [raster(transform=Affine(0.5, 0, 500_000 + 30 * k, 0, -0.5, 5.2e6)) for k in range(8)]
    brought = []
    monkeypatch.setattr(ground, "transform_bounds", lambda *given: brought.append(given) or transform_bounds(*given))
    near = np.array([are_near(one, rasters) for one in rasters])
    assert 0 < near.sum() < near.size
    assert len(brought) == len(rasters)


def test_outside_of_the_area_nothing_is_labelled(make_vector):
    info = raster()
    boxes = [on_ground(shapely.box(*box), info, UTM) for box in ROADS]
    areas = [on_ground(shapely.box(*box), info, DEGREES) for box in [(0, 0, 10, 10), (8, 4, 24, 28), (-50, 25, 5, 99)]]
    roads = read_polygons(str(make_vector(boxes, "roads.gpkg")), line_width=None)
    area = read_polygons(str(make_vector(areas, "area.gpkg", crs="EPSG:4326")), line_width=None)
    inside = drawn((0, 0, 10, 10), (8, 4, 24, 28), (0, 25, 5, 30))
    expected = np.where(inside, drawn(*ROADS), IGNORE)
    np.testing.assert_array_equal(all_labels(annotate(info, [roads], [area]), info), expected)


def test_several_layers_count_together(make_vector):
    info = raster()
    layers = [
        read_polygons(str(make_vector([on_ground(shapely.box(*box), info, UTM)], f"{k}.gpkg")), line_width=None)
        for k, box in enumerate(ROADS)
    ]
    expected = np.where(drawn(*ROADS[:2]), 1, IGNORE)
    np.testing.assert_array_equal(all_labels(annotate(info, layers, layers[:2]), info), expected)


@pytest.fixture(scope="module")
def annotated():
    """Boxes and a slanted area that do not follow the pixels, and their labels of the whole raster."""
    info = raster(width=60, height=50)
    rng = np.random.default_rng(0)
    corners = rng.uniform(-5, 55, (25, 2))
    boxes = shapely.box(*corners.T, *(corners + rng.uniform(1, 12, (25, 2))).T)
    annotation = Annotation(shapely.STRtree(boxes), shapely.STRtree([shapely.Point(25, 25).buffer(24.3)]))
    return annotation, all_labels(annotation, info)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_labels_of_a_window_are_those_of_the_whole(annotated, data):
    annotation, labels = annotated
    height, width = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 80))
    row, column = data.draw(st.integers(-20, 49)), data.draw(st.integers(-20, 59))
    found = annotation.labels(Window(column, row, width, height), (height, width))
    # Of the area as given, beyond the raster there is nothing.
    frame = np.full((200, 200), IGNORE, dtype=np.uint8)
    frame[50:100, 50:110] = labels
    expected = frame[50 + row : 50 + row + height, 50 + column : 50 + column + width]
    inside = (slice(max(0, -row), 50 - row), slice(max(0, -column), 60 - column))
    np.testing.assert_array_equal(found[inside], expected[inside])


def test_beyond_the_raster_nothing_is_labelled(make_vector):
    info = raster()
    roads = read_polygons(str(make_vector([on_ground(shapely.box(-50, -50, 90, 90), info, UTM)])), line_width=None)
    found = annotate(info, [roads], []).labels(Window(-5, -6, 50, 42), (42, 50))
    np.testing.assert_array_equal(found, np.pad(drawn((0, 0, 40, 30)), ((6, 6), (5, 5)), constant_values=IGNORE))


def test_labels_of_a_resampled_window_are_taken_at_its_pixels_centres(make_vector):
    info = raster(width=32, height=32)
    roads = read_polygons(str(make_vector([on_ground(shapely.box(8, 12, 20, 16), info, UTM)])), line_width=None)
    annotation = annotate(info, [roads], [])
    half = annotation.labels(Window(0, 0, 32, 32), (16, 16))
    np.testing.assert_array_equal(half, drawn((4, 6, 10, 8), shape=(16, 16)))
    double = annotation.labels(Window(8, 8, 16, 16), (32, 32))
    np.testing.assert_array_equal(double, drawn((0, 8, 24, 16), shape=(32, 32)))


FAR = {
    "pole": (179, 89, 180, 90),
    "antipodes": (-170, -48, -169, -47),
    "beyond the projection": (98, -1, 99, 0),
    "nowhere": (0, 80, 1, 95),
}


@pytest.mark.parametrize("far", FAR)
def test_roads_far_away_do_no_harm(make_vector, far):
    info = raster()
    near = on_ground(shapely.box(*ROADS[0]), info, DEGREES)
    assert_labels_are(drawn(ROADS[0]), str(make_vector([near, shapely.box(*FAR[far])], crs="EPSG:4326")), info)


@pytest.mark.parametrize("extent", [(-180, -90, 180, 90), (-80, -1, 98, 60)])
def test_an_area_as_large_as_the_world_holds_the_raster(make_vector, extent):
    info = raster()
    world = read_polygons(str(make_vector([shapely.box(*extent)], crs="EPSG:4326")), line_width=None)
    roads = read_polygons(str(make_vector([on_ground(shapely.box(*ROADS[0]), info, UTM)], "r.gpkg")), line_width=None)
    np.testing.assert_array_equal(all_labels(annotate(info, [roads], [world]), info), drawn(ROADS[0]))


def test_an_area_elsewhere_leaves_nothing_labelled(make_vector):
    info = raster()
    elsewhere = read_polygons(str(make_vector([on_ground(shapely.box(100, 0, 200, 30), info, UTM)])), line_width=None)
    annotation = annotate(info, [elsewhere], [elsewhere])
    assert (all_labels(annotation, info) == IGNORE).all()
    assert len(annotation.area.geometries) == 0


def test_a_layer_that_is_nowhere_is_named(make_vector):
    layer = read_polygons(str(make_vector([shapely.box(0, 0, 1, 1)], "plan.gpkg", crs=LOCAL)), line_width=None)
    with pytest.raises(AnnotationError, match=r"plan\.gpkg cannot be brought .* of raster\.tif"):
        annotate(raster(), [layer], [])


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326"])
def test_of_a_layer_only_what_is_at_a_raster_is_brought_to_it(make_vector, crs):
    """A layer of a county is brought to each of thousands of tiles."""
    info, boxes = raster(), [shapely.box(left, 5, left + 10, 15) for left in (5_000, 15, 10_000, 20)]
    path = make_vector([on_ground(box, info, CRS.from_user_input(crs)) for box in boxes], crs=crs)
    brought = read_polygons(str(path), line_width=None).in_pixels(info)
    assert shapely.bounds(brought)[:, 0] == pytest.approx([15, 20], abs=0.1)


@pytest.mark.parametrize("extension", ["gpkg", "shp", "fgb"])
@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3857"])
def test_of_a_layer_only_what_is_at_some_rasters_is_read(make_vector, crs, extension):
    """A layer may hold the roads of a country."""
    here, there = raster(), raster(transform=Affine(PIXEL, 0, LEFT + 5_000, 0, -PIXEL, TOP))
    # The second is drawn beside the raster, and reaches into it by half of its width; the third lies between both.
    lines = [f"LINESTRING ({x} 0, {x} 30)" for x in (15, 65, 5_000, 10_015, 50_000)]
    drawn_lines = [on_ground(shapely.from_wkt(line), here, CRS.from_user_input(crs)) for line in lines]
    path = str(make_vector(drawn_lines, f"roads.{extension}", crs=crs))
    whole = read_polygons(path, 30.0)
    for rasters, count in (([here], 2), ([there], 1), ([here, there], 4)):
        some = read_polygons(path, 30.0, rasters)
        assert len(some.polygons) == count
        for info in rasters:
            labels = [all_labels(annotate(info, [layer], []), info) for layer in (some, whole)]
            np.testing.assert_array_equal(*labels)


def test_the_extent_that_a_layer_tells_may_be_wrong(make_vector):
    """Not all programs write it anew when they add something."""
    here, there = raster(), raster(transform=Affine(PIXEL, 0, LEFT + 5_000, 0, -PIXEL, TOP))
    path = make_vector([on_ground(shapely.box(0, 0, 9, 9), info, UTM) for info in (here, there)])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE gpkg_contents SET max_x = ?", (LEFT + 5,))
    assert pyogrio.read_info(path)["total_bounds"][2] == LEFT + 5
    assert len(read_polygons(str(path), None, [here, there]).polygons) == 2


def test_of_a_layer_that_lies_elsewhere_all_is_read(make_vector):
    path = make_vector([on_ground(shapely.box(left, 0, left + 9, 9), raster(), UTM) for left in (9_000, 50_000)])
    assert len(read_polygons(str(path), None, [raster()]).polygons) == 2


def area_in_pixels(layer, info):
    return shapely.area(shapely.union_all(layer.in_pixels(info)))


@pytest.mark.parametrize("line", ["LINESTRING (5 15, 35 15)", "LINESTRING (10 2, 10 28)", "LINESTRING (4 4, 34 26)"])
@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3857", "EPSG:2154", "EPSG:3089"])
def test_lines_get_their_width_on_the_ground(make_vector, line, crs):
    """In metres, degrees, stretched metres and feet; measured by another way, in the raster's own pixels."""
    # EPSG:3089 is Kentucky's, in feet.
    place = Affine(PIXEL, 0, 5e5, 0, -PIXEL, 4.2e6)
    info = raster(transform=place) if crs != "EPSG:3089" else raster(crs=CRS.from_epsg(32616), transform=place)
    shape = shapely.from_wkt(line)
    path = make_vector([on_ground(shape, info, CRS.from_user_input(crs))], crs=crs)
    layer = read_polygons(str(path), line_width=3.0)
    assert area_in_pixels(layer, info) == pytest.approx(shape.length * 3.0 / PIXEL, rel=0.01)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("other", [(9.0, 60.0), (20.0, 40.0), (0.0, 0.0)])
def test_a_line_is_as_wide_wherever_others_lie(make_vector, crs, other):
    """Degrees and the metres of Web Mercator shrink towards the poles."""
    info = raster(transform=Affine(PIXEL, 0, 5e5, 0, -PIXEL, 6.65e6))  # at 60 degrees north
    shape = shapely.from_wkt("LINESTRING (10 2, 10 28)")
    (x,), (y,) = transform_points(DEGREES, CRS.from_user_input(crs), other[:1], other[1:])
    stray = shapely.LineString([(x, y), (x, y + 1e-4)])
    path = make_vector([on_ground(shape, info, CRS.from_user_input(crs)), stray], crs=crs)
    # Cut to the raster, to which the other one does not belong.
    near = shapely.intersection(read_polygons(str(path), line_width=6.0).in_pixels(info), shapely.box(-20, 0, 40, 30))
    assert shapely.area(near).sum() == pytest.approx(26 * 6.0 / PIXEL, rel=0.01)


@pytest.mark.parametrize(
    ("line", "crs"),
    [
        ("LINESTRING (0 0, 9 9)", LOCAL),
        ("LINESTRING (0 0, 0 1e300)", "EPSG:3857"),
        ("LINESTRING (0 146, 1 147)", "EPSG:4326"),
    ],
)
def test_lines_that_lie_nowhere_are_told(make_vector, line, crs):
    path = make_vector([line], "drawn.gpkg", crs=crs)
    with pytest.raises(AnnotationError, match=r"drawn\.gpkg holds lines at no place on the Earth"):
        read_polygons(str(path), line_width=6.0)


def test_widened_lines_end_where_they_were_drawn(make_vector):
    info = raster()
    path = make_vector([on_ground(shapely.from_wkt("LINESTRING (10 15, 30 15)"), info, UTM)])
    roads = read_polygons(str(path), line_width=2.0)
    np.testing.assert_array_equal(all_labels(annotate(info, [roads], []), info), drawn((10, 13, 30, 17)))


def test_lines_and_polygons_of_one_layer_both_count(make_vector):
    spiked = "POLYGON ((0 0, 4 0, 4 4, 9 4, 4 4, 0 4, 0 0))"  # whose spike is no line
    path = make_vector([spiked, "MULTILINESTRING ((10 0, 20 0), (10 9, 20 9))"])
    layer = read_polygons(str(path), line_width=2.0)
    assert sorted(shapely.area(layer.polygons)) == pytest.approx([16, 20, 20], rel=0.01)
    assert shapely.area(read_polygons(str(path), line_width=None).polygons).tolist() == [16]


@pytest.mark.parametrize(
    ("geometries", "area"),
    [
        ([BOWTIE], 2),
        (["MULTIPOLYGON (((0 0, 2 0, 2 2, 0 2, 0 0)), ((5 5, 6 5, 6 6, 5 6, 5 5)))"], 5),
        (["POLYGON Z ((0 0 1, 2 0 2, 2 2 3, 0 2 nan, 0 0 1))"], 4),
        (["GEOMETRYCOLLECTION (POINT (9 9), POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0)), LINESTRING (5 5, 9 9))"], 4),
        (["POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 3 1, 3 3, 1 3, 1 1))"], 12),
        (["POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))", None, "POLYGON EMPTY"], 4),
        (["POLYGON ((0 0, 2 0, 2 2, 5 2, 2 2, 0 2, 0 0))"], 4),  # with a spike
    ],
    ids=["bowtie", "multi", "3d", "collection", "hole", "null and empty", "spike"],
)
def test_whatever_was_drawn_becomes_valid_polygons(make_vector, geometries, area):
    layer = read_polygons(str(make_vector(geometries)), line_width=None)
    assert set(shapely.get_type_id(layer.polygons)) == {shapely.GeometryType.POLYGON}
    assert shapely.is_valid(layer.polygons).all()
    assert not shapely.has_z(layer.polygons).any()
    assert shapely.area(layer.polygons).sum() == pytest.approx(area)
    assert layer.crs == UTM


@pytest.mark.parametrize("nested", ["{}", "GEOMETRYCOLLECTION ({}, POINT (9 9))"])
@pytest.mark.parametrize("second", [(0, 0, 4, 1), (-1, 1, 5, 2), (1, 1, 2, 2)], ids=["corner", "crossing", "inside"])
def test_where_parts_of_one_feature_overlap_is_road(make_vector, nested, second):
    parts = [shapely.box(0, 0, 3, 3), shapely.box(*second)]
    layer = read_polygons(str(make_vector([nested.format(shapely.MultiPolygon(parts).wkt)])), line_width=None)
    assert shapely.union_all(layer.polygons).equals(shapely.union_all(parts))


@pytest.mark.parametrize("extension", ["gpkg", "shp", "geojson", "fgb"])
def test_formats(make_vector, extension):
    path = make_vector([shapely.box(0, 0, 2, 2)], f"straße [1].{extension}")
    layer = read_polygons(str(path), line_width=None)
    assert shapely.area(layer.polygons).tolist() == [4]
    assert layer.crs == UTM


def test_of_several_layers_one_is_to_be_named(make_vector):
    path = make_vector([shapely.box(0, 0, 1, 1)], layer="area")
    table = {"geometry_type": None, "layer": "layer_styles", "append": True, "crs": None}
    pyogrio.raw.write(str(path), geometry=None, field_data=[np.arange(2)], fields=["id"], **table)
    assert len(read_polygons(str(path), line_width=None).polygons) == 1
    make_vector([shapely.box(0, 0, 2, 2)], layer="roads", append=True)
    named = r"vector\.gpkg holds several layers \(area, roads\); name one, as in '.*vector\.gpkg\|layername=area'"
    with pytest.raises(AnnotationError, match=named):
        read_polygons(str(path), line_width=None)


def test_a_layer_is_chosen_by_its_name(make_vector):
    path = make_vector([shapely.box(0, 0, 1, 1)], layer="houses")
    make_vector([shapely.box(0, 0, 2, 2)], layer="roads", append=True)
    assert [name for name, _ in pyogrio.list_layers(path)] == ["houses", "roads"]
    layer = read_polygons(f"{path}|layername=roads", line_width=None)
    assert shapely.area(layer.polygons).tolist() == [4]
    with pytest.raises(AnnotationError, match="layername=rivers cannot be read"):
        read_polygons(f"{path}|layername=rivers", line_width=None)


def refusal(path, width=None, rasters=()):
    with pytest.raises(AnnotationError) as caught:
        read_polygons(str(path), width, rasters)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path, make_raster):
    torn = tmp_path / "torn.geojson"
    torn.write_text('{"type": "FeatureCollection", "features": [{"type": ')
    pixels = make_raster(np.zeros((1, 4, 4), np.uint8))
    for path in (tmp_path / "missing.gpkg", torn, pixels, tmp_path):
        assert "cannot be read" in refusal(path)


@pytest.fixture
def oddly_called(make_vector, tmp_path):
    """A folder with drawn roads, and a zip file of them, whose name holds what archives and URLs are told by."""
    plain, odd = tmp_path / "plain", tmp_path / "!Projects;b"
    plain.mkdir()
    for extension in ("gpkg", "shp"):
        make_vector([shapely.box(0, 0, 5, 5)], f"plain/roads.{extension}")
    with ZipFile(plain / "roads.zip", "w") as archive:
        archive.write(plain / "roads.gpkg", "roads.gpkg")
    return plain.rename(odd)


@pytest.mark.parametrize("name", ["roads.gpkg", "roads.gpkg|layername=roads", "roads.shp|layername=roads", "roads.zip"])
def test_a_layer_is_read_whatever_its_folder_is_called(oddly_called, name):
    (polygon,) = read_polygons(f"{oddly_called}/{name}", line_width=None).polygons
    assert polygon.equals(shapely.box(0, 0, 5, 5))


def test_a_layer_may_lie_in_an_archive(oddly_called):
    plain = oddly_called.rename(oddly_called.with_name("plain"))
    assert len(read_polygons(f"zip://{plain}/roads.zip!roads.gpkg", line_width=None).polygons) == 1
    assert len(read_polygons(f"/vsizip/{plain}/roads.zip/roads.gpkg", line_width=None).polygons) == 1


@pytest.mark.skipif(os.name != "posix", reason="drives are Windows's")
def test_a_layer_that_cannot_be_read_for_its_name_is_told(oddly_called):
    odd = (oddly_called / "roads.gpkg").rename(oddly_called / "roads!v2.gpkg")
    with pytest.raises(SettingError, match=r"roads!v2\.gpkg; choose a name without '!'"):
        read_polygons(f"{odd}|layername=roads", line_width=None)


def test_a_layer_without_crs_is_named(make_vector):
    assert "no coordinate reference system" in refusal(make_vector([shapely.box(0, 0, 1, 1)], crs=None))


def test_a_layer_without_polygons_is_named(make_vector):
    points = make_vector(["POINT (1 1)"], "points.gpkg")
    lines = make_vector(["LINESTRING (0 0, 1 1)"], "lines.gpkg")
    nothing = make_vector([shapely.Polygon()], "nothing.gpkg")
    for path in (points, lines, nothing):
        assert refusal(path).endswith("holds no polygons.")
        assert refusal(path, rasters=[raster()]).endswith("holds no polygons.")
    assert refusal(points, width=3.0).endswith("holds no polygons or lines.")
    assert len(read_polygons(str(lines), line_width=3.0).polygons) == 1


def test_real_roads_lie_on_the_real_raster(data_folder):
    folder = data_folder / "georeferenced"
    info = inspect_raster(str(folder / "vegas_rgba_uint8_epsg4326.tif"))
    roads = read_polygons(str(folder / "vegas_road_lines.geojson"), line_width=8.0)
    assert 0.02 < all_labels(annotate(info, [roads], []), info).mean() < 0.5
