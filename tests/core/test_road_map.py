"""From raster and predictor to all the files, or to none."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.windows import Window

from qgis_sslkd.core.errors import CancelledError, OutsideError, RasterError, SettingError
from qgis_sslkd.core.geodata.grids import ModelGrid, OwnGrid, Scene
from qgis_sslkd.core.geodata.outputs import PROBABILITY_NODATA, SURFACE_NODATA
from qgis_sslkd.core.geodata.rasters import RasterInfo, inspect_raster
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models.model_card import ModelCard
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.road_map import (
    RoadMapFiles,
    RoadMapSettings,
    VectorFiles,
    check_model_fits,
    is_road,
    make_road_map,
    window_of_extent,
)
from qgis_sslkd.core.vectors.outlines import VectorSettings
from qgis_sslkd.core.windows import Tiling

UTM = CRS.from_epsg(32632)
CARD = ModelCard(NetworkSpec("segnet", "vgg11", in_channels=1), Normalisation((0.0,), (1.0,)), "float32", 0.5, 64)
TILING = Tiling(64, 16, 2)
PLACES = {
    "utm": (UTM, Affine(0.5, 0, 500_000.3, 0, -0.5, 5_200_000.7)),
    "south up": (UTM, Affine(0.5, 0, 500_000.3, 0, 0.5, 5_200_000.7)),
    "degrees": (CRS.from_epsg(4326), Affine(2.7e-6, 0, -115.1706276, 0, -2.7e-6, 36.2406177)),
    "web mercator": (CRS.from_epsg(3857), Affine(1 / 3, 0, 1113194.9, 0, -1 / 3, 8399737.9)),
}


def info(place, width=80, height=60):
    crs, transform = PLACES[place]
    return RasterInfo("raster.tif", width, height, crs, transform, (1,), "float32", False, (0.5, 0.5))


def extent_of(raster, left, top, right, bottom):
    """The extent of pixels from (left, top) up to (right, bottom)."""
    corners = [raster.transform @ corner for corner in [(left, top), (right, bottom)]]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@given(st.sampled_from(sorted(PLACES)), st.data())
def test_an_extent_of_whole_pixels_is_those_pixels(place, data):
    raster = info(place)
    left, top = data.draw(st.integers(0, 79)), data.draw(st.integers(0, 59))
    right, bottom = data.draw(st.integers(left + 1, 80)), data.draw(st.integers(top + 1, 60))
    window = window_of_extent(raster, extent_of(raster, left, top, right, bottom))
    assert window == Window(left, top, right - left, bottom - top)


@given(st.sampled_from(sorted(PLACES)), st.data())
def test_every_pixel_that_an_extent_touches_belongs_to_it(place, data):
    raster = info(place)
    shares = st.floats(0.01, 0.99)
    left, top = data.draw(st.integers(0, 70)), data.draw(st.integers(0, 50))
    right, bottom = data.draw(st.integers(left, 79)), data.draw(st.integers(top, 59))
    first = sorted([data.draw(shares), data.draw(shares)]) if left == right else [data.draw(shares), data.draw(shares)]
    second = sorted([data.draw(shares), data.draw(shares)]) if top == bottom else [data.draw(shares), data.draw(shares)]
    if (left == right and first[1] - first[0] < 0.01) or (top == bottom and second[1] - second[0] < 0.01):
        return
    extent = extent_of(raster, left + first[0], top + second[0], right + first[1], bottom + second[1])
    assert window_of_extent(raster, extent) == Window(left, top, right - left + 1, bottom - top + 1)


def test_an_extent_beyond_the_raster_is_cut():
    raster = info("utm")
    assert window_of_extent(raster, extent_of(raster, -100, 50, 1000, 1000)) == Window(0, 50, 80, 10)
    assert window_of_extent(raster, (-1e9, -1e9, 1e9, 1e9)) == Window(0, 0, 80, 60)


def test_an_extent_on_a_rotated_raster_holds_its_corners():
    transform = Affine.translation(5e5, 5.2e6) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    raster = RasterInfo("raster.tif", 80, 60, UTM, transform, (1,), "uint8", False, (0.5, 0.5))
    x, y = transform @ (40, 30)
    window = window_of_extent(raster, (x - 5, y - 5, x + 5, y + 5))
    found = shapely.box(window.col_off, window.row_off, window.col_off + window.width, window.row_off + window.height)
    corners = [~transform @ (x + dx, y + dy) for dx in (-5, 5) for dy in (-5, 5)]
    assert all(found.contains(shapely.Point(corner)) for corner in corners)


@pytest.mark.parametrize("extent", [(1, 1, 1, 2), (1, 2, 3, 2), (3, 1, 2, 2), (float("nan"), 0, 1, 1)])
def test_an_empty_extent_is_named(extent):
    with pytest.raises(RasterError, match=r"extent \(.*\) is empty"):
        window_of_extent(info("utm"), extent)


@pytest.mark.parametrize("pixels", [(-20, 0, -1, 60), (80, 0, 90, 60), (0, -9, 80, 0), (0, 60, 80, 70)])
def test_an_extent_elsewhere_is_named(pixels):
    raster = info("utm")
    with pytest.raises(OutsideError, match=r"lies outside of the raster raster\.tif"):
        window_of_extent(raster, extent_of(raster, *pixels))


def raster_like(bands=1, dtype="float32", gsd=0.5):
    return RasterInfo("raster.tif", 9, 9, UTM, PLACES["utm"][1], tuple(range(1, bands + 1)), dtype, False, (gsd, gsd))


def test_a_raster_like_the_model_s_passes():
    assert check_model_fits(CARD, raster_like(), True) == []
    assert check_model_fits(CARD, raster_like(gsd=0.9), True) == []


def test_what_may_spoil_the_result_is_told():
    (warning,) = check_model_fits(CARD, raster_like(dtype="uint16"), True)
    assert "uint16" in warning and "float32" in warning and "rescale it first" in warning
    for gsd in (0.2, 1.2):
        (warning,) = check_model_fits(CARD, raster_like(gsd=gsd), True)
        assert f"{gsd:.2f} m" in warning and "0.50 m" in warning
    assert len(check_model_fits(CARD, raster_like(dtype="uint8", gsd=5), True)) == 2


def test_other_bands_than_the_model_s_are_refused():
    with pytest.raises(RasterError, match=r"raster\.tif has 4 bands, but the model learned from 1"):
        check_model_fits(CARD, raster_like(bands=4), True)


def test_pixels_in_which_no_road_shows_are_not_enlarged_without_end():
    with pytest.raises(RasterError, match=r"raster\.tif are 0\.5 m wide, but the model learned at 1e-300 m: .* coarse"):
        check_model_fits(replace(CARD, gsd=1e-300), raster_like(), True)
    assert check_model_fits(replace(CARD, gsd=0.004), raster_like(), False)


def test_one_band_is_made_several_where_a_band_can_be_chosen_once():
    three = replace(CARD, network=replace(CARD.network, in_channels=3), normalisation=Normalisation.of_bytes(3))
    with pytest.raises(RasterError, match=r"has 1 band, .* make 3 of this one, .* -b 1 -b 1 -b 1\), or train"):
        check_model_fits(three, raster_like(bands=1), True)


def test_imagery_like_that_of_the_training_is_no_surprise_at_the_model_s_scale():
    """A model that sees 0.5 m, and learned from 0.1 m."""
    coarsened = replace(CARD, imagery_gsd=0.1)
    for gsd, fits, fits_as_it_is in ((0.1, True, False), (0.5, True, True), (0.9, True, True), (0.04, False, False)):
        assert (check_model_fits(coarsened, raster_like(gsd=gsd), True) == []) == fits
        assert (check_model_fits(coarsened, raster_like(gsd=gsd), False) == []) == fits_as_it_is
    (warning,) = check_model_fits(coarsened, raster_like(gsd=0.04), True)
    assert "0.04 m wide" in warning and "learned from 0.10 m" in warning


def test_a_palette_is_told_from_a_lack_of_bands():
    three = replace(CARD, network=replace(CARD.network, in_channels=3), normalisation=Normalisation.of_bytes(3))
    with pytest.raises(RasterError, match=r"has 1 band, .* PCT to RGB"):
        check_model_fits(three, replace(raster_like(), colours=("palette",)), True)


@pytest.mark.parametrize("threshold", [0, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_named(threshold):
    with pytest.raises(SettingError, match=f"threshold .* got {threshold}"):
        RoadMapSettings(threshold, VectorSettings())


def test_outputs_are_checked_before_any_work(tmp_path):
    surface = tmp_path / "s.tif"
    RoadMapFiles(surface)
    with pytest.raises(SettingError, match="does not exist"):
        RoadMapFiles(surface, tmp_path / "nowhere" / "p.tif")
    with pytest.raises(SettingError, match="same name"):
        RoadMapFiles(surface, surface)
    with pytest.raises(SettingError, match=r"o\.dxf"):
        VectorFiles(tmp_path / "o.dxf")
    with pytest.raises(SettingError, match=r"c\.dxf"):
        VectorFiles(centre_lines=tmp_path / "c.dxf")
    with pytest.raises(SettingError, match=r"not to s\.gpkg"):
        RoadMapFiles(tmp_path / "s.gpkg", None, VectorFiles(tmp_path / "s.gpkg"))


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return RoadMapFiles(folder / "s.tif", folder / "p.tif", VectorFiles(folder / "o.gpkg"))


def first_band(images):
    return images[:, 0]


def always(value):
    return lambda images: np.full((len(images), *images.shape[2:]), value, np.float32)


def run(raster, outputs, reporter, predict=first_band, window=None, threshold=0.5, least_area=0.0):
    window = window or raster.window
    settings = RoadMapSettings(threshold, VectorSettings(least_area, tolerance=0))
    make_road_map(OwnGrid(Scene(raster, window)), CARD, predict, TILING, settings, outputs, reporter)
    with rasterio.open(outputs.surface) as surface, rasterio.open(outputs.probability) as probability:
        return surface.read(1), probability.read(1)


@pytest.fixture
def noise():
    return np.random.default_rng(0).random((100, 130)).astype(np.float32)


def test_the_results_say_the_same(make_raster, outputs, reporter, read_vector, noise):
    folder = outputs.surface.parent
    outputs = replace(outputs, vectors=VectorFiles(folder / "o.gpkg", folder / "c.gpkg"))
    noise[20:40, 30:70] = -9999
    raster = inspect_raster(str(make_raster(noise[None], nodata=-9999)))
    surface, probability = run(raster, outputs, reporter, threshold=0.7)
    valid = noise >= 0
    np.testing.assert_allclose(probability[valid], noise[valid], rtol=0, atol=2**-17 + 1e-6)
    assert (probability[valid] * 2**16 % 1 == 0).all()
    assert (probability[~valid] == PROBABILITY_NODATA).all()
    assert (surface[~valid] == SURFACE_NODATA).all()
    decided = valid & (abs(noise - 0.7) > 2e-5)
    np.testing.assert_array_equal(surface[decided], noise[decided] >= 0.7)
    assert np.isin(surface[valid], (0, 1)).all()
    outlines, fields, _ = read_vector(outputs.vectors.outlines)
    assert shapely.area(outlines).sum() == pytest.approx((surface == 1).sum() * 0.25)
    assert reporter.fractions[-1] == pytest.approx(0.9, abs=0.11)
    pixels = fields["area"] / 0.25 / (1 - 4e-4) ** -2
    assert (fields["mean_probability"] * pixels).sum() == pytest.approx(noise[surface == 1].sum(), rel=1e-3)
    lines, _, _ = read_vector(outputs.vectors.centre_lines)
    assert reporter.infos == [f"Outlines of at least 0 m²: {len(outlines)}.", f"Centre lines: {len(lines)}."]
    assert len(list(outputs.surface.parent.iterdir())) == 4


@pytest.mark.parametrize("value", [0.1, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("shape", [(150, 170), (1, 1), (1, 100), (65, 64)])
def test_a_probability_equal_to_the_threshold_is_road_everywhere(make_raster, outputs, reporter, value, shape):
    """What blending leaves of rounding does not speckle the road."""
    raster = inspect_raster(str(make_raster(np.zeros((1, *shape), np.float32))))
    surface, probability = run(raster, outputs, reporter, always(value), threshold=value)
    assert (surface == 1).all()
    np.testing.assert_allclose(probability, value, rtol=0, atol=2**-17)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7001])
def test_the_surface_is_what_the_threshold_makes_of_the_told_probability(make_raster, outputs, reporter, threshold):
    """So that outlines of the one and of the other are the same, also where rounding decides."""
    close = threshold + np.random.default_rng(0).uniform(-4e-5, 4e-5, (100, 130)).astype(np.float32)
    surface, probability = run(inspect_raster(str(make_raster(close[None]))), outputs, reporter, threshold=threshold)
    assert 0 < surface.mean() < 1
    np.testing.assert_array_equal(surface == 1, is_road(probability, threshold))
    steps = np.float32([threshold - 2**-16, threshold - 2**-18])
    assert is_road(steps, threshold).tolist() == [False, True]


def test_results_lie_on_the_grid_of_the_raster_bit_for_bit(make_raster, outputs, reporter, noise):
    for k, (crs, transform) in enumerate(PLACES.values()):
        path = make_raster(noise[None], f"{k}.tif", crs=crs, transform=transform)
        run(inspect_raster(str(path)), outputs, reporter)
        with rasterio.open(path) as source:
            for result in (outputs.surface, outputs.probability):
                with rasterio.open(result) as dataset:
                    assert (dataset.crs, dataset.transform, dataset.shape) == (
                        source.crs,
                        source.transform,
                        source.shape,
                    )


def test_a_part_is_that_part_of_the_whole(make_raster, outputs, reporter, noise):
    raster = inspect_raster(str(make_raster(noise[None])))
    window = Window(17, 23, 90, 51)
    _, probability = run(raster, outputs, reporter, window=window)
    np.testing.assert_allclose(probability, noise[23:74, 17:107], rtol=0, atol=2**-17 + 1e-6)
    with rasterio.open(outputs.surface) as dataset:
        assert dataset.transform @ (0, 0) == pytest.approx(raster.transform @ (17, 23), rel=1e-15)


def test_each_of_the_results_alone_is_enough_and_the_same(make_raster, tmp_path, reporter, read_vector, noise):
    raster = inspect_raster(str(make_raster(noise[None])))
    settings = RoadMapSettings(0.5, VectorSettings())
    grid = OwnGrid(Scene(raster, Window(0, 0, 130, 100)))

    def make(files):
        make_road_map(grid, CARD, first_band, TILING, settings, files, reporter)

    s, p, o = "s.tif", "p.tif", "o.gpkg"
    folders = together, *alone = [tmp_path / name for name in ("all", s, p, o)]
    for folder in folders:
        folder.mkdir()
    make(RoadMapFiles(together / s, None, VectorFiles(together / o)))
    make(RoadMapFiles(surface=alone[0] / s))
    assert reporter.fractions[-1] == 1
    make(RoadMapFiles(probability=alone[1] / p, cog=True))
    make(RoadMapFiles(vectors=VectorFiles(alone[2] / o)))
    assert [[path.name for path in folder.iterdir()] for folder in alone] == [[s], [p], [o]]
    assert (together / s).read_bytes() == (alone[0] / s).read_bytes()
    (outlines, fields, _), (others, other_fields, _) = read_vector(together / o), read_vector(alone[2] / o)
    assert (outlines == others).all()
    np.testing.assert_array_equal(fields["area"], other_fields["area"])


def test_no_results_are_no_job():
    with pytest.raises(SettingError, match="No output is asked for"):
        RoadMapFiles()


def test_at_another_size_results_lie_on_the_grid_of_the_raster_bit_for_bit(make_raster, outputs, reporter, noise):
    for k, (crs, transform) in enumerate(PLACES.values()):
        path = make_raster(noise[None], f"{k}.tif", crs=crs, transform=transform)
        scene = Scene(inspect_raster(str(path)), Window(0, 0, 130, 100))
        settings = RoadMapSettings(0.5, VectorSettings())
        make_road_map(ModelGrid(scene, 0.6, 0.6), CARD, first_band, TILING, settings, outputs, reporter)
        for result in (outputs.surface, outputs.probability):
            with rasterio.open(path) as source, rasterio.open(result) as dataset:
                assert (dataset.crs, tuple(dataset.transform)) == (source.crs, tuple(source.transform))
                assert dataset.shape == source.shape


def test_on_request_the_rasters_are_cogs_and_say_the_same(make_raster, outputs, reporter, noise):
    raster = inspect_raster(str(make_raster(noise[None])))
    expected = run(raster, outputs, reporter)
    found = run(raster, replace(outputs, cog=True), reporter)
    np.testing.assert_array_equal(found, expected)
    for path in (outputs.surface, outputs.probability):
        with rasterio.open(path) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert len(list(outputs.surface.parent.iterdir())) == 3


def test_the_vectors_come_in_a_chosen_crs(make_raster, outputs, reporter, read_vector, noise):
    raster = inspect_raster(str(make_raster(noise[None])))
    grid = OwnGrid(Scene(raster, Window(0, 0, 130, 100)))
    crs = CRS.from_epsg(3035)
    settings = RoadMapSettings(0.5, VectorSettings(least_area=0))
    make_road_map(grid, CARD, always(1.0), TILING, settings, outputs, reporter, crs)
    (outline,), fields, meta = read_vector(outputs.vectors.outlines)
    assert CRS.from_user_input(meta["crs"]) == crs
    # An equal-area projection, of all of the raster.
    assert outline.area == pytest.approx(fields["area"][0], rel=1e-3) == pytest.approx(130 * 100 / 4, rel=2e-3)


def test_the_network_is_released_between_the_last_tile_and_the_vectors(make_raster, outputs, noise):
    heard = []

    class Listening:
        def progress(self, fraction, text):
            heard.append(text.split()[0])

        def info(self, text): ...
        def warning(self, text): ...

    raster = inspect_raster(str(make_raster(noise[None])))
    grid = OwnGrid(Scene(raster, Window(0, 0, 130, 100)))
    settings = RoadMapSettings(0.5, VectorSettings())
    make_road_map(
        grid, CARD, first_band, TILING, settings, outputs, Listening(), release=lambda: heard.append("released")
    )
    assert list(dict.fromkeys(heard))[:3] == ["tile", "released", "outlines"]
    assert heard.count("released") == 1


@pytest.mark.parametrize("stop_at", [0, 0.4, 0.9])
def test_cancelled_it_leaves_nothing_new_and_what_was_there(make_raster, outputs, stopping_reporter, noise, stop_at):
    outputs.probability.write_text("of an earlier run")
    raster = inspect_raster(str(make_raster(noise[None])))
    with pytest.raises(CancelledError):
        run(raster, outputs, stopping_reporter(stop_at))
    assert [path.name for path in outputs.surface.parent.iterdir()] == ["p.tif"]
    assert outputs.probability.read_text() == "of an earlier run"


def test_what_cannot_have_its_name_takes_nothing_of_the_rest_along(make_raster, outputs, reporter, noise):
    """In the end, when hours are over."""

    def predict(images):
        outputs.vectors.outlines.mkdir(exist_ok=True)
        return first_band(images)

    raster = inspect_raster(str(make_raster(noise[None])))
    with pytest.raises(SettingError, match=r"o\.gpkg cannot be replaced: .* the new one is .*/o-2\.gpkg\."):
        run(raster, outputs, reporter, predict)
    assert {path.name for path in outputs.surface.parent.iterdir()} == {"s.tif", "p.tif", "o.gpkg", "o-2.gpkg"}


def test_an_error_in_the_middle_leaves_nothing(make_raster, outputs, reporter, noise):
    calls = []

    def fails_the_third_time(images):
        calls.append(len(images))
        if len(calls) == 3:
            raise MemoryError
        return images[:, 0]

    raster = inspect_raster(str(make_raster(noise[None])))
    with pytest.raises(MemoryError):
        run(raster, outputs, reporter, fails_the_third_time)
    assert list(outputs.surface.parent.iterdir()) == []


def test_an_earlier_result_is_replaced(make_raster, outputs, reporter, noise):
    raster = inspect_raster(str(make_raster(noise[None])))
    run(raster, outputs, reporter)
    surface, _ = run(raster, outputs, reporter, always(1.0))
    assert (surface == 1).all()
    assert len(list(outputs.surface.parent.iterdir())) == 3
