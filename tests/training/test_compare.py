"""A comparison from tiles to tables, and going on after a stop."""

import csv
import json
import os
import pathlib
import re
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from listening import Listener
from rasterio.crs import CRS
from rasterio.transform import from_origin

from qgis_sslkd.core.errors import AnnotationError, CancelledError, NotWholeError, RasterError, SettingError
from qgis_sslkd.core.geodata.ground import project
from qgis_sslkd.core.geodata.rasters import RasterReader
from qgis_sslkd.core.labels import IGNORE
from qgis_sslkd.core.models.model_card import load_card
from qgis_sslkd.core.version import own_version
from qgis_sslkd.training.compare import compare
from qgis_sslkd.training.comparison_data import open_comparison_data
from qgis_sslkd.training.configuration import Configuration, RastersData, Row
from qgis_sslkd.training.data import read_window
from qgis_sslkd.training.methods import METHODS, Method

CPU = torch.device("cpu")
SIDE = 70
TINY = {"architecture": "deeplabv3plus", "encoder": "resnet18"}
SETTINGS = {
    "steps": 2,
    "batch": 2,
    "tile": 64,
    "validations": 1,
    "teachers": [TINY, {"architecture": "segnet", "encoder": "vgg11", "width": 0.125}],
    "cross": {"warm_up": 0.5},
}
ROWS = [
    {"name": "T2 CMS", "method": "cms-t2"},
    {"name": "S SSLKD", "method": "sslkd"},
    {"name": "S, all labels", "method": "supervised", "labels": "all"},
]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Eight tiles with a bright road each, and their split; their side is no multiple of what networks take."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(8)]
    for number, name in enumerate(names):
        mask = np.zeros((1, SIDE, SIDE), dtype=np.uint8)
        mask[:, :, 5 * number : 5 * number + 12] = 1
        image = (60 + 120 * mask + rng.integers(0, 20, (3, SIDE, SIDE))).astype(np.uint8)
        for kind, pixels in (("images", image), ("masks", mask)):
            (folder / kind).mkdir(exist_ok=True)
            profile = {"driver": "PNG", "width": SIDE, "height": SIDE, "count": len(pixels), "dtype": "uint8"}
            with rasterio.open(folder / kind / name, "w", **profile) as dataset:
                dataset.write(pixels)
    split = {"labelled": names[:3], "unlabelled": names[3:6], "test": names[6:]}
    (folder / "split.json").write_text(json.dumps(split))
    return folder


@pytest.fixture(scope="module")
def configuration(tiles):
    data = {"kind": "tiles", "folder": str(tiles), "images": "images", "masks": "masks", "split": "split.json"}
    return Configuration(
        title="Tiny", preset="quick", settings=SETTINGS, seeds=[0, 1], data={**data, "gsd": 0.3}, rows=ROWS
    )


def run(configuration, folder, reporter):
    with RasterReader() as reader:
        data = open_comparison_data(configuration.data, folder, reader)
        return compare(configuration, data, folder, CPU, reporter)


def opened(data, folder):
    with RasterReader() as reader:
        return open_comparison_data(data, folder, reader)


@pytest.fixture(scope="module")
def finished(configuration, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(configuration, folder, Listener())


def test_the_table_has_each_row_seed_and_split(finished):
    folder, results = finished
    with (folder / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["method"], line["seed"], line["split"]) for line in lines] == [
        (row["name"], str(seed), split) for seed in (0, 1) for row in ROWS for split in ("validation", "test")
    ]
    assert all(0 <= float(line["oa"]) <= 1 for line in lines)
    for line, result in zip(lines, results, strict=True):
        assert float(line["oa"]) == pytest.approx(result.scores.oa, abs=1e-4)


def test_page_and_pictures_are_there(finished):
    folder, _ = finished
    page = (folder / "table.html").read_text()
    assert all(row["name"] in page for row in ROWS)
    assert "http" not in page
    assert "each trained with seed 0</figcaption>" in page
    for name in ("bars", "cost", "tiles", "masks"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_show_the_tiles_alone(finished):
    """And not what windows reach beyond them, which is grey."""
    masks = plt.imread(finished[0] / "masks.png")
    grey = (np.abs(masks[..., :3] - 0.4) < 0.01).all(axis=-1)
    assert grey.mean() < 0.005


def test_every_model_can_be_used_and_is_what_the_row_is_about(finished):
    folder, _ = finished
    assert load_card(folder / "seed-1" / "t2-cms.safetensors").network.architecture == "segnet"
    assert load_card(folder / "seed-1" / "s-sslkd.safetensors").network.architecture == "deeplabv3plus"


def test_a_finished_comparison_is_not_trained_again(finished, configuration):
    folder, results = finished
    listener = Listener()
    assert [r.scores.oa for r in run(configuration, folder, listener)] == [r.scores.oa for r in results]
    assert not any("row" in said for said in listener.said)


def test_a_row_of_other_settings_is_trained_again_alone(finished, configuration, tmp_path):
    folder, _ = finished
    rows = [*configuration.rows[:2], configuration.rows[2].model_copy(update={"settings": {"steps": 1}})]
    listener = Listener()
    run(configuration.model_copy(update={"rows": rows}), folder, listener)
    assert [said for said in listener.said if "row" in said] == [
        f"S, all labels, seed {seed}: row {number} of 6." for seed, number in ((0, 3), (1, 6))
    ]


def test_a_row_whose_model_was_removed_is_trained_again(finished, configuration, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    (folder / "seed-1" / "t2-cms.safetensors").unlink()
    listener = Listener()
    run(configuration.model_copy(update={"rows": configuration.rows[:1]}), folder, listener)
    assert [said for said in listener.said if "row" in said] == ["T2 CMS, seed 1: row 2 of 2."]


def test_rows_that_were_trained_elsewhere_are_told(finished, configuration, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    path = folder / "seed-0" / "t2-cms.json"
    content = json.loads(path.read_text())
    for result in content["results"]:
        result["device"] = "A GPU"
        del result["version"]
    path.write_text(json.dumps(content))
    first, *_ = run(configuration, folder, Listener())
    assert (first.device, first.version) == ("A GPU", "unknown")
    page = (folder / "table.html").read_text()
    assert f"<td>A GPU; {finished[1][0].device}</td>" in page
    assert f"<td>unknown; {own_version()}</td>" in page


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_damaged_results_are_named(finished, configuration, tmp_path, content):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    (folder / "seed-0" / "t2-cms.json").write_text(content)
    with pytest.raises(SettingError, match=r"t2-cms\.json are damaged; remove"):
        run(configuration, folder, Listener())


def test_a_damaged_model_is_named_before_any_training(finished, configuration, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    (folder / "seed-0" / "t2-cms.json").unlink()
    model = folder / "seed-1" / "s-sslkd.safetensors"
    model.write_bytes(model.read_bytes()[:100_000])
    listener = Listener()
    with pytest.raises(SettingError, match=r"seed-1/s-sslkd\.safetensors is damaged; remove the file to train the row"):
        run(configuration, folder, listener)
    assert not listener.said


@pytest.fixture
def failing(configuration, finished, tmp_path):
    """A comparison of which the first row's checkpoint is damaged, the second was trained before, and the third not."""
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    row = Row(name="S, cut off", method="supervised")
    with pytest.raises(CancelledError):
        run(configuration.model_copy(update={"rows": [row], "seeds": [0]}), folder, Listener(1))
    (checkpoint,) = folder.glob("seed-0/sslkd-supervised-*.checkpoint")
    checkpoint.write_bytes(b"rubbish")
    (folder / "seed-0" / "s-all-labels.json").unlink()
    return configuration.model_copy(update={"rows": [row, *configuration.rows[1:]], "seeds": [0]}), folder


def test_a_row_that_fails_leaves_the_others_their_results(failing):
    configuration, folder = failing
    listener = Listener()
    with pytest.raises(SettingError, match=r"^1 of 3 rows could not be trained: S, cut off, seed 0\. The"):
        run(configuration, folder, listener)
    assert any(re.fullmatch(r"S, cut off, seed 0: The checkpoint .* is damaged; .*", said) for said in listener.said)
    with (folder / "table.csv").open() as file:
        assert {line["method"] for line in csv.DictReader(file)} == {"S SSLKD", "S, all labels"}
    page = (folder / "table.html").read_text()
    assert "S SSLKD" in page and "S, cut off" not in page


def test_where_all_rows_fail_the_first_tells_why(failing):
    configuration, folder = failing
    alone = configuration.model_copy(update={"rows": configuration.rows[:1]})
    with pytest.raises(SettingError, match=r"^The checkpoint .* is damaged"):
        run(alone, folder, Listener())


def test_a_row_that_takes_too_much_memory_is_left_out(finished, configuration, tmp_path, monkeypatch):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.setitem(METHODS, "cct", Method("too large", lambda run: torch.empty(10**15)))
    rows = [Row(name="S CCT", method="cct"), configuration.rows[1]]
    listener = Listener()
    with pytest.raises(SettingError, match="2 of 4 rows could not be trained: S CCT, seed 0; S CCT, seed 1"):
        run(configuration.model_copy(update={"rows": rows}), folder, listener)
    assert any("S CCT, seed 0: There is too little memory" in said for said in listener.said)


def test_a_full_disk_ends_a_comparison_at_once(configuration, tmp_path, little_room):
    listener = Listener()
    with little_room(100_000), pytest.raises(NotWholeError, match="make room on the disk"):
        run(configuration, tmp_path, listener)
    assert [said for said in listener.said if "row" in said] == ["T2 CMS, seed 0: row 1 of 6."]


@pytest.mark.parametrize("stop", [1, 3, 4, 5])
def test_a_comparison_that_was_stopped_goes_on_to_the_same_scores(finished, configuration, tmp_path, stop):
    """Rows 1 and 2 share the teachers' two steps; then come two steps of the student and two of the last row."""
    one_seed = configuration.model_copy(update={"seeds": [0]})
    with pytest.raises(CancelledError):
        run(one_seed, tmp_path, Listener(stop))
    again = run(one_seed, tmp_path, Listener())
    for result, expected in zip(again, finished[1][:6], strict=True):
        assert (result.method, result.scores.oa) == (expected.method, expected.scores.oa)
    assert not list(tmp_path.glob("seed-0/*student*"))


def part_of(raster, left, right):
    """The columns from `left` to `right` of a raster, on the ground."""
    xs, ys = raster.transform @ (np.array([left, right]), np.array([raster.height, 0]))
    return shapely.box(xs[0], ys[0], xs[1], ys[1])


@pytest.fixture
def own_tiles(tiles, tmp_path):
    """The tiles in a folder of the test's own."""
    return shutil.copytree(tiles, tmp_path / "tiles")


def test_data_is_known_again_until_a_tile_moves_or_changes(configuration, own_tiles, tmp_path):
    def identity():
        return opened(configuration.data.model_copy(update={"folder": own_tiles}), tmp_path).identity

    identities = [identity()]
    assert identity() == identities[0]
    split = json.loads((own_tiles / "split.json").read_text())
    split["test"].insert(0, split["unlabelled"].pop())
    (own_tiles / "split.json").write_text(json.dumps(split))
    identities.append(identity())
    with rasterio.open(own_tiles / "masks" / "0.png", "r") as dataset:
        profile, mask = dataset.profile, dataset.read()
    with rasterio.open(own_tiles / "masks" / "0.png", "w", **profile) as dataset:
        dataset.write(1 - mask)
    identities.append(identity())
    os.utime(own_tiles / "images" / "0.png", (0, 0))
    identities.append(identity())
    assert len(set(identities)) == 4


def test_tiles_to_test_on_are_like_those_to_learn_from(configuration, own_tiles, tmp_path):
    path = own_tiles / "images" / "7.png"
    with rasterio.open(path) as dataset:
        profile, image = dataset.profile, dataset.read()
    with rasterio.open(path, "w", **{**profile, "count": 1}) as dataset:
        dataset.write(image[:1])
    with pytest.raises(RasterError, match=r"same bands: 0\.png has 3, 7\.png has 1"):
        opened(configuration.data.model_copy(update={"folder": own_tiles}), tmp_path)


def test_there_are_roads_on_the_tiles_to_test_on(configuration, own_tiles, tmp_path):
    for name, label in (("6.png", 0), ("7.png", IGNORE)):
        with rasterio.open(own_tiles / "masks" / name, "r") as dataset:
            profile, mask = dataset.profile, dataset.read()
        with rasterio.open(own_tiles / "masks" / name, "w", **profile) as dataset:
            dataset.write(np.full_like(mask, label))
    with pytest.raises(AnnotationError, match=r"No road is seen on the test tiles at 0\.3 m a pixel"):
        opened(configuration.data.model_copy(update={"folder": own_tiles}), tmp_path)


def test_tiles_to_test_on_are_not_smaller_than_a_pixel(configuration, tmp_path):
    with pytest.raises(AnnotationError, match="test tiles at 90 m a pixel"):
        opened(configuration.data.model_copy(update={"resampled_gsd": 90.0}), tmp_path)


def test_tiles_without_labels_are_asked_for_where_they_are_learned_from(configuration, own_tiles, tmp_path):
    split = json.loads((own_tiles / "split.json").read_text())
    (own_tiles / "split.json").write_text(json.dumps(split | {"unlabelled": []}))
    data = opened(configuration.data.model_copy(update={"folder": own_tiles}), tmp_path)
    assert not data.training(64, "split", False).unlabelled
    with pytest.raises(AnnotationError, match="no unlabelled tiles to learn from"):
        data.training(64, "split", True)


@pytest.fixture
def rasters(small_scene, make_vector):
    """The scene to learn from in its left half, and to test on in its right half."""
    raster, roads, area = small_scene
    right = make_vector([part_of(raster, raster.width // 2, raster.width)], "right.gpkg")
    return {
        "kind": "rasters",
        "labelled": [raster.path],
        "roads": [roads.path],
        "area": [area.path],
        "test": [raster.path],
        "test_roads": [roads.path],
        "test_area": [str(right)],
    }


@pytest.fixture
def elsewhere(make_raster, make_vector):
    """A raster on another continent, all of it to test on, with a road."""
    transform = from_origin(300_000, 6_200_000, 0.5, 0.5)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 80, 90), np.uint8)
    raster = make_raster(pixels, "elsewhere.tif", crs="EPSG:32756", transform=transform, compress="deflate")
    roads = make_vector([shapely.box(300_000, 6_199_990, 300_030, 6_199_995)], "elsewhere.gpkg", crs="EPSG:32756")
    return {"test": [str(raster)], "test_roads": [str(roads)], "test_area": []}


def pixels_tested(data):
    windows, tile = data.test.validation, data.test.tile
    return sum((each.source.annotation.labels(each.window, (tile, tile)) != IGNORE).sum() for each in windows)


def test_rasters_are_tested_on_every_pixel_of_the_test_area(rasters, elsewhere, tmp_path):
    data = opened(RastersData(**rasters), tmp_path)
    assert pixels_tested(data) == 256 * 128
    assert data.training(64, "split", True).tile == 64
    assert pixels_tested(opened(RastersData(**rasters | elsewhere), tmp_path)) == 80 * 90


def test_supervised_rows_ask_for_no_unlabelled_imagery(rasters, elsewhere, configuration, tmp_path):
    """Their windows have the values that those of other rows have."""
    for unlabelled in ([], elsewhere["test"]):
        data = opened(RastersData(**rasters | elsewhere | {"area": [], "unlabelled": unlabelled}), tmp_path)
        assert not data.training(64, "split", False).unlabelled
    row = Row(name="S", method="supervised")
    changes = {"data": RastersData(**rasters | elsewhere | {"area": []}), "rows": [row], "seeds": [0]}
    assert len(run(configuration.model_copy(update=changes), tmp_path, Listener())) == 2
    changes["rows"] = [row, configuration.rows[1]]
    with pytest.raises(AnnotationError, match="no unlabelled imagery to learn from"):
        run(configuration.model_copy(update=changes), tmp_path, Listener())


def test_rows_of_all_windows_learn_from_the_same_area(rasters, small_scene, make_raster, tmp_path):
    raster, *_ = small_scene
    with rasterio.open(raster.path) as dataset:
        pixels = dataset.read()
    pixels[:, :40] = 0
    labelled = str(make_raster(pixels, "collar.tif", crs=raster.crs, transform=raster.transform, nodata=0))
    with RasterReader() as reader:
        data = open_comparison_data(RastersData(**rasters | {"labelled": [labelled]}), tmp_path, reader)
        prepared = [data.training(tile, "split", False) for tile in (32, 64, 128)]
    for sources in ([each.labelled for each in prepared], [{w.source for w in each.validation} for each in prepared]):
        areas = [shapely.union_all([region for source in part for region in source.regions]) for part in sources]
        assert all(shapely.equals(area, areas[0]) for area in areas)


def test_all_rows_see_the_same_values(rasters, small_scene, make_raster, tmp_path):
    """Whether they learn from imagery without labels, which may be brighter, or not."""
    raster, *_ = small_scene
    place = {"crs": raster.crs, "transform": raster.transform}
    with rasterio.open(raster.path) as dataset:
        pixels = dataset.read().astype(np.uint16)
    dark, bright = (str(make_raster(pixels * k, f"times-{k}.tif", **place)) for k in (1, 9))
    given = rasters | {"labelled": [dark], "unlabelled": [bright], "test": [dark]}
    with RasterReader() as reader:
        data = open_comparison_data(RastersData(**given), tmp_path, reader)
        seen = [data.test, *(data.training(64, "split", unlabelled) for unlabelled in (False, True))]
    assert len({each.normalisation for each in seen}) == 1
    assert min(seen[0].normalisation.mean) > 200


def test_imagery_to_test_on_that_cannot_be_read_is_told_at_once(rasters, elsewhere, tear, tmp_path):
    tear(pathlib.Path(elsewhere["test"][0]))
    with pytest.raises(RasterError, match=r"elsewhere\.tif cannot be read"):
        opened(RastersData(**rasters | elsewhere), tmp_path)


def test_rasters_hold_no_data_where_their_values_are_the_given_nodata(rasters, small_scene, make_raster, tmp_path):
    raster, *_ = small_scene
    with rasterio.open(raster.path) as dataset:
        pixels = dataset.read()
    pixels[:, :100] = 0
    collar = str(make_raster(pixels, "collar.tif", crs=raster.crs, transform=raster.transform))
    given = rasters | {"labelled": [collar], "test": [collar]}
    seen = {}
    for nodata in (None, 0):
        data = opened(RastersData(**given, nodata=nodata), tmp_path)
        with RasterReader() as reader:
            (window,) = data.test.validation
            _, valid = read_window(window.source, window.window, data.test, reader)
        labels = window.source.annotation.labels(window.window, valid.shape)
        seen[data.identity] = np.count_nonzero(valid & (labels != IGNORE))
    assert list(seen.values()) == [256 * 128, 156 * 128]


def test_no_raster_is_tested_where_labels_are_learned_from(rasters, small_scene, make_raster, make_vector, tmp_path):
    raster, _, area = small_scene
    overlapping = part_of(raster, 120, 200)
    in_degrees = shapely.transform(
        overlapping, lambda points: np.column_stack(project(raster.crs, CRS.from_epsg(4326), *points.T))
    )
    shifted = raster.transform @ Affine.translation(-150, 0)
    for changes in (
        {"test_area": []},
        {"test_area": [area.path]},
        {"test_area": [str(make_vector([overlapping], "overlapping.gpkg"))]},
        {"test_area": [str(make_vector([in_degrees], "in_degrees.gpkg", crs="EPSG:4326"))]},
        {"test_area": [], "test": [str(make_raster(np.zeros((3, 256, 256), np.uint8), transform=shifted))]},
    ):
        with pytest.raises(AnnotationError, match=r"overlaps the annotated area of scene\.tif"):
            opened(RastersData(**rasters | changes), tmp_path)


def test_there_are_roads_where_is_to_be_tested(rasters, elsewhere, tmp_path):
    for changes, words in (
        ({"test_roads": elsewhere["test_roads"]}, r"No road of elsewhere\.gpkg lies where"),
        (elsewhere | {"test_area": rasters["test_area"]}, r"right\.gpkg lies outside of the test rasters"),
    ):
        with pytest.raises(AnnotationError, match=words):
            opened(RastersData(**rasters | changes), tmp_path)


def test_rasters_to_test_on_are_like_those_to_learn_from(rasters, make_raster, tmp_path):
    for pixels, words in ((np.zeros((3, 64, 64), np.uint16), "uint16"), (np.zeros((1, 64, 64), np.uint8), "has 1")):
        raster = make_raster(pixels, transform=from_origin(400_000, 5_000_000, 0.5, 0.5))
        with pytest.raises(RasterError, match=words):
            opened(RastersData(**rasters | {"test": [str(raster)], "test_area": []}), tmp_path)


def test_rasters_have_no_labels_beyond_the_drawn_ones(rasters, configuration, tmp_path):
    """Said before any training."""
    changed = configuration.model_copy(update={"data": RastersData(**rasters)})
    with pytest.raises(SettingError, match="no labels beyond"):
        run(changed, tmp_path, Listener())
    assert not list(tmp_path.glob("seed-*"))
