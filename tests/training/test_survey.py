"""Where rasters hold data, and by what their values are normalised."""

import numpy as np
import pytest

from qgis_sslkd.core.errors import RasterError
from qgis_sslkd.core.geodata.rasters import RasterReader, inspect_raster
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.training.survey import cells_with_data, measure_normalisation


def test_eight_bits_are_normalised_as_in_the_paper(make_raster):
    noise = np.random.default_rng(0).integers(0, 256, (3, 37, 53), dtype=np.uint8)
    raster = inspect_raster(str(make_raster(noise)))
    with RasterReader() as reader:
        normalisation = measure_normalisation([raster], reader)
    valid = np.random.default_rng(2).random(noise.shape[1:]) < 0.5
    images = normalisation.apply(noise, valid)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[:, valid], noise[:, valid] / 255 * 2 - 1, atol=1e-6)
    assert (images[:, ~valid] == 0).all()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_other_types_are_normalised_by_the_middle_of_their_values(make_raster, dtype):
    rng = np.random.default_rng(0)
    first, second = (rng.normal([[[500]], [[3000]]], 100, (2, 60, 70)).astype(dtype) for _ in range(2))
    first[:, :10] = -1 if dtype != "uint16" else 0
    rasters = [
        inspect_raster(str(make_raster(first, "first.tif", nodata=first[0, 0, 0]))),
        inspect_raster(str(make_raster(second, "second.tif"))),
    ]
    with RasterReader() as reader:
        normalisation = measure_normalisation(rasters, reader)
    values = np.concatenate([first[:, 10:].reshape(2, -1), second.reshape(2, -1)], axis=1).astype(np.float64)
    low, high = np.percentile(values, [1, 99], axis=1)
    assert normalisation.mean == pytest.approx((low + high) / 2)
    assert normalisation.std == pytest.approx((high - low) / 2)


@pytest.mark.parametrize("side", [300, 3000])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_the_size_of_a_raster_does_not_change_its_normalisation(make_raster, side, dtype):
    """Noise that is averaged to a thinned copy would all but vanish."""
    pixels = np.random.default_rng(0).normal(3000, 300, (1, side, side)).astype(dtype)
    raster = inspect_raster(str(make_raster(pixels)))
    with RasterReader() as reader:
        normalisation = measure_normalisation([raster], reader)
    assert normalisation.mean == pytest.approx([3000], rel=0.01)
    assert normalisation.std == pytest.approx([300 * 2.326], rel=0.02)


def test_values_are_sampled_where_there_are_any(make_raster):
    pixels = np.zeros((1, 2000, 2000), np.uint16)
    pixels[0, 1500:1510, 700:710] = 1000 + np.arange(100).reshape(10, 10)
    raster = inspect_raster(str(make_raster(pixels, nodata=0)))
    with RasterReader() as reader:
        assert measure_normalisation([raster], reader).mean == pytest.approx([1049.5], abs=0.1)


def test_cells_with_data_are_those_that_hold_a_pixel_of_it_however_often_they_are_asked_for(make_raster):
    pixels = np.zeros((1, 300, 400), np.uint16)
    pixels[0, [3, 120, 299], [5, 210, 399]] = 7
    raster = inspect_raster(str(make_raster(pixels, nodata=0)))
    with RasterReader() as reader:
        for height, width in ((64, 64), (75, 100), (300 / 7, 400 / 9)):
            expected = {(int(row // height), int(column // width)) for _, row, column in np.argwhere(pixels)}
            assert set(map(tuple, cells_with_data(raster, (height, width), reader).tolist())) == expected
        pixels = np.zeros((1, 1000, 1000), np.uint16)
        pixels[0, 192:256, 192:256] = 7
        thinned = inspect_raster(str(make_raster(pixels, "large.tif", nodata=0)))
        assert cells_with_data(thinned, (64, 64), reader).tolist() == [[3, 3]]
        # Read once: for a large raster it takes seconds.
        assert reader.thinned_validity(raster) is reader.thinned_validity(raster)


@pytest.mark.parametrize(
    ("dtype", "std"), [("uint16", 65535 / 2), ("int16", 32767 / 2), ("float32", 1), ("float64", 1)]
)
def test_a_constant_raster_is_normalised_to_zero(make_raster, dtype, std):
    pixels = np.full((1, 5, 5), 300, dtype)
    raster = inspect_raster(str(make_raster(pixels)))
    with RasterReader() as reader:
        normalisation = measure_normalisation([raster], reader)
    assert (normalisation.apply(pixels, np.ones((5, 5), bool)) == 0).all()
    assert normalisation.std == (std,)


def test_a_band_that_is_all_but_constant_is_normalised_by_all_its_values(make_raster):
    """A few other values may not become millions."""
    pixels = np.full((1, 50, 50), 300, np.uint16)
    pixels[0, 10, :10] = 500
    raster = inspect_raster(str(make_raster(pixels)))
    with RasterReader() as reader:
        assert measure_normalisation([raster], reader) == Normalisation((400.0,), (100.0,))


def test_nothing_but_nodata_cannot_be_normalised(make_raster):
    raster = inspect_raster(str(make_raster(np.zeros((1, 5, 5), np.uint16), nodata=0)))
    with RasterReader() as reader, pytest.raises(RasterError, match="all is nodata"):
        measure_normalisation([raster], reader)
