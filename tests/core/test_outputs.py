"""Written rasters lie on the grid they came from; outlines are the mask again."""

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.windows import Window

from qgis_sslkd.core import outputs
from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.outputs import (
    PROBABILITY_NODATA,
    SURFACE_NODATA,
    StripWriter,
    check_vector_output,
    write_outlines,
)
from qgis_sslkd.core.rasters import inspect_raster

FORMATS = ["gpkg", "shp", "geojson", "fgb"]
CUSTOM = "+proj=lcc +lat_1=33.1 +lat_2=44.9 +lat_0=38.7 +lon_0=-96.1 +x_0=12345.678 +a=6378137 +rf=298.3 +units=m"
PLACES = {
    "utm": ("EPSG:32632", Affine(0.3, 0, 466000.1, 0, -0.3, 5250000.7)),
    "degrees": ("EPSG:4326", Affine(2.7000000000043656e-06, 0, -115.1706276, 0, -2.7000000769233496e-06, 36.2406177)),
    "web mercator": ("EPSG:3857", Affine(1 / 3, 0, 1113194.9079327357, 0, -1 / 3, 8399737.889818357)),
    "rotated": ("EPSG:32632", Affine.translation(5e5, 5.2e6) @ Affine.rotation(17.3) @ Affine.scale(0.3, -0.31)),
    "south up": ("EPSG:32632", Affine(0.3, 0, 5e5, 0, 0.3, 5.2e6)),
    "feet": ("EPSG:2263", Affine(0.5, 0, 1e6 + 1 / 3, 0, -0.5, 2e5)),
    "custom": (CUSTOM, Affine(30, 0, -673425.1, 0, -30, 2130165.3)),
}


@pytest.fixture(params=PLACES)
def place(request):
    crs, transform = PLACES[request.param]
    return CRS.from_user_input(crs), transform


@pytest.fixture
def grid(make_raster, place):
    """A raster of any kind that results are to lie on."""
    crs, transform = place
    return inspect_raster(str(make_raster(np.zeros((1, 30, 40), np.uint8), "grid.tif", crs=crs, transform=transform)))


def write(path, raster, rows, window=None, dtype="uint8", nodata=SURFACE_NODATA):
    """Writes a result in one strip."""
    window = window or Window(0, 0, raster.width, raster.height)
    with StripWriter(path, raster, window, dtype, nodata) as writer:
        writer.append(rows)
    return path


def drawn(path, read_vector, transform, shape):
    geometries, _, _ = read_vector(path)
    return rasterize(geometries, out_shape=shape, transform=transform) if len(geometries) else np.zeros(shape, np.uint8)


def test_the_georeference_is_the_input_s_bit_for_bit(grid, tmp_path):
    path = write(tmp_path / "result.tif", grid, np.ones((30, 40), np.uint8))
    with rasterio.open(grid.path) as source, rasterio.open(path) as result:
        assert result.crs == source.crs
        assert result.crs.to_wkt() == source.crs.to_wkt()
        assert tuple(result.transform) == tuple(source.transform)
        assert result.shape == source.shape


def test_a_part_lies_where_it_was(grid, tmp_path):
    window = Window(7, 11, 20, 9)
    path = write(tmp_path / "part.tif", grid, np.ones((9, 20), np.uint8), window)
    with rasterio.open(grid.path) as source, rasterio.open(path) as result:
        for corner in [(0, 0), (20, 9)]:
            there = source.transform @ (corner[0] + 7, corner[1] + 11)
            assert result.transform @ corner == pytest.approx(there, rel=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=6), st.booleans())
def test_strips_of_any_height_become_one_raster(tmp_path_factory, heights, probability):
    folder = tmp_path_factory.mktemp("strips")
    height, width = sum(heights), 37
    rng = np.random.default_rng(0)
    rows = (
        rng.random((height, width)).astype(np.float32) if probability else rng.integers(0, 2, (height, width), np.uint8)
    )
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(folder / "grid.tif", "w", transform=PLACES["utm"][1], **profile):
        pass
    raster = inspect_raster(str(folder / "grid.tif"))
    kind = ("float32", PROBABILITY_NODATA) if probability else ("uint8", SURFACE_NODATA)
    with StripWriter(folder / "result.tif", raster, Window(0, 0, width, height), *kind) as writer:
        for strip in np.split(rows, np.cumsum(heights)[:-1]):
            writer.append(strip)
    with rasterio.open(folder / "result.tif") as result:
        np.testing.assert_array_equal(result.read(1), rows)
        assert (result.dtypes[0], result.nodata) == kind


def test_large_results_are_tiled_compressed_and_have_overviews(make_raster, tmp_path):
    rows = (np.arange(1100 * 700).reshape(1100, 700) // 7000 % 2).astype(np.uint8)
    raster = inspect_raster(str(make_raster(rows[None])))
    with rasterio.open(write(tmp_path / "result.tif", raster, rows)) as result:
        assert result.block_shapes == [(512, 512)]
        assert result.compression.value == "DEFLATE"
        assert result.overviews(1) == [2, 4, 8]
        np.testing.assert_array_equal(result.read(1), rows)
    assert (tmp_path / "result.tif").stat().st_size < rows.nbytes / 5


def test_a_file_that_is_written_in_strips_has_no_dead_space(make_raster, tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (1024, 600), np.uint8)
    raster = inspect_raster(str(make_raster(rows[None])))
    at_once = write(tmp_path / "at_once.tif", raster, rows)
    with StripWriter(tmp_path / "strips.tif", raster, Window(0, 0, 600, 1024), "uint8", SURFACE_NODATA) as writer:
        for k in range(0, 1024, 64):
            writer.append(rows[k : k + 64])
    assert (tmp_path / "strips.tif").stat().st_size == at_once.stat().st_size


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
    count = write_outlines(surface, path, least_area=0, tolerance=0)
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
        write_outlines(surface, mask_folder / name, least_area=0, tolerance=step)
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
        assert write_outlines(surface_of(mask), path, 0, tolerance) > 5000
        geometries, _, _ = read_vector(path)
        assert shapely.is_valid(geometries).all()


def test_outlines_reach_the_edges_of_the_raster(surface_of, read_vector, tmp_path, place):
    crs, transform = place
    surface = surface_of(np.ones((13, 17)), crs, transform)
    for tolerance in (0, 0.5):
        path = tmp_path / f"{tolerance}.gpkg"
        assert write_outlines(surface, path, 0, tolerance) == 1
        (outline,), _, _ = read_vector(path)
        corners = [transform @ corner for corner in [(0, 0), (17, 0), (17, 13), (0, 13)]]
        assert shapely.symmetric_difference(outline, shapely.Polygon(corners)).area < 1e-6 * outline.area


def test_outlines_carry_the_crs_of_the_raster(surface_of, read_vector, tmp_path, place):
    crs, transform = place
    write_outlines(surface_of(np.ones((5, 5)), crs, transform), tmp_path / "outlines.gpkg", 0, 0)
    _, _, meta = read_vector(tmp_path / "outlines.gpkg")
    found = CRS.from_user_input(meta["crs"])
    assert found == crs or found.to_dict() == crs.to_dict()


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
        assert write_outlines(surface, path, least * pixel, tolerance) == len(expected)
        geometries, fields, _ = read_vector(path)
        assert sorted(fields["area"]) == pytest.approx([count * pixel for count in expected], rel=0.01)
        assert len(geometries) == len(expected)


@pytest.mark.parametrize("extension", FORMATS)
def test_no_road_gives_a_layer_without_features(surface_of, read_vector, tmp_path, extension):
    path = tmp_path / f"outlines.{extension}"
    assert write_outlines(surface_of(np.zeros((5, 5))), path, 0, 0.5) == 0
    geometries, fields, meta = read_vector(path)
    assert len(geometries) == 0
    # GeoJSON tells of fields by features alone.
    assert list(fields) == ([] if extension == "geojson" else ["area"])
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32632


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("at_once", [10_000, 7])
def test_every_outline_reaches_every_format(surface_of, read_vector, tmp_path, monkeypatch, extension, at_once):
    monkeypatch.setattr(outputs, "_FEATURES_AT_ONCE", at_once)
    mask = np.zeros((20, 20), np.uint8)
    mask[::2, ::2] = 1
    mask[5:9, 5:9] = SURFACE_NODATA
    path = tmp_path / f"straßen umriss.{extension}"
    surface = surface_of(mask)
    count = write_outlines(surface, path, 0, 0)
    geometries, fields, meta = read_vector(path)
    assert count == len(geometries) == (mask == 1).sum()
    with rasterio.open(surface) as dataset:
        np.testing.assert_array_equal(drawn(path, read_vector, dataset.transform, mask.shape), mask == 1)
    assert fields["area"].dtype == np.float64
    assert fields["area"] == pytest.approx(np.full(count, 0.09), rel=2e-3)
    assert meta["geometry_type"] == "Polygon"
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32632


def test_parts_that_are_too_small_do_not_hide_those_that_follow(surface_of, read_vector, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "_FEATURES_AT_ONCE", 2)
    for extension in FORMATS:
        path = tmp_path / f"outlines.{extension}"
        mask = np.zeros((30, 10), np.uint8)
        mask[[0, 2, 4, 6], 0] = 1
        mask[10:20] = 1
        mask[[22, 24, 26, 28], 0] = 1
        assert write_outlines(surface_of(mask), path, 1.0, 0) == 1
        assert shapely.area(read_vector(path)[0]) == pytest.approx([100 * 0.09])


@pytest.mark.parametrize("extension", ["gpkg", "geojson"])
def test_the_layer_is_called_outlines(surface_of, tmp_path, extension):
    path = tmp_path / f"result.{extension}"
    write_outlines(surface_of(np.ones((5, 5))), path, 0, 0)
    assert [name for name, _ in pyogrio.list_layers(path)] == ["outlines"]


def test_simplification_takes_the_steps_out_of_a_slant(surface_of, read_vector, tmp_path):
    rows, columns = np.mgrid[:100, :100]
    surface = surface_of(abs(rows - columns * 0.7) < 8)
    points = []
    for tolerance in (0, 0.5):
        write_outlines(surface, tmp_path / f"{tolerance}.gpkg", 0, tolerance)
        (outline,), _, _ = read_vector(tmp_path / f"{tolerance}.gpkg")
        points.append(shapely.get_num_coordinates(outline))
    assert points[0] > 200
    assert points[1] < 12


def test_the_extension_decides_the_format(tmp_path):
    for extension in (*FORMATS, "GPKG", "Shp"):
        check_vector_output(tmp_path / f"outlines.{extension}")
    for name in ("outlines", "outlines.dxf", "outlines.csv", "outlines.json", "outlines.gml", "outlines.tif"):
        with pytest.raises(SettingError, match=rf"written to {name};.*\.gpkg, \.shp, \.geojson or \.fgb"):
            check_vector_output(tmp_path / name)
