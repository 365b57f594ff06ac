"""Written rasters lie on the grid they came from; vector files hold what they were given."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from places import PLACES
from rasterio.crs import CRS
from rasterio.windows import Window

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.files import written_whole
from qgis_sslkd.core.geodata.outputs import (
    PROBABILITY_NODATA,
    SURFACE_NODATA,
    FeatureWriter,
    StripWriter,
    check_raster_output,
    check_vector_output,
    optimise_for_cloud,
)
from qgis_sslkd.core.geodata.rasters import inspect_raster

FORMATS = ["gpkg", "shp", "geojson", "fgb"]


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
    window = window or raster.window
    with StripWriter(path, raster, window, dtype, nodata) as writer:
        writer.append(rows)
    return path


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


def test_what_cannot_be_written_is_told_by_the_next_rows_or_the_end_and_no_thread_is_left(make_raster, tmp_path):
    raster = inspect_raster(str(make_raster(np.zeros((1, 9, 40), np.uint8))))
    before = threading.active_count()
    for further in (0, 8):
        handed_over = 0
        with (
            pytest.raises(ValueError, match="inconsistent"),
            StripWriter(tmp_path / "result.tif", raster, Window(0, 0, 40, 4608), "uint8", SURFACE_NODATA) as writer,
        ):
            for _ in range(1 + further):
                writer.append(np.zeros((512, 40, 2), np.uint8))
                handed_over += 1
        assert handed_over <= 3
    assert threading.active_count() == before


@pytest.mark.parametrize("share", [0.01, 0.6, 0.95, 0.999])
def test_a_full_disk_is_an_error(make_raster, tmp_path, little_room, share):
    """GDAL says nothing of it."""
    rows = np.random.default_rng(0).integers(0, 2, (1100, 700), np.uint8)
    raster = inspect_raster(str(make_raster(rows[None])))
    size = write(tmp_path / "result.tif", raster, rows).stat().st_size
    told = pytest.raises(SettingError, match=r"again\.tif could not be written whole; make room")
    with told, little_room(int(size * share)):
        write(tmp_path / "again.tif", raster, rows)


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", SURFACE_NODATA), ("float32", PROBABILITY_NODATA)])
def test_on_request_a_result_is_optimised_for_the_cloud(make_raster, tmp_path, dtype, nodata):
    rows = np.random.default_rng(0).integers(0, 2, (700, 1100)).astype(dtype)
    raster = inspect_raster(str(make_raster(rows[None])))
    path = write(tmp_path / "result.tif", raster, rows, dtype=dtype, nodata=nodata)
    optimise_for_cloud(path)
    with rasterio.open(path) as result:
        assert result.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (result.dtypes[0], result.nodata) == (dtype, nodata)
        assert (result.block_shapes, result.overviews(1)) == ([(512, 512)], [2, 4, 8])
        np.testing.assert_array_equal(result.read(1), rows)
    assert {path.name for path in tmp_path.iterdir()} == {"raster.tif", "result.tif"}


def test_optimised_for_the_cloud_the_georeference_is_the_same_bit_for_bit(grid, tmp_path):
    path = write(tmp_path / "result.tif", grid, np.ones((30, 40), np.uint8))
    optimise_for_cloud(path)
    with rasterio.open(grid.path) as source, rasterio.open(path) as result:
        assert (result.crs.to_wkt(), tuple(result.transform)) == (source.crs.to_wkt(), tuple(source.transform))
        assert result.shape == source.shape


def test_the_extension_decides_the_format(tmp_path):
    for extension in (*FORMATS, "GPKG", "Shp"):
        check_vector_output(tmp_path / f"outlines.{extension}")
    for name in ("outlines", "outlines.dxf", "outlines.csv", "outlines.json", "outlines.gml", "outlines.tif"):
        with pytest.raises(SettingError, match=rf"written to {name};.*\.gpkg, \.shp, \.geojson or \.fgb"):
            check_vector_output(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="drives are Windows's")
@pytest.mark.parametrize("name", ["roads!v2.gpkg", "a;b.shp"])
def test_a_name_that_features_would_miss_is_told_before_any_work(tmp_path, name):
    with pytest.raises(SettingError, match=f"cannot be called {name}; choose a name without '[!;]'"):
        check_vector_output(tmp_path / name)
    with pytest.raises(SettingError), FeatureWriter(tmp_path / name, "roads", "Polygon", [], CRS.from_epsg(32632)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_geopackage_of_several_layers_is_not_replaced(tmp_path):
    path = tmp_path / "50% #1?.gpkg"
    path.touch()
    check_vector_output(path)  # which is none
    square = shapely.to_wkb([shapely.box(0, 0, 1, 1)])
    about = {"fields": [], "field_data": [], "geometry_type": "Polygon", "crs": "EPSG:32632"}
    for layer in ("outlines", "layer_styles"):
        pyogrio.raw.write(path, square, layer=layer, append=layer == "layer_styles", **about)
        check_vector_output(path)
    pyogrio.raw.write(path, square, layer="parcels", append=True, **about)
    before = path.read_bytes()
    with pytest.raises(SettingError, match="holds 2 layers, which would all be replaced"):
        check_vector_output(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_geopackage_with_a_project_of_qgis_is_not_replaced(tmp_path):
    path = tmp_path / "o.gpkg"
    square = shapely.to_wkb([shapely.box(0, 0, 1, 1)])
    pyogrio.raw.write(path, square, fields=[], field_data=[], geometry_type="Polygon", crs="EPSG:32632")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table qgis_projects(name text primary key, metadata blob, content blob)")
    check_vector_output(path)  # whose project was deleted
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("insert into qgis_projects values ('roads', '', '')")
    with pytest.raises(SettingError, match="holds a QGIS project, which would be lost; give another name"):
        check_vector_output(path)


# In one folder's name what archives and URLs are told by; a first "//" stands for a host.
@pytest.mark.parametrize("folder", ["!Projects/2024;b", "new!x.zip/a?b#c", "/"])
@pytest.mark.parametrize("extension", [*FORMATS, "GPKG", "SHP"])
def test_features_come_to_any_folder(tmp_path, read_vector, monkeypatch, folder, extension):
    monkeypatch.chdir(tmp_path)
    place = Path(f"/{tmp_path}") if folder == "/" else tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    lines = np.array([shapely.LineString([(k, 0), (k, 5)]) for k in range(4)], dtype=object)
    check_vector_output(place / f"o.{extension}")
    with FeatureWriter(place / f"o.{extension}", "roads", "LineString", ["a"], CRS.from_epsg(32632)) as writer:
        for some in (slice(0, 2), slice(2, 4)):
            writer.append(lines[some], np.arange(4.0)[some])
    assert (place / f"o.{extension}").is_file()
    for file in place.iterdir():
        shutil.copy(file, tmp_path / f"plain{file.suffix}")
    _, fields, _ = read_vector(tmp_path / f"plain.{extension}")
    assert sorted(fields["a"]) == [0, 1, 2, 3]


def test_rasters_come_to_any_name(make_raster, tmp_path):
    folder = tmp_path / "!Projects;b" / "new!x.zip"
    folder.mkdir(parents=True)
    make_raster(np.zeros((1, 600, 600), np.uint8)).rename(folder / "raster!v2;3.tif")
    path = folder / "zip!result;2?.tif"
    check_raster_output(path)
    write(path, inspect_raster(str(folder / "raster!v2;3.tif")), np.ones((600, 600), np.uint8))
    optimise_for_cloud(path)
    assert inspect_raster(str(path)).width == 600
    assert sorted(each.name for each in folder.iterdir()) == ["raster!v2;3.tif", path.name]


def points(path, count):
    with FeatureWriter(path, "roads", "Point", ["a"], CRS.from_epsg(32632)) as writer:
        writer.append(shapely.points(np.arange(count), np.arange(count)), np.arange(float(count)))


@pytest.mark.filterwarnings("error")
def test_a_shapefile_s_long_names_are_cut_without_a_word(tmp_path):
    path = tmp_path / "roads.shp"
    with FeatureWriter(path, "roads", "Point", ["area", "mean_probability"], CRS.from_epsg(32632)) as writer:
        for _ in range(2):
            writer.append(shapely.points([0.0], [0.0]), np.ones(1), np.ones(1))
    assert list(pyogrio.read_info(path)["fields"]) == ["area", "mean_proba"]


def test_a_shapefile_is_not_read_by_the_index_of_an_older_one(tmp_path):
    path = tmp_path / "roads.shp"
    points(path, 1)
    old = pyogrio.raw.read(path)
    pyogrio.raw.write(path, old[2], old[3], ["a"], geometry_type="Point", crs=old[0]["crs"], SPATIAL_INDEX="YES")
    assert path.with_suffix(".qix").exists()
    with written_whole(path) as partial:
        points(partial, 10)
    assert len(pyogrio.raw.read(path, bbox=(-1, -1, 6, 6))[2]) == 7


def test_a_raster_has_nothing_of_the_mask_and_the_overviews_of_an_older_one(make_raster, tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False, TIFF_USE_OVR=True):
        path = make_raster(np.zeros((1, 600, 600), np.uint8), mask=np.zeros((600, 600), bool))
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2, 4, 8, 16])
    assert path.with_name("raster.tif.msk").exists() and path.with_name("raster.tif.ovr").exists()
    raster = inspect_raster(str(path))
    with written_whole(path) as partial:
        write(partial, raster, np.ones((600, 600), np.uint8))
    with rasterio.open(path) as dataset:
        assert (dataset.read_masks(1) == 255).all()
        assert dataset.overviews(1) == [2, 4]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_geopackage_takes_nothing_of_the_journal_of_an_older_one(tmp_path, mode):
    """Whose writer was killed, or holds it open."""
    path = tmp_path / "roads.gpkg"
    points(path, 1)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"pragma journal_mode={mode}")
        database.execute("pragma cache_size=1")
        database.execute("begin")
        # More than it keeps in memory.
        database.execute("create table other as select randomblob(100000) as a from gpkg_extensions, pragma_table_list")
        if mode == "wal":
            database.commit()
        assert len(list(tmp_path.iterdir())) > 1
        with written_whole(path) as partial:
            points(partial, 10)
        assert pyogrio.list_layers(path)[:, 0].tolist() == ["roads"]
        assert len(pyogrio.raw.read(path)[2]) == 10


@pytest.mark.parametrize("extension", FORMATS)
def test_features_can_be_added_some_at_a_time(tmp_path, read_vector, extension):
    path = tmp_path / f"straßen umriss.{extension}"
    lines = [shapely.LineString([(k, 0), (k, 5)]) for k in range(5)]
    with FeatureWriter(path, "roads", "LineString", ["a", "b"], CRS.from_epsg(32632)) as writer:
        for some in (slice(0, 2), slice(2, 5)):
            values = np.arange(5.0)[some]
            writer.append(np.array(lines[some], dtype=object), values, values * 2)
    geometries, fields, meta = read_vector(path)
    order = np.argsort(fields["a"])  # FlatGeobuf has its own
    assert shapely.equals_exact(geometries[order], lines).all()
    assert (fields["a"][order].tolist(), fields["b"][order].tolist()) == ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8])
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32632


@pytest.mark.filterwarnings("ignore:Value 25 of field area")
@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("share", [0.01, 0.6, 0.95, 0.999])
def test_features_that_a_full_disk_cuts_off_are_told_of_in_a_sentence(tmp_path, little_room, extension, share):
    """GDAL may say nothing of it, but leave features out, or their shapes."""
    squares = shapely.box(*np.indices((2, 400)) * 10, *np.indices((2, 400)) * 10 + 5)[0]

    def written(path):
        with FeatureWriter(path, "outlines", "Polygon", ["area"], CRS.from_epsg(32632)) as writer:
            for some in np.split(squares, 4):
                writer.append(some, np.full(len(some), 25.0))
        return path

    size = written(tmp_path / f"whole.{extension}").stat().st_size
    told = pytest.raises(SettingError, match=rf"cut\.{extension} could not be written whole; make room")
    with told, little_room(int(size * share)):
        written(tmp_path / f"cut.{extension}")


@pytest.mark.parametrize("extension", FORMATS)
def test_no_feature_gives_a_layer_without_features(tmp_path, read_vector, extension):
    path = tmp_path / f"empty.{extension}"
    with FeatureWriter(path, "roads", "LineString", ["a", "b"], CRS.from_epsg(32632)):
        pass
    geometries, fields, meta = read_vector(path)
    assert len(geometries) == 0
    # GeoJSON tells of fields by features alone.
    assert list(fields) == ([] if extension == "geojson" else ["a", "b"])
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32632
