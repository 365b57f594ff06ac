"""Reading by blocks: the same pixels as without them, and each block decoded once whatever the threads."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import sleep

import numpy as np
import pytest
import rasterio
from emptiness import KINDS, with_nothing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from rasterio.windows import Window

from qgis_sslkd.core.ahead import map_ahead
from qgis_sslkd.core.errors import RasterError
from qgis_sslkd.core.geodata.blocks import BlockReader
from qgis_sslkd.core.geodata.rasters import RasterReader, inspect_raster

HEIGHT, WIDTH = 250, 300
LAYOUTS = {
    "rows": {},
    "strips": {"blockysize": 48},
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 48, "compress": "deflate"},
    "large tiles": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "bands apart": {"interleave": "band", "compress": "lzw"},
}


class Listening(RasterReader):
    """Remembers what is decoded."""

    def __init__(self):
        super().__init__()
        self.windows = Counter()

    def read(self, raster, window, shape):
        self.windows[window.flatten()] += 1
        return super().read(raster, window, shape)


@contextmanager
def by_blocks(raster, shape=(64, 64), within=None):
    with Listening() as decoder:
        within = within or raster.window
        yield BlockReader(decoder, raster, within, shape), decoder


def rows_of_windows(side, step):
    """Overlapping windows, row by row, as detection reads them; the last ones reach beyond the raster."""
    return [Window(left, top, side, side) for top in range(0, HEIGHT, step) for left in range(0, WIDTH, step)]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH), dtype=np.uint8)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("qgis_sslkd.core.geodata.blocks._SIDE", 32)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_those_of_the_raster(make_raster, layout, kind):
    empty = np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.3
    pixels, options = with_nothing(empty, kind)
    raster = inspect_raster(str(make_raster(pixels, **options, **LAYOUTS[layout])))
    with by_blocks(raster) as (reader, decoder):
        for window in [*rows_of_windows(64, 48), Window(-5, -9, 40, 30), Window(290, 100, 64, 64), Window(7, 8, 1, 1)]:
            found, valid = reader.read(window)
            expected, expected_valid = decoder.read(raster, window, (window.height, window.width))
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(valid, expected_valid)


@pytest.fixture(scope="module")
def module_raster(tmp_path_factory, noise):
    """A raster for properties that are tried on many windows."""
    path = tmp_path_factory.mktemp("noise") / "noise.tif"
    profile = {"driver": "GTiff", "count": 2, "height": HEIGHT, "width": WIDTH, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=from_origin(5e5, 5.2e6, 0.5, 0.5), **profile) as dataset:
        dataset.write(noise)
    return inspect_raster(str(path))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_windows_in_any_order(module_raster, data):
    with by_blocks(module_raster, (data.draw(st.integers(1, 80)), data.draw(st.integers(1, 80)))) as (reader, decoder):
        for _ in range(3):
            height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
            top, left = data.draw(st.integers(1 - height, HEIGHT - 1)), data.draw(st.integers(1 - width, WIDTH - 1))
            window = Window(left, top, width, height)
            expected, _ = decoder.read(module_raster, window, (height, width))
            np.testing.assert_array_equal(reader.read(window)[0], expected)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("held_up", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_block_is_decoded_once(make_raster, noise, layout, held_up, threads):
    """However many windows share it, whichever thread reads them, and however long one of them takes."""
    raster = inspect_raster(str(make_raster(noise, **LAYOUTS[layout])))
    windows = rows_of_windows(64, 48)
    with by_blocks(raster) as (reader, decoder):

        def read(window):
            # The last of a row, for long enough that the other threads read all that they may.
            if held_up and window.col_off + 48 >= WIDTH:
                sleep(0.05)
            return reader.read(window)

        for window, (pixels, _) in zip(windows, map_ahead(read, windows, threads, ahead=threads), strict=True):
            right, bottom = min(window.col_off + 64, WIDTH), min(window.row_off + 64, HEIGHT)
            expected = noise[:, window.row_off : bottom, window.col_off : right]
            np.testing.assert_array_equal(pixels[:, : expected.shape[1], : expected.shape[2]], expected)
        assert set(decoder.windows.values()) == {1}
        assert sum(width * height for _, _, width, height in decoder.windows) == HEIGHT * WIDTH


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_decoded_at_a_time_is_made_of_whole_blocks(make_raster, noise, layout):
    path = make_raster(noise, **LAYOUTS[layout])
    raster = inspect_raster(str(path))
    with by_blocks(raster) as (reader, decoder):
        high, wide = decoder.block_shape(raster)
        reader.read(Window(100, 100, 64, 64))
        for left, top, width, height in decoder.windows:
            assert left % wide == top % high == 0
            assert width % wide == 0 or left + width == WIDTH
            assert height % high == 0 or top + height == HEIGHT


def test_only_what_the_next_row_of_windows_may_need_is_kept(make_raster, noise):
    raster = inspect_raster(str(make_raster(noise, tiled=True, blockxsize=32, blockysize=32)))
    with by_blocks(raster) as (reader, decoder):
        for window in rows_of_windows(64, 48):
            reader.read(window)
        decoded = decoder.windows.total()
        reader.read(Window(0, 192, WIDTH, HEIGHT - 192))
        assert decoder.windows.total() == decoded
        reader.read(Window(0, 0, WIDTH, 32))
        assert decoder.windows.total() == decoded + 10


def test_of_a_part_no_more_is_kept_than_it_takes(make_raster, noise):
    raster = inspect_raster(str(make_raster(noise, tiled=True, blockxsize=32, blockysize=32)))
    with by_blocks(raster, (32, 32), within=Window(40, 0, 50, HEIGHT)) as (reader, decoder):
        for top in range(0, 224, 32):
            reader.read(Window(40, top, 50, 32))
        decoded = decoder.windows.total()
        reader.read(Window(40, 160, 50, 64))
        assert decoder.windows.total() == decoded
        reader.read(Window(40, 0, 50, 32))
        assert decoder.windows.total() == decoded + 2


@pytest.mark.parametrize(("layout", "least", "most"), [("rows", 1, 1), ("tiles", 1.1, 2.5)])
def test_where_a_row_of_windows_takes_too_much_its_neighbours_share_blocks(
    make_raster, noise, monkeypatch, layout, least, most
):
    """Blocks as wide as the raster are needed by all of a row."""
    monkeypatch.setattr("qgis_sslkd.core.geodata.blocks._MOST_BYTES", 1000)
    raster = inspect_raster(str(make_raster(noise, **LAYOUTS[layout])))
    with by_blocks(raster, (24, 24)) as (reader, decoder):
        for window in rows_of_windows(24, 18):
            reader.read(window)
        assert least <= decoder.windows.total() / len(decoder.windows) <= most


@pytest.fixture
def torn(make_raster, tear, noise):
    """A raster whose middle is damaged."""
    path = make_raster(noise, "torn.tif", nodata=0, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    return inspect_raster(str(tear(path)))


def test_every_thread_that_needs_a_damaged_block_hears_of_it(torn):
    with by_blocks(torn) as (reader, _), ThreadPoolExecutor(4) as pool:
        readings = [pool.submit(reader.read, Window(0, 0, WIDTH, HEIGHT)) for _ in range(8)]
        for reading in readings:
            with pytest.raises(RasterError, match=r"torn\.tif cannot be read at column"):
                reading.result(timeout=30)
        assert reader.read(Window(0, 0, 32, 32))[1].all()


def everywhere(window):
    return np.ones((window.height, window.width), dtype=bool)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_validity_alone_is_that_of_the_pixels(make_raster, kind, layout):
    """Whether blocks were read before, some of them, or none."""
    rng = np.random.default_rng(1)
    empty, wanted = rng.random((2, HEIGHT, WIDTH)) < 0.3
    empty[:100, :80] = False
    empty[100:, :80] = True
    pixels, options = with_nothing(empty, kind)
    raster = inspect_raster(str(make_raster(pixels, **options, **LAYOUTS[layout])))
    with by_blocks(raster) as (reader, _):
        for window in (Window(3, 7, 200, 90), Window(0, 0, WIDTH, HEIGHT), Window(299, 0, 1, 250)):
            rows, columns = window.toslices()
            found = reader.valid_among(wanted[rows, columns], window)
            np.testing.assert_array_equal(found, wanted[rows, columns] & ~empty[rows, columns])
            reader.read(Window(100, 30, 64, 100))


def test_validity_alone_is_that_of_every_band(make_raster):
    pixels = np.ones((2, 3, 4), dtype=np.float32)
    pixels[0, 1, 2] = np.nan
    raster = inspect_raster(str(make_raster(pixels)))
    with by_blocks(raster) as (reader, _):
        valid = reader.valid_among(np.ones((3, 4), dtype=bool), Window(0, 0, 4, 3))
    np.testing.assert_array_equal(valid, np.isfinite(pixels[0]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("declared", [None, 7])
def test_validity_alone_knows_a_given_nodata_besides_the_declared_one(make_raster, dtype, declared):
    pixels = np.array([[[3, 7, 9, 3]], [[3, 7, 9, 9]]], dtype=dtype)
    raster = inspect_raster(str(make_raster(pixels, nodata=declared)), nodata=3)
    with by_blocks(raster) as (reader, _):
        valid = reader.valid_among(np.ones((1, 4), dtype=bool), Window(0, 0, 4, 1))
    assert valid.tolist() == [[False, declared is None, True, True]]


def test_a_given_nodata_beyond_the_type_is_no_pixel_s(make_raster):
    raster = inspect_raster(str(make_raster(np.zeros((1, 2, 2), np.uint8))), nodata=-9999)
    with by_blocks(raster) as (reader, _):
        assert reader.valid_among(np.ones((2, 2), dtype=bool), Window(0, 0, 2, 2)).all()


def test_nothing_is_decoded_where_everything_is_valid(make_raster, noise):
    raster = inspect_raster(str(make_raster(noise)))
    window = Window(3, 7, 20, 9)
    with by_blocks(raster) as (reader, decoder):
        assert reader.valid_among(everywhere(window), window).all()
        assert not decoder.windows


def test_nothing_is_decoded_for_validity_where_nothing_is_wanted(make_raster, noise):
    raster = inspect_raster(str(make_raster(noise, nodata=7, tiled=True, blockxsize=32, blockysize=32)))
    whole = Window(0, 0, WIDTH, HEIGHT)
    wanted = ~everywhere(whole)
    with by_blocks(raster) as (reader, decoder):
        assert not reader.valid_among(wanted, whole).any()
        assert not decoder.windows
        wanted[40, 70] = True
        reader.valid_among(wanted, whole)
        assert set(decoder.windows) == {(64, 32, 32, 32)}


def test_a_damaged_block_is_told_of_where_only_its_validity_is_asked_for(torn):
    with by_blocks(torn) as (reader, _), pytest.raises(RasterError, match=r"torn\.tif cannot be read at column"):
        reader.valid_among(np.ones((HEIGHT, WIDTH), dtype=bool), Window(0, 0, WIDTH, HEIGHT))


def test_threads_that_ask_for_validity_decode_each_block_once(make_raster, noise):
    raster = inspect_raster(str(make_raster(noise, nodata=7, tiled=True, blockxsize=32, blockysize=32)))
    # All their masks are kept: a thread may fall behind as far as it likes.
    windows = [Window(0, top, WIDTH, 5) for top in range(0, 220, 5)]
    with by_blocks(raster) as (reader, decoder), ThreadPoolExecutor(4) as pool:
        valid = np.concatenate(list(pool.map(reader.valid_among, map(everywhere, windows), windows)))
        np.testing.assert_array_equal(valid, (noise != 7).any(axis=0)[:220])
        assert set(decoder.windows.values()) == {1}
