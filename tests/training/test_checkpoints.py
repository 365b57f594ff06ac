"""What a run learns from is known again, and told apart from anything else."""

import os
from dataclasses import replace

import numpy as np
import pytest
import rasterio.shutil
import shapely

from qgis_sslkd.core.geodata.annotations import read_polygons
from qgis_sslkd.core.geodata.rasters import inspect_raster
from qgis_sslkd.training.checkpoints import identify


@pytest.fixture
def inspected(make_raster):
    """Writes a raster full of a value, as of a second after 1970, and inspects it."""

    def make(value=0, name="raster.tif", second=0):
        path = make_raster(np.full((3, 40, 40), value, np.uint8), name)
        os.utime(path, (second, second))
        return inspect_raster(str(path))

    return make


def test_the_use_of_rasters_and_layers_counts(inspected, make_vector):
    a, b = inspected(name="a.tif"), inspected(name="b.tif")
    drawn = read_polygons(str(make_vector([shapely.box(0, 0, 1, 1)])), None)
    uses = [
        ([[a], [b]], [[drawn], []]),
        ([[a, b], []], [[drawn], []]),
        ([[b], [a]], [[drawn], []]),
        ([[a], [b]], [[], [drawn]]),
    ]
    assert len({identify(*use) for use in uses}) == len(uses)


@pytest.mark.parametrize("change", [{"bands": (3, 2, 1)}, {"nodata": 0.0}, {"dtype": "uint16"}])
def test_how_a_raster_is_read_counts(inspected, change):
    raster = inspected()
    assert identify([[raster]], []) == identify([[inspected()]], [])
    assert identify([[replace(raster, **change)]], []) != identify([[raster]], [])


def test_other_pixels_in_the_same_file_count(inspected, tmp_path):
    before = identify([[inspected()]], [])
    assert identify([[inspected(1, second=1)]], []) != before


def test_other_pixels_in_the_source_of_a_virtual_raster_count(inspected, tmp_path):
    rasterio.shutil.copy(inspected().path, tmp_path / "virtual.vrt", driver="VRT")
    virtual = inspect_raster(str(tmp_path / "virtual.vrt"))
    before = identify([[virtual]], [])
    inspected(1, second=1)
    assert identify([[virtual]], []) != before


def test_a_copy_made_anew_is_the_same_if_it_holds_the_same(inspected, tmp_path):
    before = identify([[inspected()]], [], copies=tmp_path)
    assert identify([[inspected(second=1)]], [], copies=tmp_path) == before
    assert identify([[inspected(1)]], [], copies=tmp_path) != before
    elsewhere = tmp_path / "copies"
    assert identify([[inspected(second=1)]], [], copies=elsewhere) != identify([[inspected()]], [], copies=elsewhere)


def test_statistics_beside_a_raster_do_not_count(inspected, tmp_path):
    raster = inspected()
    before = identify([[raster]], [])
    (tmp_path / "raster.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    assert identify([[raster]], []) == before


@pytest.mark.parametrize("before", ["", "<NoDataValue>255</NoDataValue>"])
def test_nodata_that_is_declared_beside_a_raster_counts(inspected, tmp_path, before):
    beside, raster = tmp_path / "raster.tif.aux.xml", inspected()
    identities = []
    for nodata in (before, "<NoDataValue>0</NoDataValue>"):
        beside.write_text(f'<PAMDataset><PAMRasterBand band="1">{nodata}</PAMRasterBand></PAMDataset>')
        identities.append(identify([[raster]], []))
    assert identities[0] != identities[1]


def test_a_name_that_gdal_alone_understands_counts(inspected):
    names = ["GPKG:a.gpkg:scene", "GPKG:a.gpkg:town", "<GDAL_WMS>" + 300 * "." + "</GDAL_WMS>"]
    assert len({identify([[replace(inspected(), path=name)]], []) for name in names}) == len(names)
