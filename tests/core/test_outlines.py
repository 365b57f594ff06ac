"""Outlines are the mask again: whole, valid, measured on the ground."""

from unittest.mock import patch

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from places import PLACES
from rasterio.crs import CRS
from rasterio.features import rasterize, shapes
from rasterio.warp import transform as transform_points

from qgis_sslkd.core.errors import CancelledError, SettingError
from qgis_sslkd.core.geodata.outputs import PROBABILITY_NODATA, SURFACE_NODATA
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.core.vectors import ring_shapes, rings
from qgis_sslkd.core.vectors.corners import Rows
from qgis_sslkd.core.vectors.outlines import VectorSettings, write_outlines
from qgis_sslkd.core.vectors.rings import trace_rings

FORMATS = ["gpkg", "shp", "geojson", "fgb"]
EXACT = VectorSettings(least_area=0, tolerance=0)


@pytest.fixture(params=PLACES)
def place(request):
    crs, transform = PLACES[request.param]
    return CRS.from_user_input(crs), transform


def drawn(path, read_vector, transform, shape):
    geometries, _, _ = read_vector(path)
    return rasterize(geometries, out_shape=shape, transform=transform) if len(geometries) else np.zeros(shape, np.uint8)


@pytest.fixture
def surface_of(make_raster):
    """Writes a mask as a surface raster."""

    def make(mask, crs="EPSG:32632", transform=PLACES["utm"][1]):
        return make_raster(
            mask[None].astype(np.uint8), "surface.tif", crs=crs, transform=transform, nodata=SURFACE_NODATA
        )

    return make


@pytest.fixture(scope="module")
def mask_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("masks")


MASKS = arrays(
    np.uint8,
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    elements=st.sampled_from([0, 1, 1, SURFACE_NODATA]),
    fill=st.sampled_from([0, 1]),
)


def surface_in(folder, mask, transform):
    path = folder / "surface.tif"
    height, width = mask.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "uint8", "nodata": 255}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=transform, **profile) as dataset:
        dataset.write(mask, 1)
    return path


@settings(max_examples=60, deadline=None)
@given(MASKS, st.sampled_from(["utm", "rotated", "south up"]))
def test_outlines_that_are_not_simplified_are_the_mask(mask_folder, mask, place):
    transform = PLACES[place][1]
    surface, path = surface_in(mask_folder, mask, transform), mask_folder / "outlines.fgb"
    path.unlink(missing_ok=True)
    count = write_outlines(surface, path, EXACT, Silent())
    _, _, encoded, (areas,) = pyogrio.raw.read(path)
    geometries = shapely.from_wkb(encoded)
    assert len(geometries) == count
    assert shapely.is_valid(geometries).all()
    again = rasterize(geometries, out_shape=mask.shape, transform=transform) if count else np.zeros_like(mask)
    np.testing.assert_array_equal(again, mask == 1)
    pixel = abs(transform.determinant)
    assert areas.sum() == pytest.approx((mask == 1).sum() * pixel, rel=2e-3)
    assert shapely.area(geometries).sum() == pytest.approx((mask == 1).sum() * pixel)


@settings(max_examples=150, deadline=None)
@given(MASKS, st.sampled_from([0.05, 0.2, 0.3, 0.5, 1.0, 5.0]))
def test_simplified_outlines_are_valid_polygons_within_the_tolerance(mask_folder, mask, tolerance):
    surface = surface_in(mask_folder, mask, PLACES["utm"][1])
    shapes = []
    for step, name in ((0, "exact.fgb"), (tolerance, "simple.fgb")):
        (mask_folder / name).unlink(missing_ok=True)
        write_outlines(surface, mask_folder / name, VectorSettings(0, tolerance=step), Silent())
        shapes.append(shapely.from_wkb(pyogrio.raw.read(mask_folder / name)[2]))
    exact, simple = shapes
    assert len(exact) == len(simple)
    assert shapely.is_valid(simple).all()
    assert not shapely.is_empty(simple).any()
    assert set(shapely.get_type_id(simple)) <= {shapely.GeometryType.POLYGON}
    if len(exact):
        assert shapely.get_num_coordinates(simple).sum() <= shapely.get_num_coordinates(exact).sum()
        # The ground is 0.04 percent larger than the plane of UTM.
        lines = (shapely.union_all(shapely.boundary(each)) for each in (simple, exact))
        assert shapely.hausdorff_distance(*lines, densify=0.1) <= max(tolerance, 0.3 / 2) * 1.5


def test_a_random_town_of_crossing_patches_stays_valid(surface_of, read_vector, tmp_path):
    """Plain simplification lets some of these cross themselves."""
    rng = np.random.default_rng(5)
    mask = np.zeros((480, 480), np.uint8)
    for row in range(0, 480, 12):
        for column in range(0, 480, 12):
            mask[row : row + 11, column : column + 11] = rng.random((11, 11)) < rng.uniform(0.3, 0.8)
    for tolerance in (0.3, 0.5, 1.0):
        path = tmp_path / f"{tolerance}.gpkg"
        assert write_outlines(surface_of(mask), path, VectorSettings(0, tolerance=tolerance), Silent()) > 5000
        geometries, _, _ = read_vector(path)
        assert shapely.is_valid(geometries).all()


def test_outlines_reach_the_edges_of_the_raster(surface_of, read_vector, tmp_path, place):
    crs, transform = place
    surface = surface_of(np.ones((13, 17)), crs, transform)
    for tolerance in (0, 0.5):
        path = tmp_path / f"{tolerance}.gpkg"
        assert write_outlines(surface, path, VectorSettings(0, tolerance=tolerance), Silent()) == 1
        (outline,), _, _ = read_vector(path)
        corners = [transform @ corner for corner in [(0, 0), (17, 0), (17, 13), (0, 13)]]
        assert shapely.symmetric_difference(outline, shapely.Polygon(corners)).area < 1e-6 * outline.area


def test_outlines_carry_the_crs_of_the_raster(surface_of, read_vector, tmp_path, place):
    crs, transform = place
    write_outlines(surface_of(np.ones((5, 5)), crs, transform), tmp_path / "outlines.gpkg", EXACT, Silent())
    _, _, meta = read_vector(tmp_path / "outlines.gpkg")
    found = CRS.from_user_input(meta["crs"])
    assert found == crs or found.to_dict() == crs.to_dict()


UNSAID = CRS.from_epsg(2193).to_wkt().replace(',AUTHORITY["EPSG","2193"]', "")


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("code", ["EPSG:2193", UNSAID, "ESRI:54009", "+proj=laea +lat_0=-41 +lon_0=173 +datum=WGS84"])
def test_every_format_has_the_outlines_where_they_lie(surface_of, read_vector, tmp_path, extension, code):
    crs, path = CRS.from_user_input(code), tmp_path / f"outlines.{extension}"
    x, y = np.ravel(transform_points("EPSG:4326", crs, [173], [-41]))
    write_outlines(surface_of(np.ones((2, 2)), crs, Affine(1, 0, x - 1, 0, -1, y + 1)), path, EXACT, Silent())
    (outline,), _, meta = read_vector(path)
    centre = outline.centroid
    place = np.ravel(transform_points(meta["crs"], "EPSG:4326", [centre.x], [centre.y]))
    assert place == pytest.approx([173, -41], abs=1e-5)


SQUARES = np.zeros((40, 60), np.uint8)
SQUARES[2:4, 2:6] = 1  # 8 pixels
SQUARES[10:20, 10:20] = 1  # 100
SQUARES[30:39, 30:59] = 1  # 261


@pytest.mark.parametrize(
    ("crs", "transform", "pixel"),
    [
        ("EPSG:32632", Affine(0.5, 0, 5e5, 0, -0.5, 5.2e6), 0.25),
        # 0.3 m of latitude and of longitude near Las Vegas.
        ("EPSG:4326", Affine(3.3394e-6, 0, -115.17, 0, -2.7034e-6, 36.24), 0.09),
        # At 60 degrees north a metre of Web Mercator is half a metre.
        ("EPSG:3857", Affine(1, 0, 1113195, 0, -1, 8399738), 0.25),
        ("EPSG:2263", Affine(1, 0, 1e6, 0, -1, 2e5), 0.3048**2),
        ("EPSG:32632", PLACES["rotated"][1], 0.3 * 0.31),
    ],
    ids=["utm", "degrees", "web mercator", "feet", "rotated"],
)
@pytest.mark.parametrize("tolerance", [0, 0.1])
def test_the_least_area_is_in_square_metres(surface_of, read_vector, tmp_path, crs, transform, pixel, tolerance):
    surface = surface_of(SQUARES, crs, transform)
    for least, expected in ((0, [8, 100, 261]), (8.2, [100, 261]), (98, [100, 261]), (102, [261]), (300, [])):
        path = tmp_path / f"{least}.gpkg"
        count = write_outlines(surface, path, VectorSettings(least * pixel, tolerance=tolerance), Silent())
        assert count == len(expected)
        geometries, fields, _ = read_vector(path)
        assert sorted(fields["area"]) == pytest.approx([count * pixel for count in expected], rel=0.01)
        assert len(geometries) == len(expected)


@pytest.mark.parametrize("extension", FORMATS)
def test_no_road_gives_a_layer_without_features(surface_of, read_vector, tmp_path, extension):
    path = tmp_path / f"outlines.{extension}"
    assert write_outlines(surface_of(np.zeros((5, 5))), path, VectorSettings(0), Silent()) == 0
    geometries, fields, meta = read_vector(path)
    assert len(geometries) == 0
    # GeoJSON tells of fields by features alone.
    assert list(fields) == ([] if extension == "geojson" else ["area"])
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32632


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("at_once", [500_000, 30])
def test_every_outline_reaches_every_format(surface_of, read_vector, tmp_path, monkeypatch, extension, at_once):
    monkeypatch.setattr(ring_shapes, "_POINTS_AT_ONCE", at_once)
    mask = np.zeros((20, 20), np.uint8)
    mask[::2, ::2] = 1
    mask[5:9, 5:9] = SURFACE_NODATA
    path = tmp_path / f"straßen umriss.{extension}"
    surface = surface_of(mask)
    count = write_outlines(surface, path, EXACT, Silent())
    geometries, fields, meta = read_vector(path)
    assert count == len(geometries) == (mask == 1).sum()
    with rasterio.open(surface) as dataset:
        np.testing.assert_array_equal(drawn(path, read_vector, dataset.transform, mask.shape), mask == 1)
    assert fields["area"].dtype == np.float64
    assert fields["area"] == pytest.approx(np.full(count, 0.09), rel=2e-3)
    assert meta["geometry_type"] == "Polygon"
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32632


@pytest.mark.parametrize("extension", ["gpkg", "geojson"])
def test_the_layer_is_called_outlines(surface_of, tmp_path, extension):
    path = tmp_path / f"result.{extension}"
    write_outlines(surface_of(np.ones((5, 5))), path, EXACT, Silent())
    assert [name for name, _ in pyogrio.list_layers(path)] == ["outlines"]


def test_simplification_takes_the_steps_out_of_a_slant(surface_of, read_vector, tmp_path):
    rows, columns = np.mgrid[:100, :100]
    surface = surface_of(abs(rows - columns * 0.7) < 8)
    points = []
    for tolerance in (0, 0.5):
        write_outlines(surface, tmp_path / f"{tolerance}.gpkg", VectorSettings(0, tolerance=tolerance), Silent())
        (outline,), _, _ = read_vector(tmp_path / f"{tolerance}.gpkg")
        points.append(shapely.get_num_coordinates(outline))
    assert points[0] > 200
    assert points[1] < 12


def traced(road, values, height, wait=(0, 0)):
    return trace_rings((Rows(road[k : k + height], values[k : k + height]) for k in range(0, len(road), height)), wait)


@settings(max_examples=200, deadline=None)
@given(MASKS, st.integers(1, 24), st.sampled_from([0, 2**21]))
def test_rings_are_gdal_s_polygons(mask, height, at_once):
    """An oracle, strips of any height, polygons that leave early, and sums of values inside."""
    road = mask == 1
    values = np.where(road, np.random.default_rng(0).random(mask.shape), 0).astype(np.float32)
    found = []
    with patch.multiple(rings, _CORNERS_AT_ONCE=at_once, _GROWTH=0):
        for some in traced(road, values, height):
            parts = np.split(some.corners[:, ::-1], some.starts[1:-1])
            for shell in np.flatnonzero(~some.hole):
                members = [shell, *np.flatnonzero(some.hole & (some.parent == shell))]
                polygon = shapely.Polygon(parts[shell], [parts[hole] for hole in members[1:]])
                assert some.area[members].sum() == polygon.area
                inside = rasterize([polygon], out_shape=mask.shape) == 1
                assert some.total[members].sum() == pytest.approx(values[inside].astype(float).sum())
                found.append(polygon)
    expected = [shapely.geometry.shape(each) for each, _ in shapes(mask, mask=road, connectivity=4)]
    assert sorted(each.normalize().wkt for each in found) == sorted(each.normalize().wkt for each in expected)


def test_polygons_leave_when_they_are_whole():
    """Specks beside a bar from the top to the bottom: only the bar waits for the end."""
    mask = np.zeros((400, 41), bool)
    mask[5::10, 5:30:10] = mask[:, 40] = True
    with patch.object(rings, "_CORNERS_AT_ONCE", 50):
        sections = list(traced(mask, mask.astype(np.float32), 1))
    heads = [some.corners[some.starts[:-1]] for some in sections]
    assert sorted(np.concatenate(heads).tolist()) == [[0, 40], *np.argwhere(mask[:, :40]).tolist()]
    assert heads[-1][0].tolist() == [0, 40]
    assert len(sections) > 5
    assert max(len(some.corners) for some in sections) < 80


def tangled(rng):
    """A mask with parts beside and in each other, that touch in corners."""
    height, width = rng.integers(2, 40, 2)
    mask = rng.random((height, width)) < rng.choice([0.2, 0.4, 0.5, 0.6, 0.8, 0.93])
    if rng.random() < 0.3:
        rows, columns = np.ogrid[:height, :width]
        distance = np.maximum(abs(rows - height // 2), abs(columns - width // 2))
        mask = (distance % 4 < 2) ^ (rng.random(mask.shape) < 0.05)
    return np.kron(mask, np.ones([rng.integers(1, 3)] * 2, bool))


@pytest.mark.parametrize("seed", range(4))
def test_early_outlines_are_those_of_the_whole(mask_folder, seed):
    """What stands in a hole that is filled is left out, however late that hole closes."""
    rng = np.random.default_rng(seed)
    path = mask_folder / "early.fgb"
    for _ in range(60):
        mask, height = tangled(rng), int(rng.integers(1, 8))
        surface = surface_in(mask_folder, mask.astype(np.uint8), PLACES["utm"][1])
        least, fill = rng.choice([0, 0, 3, 15]) * 0.09, rng.choice([0, 0, 2, 5, 20, 100]) * 0.09
        found = []
        for at_once, growth in ((0, 0), (30, 2), (2**21, 2)):
            path.unlink(missing_ok=True)
            with (
                patch.multiple(rings, _CORNERS_AT_ONCE=at_once, _GROWTH=growth),
                patch("qgis_sslkd.core.vectors.outlines._ROWS_AT_ONCE", height),
            ):
                write_outlines(surface, path, VectorSettings(least, fill, 0), Silent())
            _, _, outlines, (areas,) = pyogrio.raw.read(path)
            found.append(sorted(zip(outlines, areas, strict=True)))
        assert found[0] == found[1] == found[2]


@settings(max_examples=80, deadline=None)
@given(MASKS, st.sampled_from([0, 0.3, 1.0]), st.sampled_from([0.1, 0.5, 3.0]), st.sampled_from([0, 0.5, 2.0]))
def test_rounded_outlines_with_filled_holes_are_valid_polygons(mask_folder, mask, tolerance, smooth, fill):
    surface, path = surface_in(mask_folder, mask, PLACES["utm"][1]), mask_folder / "round.fgb"
    path.unlink(missing_ok=True)
    write_outlines(surface, path, VectorSettings(0, fill, tolerance, smooth), Silent())
    polygons = shapely.from_wkb(pyogrio.raw.read(path)[2])
    assert shapely.is_valid(polygons).all()
    assert not shapely.is_empty(polygons).any()


def test_rounding_takes_off_no_more_than_the_corners(surface_of, read_vector, tmp_path):
    surface = surface_of(np.pad(np.ones((40, 40)), 10))
    areas = []
    for smooth in (0, 2.0):
        write_outlines(surface, tmp_path / f"{smooth}.gpkg", VectorSettings(0, tolerance=0, smooth=smooth), Silent())
        (outline,), _, _ = read_vector(tmp_path / f"{smooth}.gpkg")
        areas.append(outline.area)
        # The middles of the sides stay where they are.
        assert outline.bounds == pytest.approx((466003.1, 5249985.7, 466015.1, 5249997.7))
    # Four triangles of 1 m by 1 m, and eight smaller ones.
    assert areas[0] - 4 * 2.0**2 / 2 < areas[1] < areas[0] - 4 * 1.0**2 / 2


def test_points_in_one_place_are_cut_without_a_warning():
    points = np.array([(0, 0), (0, 0), (10, 0), (10, 10)], float)
    with np.errstate(all="raise"):
        cut = ring_shapes.cut_corners(points, np.array([4]), 2, np.ones(4, bool))
    assert cut[1:-1].tolist() == [[0, 0], [0, 0], [2, 0], [8, 0], [10, 2], [10, 8]]


def test_small_holes_are_filled_with_what_stands_in_them(surface_of, read_vector, tmp_path):
    mask = np.ones((60, 60), np.uint8)
    mask[0, 0] = 0
    mask[5:9, 5:9] = 0  # 16 pixels
    mask[20:40, 20:40] = 0  # 400 pixels around an island of 64, with a hole of 4 in it
    mask[26:34, 26:34] = 1
    mask[29:31, 29:31] = 0
    sizes = {
        0: [60 * 60 - 1 - 16 - 400, 60],
        10: [60 * 60 - 1 - 16 - 400, 64],
        20: [60 * 60 - 1 - 400, 64],
        401: [3599],
    }
    for fill, expected in sizes.items():
        path = tmp_path / f"{fill}.gpkg"
        write_outlines(surface_of(mask), path, VectorSettings(0, fill * 0.09, 0), Silent())
        assert sorted(read_vector(path)[1]["area"] / 0.09, reverse=True) == pytest.approx(expected, rel=2e-3)


def test_the_mean_probability_is_that_of_the_road_s_pixels(make_raster, surface_of, read_vector, tmp_path):
    rng = np.random.default_rng(0)
    mask = np.zeros((300, 70), np.uint8)
    mask[3:290, 4:20], mask[100:120, 8:12], mask[30:50, 40:60] = 1, 0, 1
    probability = np.where(mask == 1, rng.random(mask.shape), PROBABILITY_NODATA).astype(np.float32)
    probability[200, 65] = np.nan
    path = make_raster(probability[None], "p.tif", transform=PLACES["utm"][1], nodata=PROBABILITY_NODATA)
    write_outlines(surface_of(mask), tmp_path / "o.gpkg", VectorSettings(0, 100, 0.5, 1), Silent(), probability=path)
    _, fields, _ = read_vector(tmp_path / "o.gpkg")
    left, right = probability[:, :30][mask[:, :30] == 1], probability[:, 30:][mask[:, 30:] == 1]
    assert list(fields) == ["area", "mean_probability"]
    # Three decimals are kept.
    expected = [left.mean(dtype=float), right.mean(dtype=float)]
    np.testing.assert_array_equal(fields["mean_probability"], np.round(expected, 3))


def test_areas_hold_far_from_the_raster_s_centre(surface_of, read_vector, tmp_path):
    """A raster of 400 km in degrees: what a degree of longitude spans changes by a tenth."""
    mask = np.zeros((400, 10), np.uint8)
    mask[[1, 200, 398], 5] = 1
    surface = surface_of(mask, "EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 62))
    write_outlines(surface, tmp_path / "o.gpkg", EXACT, Silent())
    _, fields, _ = read_vector(tmp_path / "o.gpkg")
    latitudes = np.radians([61.985, 59.995, 58.015])
    radius = 6378137 * np.sqrt(1 - 0.00669438) / (1 - 0.00669438 * np.sin(latitudes) ** 2)  # Gauss
    assert fields["area"] == pytest.approx((np.radians(0.01) * radius) ** 2 * np.cos(latitudes), rel=1e-4)


@pytest.mark.parametrize("fill", [0, 30])
def test_a_raster_of_the_whole_earth_has_outlines(surface_of, read_vector, tmp_path, fill):
    mask = np.zeros((180, 360), np.uint8)
    mask[40:50, 60:80] = 1
    surface = surface_of(mask, "EPSG:4326", Affine(1, 0, -180, 0, -1, 90))
    assert write_outlines(surface, tmp_path / "o.gpkg", VectorSettings(fill_holes=fill), Silent()) == 1
    _, fields, _ = read_vector(tmp_path / "o.gpkg")
    band = 2 * np.pi * 6371007**2 * (np.sin(np.radians(50)) - np.sin(np.radians(40)))
    assert fields["area"] == pytest.approx([band * 20 / 360], rel=0.01)


def test_outlines_can_be_in_another_crs(surface_of, read_vector, tmp_path):
    surface = surface_of(np.ones((20, 30)))
    target = CRS.from_epsg(4326)
    write_outlines(surface, tmp_path / "o.gpkg", EXACT, Silent(), target)
    (outline,), fields, meta = read_vector(tmp_path / "o.gpkg")
    assert CRS.from_user_input(meta["crs"]) == target
    with rasterio.open(surface) as dataset:
        expected = rasterio.warp.transform_bounds(dataset.crs, target, *dataset.bounds)
    assert outline.bounds == pytest.approx(expected, abs=1e-7)
    assert fields["area"] == pytest.approx([20 * 30 * 0.09], rel=2e-3)


@pytest.mark.parametrize(("target", "longest"), [("EPSG:4326", 0.004), ("EPSG:3857", 400)])
@pytest.mark.parametrize("crs", ["EPSG:32760", "EPSG:32701", "EPSG:3832"])
def test_outlines_go_on_beyond_the_antimeridian(surface_of, read_vector, tmp_path, crs, target, longest):
    (x,), (y,) = transform_points("EPSG:4326", crs, [180], [-17])
    surface = surface_of(np.ones((4, 90)), crs, Affine(4, 0, x - 180, 0, -4, y + 8))
    write_outlines(surface, tmp_path / "o.gpkg", EXACT, Silent(), CRS.from_string(target))
    (outline,), _, _ = read_vector(tmp_path / "o.gpkg")
    left, _, right, _ = outline.bounds
    assert right - left < longest
    back = shapely.transform(outline, lambda points: np.column_stack(transform_points(target, crs, *points.T)))
    assert back.bounds == pytest.approx((x - 180, y - 8, x + 180, y + 8), abs=1e-3)


def test_it_stops_where_the_user_asks(surface_of, stopping_reporter, tmp_path):
    surface = surface_of(np.ones((600, 5)))
    with pytest.raises(CancelledError):
        write_outlines(surface, tmp_path / "o.gpkg", EXACT, stopping_reporter(0.5))


def test_crossing_simplified_lines_are_mended_where_they_cross():
    """A long ring keeps its simplification elsewhere."""
    bay = [(40, 0), (40, -0.8), (41, -0.8), (41, 0)]  # a bay that a hole's corner reaches into
    shell = np.array([(0, 0), *bay, (100, 0), (100, 50), (50, 50.4), (0, 50)], float)
    hole = np.array([(40.2, 5), (40.5, -0.5), (40.8, 5)], float)
    points, sizes = np.vstack([shell, hole]), np.array([len(shell), 3])
    simple, counts = ring_shapes.simplified(points, sizes, np.zeros(2, int), 1.0, np.copy)
    (polygon,) = ring_shapes.polygons_of(simple, counts, np.zeros(2, int))
    assert polygon.is_valid
    assert counts.tolist() == [8, 3]


BAY = [(0, 0), (40, 0), (40, -0.8), (41, -0.8), (41, 0), (100, 0), (100, 50), (50, 50.4), (0, 50)]
IN_THE_BAY = [(40.2, 5), (40.5, -0.5), (40.8, 5)]
BENT = [(0, 0), (40, 0), (40, 20), (20, 20), (20, 40), (0, 40)]
IN_THE_BEND = [(21, 21), (41, 21), (41, 41), (21, 41)]


# Two polygons that break, each by a hole at its edge; one comes to where the other changes elsewhere.
@pytest.mark.parametrize(
    ("change", "polygons"),
    [
        (ring_shapes.simplified, [[BAY, IN_THE_BAY], [np.add(BAY, (0, 50)), np.add(IN_THE_BAY, (0, 50))]]),
        (ring_shapes.rounded, [[BENT, [(1, 1), (5, 2), (2, 5)]], [IN_THE_BEND, [(40, 40), (36, 39), (39, 36)]]]),
    ],
)
def test_a_polygon_that_breaks_is_mended_by_itself(change, polygons):
    def changed(*some):
        rings = [np.array(ring, float) for polygon in some for ring in polygon]
        owners = np.repeat(np.arange(len(some)), 2)
        reach = 1.0 if change is ring_shapes.simplified else 8.0
        points, sizes = change(np.vstack(rings), np.array([len(ring) for ring in rings]), owners, reach, np.copy)
        return ring_shapes.polygons_of(points, sizes, owners)

    together = changed(*polygons)
    assert shapely.is_valid(together).all()
    assert together.tolist() == [changed(polygon)[0] for polygon in polygons]


@pytest.mark.parametrize("field", ["least_area", "fill_holes", "tolerance", "smooth", "bridge"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_number_out_of_range_is_named(field, value):
    with pytest.raises(SettingError, match=rf"must be 0 .*metres or more, got {value}"):
        VectorSettings(**{field: value})
