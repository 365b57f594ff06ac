"""The generated scene: what stands in its files is what its painter painted."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from demo.scene import CRS, PIXEL, Scene, SceneFiles, draw_scene, write_scene

SIZE = (400, 500)
TEST_SIZE = (400, 400)
TOWN_SIZE = (600, 600)  # large enough to hold some of everything


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SceneFiles:
    return write_scene(tmp_path_factory.mktemp("scene"), seed=3, size=SIZE, test_size=TEST_SIZE)


@pytest.fixture(scope="module")
def town() -> Scene:
    return draw_scene(7, TOWN_SIZE)


def test_same_seed_gives_the_same_files_and_another_seed_does_not(files: SceneFiles, tmp_path: Path):
    again = write_scene(tmp_path / "again", seed=3, size=SIZE, test_size=TEST_SIZE)
    other = write_scene(tmp_path / "other", seed=4, size=SIZE, test_size=TEST_SIZE)

    for raster in ("train", "test"):
        assert np.array_equal(_image(getattr(files, raster)), _image(getattr(again, raster)))
        assert not np.array_equal(_image(getattr(files, raster)), _image(getattr(other, raster)))
    for vector in ("train_roads", "train_extent", "test_roads", "test_extent"):
        assert shapely.equals_exact(_polygons(getattr(files, vector)), _polygons(getattr(again, vector))).all()


def test_writing_again_replaces_what_was_there(files: SceneFiles, tmp_path: Path):
    write_scene(tmp_path, seed=4, size=(256, 256), test_size=(256, 256))
    replaced = write_scene(tmp_path, seed=3, size=SIZE, test_size=TEST_SIZE)

    assert np.array_equal(_image(replaced.train), _image(files.train))
    assert shapely.equals_exact(_polygons(replaced.train_roads), _polygons(files.train_roads)).all()


@pytest.mark.parametrize(("name", "size"), [("train", SIZE), ("test", TEST_SIZE)])
def test_rasters_are_as_the_real_mosaics(files: SceneFiles, name: str, size: tuple[int, int]):
    with rasterio.open(getattr(files, name)) as raster:
        assert raster.shape == size
        assert raster.dtypes == ("uint8",) * 3
        assert raster.crs.to_epsg() == 32632
        assert raster.transform == Affine(PIXEL, 0, raster.bounds.left, 0, -PIXEL, raster.bounds.top)
    for vector in (f"{name}_roads", f"{name}_extent"):
        information = pyogrio.read_info(getattr(files, vector))
        assert information["crs"] == CRS
        assert information["geometry_type"] == "Polygon"
        assert information["features"] > 0


def test_test_polygons_are_the_painted_road_to_the_pixel(files: SceneFiles):
    scene = draw_scene([3, 1], TEST_SIZE, corner=_corner(files.test))
    fine = scene.transform @ Affine.scale(0.5)

    drawn = rasterize(_polygons(files.test_roads), out_shape=scene.picture.road.shape, transform=fine)

    assert np.array_equal(scene.picture.image, _image(files.test))
    assert np.array_equal(drawn.astype(bool), scene.picture.road)


def test_training_polygons_are_the_painted_road_inside_the_labelled_blocks(files: SceneFiles):
    scene = draw_scene([3, 0], SIZE, corner=_corner(files.train))
    fine = scene.transform @ Affine.scale(0.5)
    shape = scene.picture.road.shape

    drawn = rasterize(_polygons(files.train_roads), out_shape=shape, transform=fine).astype(bool)
    labelled = rasterize(_polygons(files.train_extent), out_shape=shape, transform=fine).astype(bool)

    assert np.array_equal(drawn, scene.picture.road & labelled)
    assert (scene.picture.road & ~labelled).any()


@pytest.mark.parametrize("axis", [0, 1])
def test_the_picture_has_its_edges_where_the_polygons_have_theirs(town: Scene, axis: int):
    """Moved against the picture, the outlines of the truth leave the kerbs, whichever way they go."""
    light = town.picture.image.astype(float).mean(2)
    edges = np.hypot(*np.gradient(light))
    outline = rasterize([town.roads.boundary], out_shape=TOWN_SIZE, transform=town.transform).astype(bool)
    outline[:8] = outline[-8:] = outline[:, :8] = outline[:, -8:] = False  # not the picture's own border
    shifts = np.arange(-3, 4)

    strength = [edges[np.roll(outline, shift, axis)].mean() for shift in shifts]

    bend, slope, _ = np.polyfit(shifts, strength, 2)
    assert bend < 0
    assert abs(slope / (2 * bend)) < 0.3  # pixels from the top of the parabola to no shift at all


def test_labelled_blocks_are_apart_whole_pixels_and_about_a_fifth(tmp_path: Path):
    files = write_scene(tmp_path, size=(1000, 1250), test_size=(256, 256))
    blocks = _polygons(files.train_extent)
    with rasterio.open(files.train) as raster:
        place = shapely.box(*raster.bounds)
        corners = shapely.get_coordinates(blocks) - (raster.bounds.left, raster.bounds.top)

    assert len(blocks) >= 3
    assert shapely.area(blocks).sum() == pytest.approx(place.area / 5, rel=0.1)
    assert shapely.union_all(blocks).area == pytest.approx(shapely.area(blocks).sum())
    assert place.buffer(0.01).contains(shapely.union_all(blocks))
    assert np.abs(corners / PIXEL - np.rint(corners / PIXEL)).max() < 1e-4


def test_test_extent_is_the_whole_raster(files: SceneFiles):
    with rasterio.open(files.test) as raster:
        assert shapely.union_all(_polygons(files.test_extent)).equals(shapely.box(*raster.bounds))


@pytest.mark.parametrize("seed", range(6))
def test_between_a_twentieth_and_a_third_is_road(seed: int):
    assert 0.05 < draw_scene(seed, SIZE).picture.road.mean() < 0.35


def test_drives_and_car_parks_are_no_road_but_look_like_one(town: Scene):
    """The hard negatives: much asphalt outside the truth, in the greys of the roads."""
    paved, road = (
        rasterize([shape], out_shape=TOWN_SIZE, transform=town.transform).astype(bool)
        for shape in (town.paved, town.roads)
    )
    colours = town.picture.image.astype(float)
    elsewhere = ~paved & ~road

    assert town.paved.intersection(town.roads).area < 1e-6
    assert paved.mean() > 0.03
    greys, lawns = _greyness(colours[road]), _greyness(colours[elsewhere])
    assert abs(_greyness(colours[paved]) - greys) < abs(lawns - greys) / 3


def test_trees_and_shadows_hide_a_part_of_the_roads(town: Scene):
    road = rasterize([town.roads], out_shape=TOWN_SIZE, transform=town.transform).astype(bool)
    light = town.picture.image.astype(float).mean(2)[road]

    assert 0.03 < (light < 0.7 * np.median(light)).mean() < 0.4


@pytest.mark.parametrize("size", [(64, 64), (90, 130), (257, 301)])
def test_any_size_can_be_drawn(size: tuple[int, int]):
    scene = draw_scene(0, size)

    assert scene.picture.image.shape == (*size, 3)
    assert scene.picture.road.any()


def _image(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read().transpose(1, 2, 0)


def _corner(path: Path) -> tuple[float, float]:
    with rasterio.open(path) as raster:
        return raster.bounds.left, raster.bounds.top


def _polygons(path: Path) -> np.ndarray:
    return shapely.from_wkb(pyogrio.raw.read(path)[2])


def _greyness(colours: np.ndarray) -> float:
    """How far colours are from grey, on average."""
    return float((colours.max(-1) - colours.min(-1)).mean())
