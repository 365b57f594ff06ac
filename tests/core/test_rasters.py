"""Reading windows: the right pixels, and which of them are valid."""

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from rasterio.windows import Window

from qgis_sslkd.core.errors import RasterError, SslkdError
from qgis_sslkd.core.geodata.annotations import read_polygons
from qgis_sslkd.core.geodata.rasters import RasterReader, files_of, inspect_raster
from qgis_sslkd.core.images import Normalisation

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
HEIGHT, WIDTH = 37, 53


def read(path, window=None, shape=None):
    raster = inspect_raster(str(path))
    window = window or raster.window
    with RasterReader() as reader:
        return reader.read(raster, window, shape or (window.height, window.width))


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH), dtype=np.uint8)


@pytest.fixture(scope="module")
def module_raster(tmp_path_factory):
    """A raster of noise and its pixels, for properties that are tried on many windows."""
    pixels = np.random.default_rng(1).integers(0, 256, (2, HEIGHT, WIDTH), dtype=np.uint8)
    path = tmp_path_factory.mktemp("noise") / "noise.tif"
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 2, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=Affine(0.5, 0, 5e5, 0, -0.5, 5.2e6), **profile) as dataset:
        dataset.write(pixels)
    return inspect_raster(str(path)), pixels


def test_what_is_known_of_a_raster(make_raster, noise):
    transform = Affine(0.3, 0, 5e5, 0, -0.3, 5.2e6)
    raster = inspect_raster(str(make_raster(noise, "städte [1].tif", transform=transform)))
    assert (raster.width, raster.height, raster.bands, raster.dtype) == (WIDTH, HEIGHT, (1, 2, 3), "uint8")
    assert (raster.crs, raster.transform) == (CRS.from_epsg(32632), transform)
    assert raster.gsd == pytest.approx(0.3, rel=1e-3)
    assert raster.name == "städte [1].tif"
    assert not raster.masked


def test_alpha_is_no_imagery(make_raster, noise):
    pixels = np.concatenate([noise, noise[:1]])
    raster = inspect_raster(str(make_raster(pixels, colours=(*RGB, ColorInterp.alpha))))
    assert raster.bands == (1, 2, 3)
    assert raster.masked


def refusal(path):
    with pytest.raises(RasterError) as caught:
        inspect_raster(str(path))
    message = str(caught.value)
    assert str(path) in message
    return message


def test_of_a_file_with_several_rasters_one_is_to_be_named(make_raster, noise, tmp_path):
    file = tmp_path / "tables.gpkg"
    for table, append in ("ONE", "no"), ("TWO", "yes"):
        options = {"raster_table": table, "append_subdataset": append}
        rasterio.shutil.copy(make_raster(noise), file, driver="GPKG", **options)
    message = refusal(file)
    assert f"several rasters (GPKG:{file}:ONE, GPKG:{file}:TWO); name one, as in 'GPKG:{file}:ONE'" in message
    assert inspect_raster(f"GPKG:{file}:TWO").width == noise.shape[-1]


def test_a_raster_without_crs_is_refused(make_raster, noise):
    assert "no coordinate reference system" in refusal(make_raster(noise, crs=None))


def test_a_crs_that_is_nowhere_is_refused(make_raster, noise):
    local = CRS.from_wkt('LOCAL_CS["Arbitrary (m)",UNIT["metre",1]]')
    assert "no place on the Earth" in refusal(make_raster(noise, crs=local))
    assert "no place on the Earth" in refusal(
        make_raster(noise, transform=from_origin(7, 146, 1e-5, 1e-5), crs=CRS.from_epsg(4326))
    )


@pytest.mark.parametrize("transform", [Affine.identity(), Affine(1, 1, 5e5, 1, 1, 5.2e6)])
def test_a_raster_that_has_no_place_in_its_crs_is_refused(make_raster, noise, transform):
    assert "Nothing tells where" in refusal(make_raster(noise, transform=transform))


def test_a_raster_that_control_points_place_is_refused(tmp_path, noise):
    path = tmp_path / "scan.tif"
    bands, height, width = noise.shape
    corners = [GroundControlPoint(row, column, column, -row) for row in (0, height) for column in (0, width)]
    profile = {"driver": "GTiff", "width": width, "height": height, "count": bands, "dtype": noise.dtype.name}
    with rasterio.open(path, "w", gcps=corners, crs=CRS.from_epsg(32632), **profile) as dataset:
        dataset.write(noise)
    assert "Raster > Projections > Warp" in refusal(path)


def test_what_is_no_raster_is_refused(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    for path in (text, tmp_path / "missing.tif", tmp_path):
        assert "cannot be read" in refusal(path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("PG:dbname=gis password=secret table=t", "PG:dbname=gis password=*** table=t"),
        ("PG:dbname='gis' PASSWORD = 'my sec\\'ret' table=t", "PG:dbname='gis' PASSWORD = *** table=t"),
        ("MYSQL:gis,user=me,password=secret,port=9", "MYSQL:gis,user=me,password=***,port=9"),
        ("MSSQL:server=s;UID=me;PWD=secret;tables=t", "MSSQL:server=s;UID=me;PWD=***;tables=t"),
        ("/vsicurl//me:sec@ret@localhost:9/a@b.tif", "/vsicurl//me:***@localhost:9/a@b.tif"),
        ("/vsicurl//host.invalid/a?X-Amz-Signature=s.c-r&x=1", "/vsicurl//host.invalid/a?X-Amz-Signature=***&x=1"),
        ("/vsicurl?header.Authorization=Bearer%20s&url=//h", "/vsicurl?header.Authorization=***&url=//h"),
        ("/vsicurl/http://localhost:9/me:secret@b.tif", "/vsicurl/http://localhost:9/me:secret@b.tif"),
    ],
)
@pytest.mark.parametrize("read", [inspect_raster, partial(read_polygons, line_width=None)])
def test_passwords_are_not_shown(name, shown, read):
    with pytest.raises(SslkdError, match=re.escape(f" {shown} cannot be read")):
        read(name)


def test_virtual_rasters_that_name_one_another_are_looked_into_once(tmp_path):
    for name, source in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.vrt").write_text(
            "<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand dataType='Byte' band='1'><SimpleSource>"
            f"<SourceFilename relativeToVRT='1'>{source}.vrt</SourceFilename><SourceBand>1</SourceBand>"
            # Without these, GDAL would open the sources at once, and stop there.
            "<SrcRect xOff='0' yOff='0' xSize='1' ySize='1'/><DstRect xOff='0' yOff='0' xSize='1' ySize='1'/>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    named = [Path(file).resolve() for file in files_of(str(tmp_path / "a.vrt"))]
    assert set(named) == {tmp_path / "a.vrt", tmp_path / "b.vrt"}


def test_what_holds_no_imagery_is_refused(make_raster, noise, tmp_path):
    assert "no imagery" in refusal(make_raster(noise[:1].astype(np.complex64), "complex.tif"))
    integers = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "complex_int16", "crs": "EPSG:32632"}
    with rasterio.open(tmp_path / "integers.tif", "w", transform=from_origin(5e5, 5.2e6, 1, 1), **integers):
        pass
    assert "no imagery" in refusal(tmp_path / "integers.tif")
    assert "no imagery" in refusal(make_raster(noise[:1], "alpha.tif", colours=[ColorInterp.alpha]))


LAYOUTS = [
    {},
    {"compress": "deflate"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band"},
    {"interleave": "band"},
]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("options", LAYOUTS, ids=lambda options: "-".join(map(str, options.values())) or "plain")
def test_a_truncated_raster_is_refused(make_raster, noise, options, share):
    path = make_raster(noise, **options)
    inspect_raster(str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "cannot be read" in refusal(path)


def test_damage_in_the_middle_is_found_when_it_is_read(make_raster, noise):
    path = make_raster(noise, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)
    raster = inspect_raster(str(path))
    with RasterReader() as reader, pytest.raises(RasterError, match=r"column 0, row 0.*damaged") as caught:
        reader.read(raster, raster.window, (HEIGHT, WIDTH))
    assert str(path) in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_window_holds_the_rasters_own_pixels(module_raster, data):
    raster, pixels = module_raster
    height, width = data.draw(st.integers(1, 100)), data.draw(st.integers(1, 100))
    row = data.draw(st.integers(1 - height, HEIGHT - 1))
    column = data.draw(st.integers(1 - width, WIDTH - 1))
    with RasterReader() as reader:
        found, valid = reader.read(raster, Window(column, row, width, height), (height, width))
    rows, columns = np.arange(row, row + height), np.arange(column, column + width)
    inside = ((rows >= 0) & (rows < HEIGHT))[:, None] & ((columns >= 0) & (columns < WIDTH))
    assert valid.all()
    expected = pixels[:, rows.clip(0, HEIGHT - 1)][:, :, columns.clip(0, WIDTH - 1)]
    np.testing.assert_array_equal(found[:, inside], expected[:, inside])
    # What lies outside is made of what lies inside: nothing foreign for the network to see.
    assert np.isin(found, expected[:, inside]).all()


def test_beyond_the_edge_is_its_mirror(make_raster, noise):
    noise[:, 1:4, 2:9] = 0
    found, valid = read(make_raster(noise, nodata=0), Window(-4, -3, WIDTH + 9, HEIGHT + 7))
    margins = ((3, 4), (4, 5))
    np.testing.assert_array_equal(found, np.pad(noise, ((0, 0), *margins), mode="symmetric"))
    np.testing.assert_array_equal(valid, np.pad(noise.any(axis=0), margins, mode="symmetric"))


@pytest.mark.parametrize("shape", [(10, 10), (64, 64), (37, 90), (1, 1)])
def test_resampling_keeps_what_is_constant(make_raster, shape):
    path = make_raster(np.full((1, HEIGHT, WIDTH), 77, np.uint8))
    found, valid = read(path, Window(5, 5, 30, 30), shape)
    assert found.shape == (1, *shape)
    np.testing.assert_allclose(found, 77, rtol=1e-6)
    assert valid.all()
    # Half of this window lies beyond the raster.
    found, valid = read(path, Window(WIDTH - 16, 0, 32, 32), (8, 8))
    np.testing.assert_allclose(found, 77, rtol=1e-6)
    assert valid.all()


def test_a_pixel_is_nodata_where_all_bands_are(make_raster):
    pixels = np.array([[[0, 5, 0, 0]], [[0, 0, 5, 0]], [[0, 0, 0, 5]]], dtype=np.uint8)
    _, valid = read(make_raster(pixels, nodata=0))
    assert valid.tolist() == [[False, True, True, True]]


@pytest.mark.parametrize(("nodata", "one_band"), [(0, True), (255, True), (65535, True), (-9999, False), (1e20, False)])
@pytest.mark.parametrize("given", [True, False])
def test_what_no_sensor_measures_is_nodata_in_a_single_band_too(make_raster, nodata, one_band, given):
    pixels = np.array([[[nodata, 5, nodata]], [[nodata, 5, 5]]], dtype=np.float32)
    raster = inspect_raster(
        str(make_raster(pixels, nodata=None if given else nodata)), nodata=nodata if given else None
    )
    with RasterReader() as reader:
        assert reader.read(raster, raster.window, (1, 3))[1].tolist() == [[False, True, one_band]]


def test_zero_is_a_value_like_any_other_where_no_nodata_is_declared(make_raster):
    _, valid = read(make_raster(np.zeros((3, 4, 4), np.uint8)))
    assert valid.all()


def test_near_infrared_is_no_alpha(make_raster):
    pixels = np.array([[[0, 9, 0]], [[0, 9, 0]], [[0, 9, 0]], [[0, 0, 9]]], dtype=np.uint8)
    path = make_raster(pixels, nodata=0, photometric="RGB")
    assert inspect_raster(str(path)).bands == (1, 2, 3, 4)
    assert read(path)[1].tolist() == [[False, True, True]]


@pytest.mark.parametrize("nodata", [None, 7])
def test_alpha_decides_whatever_the_colours_are(make_raster, nodata):
    alpha = np.array([[255, 0], [1, 0]], dtype=np.uint8)
    pixels = np.stack([np.full((2, 2), 7, np.uint8)] * 3 + [alpha])
    found, valid = read(make_raster(pixels, colours=(*RGB, ColorInterp.alpha), nodata=nodata))
    assert found.shape == (3, 2, 2)
    assert valid.tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize(("bands", "kind"), [(1, "float32"), (3, "int16"), (3, "float32"), (4, "uint8"), (4, "uint16")])
def test_alpha_decides_whatever_the_values_and_however_many_the_bands(make_raster, bands, kind):
    pixels = np.stack([np.full((1, 2), 7, kind)] * bands + [np.array([[0, 1]], kind)])
    colours = (*(*RGB, ColorInterp.undefined)[:bands], ColorInterp.alpha)
    path = make_raster(pixels, colours=colours)
    assert read(path)[1].tolist() == [[False, True]]


@pytest.fixture
def near_infrared(make_raster):
    """Bytes of red, green, blue and near infrared, of which the file says that the fourth is alpha."""
    pixels = np.array([[[0, 9, 5, 0]], [[0, 9, 5, 0]], [[0, 9, 5, 0]], [[0, 0, 8, 7]]], dtype=np.uint8)
    return lambda **options: make_raster(pixels, photometric="RGB", alpha="YES", **options), pixels


def test_a_band_that_is_named_is_imagery_whatever_the_file_calls_it(near_infrared):
    make, pixels = near_infrared
    path = str(make())
    assert inspect_raster(path).bands == (1, 2, 3)
    raster = inspect_raster(path, bands=[1, 2, 3, 4])
    with RasterReader() as reader:
        found, valid = reader.read(raster, raster.window, (1, 4))
        np.testing.assert_array_equal(found, pixels)
        assert valid.all()
        # Where it is not read, it stays what the file calls it.
        found, valid = reader.read(inspect_raster(path, bands=[3, 1]), raster.window, (1, 4))
        np.testing.assert_array_equal(found, pixels[[2, 0]])
        assert valid.tolist() == [[False, False, True, True]]


def test_nodata_is_that_of_the_named_bands(near_infrared):
    make, _ = near_infrared
    raster = inspect_raster(str(make(nodata=0)), bands=[1, 2, 3, 4])
    with RasterReader() as reader:
        assert reader.read(raster, raster.window, (1, 4))[1].tolist() == [[False, True, True, True]]


@pytest.mark.parametrize("bands", [(3, 1), (2, 2, 2)])
def test_bands_come_in_the_order_and_as_often_as_they_are_named(make_raster, noise, bands):
    """Grey imagery, too, can be shown to a model of colours."""
    raster = inspect_raster(str(make_raster(noise)), bands)
    assert raster.bands == bands
    with RasterReader() as reader:
        found, _ = reader.read(raster, raster.window, (HEIGHT, WIDTH))
    np.testing.assert_array_equal(found, noise[[band - 1 for band in bands]])


def test_the_nodata_of_a_band_counts_where_another_declares_none(make_raster):
    """As in virtual rasters that put imagery and heights into one."""
    file = make_raster(np.array([[[-9999, 5, 0]], [[0, -9999, 0]]], dtype=np.float32))
    stack = file.with_name("stack.vrt")
    rasterio.shutil.copy(file, stack, driver="VRT")
    first, second = stack.read_text().split('band="2">')
    stack.write_text(f'{first}band="2"><NoDataValue>-9999</NoDataValue>{second}')
    assert read(stack)[1].tolist() == [[True, False, True]]


@pytest.mark.parametrize(("bands", "named"), [([4], "no band 4"), ([0, 1], "no band 0")])
def test_bands_that_there_are_not_are_named(make_raster, noise, bands, named):
    with pytest.raises(RasterError, match=named):
        inspect_raster(str(make_raster(noise)), bands=bands)


def test_a_missing_source_of_a_virtual_raster_is_named(make_raster, noise):
    file = make_raster(noise, "south.tif")
    mosaic = file.with_name("mosaic.vrt")
    rasterio.shutil.copy(file, mosaic, driver="VRT")
    file.unlink()
    with pytest.raises(RasterError, match=r"mosaic\.vrt cannot be read: .*south\.tif: No such file"):
        inspect_raster(str(mosaic))


def test_bands_of_several_types_are_read_a_type_at_a_time(make_raster):
    """Virtual rasters put imagery and heights into one."""
    files = [make_raster(np.full((1, 4, 4), 7, t), f"{t}.tif") for t in ("uint8", "uint8", "float32")]
    layers = [
        f'<VRTRasterBand dataType="{kind}" band="{k}"><SimpleSource><SourceFilename>{file}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for k, (kind, file) in enumerate(zip(("Byte", "Byte", "Float32"), files, strict=True), start=1)
    ]
    stack = files[0].with_name("stack.vrt")
    stack.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:32632</SRS><GeoTransform>5e5,1,0,5e6,0,-1</GeoTransform>'
        f"{''.join(layers)}</VRTDataset>"
    )
    with pytest.raises(RasterError, match=r"several types \(uint8, float32\); choose bands of one"):
        inspect_raster(str(stack))
    with RasterReader() as reader:
        for bands in ([2, 1], [3]):
            raster = inspect_raster(str(stack), bands)
            pixels, valid = reader.read(raster, raster.window, (4, 4))
            assert pixels.dtype == raster.dtype
            assert (pixels == 7).all()
            assert valid.all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("declared", [None, 7])
def test_a_given_nodata_counts_besides_the_declared_one(make_raster, dtype, declared):
    pixels = np.array([[[3, 7, 9, 3]], [[3, 7, 9, 9]]], dtype=dtype)
    raster = inspect_raster(str(make_raster(pixels, nodata=declared)), nodata=3)
    with RasterReader() as reader:
        valid = reader.read(raster, raster.window, (1, 4))[1]
        assert valid.tolist() == [[False, declared is None, True, True]]


def test_a_given_nodata_beyond_the_type_is_no_pixel_s(make_raster):
    raster = inspect_raster(str(make_raster(np.zeros((1, 2, 2), np.uint8))), nodata=-9999)
    with RasterReader() as reader:
        assert reader.read(raster, raster.window, (2, 2))[1].all()


def test_a_given_nodata_counts_where_alpha_shows_it(make_raster):
    alpha = np.array([[255, 255, 0]], dtype=np.uint8)
    pixels = np.stack([np.array([[0, 5, 5]], dtype=np.uint8)] * 3 + [alpha])
    raster = inspect_raster(str(make_raster(pixels, colours=(*RGB, ColorInterp.alpha))), nodata=0)
    with RasterReader() as reader:
        assert reader.read(raster, raster.window, (1, 3))[1].tolist() == [[False, True, False]]


@pytest.mark.parametrize("beside", [True, False])
def test_a_mask_inside_or_beside_the_file_decides(make_raster, beside):
    mask = np.array([[255, 0, 255]], dtype=np.uint8)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not beside):
        path = make_raster(np.full((3, 1, 3), 5, np.uint8), mask=mask)
    assert (path.parent / f"{path.name}.msk").exists() == beside
    assert read(path)[1].tolist() == [[True, False, True]]


MASKED_BAND = """<VRTRasterBand dataType="Byte" band="{0}"><SimpleSource><SourceFilename>{1}</SourceFilename>
<SourceBand>1</SourceBand></SimpleSource><MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>
<SourceFilename>{1}</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource></VRTRasterBand></MaskBand></VRTRasterBand>
"""


def test_of_bands_with_masks_of_their_own_a_pixel_is_valid_where_one_is(make_raster, tmp_path):
    masks = np.array([[[255, 255, 0, 0]], [[255, 0, 255, 0]]], np.uint8)
    path = make_raster(masks)
    rasterio.shutil.copy(path, tmp_path / "own.vrt", driver="VRT")
    head, _, _ = (tmp_path / "own.vrt").read_text().partition("<VRTRasterBand")
    bands = "".join(MASKED_BAND.format(band, path) for band in (1, 2))
    (tmp_path / "own.vrt").write_text(f"{head}{bands}</VRTDataset>")
    assert read(tmp_path / "own.vrt")[1].tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ends_of_floats_are_no_values_declared_or_not(make_raster, dtype):
    """Programs mark by them where nothing is; as brightness, one would drown all the others."""
    ends = np.finfo(dtype)
    pixels = np.array([[[ends.min, ends.max, -3.4e38, 1, -9999]]], dtype=dtype)
    raster = inspect_raster(str(make_raster(pixels)))
    with RasterReader() as reader:
        assert reader.read(raster, raster.window, (1, 5))[1].tolist() == [[False, False, False, True, True]]


@pytest.mark.parametrize("nodata", [None, np.nan, -9999])
def test_what_is_no_number_is_not_valid(make_raster, nodata):
    pixels = np.ones((2, 1, 4), dtype=np.float32)
    pixels[0, 0, 0] = np.nan
    pixels[1, 0, 1] = np.inf
    pixels[:, 0, 2] = np.nan if nodata is None else nodata
    _, valid = read(make_raster(pixels, nodata=nodata))
    assert valid.tolist() == [[False, False, False, True]]


def test_validity_is_that_of_the_window_too(make_raster):
    pixels = np.random.default_rng(0).integers(0, 2, (1, 20, 20), dtype=np.uint8)
    path = make_raster(pixels, nodata=0)
    np.testing.assert_array_equal(read(path, Window(3, 7, 11, 9))[1], pixels[0, 7:16, 3:14] > 0)


def test_many_threads_read_the_same(make_raster, noise):
    raster = inspect_raster(str(make_raster(noise, tiled=True, blockxsize=16, blockysize=16)))
    windows = [Window(k % WIDTH, k % HEIGHT, 10, 10) for k in range(200)]
    with RasterReader() as reader, ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda window: reader.read(raster, window, (10, 10)), windows))
        for window, (pixels, valid) in zip(windows, together, strict=True):
            alone = reader.read(raster, window, (10, 10))
            np.testing.assert_array_equal(pixels, alone[0])
            np.testing.assert_array_equal(valid, alone[1])


def test_of_the_files_that_were_read_those_used_last_stay_open(make_raster, noise, monkeypatch):
    monkeypatch.setattr("qgis_sslkd.core.geodata.rasters._OPEN_FILES", 2)
    a, b, c = (inspect_raster(str(make_raster(noise, f"{name}.tif"))) for name in "abc")
    opened, open_file = [], rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda path: opened.append(open_file(path)) or opened[-1])
    with RasterReader() as reader:
        for raster in (a, b, a, c):
            reader.read(raster, raster.window, (HEIGHT, WIDTH))
        assert [dataset.closed for dataset in opened] == [False, True, False]
    assert all(dataset.closed for dataset in opened)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, -1.7e308])
def test_what_invalid_pixels_hold_does_not_reach_the_network(value):
    images = Normalisation((1.0,), (2.0,)).apply(np.array([[[value, 5.0]]]), np.array([[False, True]]))
    assert images.tolist() == [[[0.0, 2.0]]]


REAL = {
    "atlanta_pan_uint16_utm16n_nodata0.tif": (1, 0.5),
    "landsat_customproj_int16_nodata-9999.tif": (3, 30),
    "naip_nd_5m_4band_20120731.tif": (4, 5),
    "rotterdam_wv2_ms2.tif": (4, 1),
    "vegas_rgba_uint8_epsg4326.tif": (3, 0.27),
    "zanzibar_drone_7.75cm_utm37s.tif": (3, 0.0775),
}


@pytest.mark.parametrize("name", REAL)
def test_real_rasters_are_understood(data_folder, name):
    bands, gsd = REAL[name]
    raster = inspect_raster(str(data_folder / "georeferenced" / name))
    assert len(raster.bands) == bands
    assert raster.gsd == pytest.approx(gsd, rel=0.01)
    with RasterReader() as reader:
        pixels, valid = reader.read(raster, raster.window, (200, 200))
    assert pixels.shape == (bands, 200, 200)
    assert valid.any()
