"""The sliding window by known predictors: whatever the cut, the picture is put together exactly."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from time import sleep

import numpy as np
import pytest
import rasterio.shutil
import torch
from emptiness import KINDS, with_nothing
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.inferers import sliding_window_inference
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.windows import Window
from torch import nn

from qgis_sslkd.core.detection import averaged_over_flips, slide
from qgis_sslkd.core.errors import CancelledError, ModelFileError, RasterError
from qgis_sslkd.core.geodata.grids import OwnGrid, Scene
from qgis_sslkd.core.geodata.rasters import inspect_raster
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models.inference import predictor
from qgis_sslkd.core.windows import Tiling, tile_starts

AS_IT_IS = Normalisation((0.0,), (1.0,))


class Silent:
    """A reporter that nobody listens to."""

    def progress(self, fraction, text): ...
    def info(self, text): ...
    def warning(self, text): ...


class Recorder:
    """A predictor that keeps what it is shown and answers by a function of it."""

    def __init__(self, answer):
        self._answer, self.batches = answer, []

    def __call__(self, images):
        self.batches.append(images.copy())
        return self._answer(images)

    @property
    def tiles(self):
        return np.concatenate(self.batches)


def first_band(images):
    return images[:, 0]


def always(value):
    return lambda images: np.full((len(images), *images.shape[2:]), value, np.float32)


@contextmanager
def in_memory(pixels, **options):
    """Pixels `(C, H, W)` as a raster in memory."""
    bands, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype.name}
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_200_000, 0.5, 0.5)}
    with MemoryFile() as memory:
        with memory.open(**profile, **place, **options) as dataset:
            dataset.write(pixels)
        yield inspect_raster(memory.name)


def detect(raster, predict, tiling, window=None, normalisation=None, reporter=None):
    """The probability and the validity of all strips, one below the other."""
    window = window or raster.window
    normalisation = normalisation or Normalisation((0.0,) * len(raster.bands), (1.0,) * len(raster.bands))
    strips = list(slide(OwnGrid(Scene(raster, window)), normalisation, predict, tiling, reporter or Silent()))
    return np.concatenate([s.probability for s in strips]), np.concatenate([s.valid for s in strips])


@st.composite
def tilings(draw):
    tile = draw(st.sampled_from([32, 64, 96]))
    # Not up to the tile itself: a step of a single pixel takes thousands of tiles.
    return Tiling(tile, draw(st.integers(0, tile * 3 // 4)), draw(st.integers(1, 5)))


SIDES = st.one_of(st.integers(1, 200), st.sampled_from([1, 31, 32, 33, 64, 65, 96, 97]))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, tilings(), st.floats(0, 1, width=32))
@example(1, 1, Tiling(32, 0, 1), 1.0)
@example(1, 200, Tiling(32, 24, 3), 0.1)
@example(1000, 1, Tiling(64, 16, 4), 0.7)
@example(1, 1000, Tiling(64, 16, 4), 0.7)
@example(64, 64, Tiling(64, 63, 1), 0.5)
@example(65, 65, Tiling(64, 63, 2), 0.5)
@example(40, 30, Tiling(512, 128, 1), 1.0)
def test_a_constant_network_gives_a_constant_raster(height, width, tiling, value):
    predict = Recorder(always(value))
    with in_memory(np.zeros((1, height, width), np.uint8)) as raster:
        probability, valid = detect(raster, predict, tiling)
    assert probability.shape == valid.shape == (height, width)
    assert probability.dtype == np.float32
    assert valid.all()
    np.testing.assert_allclose(probability, value, rtol=1e-6, atol=1e-7)
    assert probability.max() <= 1
    assert {images.shape[1:] for images in predict.batches} == {(1, tiling.tile, tiling.tile)}
    assert max(map(len, predict.batches)) <= tiling.batch


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, tilings(), st.data())
@example(1, 1, Tiling(32, 8, 1), None)
@example(130, 170, Tiling(32, 8, 3), None)
def test_a_network_that_returns_its_input_gives_it_back(height, width, tiling, data):
    """Nothing is shifted by a pixel, in the whole raster or in a part of it."""
    pixels = np.random.default_rng(height * 1000 + width).random((1, height, width)).astype(np.float32)
    window = Window(0, 0, width, height)
    if data is not None:
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        rows, columns = data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
        window = Window(left, top, columns, rows)
    with in_memory(pixels) as raster:
        probability, valid = detect(raster, first_band, tiling, window)
    expected = pixels[0, window.row_off :, window.col_off :][: window.height, : window.width]
    assert valid.shape == expected.shape and valid.all()
    np.testing.assert_allclose(probability, expected, rtol=2e-6, atol=1e-7)


def test_a_part_is_seen_with_its_surroundings():
    """At the edge of an extent the network sees the raster's own pixels, not their mirror."""
    pixels = np.random.default_rng(0).random((1, 100, 100)).astype(np.float32)

    def pixel_to_the_right_and_below(images):
        return np.roll(images[:, 0], (-1, -1), axis=(1, 2))

    with in_memory(pixels) as raster:
        probability, _ = detect(raster, pixel_to_the_right_and_below, Tiling(64, 0, 1), Window(20, 30, 40, 25))
    np.testing.assert_array_equal(probability, pixels[0, 31:56, 21:61])


def test_beyond_the_raster_the_network_sees_its_mirror():
    """A grey margin would be an edge, which a network takes for something."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 50), dtype=np.uint8)
    predict = Recorder(first_band)
    with in_memory(pixels) as raster:
        detect(raster, predict, Tiling(64, 0, 1), normalisation=Normalisation((100, 100), (50, 50)))
    mirrored = np.pad(pixels, ((0, 0), (0, 24), (0, 14)), mode="symmetric")
    np.testing.assert_allclose(predict.tiles[0], (mirrored.astype(float) - 100) / 50, rtol=1e-6)


def test_a_raster_of_3200_by_4000_is_exactly_88_tiles():
    seen = []

    def count(images):
        seen.append(len(images))
        return images[:, 0]

    with in_memory(np.zeros((1, 3200, 4000), np.uint8)) as raster:
        grid = OwnGrid(Scene(raster, Window(0, 0, 4000, 3200)))
        for _ in slide(grid, AS_IT_IS, count, Tiling(512, 128, 3), Silent()):
            pass
    assert sum(seen) == 88


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_the_batch_changes_nothing(batch):
    pixels = np.random.default_rng(0).random((1, 150, 170)).astype(np.float32)
    with in_memory(pixels) as raster:
        alone, _ = detect(raster, lambda images: images[:, 0] ** 2, Tiling(64, 20, 1))
        together, _ = detect(raster, lambda images: images[:, 0] ** 2, Tiling(64, 20, batch))
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_network_that_takes_its_time_sees_its_own_tiles(batch):
    """The next tiles are read meanwhile."""

    def slow(images):
        sleep(0.003)
        return images[:, 0] ** 2

    pixels = np.random.default_rng(0).random((1, 150, 170)).astype(np.float32)
    with in_memory(pixels) as raster:
        expected, _ = detect(raster, lambda images: images[:, 0] ** 2, Tiling(64, 20, 1))
        found, _ = detect(raster, slow, Tiling(64, 20, batch))
    np.testing.assert_array_equal(found, expected)


def test_strips_come_one_by_one_and_are_no_higher_than_a_tile():
    with in_memory(np.zeros((1, 500, 40), np.uint8)) as raster:
        predict = Recorder(first_band)
        grid = OwnGrid(Scene(raster, Window(0, 0, 40, 500)))
        strips = slide(grid, AS_IT_IS, predict, Tiling(64, 16, 1), Silent())
        first = next(strips)
        assert len(first.probability) <= 64
        # The network is one batch ahead of what is blended.
        assert len(predict.batches) <= 2
        assert sum(len(strip.probability) for strip in strips) == 500 - len(first.probability)


def test_all_bands_reach_the_network_normalised():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    predict = Recorder(first_band)
    with in_memory(pixels) as raster:
        detect(raster, predict, Tiling(64, 0, 1), normalisation=Normalisation((127.5, 100, 0), (127.5, 50, 1)))
    (tile,) = predict.tiles
    expected = (pixels - np.array([127.5, 100, 0])[:, None, None]) / np.array([127.5, 50, 1])[:, None, None]
    assert tile.dtype == np.float32
    np.testing.assert_allclose(tile, expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70)), elements=st.sampled_from([0, 0, 3])))
def test_nodata_in_nodata_out(pixels):
    with in_memory(pixels[None], nodata=0) as raster:
        probability, valid = detect(raster, always(0.25), Tiling(32, 8, 2))
    np.testing.assert_array_equal(valid, pixels > 0)
    np.testing.assert_allclose(probability[valid], 0.25, rtol=1e-6)


def test_a_value_of_zero_is_no_nodata():
    """Neither a band of zeros nor a prediction of zero makes a pixel invalid."""
    with in_memory(np.zeros((3, 50, 50), np.uint8)) as raster:
        probability, valid = detect(raster, always(0.0), Tiling(32, 8, 1))
    assert valid.all() and not probability.any()


@pytest.mark.parametrize("kind", KINDS)
def test_empty_tiles_are_not_predicted(kind):
    """Two of the four columns of tiles hold nothing, and the network does not see them."""
    height, width, tile = 64, 256, 64
    empty = np.zeros((height, width), bool)
    empty[:, 64:192] = True
    predict = Recorder(always(0.75))
    pixels, options = with_nothing(empty, kind)
    with in_memory(pixels, **options) as raster:
        probability, valid = detect(raster, predict, Tiling(tile, 0, 8))
    np.testing.assert_array_equal(valid, ~empty)
    np.testing.assert_allclose(probability[valid], 0.75, rtol=1e-6)
    assert [len(images) for images in predict.batches] == [2]


def test_a_network_without_numbers_is_told():
    with in_memory(np.zeros((1, 40, 40), np.uint8)) as raster, pytest.raises(ModelFileError, match="no numbers"):
        detect(raster, always(np.nan), Tiling(32, 8, 4))


def test_nothing_is_predicted_where_nothing_is():
    predict = Recorder(first_band)
    with in_memory(np.zeros((2, 100, 130), np.uint8), nodata=0) as raster:
        probability, valid = detect(raster, predict, Tiling(32, 8, 4))
    assert predict.batches == []
    assert valid.shape == probability.shape == (100, 130)
    assert not valid.any()


def test_invalid_pixels_look_like_the_mean_to_the_network():
    pixels = np.full((1, 32, 32), 200, np.uint8)
    pixels[0, :5] = 0
    predict = Recorder(first_band)
    with in_memory(pixels, nodata=0) as raster:
        detect(raster, predict, Tiling(32, 0, 1), normalisation=Normalisation((100.0,), (50.0,)))
    assert (predict.tiles[0, 0, :5] == 0).all()
    assert (predict.tiles[0, 0, 5:] == 2).all()


def test_progress_rises_to_the_end(reporter):
    with in_memory(np.zeros((1, 200, 200), np.uint8)) as raster:
        detect(raster, first_band, Tiling(64, 16, 2), reporter=reporter)
    assert reporter.fractions == sorted(reporter.fractions)
    assert reporter.fractions[-1] == 1
    assert reporter.texts[-1] == "tile 16 of 16"


def test_asked_to_stop_it_stops_and_its_threads_end(stopping_reporter):
    before = threading.active_count()
    reporter = stopping_reporter(stop_at=0.3)
    with in_memory(np.zeros((1, 200, 200), np.uint8)) as raster, pytest.raises(CancelledError):
        detect(raster, first_band, Tiling(32, 8, 2), reporter=reporter)
    assert reporter.fractions[-1] < 0.35
    assert threading.active_count() == before


def test_threads_end_where_the_network_fails():
    def fails(images):
        raise ZeroDivisionError

    before = threading.active_count()
    with in_memory(np.zeros((1, 200, 200), np.uint8)) as raster, pytest.raises(ZeroDivisionError):
        detect(raster, fails, Tiling(32, 8, 2))
    assert threading.active_count() == before


def test_damage_in_the_file_is_an_error_that_names_it(make_raster, tear):
    noise = np.random.default_rng(0).integers(0, 256, (1, 128, 128), dtype=np.uint8)
    path = tear(make_raster(noise, "torn.tif", tiled=True, blockxsize=32, blockysize=32, compress="deflate"))
    with pytest.raises(RasterError, match=r"torn\.tif cannot be read at column"):
        detect(inspect_raster(str(path)), first_band, Tiling(32, 0, 1))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_threads_change_nothing(monkeypatch, threads):
    pixels = np.random.default_rng(0).random((1, 150, 170)).astype(np.float32)
    with in_memory(pixels) as raster:
        before, _ = detect(raster, lambda images: images[:, 0] ** 2, Tiling(64, 20, 7))
        monkeypatch.setattr("qgis_sslkd.core.detection._READING_THREADS", threads)
        after, _ = detect(raster, lambda images: images[:, 0] ** 2, Tiling(64, 20, 7))
    np.testing.assert_array_equal(before, after)


class ThreadTeam:
    """A team of threads; the rows of the others come through queues."""

    def __init__(self, rank, size, queues):
        self.rank, self.size, self._queues = rank, size, queues

    def gather(self, own, count):
        if self.rank > 0:
            for row in own:
                self._queues[self.rank].put(list(row))
            return
        for row in range(count):
            yield next(own) if row % self.size == 0 else self._queues[row % self.size].get(timeout=10)


@pytest.mark.parametrize(("size", "height"), [(2, 150), (3, 150), (3, 230), (4, 60)])
def test_several_processes_give_the_same_to_the_bit(size, height):
    """Each computes its share of the rows of tiles; one of four has none."""
    pixels = np.random.default_rng(0).random((1, height, 170)).astype(np.float32)
    queues = [SimpleQueue() for _ in range(size)]
    seen = [Recorder(lambda images: images[:, 0] ** 2) for _ in range(size)]

    def work(rank):
        grid = OwnGrid(Scene(raster, Window(0, 0, 170, height)))
        return list(slide(grid, AS_IT_IS, seen[rank], Tiling(64, 45, 2), Silent(), ThreadTeam(rank, size, queues)))

    with in_memory(pixels, nodata=pixels[0, 0, 0]) as raster, ThreadPoolExecutor(size) as pool:
        strips, *others = pool.map(work, range(size))
        expected, valid = detect(raster, lambda images: images[:, 0] ** 2, Tiling(64, 45, 2))
    assert others == [[]] * (size - 1)
    np.testing.assert_array_equal(np.concatenate([strip.probability for strip in strips]), expected)
    np.testing.assert_array_equal(np.concatenate([strip.valid for strip in strips]), valid)
    counts = [sum(map(len, predict.batches)) for predict in seen]
    columns = 7
    rows = len(tile_starts(height, 64, 45))
    assert counts == [columns * len(range(rank, rows, size)) for rank in range(size)]


LAYOUTS = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 48, "compress": "deflate"},
    "bands apart": {"interleave": "band", "compress": "lzw"},
    "COG": {"driver": "COG", "blocksize": 128, "compress": "deflate"},
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_the_layout_and_the_type_the_pixels_are_the_same(make_raster, tmp_path, layout, dtype):
    pixels = np.random.default_rng(0).integers(0, 200, (2, 140, 150)).astype(dtype)
    raster = inspect_raster(str(make_raster(pixels)))
    path = tmp_path / "laid out.tif"
    rasterio.shutil.copy(raster.path, path, **{"driver": "GTiff", **LAYOUTS[layout]})
    half = Normalisation((0.0, 0.0), (400.0, 400.0))
    probability, valid = detect(inspect_raster(str(path)), first_band, Tiling(64, 16, 2), normalisation=half)
    assert valid.all()
    np.testing.assert_allclose(probability, pixels[0] / 400, rtol=2e-6)


def test_flips_and_turns_are_each_seen_once_and_turned_back():
    """A predictor that answers with its input gives it back; each of the eight views is another."""
    images = np.random.default_rng(0).random((2, 3, 6, 6)).astype(np.float32)
    predict = Recorder(first_band)
    found = averaged_over_flips(predict)(images)
    assert found.shape == (2, 6, 6) and found.dtype == np.float32
    np.testing.assert_allclose(found, images[:, 0], rtol=1e-6)
    assert len({view.tobytes() for view in predict.batches}) == 8
    assert all(view.flags.c_contiguous for view in predict.batches)


def test_with_flips_a_turned_picture_has_the_turned_result():
    images = np.random.default_rng(0).random((1, 1, 8, 8)).astype(np.float32)
    predict = averaged_over_flips(lambda seen: np.roll(seen[:, 0], 1, axis=2))
    expected = predict(images)
    assert abs(expected - images[:, 0]).max() > 0.1
    np.testing.assert_allclose(predict(np.rot90(images, 1, (2, 3))), np.rot90(expected, 1, (1, 2)), rtol=1e-5)
    np.testing.assert_allclose(predict(images[..., ::-1]), expected[..., ::-1], rtol=1e-5)


class Contrast(nn.Module):
    """Logits (0, band), and drop-out that must not be at work."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, images):
        return torch.cat([torch.zeros_like(images), self.drop(images)], dim=1)


def test_the_predictor_gives_the_probability_of_road(device):
    images = np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype(np.float32)
    found = predictor(Contrast(), torch.device(device))(images)
    assert found.shape == (3, 8, 8)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-images[:, 0])), rtol=1e-5)


def test_a_network_over_a_raster_is_the_network_over_each_tile():
    """Against the same blending by hand, in float64 and in one piece."""
    network = nn.Conv2d(2, 2, 5, padding=2)
    pixels = np.random.default_rng(0).random((2, 70, 90)).astype(np.float32)
    predict = predictor(network, torch.device("cpu"))
    with in_memory(pixels) as raster:
        found, _ = detect(raster, predict, Tiling(64, 32, 4))
    profile = 1e-3 + np.sin(np.pi * (np.arange(64) + 0.5) / 64) ** 2
    total, weights = np.zeros((70, 90)), np.zeros((70, 90))
    for row in (0, 6):
        for column in (0, 26):
            part = pixels[:, row : row + 64, column : column + 64]
            weight = np.outer(profile, profile)
            total[row : row + 64, column : column + 64] += weight * predict(part[None])[0]
            weights[row : row + 64, column : column + 64] += weight
    np.testing.assert_allclose(found, total / weights, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
def test_monai_s_sliding_window_gives_the_same_to_rounding(batch):
    """Over a size at which both place the same tiles, with this blending's weights for its importance map."""
    network = nn.Conv2d(2, 2, 5, padding=2)
    pixels = np.random.default_rng(0).random((2, 128, 160)).astype(np.float32)
    predict = predictor(network, torch.device("cpu"))
    with in_memory(pixels) as raster:
        found, _ = detect(raster, predict, Tiling(64, 32, batch))
    profile = 1e-3 + np.sin(np.pi * (np.arange(64) + 0.5) / 64) ** 2
    # Only their ratios count; MONAI takes none below 0.001.
    weights = torch.from_numpy(1e6 * np.outer(profile, profile))
    (expected,) = sliding_window_inference(
        torch.from_numpy(pixels[None]),
        (64, 64),
        batch,
        lambda images: torch.from_numpy(predict(images.numpy())[:, None]),
        overlap=0.5,
        roi_weight_map=weights,
    )
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)


def test_a_virtual_mosaic_is_read_like_any_raster(make_raster, tmp_path):
    pixels = np.random.default_rng(0).random((1, 80, 120)).astype(np.float32)
    rasterio.shutil.copy(make_raster(pixels), tmp_path / "mosaic.vrt", driver="VRT")
    raster = inspect_raster(str(tmp_path / "mosaic.vrt"))
    probability, _ = detect(raster, first_band, Tiling(64, 16, 2))
    np.testing.assert_allclose(probability, pixels[0], rtol=2e-6)
