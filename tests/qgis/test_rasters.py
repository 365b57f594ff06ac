"""Raster layers of any provider to files: the worker sees the pixels that QGIS sees, where QGIS sees them."""

import itertools
import threading
import time
import zipfile
from urllib.parse import quote

import numpy
import pytest
from conftest import LEFT, PIXEL, TOP, UTM, Feedback, write_raster
from coverages import CoverageServer
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication
from tiles import HALF_WORLD, TileServer, colours, pixel_size

from qgis_sslkd.errors import Cancelled
from qgis_sslkd.layers import LayerUnusable
from qgis_sslkd.rasters import Frame, take_raster

ZOOM = 17
# Ground distances in Web Mercator shrink with the cosine of the latitude, here about that of Munich.
SOUTH_OF_MUNICH = (1_284_000.3, 6_100_000.7)
GROUND = 0.6740
SOME = QgsRectangle(SOUTH_OF_MUNICH[0], SOUTH_OF_MUNICH[1], SOUTH_OF_MUNICH[0] + 700, SOUTH_OF_MUNICH[1] + 400)
FRAME = Frame(SOME, GROUND * pixel_size(ZOOM))
# Where a pixel may come from, counted from its own: after 3.40 QGIS draws tiles up to a pixel larger on each side.
REACH = [0] if Qgis.versionInt() < 34100 else [-1, 0, 1]


@pytest.fixture
def server():
    server = TileServer()
    yield server
    server.close()


@pytest.fixture
def copied(context, feedback, tmp_path):
    """Give a layer to the worker as the algorithms do; return what another GDAL opens."""

    def copy(layer, frame=None):
        assert layer.isValid()
        return gdal.Open(take_raster(layer, frame, context).file(tmp_path / "copies", feedback))

    return copy


@pytest.fixture
def memory():
    name = "/vsimem/sslkd.tif"
    write_raster(name, bands=4)
    yield name
    gdal.Unlink(name)


def in_background(work):
    """Run in a thread that is not QGIS's main one, which goes on; return what was raised."""
    raised = []

    def run():
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        QCoreApplication.processEvents()
        time.sleep(0.005)
    return raised


def array_of(path):
    dataset = gdal.Open(str(path))
    return dataset.ReadAsArray()


def pixels_of_the_world(dataset, zoom):
    """Return the columns and rows of the world's pixels that a raster covers exactly."""
    left, width, _, top, _, height = dataset.GetGeoTransform()
    size = pixel_size(zoom)
    assert (width, height) == (pytest.approx(size, rel=1e-9), pytest.approx(-size, rel=1e-9))
    column, row = (left + HALF_WORLD) / size, (HALF_WORLD - top) / size
    assert (column, row) == (pytest.approx(round(column), abs=1e-4), pytest.approx(round(row), abs=1e-4))
    return (
        range(round(column), round(column) + dataset.RasterXSize),
        range(round(row), round(row) + dataset.RasterYSize),
    )


def assert_as_served(dataset, zoom=ZOOM):
    columns, rows = pixels_of_the_world(dataset, zoom)
    *colour, alpha = dataset.ReadAsArray()
    served = numpy.zeros(alpha.shape, bool)
    for right, down in itertools.product(REACH, REACH):
        there = colours(*(range(each.start + by, each.stop + by) for each, by in ((columns, right), (rows, down))))
        served |= (numpy.dstack(colour) == there).all(2)
    assert served.all() and (alpha == 255).all()


def test_a_raster_file_goes_by_its_path(copied, tmp_path):
    path = write_raster(tmp_path / "Ortho Weiß (1).tif")
    assert copied(QgsRasterLayer(str(path), "ortho")).GetDescription() == str(path)


def test_a_raster_lies_where_the_options_of_its_layer_have_it(copied, tmp_path):
    path = write_raster(tmp_path / "Ortho Weiß (1).tif")
    path.with_suffix(".tfw").write_text(f"{PIXEL}\n0\n0\n{-PIXEL}\n{LEFT + 100 + PIXEL / 2}\n{TOP - PIXEL / 2}\n")
    layer = QgsRasterLayer(f"{path}|option:GEOREF_SOURCES=WORLDFILE,INTERNAL|option:NUM_THREADS=2", "ortho")
    assert layer.extent().xMinimum() == LEFT + 100
    found = copied(layer)
    assert found.GetGeoTransform() == (LEFT + 100, PIXEL, 0, TOP, 0, -PIXEL)
    assert QgsRasterLayer(found.GetDescription()).crs().authid() == UTM
    assert (found.ReadAsArray() == array_of(path)).all()


def test_a_raster_inside_a_geopackage_goes_by_its_name_there(copied, tmp_path):
    tif, gpkg = write_raster(tmp_path / "a.tif"), tmp_path / "a.gpkg"
    for table in ("first", "second"):
        options = ["APPEND_SUBDATASET=YES", f"RASTER_TABLE={table}"]
        gdal.Translate(str(gpkg), str(tif), format="GPKG", creationOptions=options)
    name = f"GPKG:{gpkg}:second"
    assert copied(QgsRasterLayer(name, "second")).GetDescription() == name


def test_a_raster_inside_a_zip_file_keeps_its_prefix(copied, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(write_raster(tmp_path / "a.tif"), "a.tif")
    name = f"/vsizip/{tmp_path}/a.zip/a.tif"
    assert copied(QgsRasterLayer(name, "zipped")).GetDescription() == name


@pytest.mark.parametrize("inline", [False, True])
def test_a_virtual_raster_goes_as_it_is(copied, tmp_path, inline):
    tif, vrt = write_raster(tmp_path / "a.tif"), tmp_path / "a.vrt"
    gdal.BuildVRT(str(vrt), [str(tif)])
    text = vrt.read_text().replace('relativeToVRT="1">', f'relativeToVRT="0">{tmp_path}/')
    found = copied(QgsRasterLayer(text if inline else str(vrt), "virtual"))
    assert found.GetDriver().ShortName == "VRT"
    assert (found.ReadAsArray() == array_of(tif)).all()


def test_a_raster_in_the_memory_of_qgis_is_copied_with_all_that_it_tells(copied, memory):
    source = gdal.Open(memory, gdal.GA_Update)
    source.GetRasterBand(4).SetColorInterpretation(gdal.GCI_AlphaBand)
    source.GetRasterBand(1).SetNoDataValue(7)
    source = None
    found, given = copied(QgsRasterLayer(memory, "memory")), gdal.Open(memory)
    assert not found.GetDescription().startswith("/vsimem/")
    assert found.GetGeoTransform() == given.GetGeoTransform() and found.GetSpatialRef().IsSame(given.GetSpatialRef())
    assert (found.ReadAsArray() == given.ReadAsArray()).all()
    assert found.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    assert found.GetRasterBand(1).GetNoDataValue() == 7


def test_a_copy_of_the_memory_of_qgis_is_cancelled(memory, context, feedback, tmp_path):
    feedback.cancel()
    with pytest.raises(Cancelled):
        take_raster(QgsRasterLayer(memory, "memory"), None, context).file(tmp_path, feedback)
    assert not list(tmp_path.iterdir())


def test_a_layer_whose_file_is_gone_is_refused(context):
    with pytest.raises(LayerUnusable, match="The layer gone cannot be read"):
        take_raster(QgsRasterLayer("/nowhere/gone.tif", "gone"), None, context)


ELSEWHERE = "EPSG:32633"


def without_reference(tmp_path):
    """Write a picture with a world file, as cameras and old programs leave them."""
    path = tmp_path / "Söder & <Nord> 'x'.jpg"
    gdal.Translate(str(path), str(write_raster(tmp_path / "a.tif")), format="JPEG", creationOptions=["WORLDFILE=YES"])
    path.with_name(f"{path.name}.aux.xml").unlink()
    return str(path)


def in_a_geopackage(tmp_path):
    gdal.Translate(str(tmp_path / "a.gpkg"), str(write_raster(tmp_path / "a.tif", epsg=ELSEWHERE)), format="GPKG")
    return f"GPKG:{tmp_path}/a.gpkg:a"


def virtual(tmp_path):
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [str(write_raster(tmp_path / "a.tif", epsg=ELSEWHERE))])
    return str(tmp_path / "a.vrt")


@pytest.mark.parametrize("given", [without_reference, in_a_geopackage, virtual])
def test_the_reference_system_that_was_set_in_qgis_counts(copied, tmp_path, given):
    name = given(tmp_path)
    layer = QgsRasterLayer(name, "photo")
    assert layer.crs().authid() != UTM
    layer.setCrs(QgsCoordinateReferenceSystem(UTM))
    found, source = copied(layer), gdal.Open(name)
    assert QgsRasterLayer(found.GetDescription()).crs().authid() == UTM
    assert found.GetGeoTransform() == source.GetGeoTransform()
    assert (found.ReadAsArray() == source.ReadAsArray()).all()


def test_the_reference_system_of_a_raster_in_the_memory_of_qgis_may_be_set_too(copied, memory):
    layer = QgsRasterLayer(memory, "memory")
    layer.setCrs(QgsCoordinateReferenceSystem(ELSEWHERE))
    assert QgsRasterLayer(copied(layer).GetDescription()).crs().authid() == ELSEWHERE


def test_a_reference_system_that_the_user_defined_counts(copied, tmp_path):
    layer = QgsRasterLayer(str(write_raster(tmp_path / "a.tif")), "a")
    own = QgsCoordinateReferenceSystem.fromProj("+proj=laea +lat_0=47.5 +lon_0=9.5 +datum=WGS84 +units=m")
    layer.setCrs(own)
    assert "+proj=laea +lat_0=47.5 +lon_0=9.5" in QgsRasterLayer(copied(layer).GetDescription()).crs().toProj()


def test_a_raster_in_another_reference_system_keeps_all_that_it_tells(copied, tmp_path):
    path = str(write_raster(tmp_path / "a.tif", bands=4))
    source = gdal.Open(path, gdal.GA_Update)
    source.GetRasterBand(1).SetNoDataValue(7)
    source.GetRasterBand(4).SetColorInterpretation(gdal.GCI_AlphaBand)
    masked = str(write_raster(tmp_path / "b.tif", bands=1))
    mask = gdal.Open(masked, gdal.GA_Update)
    mask.CreateMaskBand(gdal.GMF_PER_DATASET)
    valid = numpy.tri(64, dtype="uint8") * 255
    mask.GetRasterBand(1).GetMaskBand().WriteArray(valid)
    source = mask = None
    layers = [QgsRasterLayer(each, "layer") for each in (path, masked)]
    for layer in layers:
        layer.setCrs(QgsCoordinateReferenceSystem(ELSEWHERE))
    found = copied(layers[0])
    assert found.GetRasterBand(1).GetNoDataValue() == 7
    assert found.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    found = copied(layers[1])
    assert found.GetRasterBand(1).GetMaskFlags() == gdal.GMF_PER_DATASET
    assert (found.GetRasterBand(1).GetMaskBand().ReadAsArray() == valid).all()


def test_a_raster_whose_reference_system_nobody_told_is_refused(context, tmp_path):
    layer = QgsRasterLayer(without_reference(tmp_path), "photo")
    layer.setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(LayerUnusable, match="The layer photo has no coordinate reference system: set it first"):
        take_raster(layer, None, context)


def formula_layer(path, formula="%22a@1%22%20*%202.5", side=64):
    extent = f"{LEFT},{TOP - 64 * PIXEL},{LEFT + 64 * PIXEL},{TOP}"
    source = f"a:provider=gdal&a:uri={quote(str(path))}"
    return QgsRasterLayer(
        f"?crs={UTM}&extent={extent}&width={side}&height={side}&formula={formula}&{source}", "formula", "virtualraster"
    )


def test_values_of_another_provider_are_copied_as_values(copied, tmp_path):
    path = write_raster(tmp_path / "a.tif")
    layer = formula_layer(path)
    found, given = copied(layer), gdal.Open(str(path))
    assert found.GetGeoTransform() == given.GetGeoTransform() and found.GetSpatialRef().IsSame(given.GetSpatialRef())
    assert numpy.allclose(found.ReadAsArray(), given.ReadAsArray()[0] * 2.5)


def test_what_a_formula_has_no_value_for_is_nodata(copied, tmp_path):
    path = write_raster(tmp_path / "a.tif", width=48, bands=1)
    given = gdal.Open(str(path), gdal.GA_Update)
    given.GetRasterBand(1).SetNoDataValue(70)
    given.FlushCache()
    hidden, found = given.ReadAsArray() == 70, copied(formula_layer(path))
    # Later QGIS gives no number there, which the worker leaves out by itself.
    left_out = (found.GetRasterBand(1).GetMaskBand().ReadAsArray() == 0) | numpy.isnan(found.ReadAsArray())
    assert hidden.any() and (left_out[:, :48] == hidden).all() and left_out[:, 48:].all()


def test_of_values_of_another_provider_the_extent_is_copied_in_whole_pixels(copied, tmp_path):
    path = write_raster(tmp_path / "a.tif")
    extent = QgsRectangle(LEFT + 5.1, TOP - 20.1, LEFT + 10, TOP - 15)
    layer = formula_layer(path)
    found = copied(layer, Frame(extent))
    assert found.GetGeoTransform() == (LEFT + 5, PIXEL, 0, TOP - 15, 0, -PIXEL)
    assert numpy.allclose(found.ReadAsArray(), array_of(path)[0, 30:41, 10:20] * 2.5)


def test_tiles_are_copied_pixel_by_pixel_where_they_lie(copied, server):
    found = copied(server.layer(), FRAME)
    assert_as_served(found)
    assert found.GetSpatialRef().GetAuthorityCode(None) == "3857"
    assert found.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    left, width, _, top, _, height = found.GetGeoTransform()
    outside = QgsRectangle(left, top + height * found.RasterYSize, left + width * found.RasterXSize, top)
    assert outside.contains(SOME) and not outside.contains(SOME.buffered(2 * width))


@pytest.mark.parametrize(("pixels", "zoom"), [(0.98, ZOOM + 1), (1, ZOOM), (1.9, ZOOM), (2.05, ZOOM - 1), (1e-3, 19)])
def test_tiles_come_at_the_next_finer_resolution_of_the_server(copied, server, pixels, zoom):
    x, y = SOUTH_OF_MUNICH
    assert_as_served(copied(server.layer(), Frame(QgsRectangle(x, y, x + 50, y + 30), pixels * FRAME.pixel)), zoom)


def test_more_than_one_piece_joins_without_a_seam(copied, server):
    wide = QgsRectangle(SOME.xMinimum(), SOME.yMinimum(), SOME.xMinimum() + 1300 * pixel_size(ZOOM), SOME.yMaximum())
    found = copied(server.layer(), Frame(wide, FRAME.pixel))
    assert found.RasterXSize > 1024
    assert_as_served(found)


def test_the_style_of_a_layer_does_not_change_its_pixels(copied, server):
    layer = server.layer()
    layer.brightnessFilter().setBrightness(80)
    layer.renderer().setOpacity(0.3)
    assert_as_served(copied(layer, FRAME))


def test_a_copy_is_made_in_the_background_while_qgis_goes_on(server, context, feedback, tmp_path):
    raster, files = take_raster(server.layer("Satellite: 2024"), FRAME, context), []
    assert in_background(lambda: files.append(raster.file(tmp_path, feedback))) == []
    found = gdal.Open(files[0])
    assert_as_served(found)
    QCoreApplication.processEvents()
    assert feedback.fractions and feedback.fractions == sorted(feedback.fractions)
    tiles = -(-found.RasterXSize // 256) * -(-found.RasterYSize // 256)
    (told,) = feedback.infos
    assert f"{found.RasterXSize} x {found.RasterYSize} pixels of {FRAME.pixel:.2f} m, which are {tiles} tiles" in told


def test_a_tile_that_the_server_has_not_is_transparent_and_counted(copied, server, feedback):
    tile = 256 * pixel_size(ZOOM)
    server.absent.add(((SOME.xMinimum() + HALF_WORLD) // tile, (HALF_WORLD - SOME.yMaximum()) // tile))
    found = copied(server.layer(), FRAME)
    alpha = found.ReadAsArray()[3]
    assert alpha[0, 0] == 0 and alpha[-1, -1] == 255
    assert len(feedback.warnings) == 1 and "nothing for 1 of the tiles" in feedback.warnings[0]


def test_a_server_that_fails_is_told_and_leaves_no_file(copied, server, tmp_path):
    server.status = 503
    with pytest.raises(LayerUnusable, match=r"The server of the layer tiles does not answer: .*Service Unavailable"):
        copied(server.layer(), FRAME)
    assert not list((tmp_path / "copies").iterdir())


def test_a_server_that_sends_a_text_in_place_of_a_picture_is_told(copied, server):
    server.kind = "text/xml"
    with pytest.raises(LayerUnusable, match="it sent text/xml in place of imagery"):
        copied(server.layer(), FRAME)


@pytest.fixture
def coverages(tmp_path):
    server = CoverageServer(str(write_raster(tmp_path / "street.tif", bands=2)))
    yield server
    server.close()


def test_a_coverage_is_copied_as_values(copied, coverages):
    found = copied(coverages.layer())
    assert (found.ReadAsArray() == array_of(coverages.path)).all()
    assert found.GetGeoTransform() == (LEFT, PIXEL, 0, TOP, 0, -PIXEL)


@pytest.mark.parametrize(("status", "sentence"), [(200, "it sent text/xml in place of imagery"), (404, "Not Found")])
def test_a_server_that_refuses_a_coverage_is_told(copied, coverages, status, sentence):
    layer = coverages.layer()
    coverages.refuses, coverages.status = True, status
    with pytest.raises(LayerUnusable, match=f"The server of the layer street does not answer: .*{sentence}"):
        copied(layer)


def test_a_server_that_is_gone_is_told_and_asked_no_more(copied, server):
    layer = server.layer()
    server.close()
    many = QgsRectangle(SOME.xMinimum(), SOME.yMinimum(), SOME.xMinimum() + 8000, SOME.yMinimum() + 8000)
    begun = time.monotonic()
    with pytest.raises(LayerUnusable, match=r"does not answer: .*[Cc]onnection refused"):
        copied(layer, Frame(many, FRAME.pixel))
    assert time.monotonic() - begun < 5


def test_cancel_ends_a_copy_that_waits_for_its_server(server, context, tmp_path):
    server.going_on.clear()
    feedback, raster = Feedback(), take_raster(server.layer(), FRAME, context)
    cancelled = time.monotonic() + 0.5
    threading.Timer(0.5, feedback.cancel).start()
    (raised,) = in_background(lambda: raster.file(tmp_path, feedback))
    assert isinstance(raised, Cancelled)
    assert time.monotonic() - cancelled < 2
    assert not list(tmp_path.iterdir())


def test_a_copy_is_not_begun_when_all_was_cancelled(server, context, feedback, tmp_path):
    feedback.cancel()
    with pytest.raises(Cancelled):
        take_raster(server.layer(), FRAME, context).file(tmp_path, feedback)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (None, "is a picture: choose a raster of values"),
        (Frame(pixel=0.5), "choose an extent"),
        (Frame(SOME), "choose a pixel size"),
        (Frame(QgsRectangle(3e7, 3e7, 3.1e7, 3.1e7), 0.5), "holds no part of the raster tiles"),
        (Frame(SOME, FRAME.pixel, 5), r"pixels would be copied, which are \d+ tiles, and the most are 5: choose"),
    ],
)
def test_what_cannot_be_copied_is_refused_with_what_to_choose(server, context, frame, sentence):
    with pytest.raises(LayerUnusable, match=sentence):
        take_raster(server.layer(), frame, context)
    assert not server.asked


def test_values_are_copied_whole_where_no_extent_can_be_chosen(context, tmp_path):
    large = formula_layer(write_raster(tmp_path / "a.tif"), side=256 * 51)
    with pytest.raises(LayerUnusable, match="2601 tiles, and the most are 2500"):
        take_raster(large, Frame(), context)
    assert take_raster(large, None, context).place.width() == 64 * PIXEL


def test_a_layer_without_a_coordinate_reference_system_is_refused(context, tmp_path):
    layer = formula_layer(write_raster(tmp_path / "a.tif"))
    layer.setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(LayerUnusable, match="no coordinate reference system"):
        take_raster(layer, Frame(), context)
