"""Which bands are the network's, by the colours that files declare."""

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from qgis_sslkd.core.geodata.bands import in_colours
from qgis_sslkd.core.geodata.rasters import inspect_raster

RGB, RGB_AND_ONE = ("red", "green", "blue"), ("red", "green", "blue", "undefined")


@pytest.mark.parametrize(
    ("wanted", "declared", "bands"),
    [
        (RGB, ("red", "green", "blue"), (1, 2, 3)),
        (RGB, ("blue", "green", "red"), (3, 2, 1)),
        (RGB, ("blue", "green", "red", "nir"), (3, 2, 1)),
        (RGB, ("coastal", "blue", "green", "red", "alpha"), (4, 3, 2)),
        (("nir", "red", "green"), ("red", "green", "blue", "nir"), (4, 1, 2)),
        (RGB_AND_ONE, ("blue", "green", "red", "undefined"), (3, 2, 1, 4)),
        (RGB_AND_ONE, ("undefined", "red", "green", "blue"), (2, 3, 4, 1)),
    ],
)
def test_bands_are_found_by_their_colours(make_raster, wanted, declared, bands):
    found = in_colours(raster_of(make_raster, declared), wanted)
    assert found.bands == bands
    assert found.colours == tuple(declared[band - 1] for band in bands)


@pytest.mark.parametrize(
    ("wanted", "declared"),
    [
        (RGB, ("gray", "undefined", "undefined")),  # nothing is told
        (RGB, ("blue", "green", "undefined")),  # not all
        (RGB, ("red", "red", "green", "blue")),  # which of them?
        (RGB_AND_ONE, ("blue", "green", "red")),
        (RGB_AND_ONE, ("undefined", "blue", "green", "red", "undefined")),
        (("gray",), ("blue", "green", "red")),
        (("undefined", "undefined"), ("red", "green")),
        (("red", "red"), ("green", "red")),
        ((), ("blue", "green", "red")),
    ],
)
def test_where_the_colours_do_not_tell_all_stays(make_raster, wanted, declared):
    raster = raster_of(make_raster, declared)
    assert in_colours(raster, wanted) is raster


def raster_of(make_raster, colours):
    pixels = np.zeros((len(colours), 4, 4), np.uint8)
    return inspect_raster(str(make_raster(pixels, colours=[ColorInterp[colour] for colour in colours])))
