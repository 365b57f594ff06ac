"""What the network sees of a raster at another size, in an area, with nodata; and how its answer comes back."""

from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from emptiness import KINDS, with_nothing
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.transform import from_origin
from rasterio.windows import Window

from qgis_sslkd.core.detection import slide
from qgis_sslkd.core.errors import OutsideError
from qgis_sslkd.core.geodata.annotations import VectorLayer
from qgis_sslkd.core.geodata.grids import ModelGrid, OwnGrid, Scene, area_of_interest, grid_for
from qgis_sslkd.core.geodata.rasters import RasterInfo, RasterReader, inspect_raster
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.core.windows import Tiling

UTM = CRS.from_epsg(32632)
PLACE = from_origin(500_000, 5_200_000, 0.5, 0.5)
RATIOS = [
    *((each, each) for each in (0.11, 0.3, 0.5, 0.77, 1.4, 2.0, 3.3)),
    (0.3, 0.8),
    (1.0, 0.4),
    (1.6, 0.5),
    (0.7, 2.5),
]

SIDES, RATIO = st.integers(1, 70), st.floats(0.05, 4)


def first_band(images):
    return images[:, 0]


def detect(grid, predict=first_band, tiling=None):
    """The probability and the validity of all strips of the raster, one below the other."""
    bands = len(grid.scene.raster.bands)
    as_it_is = Normalisation((0.0,) * bands, (1.0,) * bands)
    strips = list(slide(grid, as_it_is, predict, tiling or Tiling(32, 8, 2), Silent()))
    return np.concatenate([s.probability for s in strips]), np.concatenate([s.valid for s in strips])


@contextmanager
def by_blocks(grid):
    with RasterReader() as decoder:
        yield grid.reader(decoder, 32)


@pytest.fixture
def scene(make_raster):
    """Pixels `(H, W)` or `(C, H, W)` as a scene."""

    def make(pixels, window=None, area=None, **options):
        raster = inspect_raster(str(make_raster(pixels if pixels.ndim == 3 else pixels[None], **options)))
        window = window or raster.window
        return Scene(raster, window, area_of_interest(raster, window, [layer_of(area)]) if area else None)

    return make


def layer_of(*pixels):
    """Polygons in pixel coordinates of `PLACE` as a vector layer."""
    to_map = [shapely.transform(each, lambda points: np.column_stack(PLACE @ tuple(points.T))) for each in pixels]
    return VectorLayer("area.gpkg", np.array(to_map, dtype=object), UTM)


def test_the_grid_is_the_raster_s_own_where_it_hardly_differs(scene):
    like = scene(np.zeros((40, 60), np.uint8))
    for gsd in (0.5, 0.48, 0.52):
        assert isinstance(grid_for(like, gsd), OwnGrid)
    for gsd, shape in ((1.0, (20, 30)), (0.25, (80, 120)), (0.45, (44, 67)), (100.0, (1, 1))):
        grid = grid_for(like, gsd)
        assert isinstance(grid, ModelGrid)
        assert grid.shape == shape


def test_pixels_that_are_oblong_on_the_ground_become_square(scene):
    oblong = scene(np.zeros((40, 60), np.uint8), transform=PLACE @ Affine.scale(0.6, 1.2))
    for gsd, shape in ((0.6, (40, 30)), (0.3, (80, 60)), (0.3 * 2**0.5, (57, 42))):
        assert grid_for(oblong, gsd).shape == shape
    wide = scene(np.zeros((40, 60), np.uint8), transform=PLACE @ Affine.scale(1.2, 0.6), name="wide.tif")
    assert grid_for(wide, 0.6).shape == (20, 60)


@pytest.mark.parametrize("latitude", [0, 46, -60])
def test_a_raster_in_degrees_is_seen_as_it_lies_on_the_ground(scene, latitude):
    """As many rows as columns for what is as high as wide there."""
    degrees = scene(
        np.zeros((300, 300), np.uint8), crs=CRS.from_epsg(4326), transform=from_origin(7, latitude, 5e-6, 5e-6)
    )
    rows, columns = grid_for(degrees, 0.25).shape
    assert columns / rows == pytest.approx(np.cos(np.radians(latitude)), abs=0.01)


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_ramp_comes_back_as_the_same_ramp(scene, ratio):
    """Not shifted by half a pixel, there or back, along either axis; but for the last pixels at the edges."""
    rows, columns = np.mgrid[:90, :110] + 0.5
    for ramp in (rows / 200, columns / 200):
        probability, valid = detect(ModelGrid(scene(ramp.astype(np.float32)), *ratio))
        assert valid.all() and probability.shape == ramp.shape
        edge = int(np.ceil(1.5 / min(*ratio, 1)))
        inner = (slice(edge, -edge), slice(edge, -edge))
        np.testing.assert_allclose(probability[inner], ramp[inner], atol=2e-6)


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_ramp_over_a_part_of_the_raster(scene, ratio):
    rows, columns = np.mgrid[:90, :110] + 0.5
    ramp = (rows + columns) / 200
    probability, _ = detect(ModelGrid(scene(ramp.astype(np.float32), Window(13, 7, 71, 64)), *ratio))
    assert probability.shape == (64, 71)
    edge = int(np.ceil(1.5 / min(*ratio, 1)))
    inner = (slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(probability[inner], ramp[7:71, 13:84][inner], atol=2e-6)


@settings(max_examples=25, deadline=None)
@given(SIDES, SIDES, st.tuples(RATIO, RATIO), st.integers(0, 16), st.floats(0, 1, width=32))
@example(1, 1, (0.05, 0.05), 0, 1.0)
@example(1, 1, (4.0, 4.0), 8, 0.5)
@example(1000, 1, (0.3, 0.3), 8, 0.25)
@example(1, 1000, (2.0, 2.0), 8, 0.75)
def test_a_constant_network_gives_a_constant_raster(tmp_path_factory, height, width, ratio, overlap, value):
    path = tmp_path_factory.mktemp("constant") / "raster.tif"
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=UTM, transform=PLACE, **profile) as dataset:
        dataset.write(np.random.default_rng(0).integers(0, 9, (1, height, width), dtype=np.uint8))
    raster = inspect_raster(str(path))
    grid = ModelGrid(Scene(raster, raster.window), *ratio)
    probability, valid = detect(
        grid, lambda images: np.full((len(images), 32, 32), value, np.float32), Tiling(32, overlap, 3)
    )
    assert probability.shape == (height, width)
    assert valid.all()
    np.testing.assert_allclose(probability, value, rtol=2e-6, atol=1e-7)


def test_finer_rasters_are_averaged_so_that_nothing_flickers(scene):
    """Stripes of one pixel are grey at four pixels to one, but for where they are mirrored."""
    stripes = (np.arange(128) % 2).astype(np.float32)
    grid = ModelGrid(scene(np.tile(stripes, (128, 1))), 0.25, 0.25)
    with by_blocks(grid) as reader:
        sight = grid.read(reader, 0, 0, 32)
    np.testing.assert_allclose(sight.pixels[:, :, 1:-1], 0.5, atol=1e-6)


def test_a_tile_is_the_mean_by_hand(scene):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    grid = ModelGrid(scene(pixels), 0.5, 0.5)
    assert grid.shape == (20, 25)
    with by_blocks(grid) as reader:
        sight = grid.read(reader, 3, 4, 32)
    mirrored = np.pad(pixels.astype(float), ((0, 0), (1, 40), (1, 40)), mode="symmetric")
    # Over two pixels and half the way to their neighbours.
    weights = np.outer([1, 7, 7, 1], [1, 7, 7, 1]) / 256
    parts = np.lib.stride_tricks.sliding_window_view(mirrored, (4, 4), axis=(1, 2))[:, 6:70:2, 8:72:2]
    np.testing.assert_allclose(sight.pixels, (parts * weights).sum(axis=(3, 4)), rtol=1e-5)
    assert sight.valid.all() and sight.wanted.all()


@pytest.mark.parametrize(("ratio", "size"), [(0.5, 64), (0.25, 128), (2.0, 16)])
@pytest.mark.parametrize("kind", KINDS)
def test_training_sees_the_same_pixels_as_detection(scene, kind, ratio, size):
    """Beyond the edges and beside nodata, too, and whatever the overviews hold: thinned pixels, or old ones."""
    empty = np.zeros((128, 160), bool)
    empty[90:, 100:] = True
    empty[20, 30] = True
    pixels, options = with_nothing(empty, kind)
    pixels[:3, ~empty] -= np.random.default_rng(0).integers(0, 50, (~empty).sum()).astype(pixels.dtype)
    looked_at = scene(pixels, **options)
    with rasterio.open(looked_at.raster.path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.nearest)
    with by_blocks(ModelGrid(looked_at, ratio, ratio)) as reader:
        sight = ModelGrid(looked_at, ratio, ratio).read(reader, 16, 24, 32)
    window = Window(int(24 / ratio), int(16 / ratio), size, size)
    with RasterReader() as decoder:
        found, valid = decoder.read(looked_at.raster, window, (32, 32))
    np.testing.assert_array_equal(valid, sight.valid)
    np.testing.assert_allclose(found[:, valid], sight.pixels[:, valid], rtol=1e-6)


def test_a_tile_of_many_pixels_is_read_in_parts(scene, monkeypatch):
    pixels = np.random.default_rng(0).random((2, 300, 310)).astype(np.float32)
    grid = ModelGrid(scene(pixels), 0.1, 0.1)
    with by_blocks(grid) as reader:
        at_once = grid.read(reader, 0, 0, 32)
        monkeypatch.setattr("qgis_sslkd.core.geodata.resampling._PIXELS_AT_ONCE", 20_000)
        in_parts = grid.read(reader, 0, 0, 32)
    np.testing.assert_allclose(at_once.pixels, in_parts.pixels, rtol=1e-6)
    np.testing.assert_array_equal(at_once.valid, in_parts.valid)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("kind", KINDS)
def test_nodata_in_nodata_out_at_any_size(scene, ratio, kind):
    """To the pixel; what borders on it is not pulled down by the emptiness."""
    empty = np.zeros((70, 90), bool)
    empty[:, 40:] = True
    empty[10:13, 5:9] = True
    empty[30, 20] = True
    empty[50, 60] = False  # a lone pixel
    pixels, options = with_nothing(empty, kind)
    for part in (Window(0, 0, 90, 70), Window(3, 9, 80, 50)):
        grid = ModelGrid(scene(pixels, part, **options), *ratio)
        probability, valid = detect(grid, lambda images: images[:, 0] / 400)
        np.testing.assert_array_equal(valid, ~empty[part.toslices()])
        np.testing.assert_allclose(probability[valid], 0.5, rtol=1e-5)


@pytest.mark.parametrize("ratio", RATIOS)
def test_nodata_elsewhere_changes_nothing(scene, ratio):
    """To the bit, though the emptiness is not counted where all is valid."""
    pixels = np.random.default_rng(0).integers(1, 256, (90, 80), dtype=np.uint8)
    expected, _ = detect(ModelGrid(scene(pixels), *ratio), lambda images: images[:, 0] / 256)
    pixels[-1, -1] = 0
    found, valid = detect(ModelGrid(scene(pixels, nodata=0), *ratio), lambda images: images[:, 0] / 256)
    assert valid.sum() == valid.size - 1
    far = 90 - int(np.ceil(4 / min(*ratio, 1)))
    np.testing.assert_array_equal(found[:far], expected[:far])


@pytest.mark.parametrize("nodata", [None, 7])
@pytest.mark.parametrize("ratio", [0.11, 0.3, 0.77, 1.0, 2.0])
def test_each_block_is_decoded_once_at_any_size(scene, ratio, nodata, monkeypatch):
    """What is valid of it is kept until the result comes to it."""
    monkeypatch.setattr("qgis_sslkd.core.geodata.blocks._SIDE", 16)
    monkeypatch.setattr("qgis_sslkd.core.detection._READING_THREADS", 1)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 310), dtype=np.uint8)
    looked_at = scene(pixels, tiled=True, blockxsize=16, blockysize=16, nodata=nodata)
    decoded, read = [], RasterReader.read

    def remembered(decoder, raster, window, shape):
        decoded.append(window.flatten())
        return read(decoder, raster, window, shape)

    monkeypatch.setattr(RasterReader, "read", remembered)
    _, valid = detect(OwnGrid(looked_at) if ratio == 1 else ModelGrid(looked_at, ratio, ratio), tiling=Tiling(32, 8, 1))
    np.testing.assert_array_equal(valid, pixels != nodata)
    assert len(decoded) == len(set(decoded)) == 19 * 20


@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.7])
def test_outside_of_the_area_nothing_is_computed(scene, ratio):
    polygon = shapely.Polygon([(3, 4), (30.2, 8), (20, 29.7)])
    pixels = np.full((150, 160), 0.5, np.float32)
    pixels[12:15, 15:18] = np.nan
    shown = []

    def count(images):
        shown.append(len(images))
        return images[:, 0]

    looked_at = scene(pixels, area=polygon)
    grid = OwnGrid(looked_at) if ratio == 1 else ModelGrid(looked_at, ratio, ratio)
    with by_blocks(grid) as reader:
        assert grid.read(reader, 58, 62, 32) is None
    probability, valid = detect(grid, count, Tiling(32, 0, 1))
    expected = rasterize([polygon], out_shape=pixels.shape).astype(bool) & np.isfinite(pixels)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_allclose(probability[valid], 0.5, rtol=1e-5)
    assert sum(shown) == {0.4: 1, 1.0: 1, 1.7: 4}[ratio]


@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.7])
def test_where_the_area_holds_no_data_nothing_is_computed(scene, ratio):
    pixels = np.full((90, 100), 0.5, np.float32)
    pixels[:, :50] = np.nan
    looked_at = scene(pixels, area=shapely.box(3, 4, 45, 80))
    shown = []
    probability, valid = detect(
        OwnGrid(looked_at) if ratio == 1 else ModelGrid(looked_at, ratio, ratio), shown.append, Tiling(64, 0, 1)
    )
    assert not shown and not valid.any() and probability.shape == pixels.shape


def test_around_the_area_the_network_sees_what_is_there(scene):
    pixels = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    looked_at = scene(pixels, area=shapely.box(10, 10, 20, 20))

    def pixel_to_the_right(images):
        return np.roll(images[:, 0], -1, axis=2)

    probability, valid = detect(OwnGrid(looked_at), pixel_to_the_right, Tiling(64, 0, 1))
    np.testing.assert_allclose(probability[10:20, 10:20], pixels[10:20, 11:21])
    assert valid.sum() == 100


def test_an_area_in_other_coordinates_lies_where_it_was_drawn():
    raster = RasterInfo("raster.tif", 100, 80, UTM, PLACE, (1,), "uint8", False, (0.5, 0.5))
    there = rasterio.warp.transform_geom(
        UTM, "EPSG:4326", shapely.geometry.mapping(layer_of(shapely.box(20, 10, 60, 40)).polygons[0])
    )
    layer = VectorLayer("area.gpkg", np.array([shapely.geometry.shape(there)], dtype=object), CRS.from_epsg(4326))
    scene = Scene(raster, raster.window, area_of_interest(raster, raster.window, [layer]))
    inside = scene.inside(Window(0, 0, 100, 80))
    assert inside[11:39, 21:59].all()
    assert inside.sum() == pytest.approx(40 * 30, abs=80)


@pytest.mark.parametrize(
    ("place", "window"),
    [
        (shapely.box(200, 0, 300, 50), Window(0, 0, 100, 80)),
        (shapely.box(0, 0, 9, 9), Window(50, 0, 9, 9)),
        (shapely.box(-50, 0, 0, 50), Window(0, 0, 100, 80)),  # side by side
        (shapely.box(10.1, 20.1, 10.4, 20.4), Window(0, 0, 100, 80)),  # beside a centre
        (shapely.box(0, 9.6, 100, 10.4), Window(0, 0, 100, 80)),  # between two rows of centres
        (shapely.box(0, 0, 50.4, 80), Window(50, 0, 50, 80)),
    ],
)
def test_an_area_without_a_pixel_is_named(place, window):
    raster = RasterInfo("raster.tif", 100, 80, UTM, PLACE, (1,), "uint8", False, (0.5, 0.5))
    with pytest.raises(OutsideError, match=r"area\.gpkg holds no pixel's centre of raster\.tif"):
        area_of_interest(raster, window, [layer_of(place)])


@pytest.mark.parametrize(
    "place", [shapely.box(10.4, 70.4, 10.6, 70.6), shapely.box(0.4, 0, 0.6, 80), shapely.LineString([(0, 0), (80, 80)])]
)
def test_a_single_pixel_is_an_area(place):
    raster = RasterInfo("raster.tif", 100, 80, UTM, PLACE, (1,), "uint8", False, (0.5, 0.5))
    area_of_interest(raster, raster.window, [layer_of(place.buffer(0.01))])


def test_tiling_batch_and_threads_change_nothing_at_another_size(scene, monkeypatch):
    pixels = np.random.default_rng(0).random((100, 120)).astype(np.float32)
    grid = ModelGrid(scene(pixels), 0.7, 0.7)
    alone, _ = detect(grid, lambda images: images[:, 0] ** 2, Tiling(32, 8, 1))
    monkeypatch.setattr("qgis_sslkd.core.detection._READING_THREADS", 5)
    monkeypatch.setattr("qgis_sslkd.core.geodata.grids._ROWS_AT_ONCE", 7)
    together, _ = detect(grid, lambda images: images[:, 0] ** 2, Tiling(32, 8, 3))
    np.testing.assert_array_equal(alone, together)
