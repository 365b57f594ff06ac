"""Tiles in folders: their labels, their splits, and what is refused."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from qgis_sslkd.core.errors import AnnotationError, RasterError, SettingError
from qgis_sslkd.core.geodata.rasters import RasterReader
from qgis_sslkd.core.labels import IGNORE
from qgis_sslkd.training.sampler import Sampler
from qgis_sslkd.training.tiles import (
    Tile,
    TileLabels,
    masked_tiles,
    read_roadnet,
    read_split,
    tile_data,
    tile_windows,
    with_all_labels,
)

SIDE = 80


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "PNG", "width": pixels.shape[2], "height": pixels.shape[1], "count": len(pixels)}
    with rasterio.open(path, "w", dtype="uint8", **profile) as dataset:
        dataset.write(pixels)


@pytest.fixture
def tiles(tmp_path):
    """Six tiles; the columns of each are numbered in red, the rows in green, its own number is blue; a road each."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    made = []
    for number in range(6):
        image = np.stack([columns, rows, np.full_like(rows, number)]).astype(np.uint8)
        mask = np.zeros((1, SIDE, SIDE), dtype=np.uint8)
        mask[:, :, 10 + number : 30] = 255
        made.append(Tile(tmp_path / "images" / f"{number}.png", tmp_path / "masks" / f"{number}.png"))
        write_png(made[-1].image, image)
        write_png(made[-1].mask, mask)
    return made


def split_file(tmp_path, labelled, unlabelled, test):
    names = {"labelled": labelled, "unlabelled": unlabelled, "test": test}
    text = {part: [f"{number}.png" for number in numbers] for part, numbers in names.items()}
    (tmp_path / "split.json").write_text(json.dumps(text))
    return read_split(tmp_path, "images", "masks", "split.json")


def test_labels_follow_the_window_and_end_with_the_tile():
    mask = np.arange(16, dtype=np.uint8).reshape(4, 4)
    labels = TileLabels(mask)
    np.testing.assert_array_equal(labels.labels(Window(1, 2, 2, 2), (2, 2)), [[9, 10], [13, 14]])
    beyond = labels.labels(Window(-1, 3, 3, 2), (2, 3))
    np.testing.assert_array_equal(beyond, [[IGNORE, 12, 13], [IGNORE] * 3])
    np.testing.assert_array_equal(labels.labels(Window(0, 0, 4, 4), (2, 2)), mask[1::2, 1::2])
    np.testing.assert_array_equal(labels.labels(Window(0, 0, 2, 2), (4, 4)), mask[:2, :2].repeat(2, 0).repeat(2, 1))


def test_images_and_labels_of_a_batch_belong_together(tiles, tmp_path):
    split = split_file(tmp_path, [0, 1, 2], [3, 4], [5])
    labelled, unlabelled = (masked_tiles(part, "grey", 0.3) for part in (split.labelled, split.unlabelled))
    data = tile_data(labelled, unlabelled, 64, 0.3)
    with RasterReader() as reader:
        batch = Sampler(data, 6, (1,), True, reader).batch(0)
    pixels = np.rint(batch.images.numpy() * 127.5 + 127.5).astype(int)
    columns, numbers = pixels[:, 0], pixels[:, 2]
    np.testing.assert_array_equal(batch.labels.numpy() == 1, (columns >= 10 + numbers) & (columns < 30))
    learned = {source.raster.name for source in data.labelled}
    assert {f"{number}.png" for number in np.unique(numbers)} <= learned
    others = np.rint(batch.unlabelled[:, 2].numpy() * 127.5 + 127.5)
    assert set(np.unique(others)) <= {3, 4}
    assert batch.unlabelled_valid.all()


def test_a_tenth_of_the_labelled_tiles_is_held_out_the_same_ones_always(tiles):
    opened = masked_tiles(tiles[:5], "grey", 0.5)
    first, again = tile_data(opened, opened[:1], 64, 0.5), tile_data(opened, opened[:1], 32, 0.5)
    names = {window.source.raster.name for window in first.validation}
    assert names == {window.source.raster.name for window in again.validation}
    assert len(names) == 1
    assert names | {source.raster.name for source in first.labelled} == {f"{k}.png" for k in range(5)}
    assert first.held_out_area == SIDE**2 * 0.25
    assert first.labelled_area == 4 * SIDE**2 * 0.25
    assert tile_data(opened * 4, [], 64, 0.5).held_out_area == 2 * first.held_out_area


def test_what_is_held_out_shows_a_road(tiles):
    """Without one, whatever networks find there would be worth the same."""
    for number in range(5):
        if number not in (1, 3):
            write_png(tiles[number].mask, np.zeros((1, SIDE, SIDE), dtype=np.uint8))
    data = tile_data(masked_tiles(tiles[:5], "grey", 0.5), [], 64, 0.5)
    held_out = {window.source.raster.name for window in data.validation}
    assert len(held_out) == 1
    assert held_out < {"1.png", "3.png"}


def test_all_labels_add_the_unlabelled_tiles_and_hold_out_the_same(tiles):
    opened = masked_tiles(tiles, "grey", 0.5)
    some = tile_data(opened[:3], opened[3:5], 64, 0.5)
    everything = with_all_labels(some, opened[3:5])
    assert len(everything.labelled) == len(some.labelled) + 2
    assert everything.labelled_area == some.labelled_area + 2 * SIDE**2 * 0.25
    assert everything.validation == some.validation


def test_test_windows_cover_every_pixel_once(tiles):
    opened = masked_tiles(tiles[:2], "grey", 0.3)
    for tile, gsd in ((32, 0.3), (96, 0.3), (64, 0.6)):
        seen = sum((window.labels(tile) != IGNORE).sum() for window in tile_windows(opened, tile, gsd))
        assert seen == 2 * SIDE**2 * (0.3 / gsd) ** 2


@pytest.mark.parametrize(
    ("kind", "colours", "roads"),
    [
        ("red", [(255, 255, 255), (128, 127, 127), (127, 0, 0), (255, 128, 0), (255, 0, 128)], [0, 1, 0, 0, 0]),
        ("grey", [(0,), (127,), (128,), (255,)], [0, 0, 1, 1]),
    ],
)
def test_masks_tell_roads_by_their_kind(tmp_path, kind, colours, roads):
    mask = np.array(colours, np.uint8).T[:, None].repeat(8, axis=1)
    write_png(tmp_path / "i.png", np.zeros((4, *mask.shape[1:]), dtype=np.uint8))
    write_png(tmp_path / "m.png", mask)
    (opened,) = masked_tiles([Tile(tmp_path / "i.png", tmp_path / "m.png")], kind, 0.21)
    np.testing.assert_array_equal(opened.labels.mask, [roads] * 8)
    assert opened.raster.bands == (1, 2, 3)  # without alpha


def test_the_layout_of_roadnet(tmp_path):
    image, mask = np.zeros((3, 8, 8), dtype=np.uint8), np.full((3, 8, 8), 255, dtype=np.uint8)
    for part, folders in (("train", (2, 10)), ("test", (1,))):
        for name in (f"{folder}-{row}-{column}.png" for folder in folders for row in range(2) for column in range(5)):
            write_png(tmp_path / f"{part}_image" / name, image)
            write_png(tmp_path / f"{part}_segment" / name, mask)
    split = read_roadnet(tmp_path)
    assert (len(split.labelled), len(split.unlabelled), len(split.test)) == (4, 16, 10)
    assert not set(split.labelled) & set(split.unlabelled)
    assert split == read_roadnet(tmp_path)
    numbers = [[int(number) for number in tile.image.stem.split("-")] for tile in split.unlabelled]
    assert numbers == sorted(numbers)
    assert all(tile.mask.parent.name == "train_segment" for tile in split.labelled)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (([], [1], [2]), "no labelled tiles"),
        (([0], [1, 2], [2]), r"2\.png twice, as unlabelled and as test"),
        (([0, 2], [1], [2]), r"2\.png twice, as labelled and as test"),
        (([0, 1], [1], [2]), r"1\.png twice, as labelled and as unlabelled"),  # one may be held out, and learned from
        (([0, 1, 1], [2], [3]), r"1\.png twice, as labelled and as labelled"),  # likewise
        (([0], [1], [2, 2]), r"2\.png twice, as test and as test"),
    ],
)
def test_no_tile_stands_in_a_split_twice(tmp_path, numbers, words):
    with pytest.raises(AnnotationError, match=words):
        split_file(tmp_path, *numbers)


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no JSON", '{"test": ["Süd.png"]}'.encode("utf-16")])
def test_what_a_split_must_hold(tmp_path, content):
    (tmp_path / "split.json").write_bytes(content)
    with pytest.raises(SettingError, match=r"split\.json"):
        read_split(tmp_path, "images", "masks", "split.json")


def test_the_layout_of_roadnet_must_be_there(tmp_path):
    with pytest.raises(SettingError, match="train_image"):
        read_roadnet(tmp_path)


def test_roadnet_takes_as_many_tiles_as_two_labelled_ones_are_a_fifth_of(tmp_path):
    for part, count in (("train", 9), ("test", 1)):
        for number in range(count):
            write_png(tmp_path / f"{part}_image" / f"{number}-0-0.png", np.zeros((3, 8, 8), dtype=np.uint8))
    with pytest.raises(SettingError, match=r"^There are 9 RoadNet tiles in .*train_image, .*; at least 10 are needed"):
        read_roadnet(tmp_path)


@pytest.mark.parametrize(("count", "bands"), [(1, (1,)), (2, (1,)), (3, (1, 2, 3)), (4, (1, 2, 3))])
def test_of_tiles_the_colours_or_the_grey_are_learned_from_and_no_alpha(tiles, count, bands):
    write_png(tiles[0].image, np.full((count, SIDE, SIDE), 9, dtype=np.uint8))
    assert masked_tiles(tiles[:1], "grey", 0.3)[0].raster.bands == bands


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_a_tile_that_is_cut_short_is_refused(tiles, kind):
    """Read as a whole, the rest of a PNG would be 0: background."""
    path = getattr(tiles[0], kind)
    path.write_bytes(path.read_bytes()[:-40])
    with rasterio.open(path) as dataset:
        assert dataset.read().any()
    with pytest.raises(RasterError, match=r"0\.png cannot be read"):
        masked_tiles(tiles[:1], "grey", 0.3)


def test_tiles_that_cannot_be_learned_from(tiles, tmp_path):
    write_png(tmp_path / "masks" / "0.png", np.full((1, SIDE, SIDE), 7, dtype=np.uint8))
    with pytest.raises(AnnotationError, match=r"0\.png holds the value 7"):
        masked_tiles(tiles[:1], "labels", 0.3)
    write_png(tmp_path / "masks" / "1.png", np.zeros((1, SIDE, SIDE + 1), dtype=np.uint8))
    with pytest.raises(RasterError, match=r"1\.png has 80 x 80 pixels, its mask 81 x 80"):
        masked_tiles(tiles[1:2], "grey", 0.3)
    (tmp_path / "masks" / "2.png").unlink()
    with pytest.raises(RasterError, match=r"2\.png"):
        masked_tiles(tiles[2:3], "grey", 0.3)
    with pytest.raises(AnnotationError, match="two tiles"):
        tile_data(masked_tiles(tiles[3:4], "grey", 0.3), [], 64, 0.3)
    for tile in tiles[3:]:
        write_png(tile.mask, np.zeros((1, SIDE, SIDE), dtype=np.uint8))
    empty = masked_tiles(tiles[3:], "grey", 0.3)
    with pytest.raises(AnnotationError, match="No road"):
        tile_data(empty, empty, 64, 0.3)


def test_the_real_tiles_are_split_as_they_say(data_folder):
    split = read_split(data_folder / "epfl_roads", "images", "groundtruth", "split.json")
    assert (len(split.labelled), len(split.unlabelled), len(split.test)) == (16, 64, 20)
    opened = masked_tiles(split.labelled, "grey", 0.3)
    share = np.mean([tile.labels.mask.mean() for tile in opened])
    assert 0.05 < share < 0.4
