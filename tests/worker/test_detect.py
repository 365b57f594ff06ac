"""`sslkd detect` on any raster, any part of it, several at once."""

import itertools

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from qgis_sslkd.core.errors import OutsideError
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models.model_file import ModelCard, save_model
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network
from qgis_sslkd.worker.jobs import DetectJob
from qgis_sslkd.worker.work.detect import do_detect

LEFT, TOP = 500_000, 5_200_000


@pytest.fixture
def detect(sslkd, model, results):
    """Runs `sslkd detect` to its good end with a surface and a probability; returns both rasters' pixels."""

    def detect(raster, *options, model=model):
        files = ("--surface", results / "s.tif", "--probability", results / "p.tif")
        ended = sslkd("detect", "--raster", raster, "--model", model, *files, "--device", "cpu", "--tile", 64, *options)
        assert ended.code == 0, ended.stderr
        with rasterio.open(results / "s.tif") as surface, rasterio.open(results / "p.tif") as probability:
            return surface.read(1), probability.read(1)

    return detect


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Makes model files of small networks that learned nothing, for any bands and type."""
    folder = tmp_path_factory.mktemp("models")
    numbers = itertools.count()

    def make(bands, dtype="uint8", gsd=0.5, middle=127.5, colours=()):
        spec = NetworkSpec("segnet", "vgg11", in_channels=bands, width=0.0625)
        path = folder / f"{next(numbers)}.safetensors"
        normalisation = Normalisation((middle,) * bands, (middle,) * bands)
        card = ModelCard(spec, normalisation, dtype, gsd=gsd, tile=64, colours=colours)
        save_model(path, build_network(spec), card)
        return path

    return make


@pytest.fixture
def area(make_vector):
    """In pixels of `photo`: columns 10 to 40, rows 20 to 30."""
    return make_vector([shapely.box(LEFT + 5, TOP - 15, LEFT + 20, TOP - 10)], "area.gpkg")


def test_outside_of_the_area_is_nodata(detect, photo, area):
    surface, probability = detect(photo(), "--area", area)
    inside = np.zeros((100, 120), bool)
    inside[20:30, 10:40] = True
    np.testing.assert_array_equal(surface != 255, inside)
    np.testing.assert_array_equal(probability != -1, inside)


def test_a_value_may_be_called_nodata(detect, make_raster):
    pixels = np.random.default_rng(0).integers(1, 256, (3, 80, 90), dtype=np.uint8)
    pixels[:, 30:50, 20:] = 0
    surface, _ = detect(make_raster(pixels), "--nodata", 0)
    np.testing.assert_array_equal(surface != 255, pixels.any(axis=0))


def test_the_model_sees_the_colours_that_it_learned_from(detect, sslkd, make_raster, models, results):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 80, 90), dtype=np.uint8)
    red, green, blue, nir = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir
    model = models(3, colours=("red", "green", "blue"))
    _, expected = detect(make_raster(pixels[:3], "rgb.tif", colours=(red, green, blue)), model=model)
    other = make_raster(pixels[[3, 2, 1, 0]], "nbgr.tif", colours=(nir, blue, green, red))
    _, found = detect(other, model=model)
    np.testing.assert_array_equal(found, expected)
    _, named = detect(other, "--bands", 2, "--bands", 3, "--bands", 4, model=model)
    assert (named != expected).any()
    ended = sslkd("detect", "--raster", other, "--model", model, "--surface", results / "s.tif", "--device", "cpu")
    assert "looked at in this order: 4 (red), 3 (green), 2 (blue)" in " ".join(ended.stderr.split())


def test_a_band_that_the_file_calls_alpha_can_be_imagery(detect, make_raster, models):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 80, 90), dtype=np.uint8)
    pixels[3, :10] = 0
    raster = make_raster(pixels, photometric="RGB", alpha="YES")
    every = [option for band in (1, 2, 3, 4) for option in ("--bands", band)]
    surface, _ = detect(raster, *every, model=models(4))
    assert (surface != 255).all()


def test_a_raster_of_larger_pixels_comes_back_on_its_own_grid(detect, photo):
    resampled = detect(photo(60, 70, transform=Affine(1.3, 0, LEFT, 0, -1.3, TOP)))
    as_it_is = detect(photo(60, 70, transform=Affine(1.3, 0, LEFT, 0, -1.3, TOP)), "--no-resample")
    assert resampled[1].shape == as_it_is[1].shape == (60, 70)
    assert (resampled[0] != 255).all()
    assert abs(resampled[1] - as_it_is[1]).max() > 1e-4


def test_flips_and_cog(detect, photo, results):
    plain, flipped = detect(photo())[1], detect(photo(), "--flips", "--cog")[1]
    assert abs(plain - flipped).max() > 1e-4
    for name in ("s.tif", "p.tif"):
        with rasterio.open(results / name) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_vectors_in_a_chosen_crs(detect, photo, results):
    detect(photo(), "--outlines", results / "o.gpkg", "--centre-lines", results / "c.gpkg", "--crs", "EPSG:3035")
    for name in ("o.gpkg", "c.gpkg"):
        assert CRS.from_user_input(pyogrio.read_info(results / name)["crs"]).to_epsg() == 3035


def several(photo):
    return [photo(50, 60, "first.tif"), photo(70, 40, "second one.tif")]


def test_several_rasters_give_what_each_gives_alone(sslkd, detect, model, photo, results, tmp_path):
    rasters = several(photo)
    folder = tmp_path / "many"
    products = [option for name in ("probability", "outlines", "centre-lines") for option in ("--product", name)]
    given = [option for raster in rasters for option in ("--raster", raster)]
    ended = sslkd("detect", *given, "--model", model, "--folder", folder, *products, "--tile", 64, "--device", "cpu")
    assert ended.code == 0, ended.stderr
    files = [
        (kind.replace("-", "_"), folder / f"{name}-{kind}{suffix}")
        for kind, suffix in (
            ("surface", ".tif"),
            ("probability", ".tif"),
            ("outlines", ".gpkg"),
            ("centre-lines", ".gpkg"),
        )
        for name in ("first", "second one")
    ]
    assert ended.stdout.splitlines() == [f"{kind}: {path}" for kind, path in files]
    assert set(folder.iterdir()) == {path for _, path in files}
    for name, raster in zip(("first", "second one"), rasters, strict=True):
        _, alone = detect(raster)
        with rasterio.open(folder / f"{name}-probability.tif") as dataset:
            np.testing.assert_array_equal(dataset.read(1), alone)


def test_a_job_of_several_rasters_answers_with_lists(start_job, model, photo, results):
    rasters = [str(path) for path in several(photo)]
    job = {"kind": "detect", "raster": rasters, "model": model, "folder": results, "tile": 64, "device": "cpu"}
    ended = start_job(job).wait()
    assert ended.code == 0, ended.stderr
    surfaces = [str(results / name) for name in ("first-surface.tif", "second one-surface.tif")]
    assert ended.events[-1] == {"event": "result", "outputs": {"surface": surfaces}}
    fractions = [event["fraction"] for event in ended.events if event["event"] == "progress"]
    assert fractions == sorted(fractions)


def test_each_device_finds_the_same_roads(detect, photo, device):
    raster = photo(200, 300)
    _, expected = detect(raster, "--precision", "float32")
    _, probability = detect(raster, "--device", device)
    # A network that has learned nothing answers with hardly anything but a half.
    assert np.corrcoef(probability.ravel(), expected.ravel())[0, 1] > 0.9


def test_the_progress_of_several_rasters_is_that_of_all(model, photo, results, reporter):
    rasters = [str(path) for path in several(photo)]
    do_detect(DetectJob(raster=rasters, model=model, folder=results, tile=64, device="cpu"), reporter)
    # One tile of 50 x 60 pixels, then two of 70 x 40.
    assert reporter.texts[:2] == ["looking at raster 1 of 2", "looking at raster 2 of 2"]
    assert reporter.fractions == pytest.approx([0, 0, 3000 / 5800, 4400 / 5800, 1])


def test_inputs_are_told_of_while_it_is_checked_that_they_stay(model, photo, results, reporter):
    """Where results are made anew, each of thousands of rasters is opened before the work begins."""
    job = DetectJob(raster=[str(path) for path in several(photo)], model=model, folder=results, tile=64, device="cpu")
    do_detect(job, reporter)
    assert "checking input 1 of 3" not in reporter.texts
    do_detect(job, reporter)
    assert {f"checking input {number} of 3" for number in (1, 2, 3)} <= set(reporter.texts)


def test_a_pattern_stands_for_the_rasters_that_match_it(sslkd, model, photo, results):
    inside = [photo(50, 60, name) for name in ("b.tif", "a.tif", "[ab].tif")]
    folder = inside[0].parent
    # What is there by that very name is no pattern.
    for pattern, names in (("?.tif", ["a", "b"]), ("[ab].tif", ["[ab]"]), ("[a].tif", ["a"])):
        ended = sslkd("detect", "--raster", folder / pattern, "--model", model, "--folder", results, "--device", "cpu")
        assert ended.code == 0, ended.stderr
        assert ended.stdout.splitlines() == [f"surface: {results / name}-surface.tif" for name in names]


def test_of_several_rasters_those_outside_of_the_area_are_left_out(model, photo, make_vector, results, reporter):
    west = photo(50, 60, "west.tif", transform=Affine(5, 0, LEFT - 300, 0, -5, TOP))
    east = photo(50, 60, "east.tif", transform=Affine(0.5, 0, LEFT + 100, 0, -0.5, TOP))
    job = {"raster": [str(west), str(east)], "model": model, "folder": results, "device": "cpu"}
    areas = [str(make_vector([shapely.box(x, TOP - 9, x + 9, TOP)], f"{x}.gpkg")) for x in (LEFT + 110, LEFT + 500)]
    outputs = do_detect(DetectJob(**job, area=areas[:1]), reporter)
    assert outputs == {"surface": [str(results / "east-surface.tif")]}
    assert reporter.warnings == [f"Left out, as nothing of them lies in the area or the extent: {west}."]
    with pytest.raises(OutsideError, match=r"holds no pixel's centre of west\.tif"):
        do_detect(DetectJob(**job, area=areas[1:]), reporter)


def test_of_several_rasters_a_damaged_one_leaves_the_others_their_results(sslkd, model, photo, tear, results):
    torn = tear(photo(100, 120, "torn.tif", tiled=True, blockxsize=64, blockysize=64, compress="deflate"))
    given = [option for raster in (photo(name="a.tif"), torn, photo(name="z.tif")) for option in ("--raster", raster)]
    ended = sslkd("detect", *given, "--model", model, "--folder", results, "--device", "cpu")
    assert ended.code == 1
    assert f"1 of 3 rasters could not be read: {torn}. The results of the others are in {results}" in ended.stderr
    assert {path.name for path in results.iterdir()} == {"a-surface.tif", "z-surface.tif"}


# What is wrong: further options, and what the one sentence names.
ERRORS = {
    "no output": ((), "name a file to write"),
    "a file and a folder": (("--surface", "{results}/s.tif", "--folder", "{results}"), "not both"),
    "several rasters and one file": (("--raster", "{other}", "--surface", "{results}/s.tif"), "need a folder"),
    "two of one name": (("--raster", "{other}", "--folder", "{results}"), "photo.tif have the same name"),
    "a folder in none": (("--folder", "{results}/none/deep"), "none/deep cannot be made"),
    "a new folder and another error": (("--folder", "{results}/new", "--bands", "4"), "no band 4"),
    "a band that is not there": (("--surface", "{results}/s.tif", "--bands", "4"), "no band 4; its bands are 1 to 3"),
    "other bands": (("--surface", "{results}/s.tif", "--bands", "1"), "choose the bands that it learned from"),
    "an area elsewhere": (("--surface", "{results}/s.tif", "--area", "{elsewhere}"), "no pixel's centre of photo.tif"),
    "the area is written to": (
        ("--surface", "{results}/s.tif", "--outlines", "{elsewhere}", "--area", "{elsewhere}"),
        "elsewhere.gpkg is one of the inputs",
    ),
    "products, no folder": (
        ("--surface", "{results}/s.tif", "--product", "outlines"),
        "are written to a folder",
    ),
    "a CRS of no number": (("--outlines", "{results}/o.gpkg", "--crs", "EPSG:UTM32"), "'EPSG:UTM32' is not known"),
    "a CRS that there is not": (("--surface", "{results}/s.tif", "--crs", "EPSG:1"), "'EPSG:1' is not known"),
}


@pytest.mark.parametrize("wrong", ERRORS)
def test_what_is_wrong_is_told_before_any_work(sslkd, model, photo, make_vector, results, tmp_path, wrong):
    (tmp_path / "sub").mkdir()
    elsewhere = make_vector([shapely.box(LEFT + 9e3, TOP, LEFT + 9.1e3, TOP + 50)], "elsewhere.gpkg")
    names = {"results": results, "other": photo(name="sub/photo.tif"), "elsewhere": elsewhere}
    options, named = ERRORS[wrong]
    arguments = [option.format(**names) for option in options]
    ended = sslkd("detect", "--raster", photo(), "--model", model, *arguments)
    assert ended.code == 1
    assert named in ended.stderr and len(ended.stderr.splitlines()) == 1
    assert list(results.iterdir()) == []


REAL = {
    "atlanta_pan_uint16_utm16n_nodata0.tif": (1, "uint16", 0.5),
    "landsat_customproj_int16_nodata-9999.tif": (3, "int16", 30),
    "naip_nd_5m_4band_20120731.tif": (4, "uint8", 5),
    "naip_nd_5m_4band_20200831.tif": (4, "uint8", 10),
    "rotterdam_wv2_ms1.tif": (4, "float64", 1),
    "rotterdam_wv2_ms2.tif": (4, "float64", 2),
    "vegas_rgba_uint8_epsg4326.tif": (3, "uint8", 0.5),
    "zanzibar_drone_7.75cm_utm37s.tif": (3, "uint8", 0.5),
}


@pytest.mark.parametrize("name", REAL)
def test_real_rasters_run(detect, models, data_folder, name):
    bands, dtype, gsd = REAL[name]
    raster = data_folder / "georeferenced" / name
    model = models(bands, dtype, gsd, middle={"uint8": 127.5}.get(dtype, 1000.0))
    surface, _ = detect(raster, "--nodata", 0, "--tile", 256, model=model)
    with rasterio.open(raster) as dataset:
        empty = (dataset.read(range(1, bands + 1)) == 0).all(axis=0)
        if dataset.count > bands:
            empty |= dataset.read(dataset.count) == 0
        if dataset.nodata is not None:
            empty |= (dataset.read(range(1, bands + 1)) == dataset.nodata).all(axis=0)
    np.testing.assert_array_equal(surface == 255, empty)
