"""Windows, labels and hold-out of a training."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window
from shapely.affinity import affine_transform

from qgis_sslkd.core.errors import AnnotationError, RasterError
from qgis_sslkd.core.geodata.annotations import annotate, burn, read_polygons
from qgis_sslkd.core.geodata.grids import OwnGrid, Scene, grid_for
from qgis_sslkd.core.geodata.rasters import RasterReader, inspect_raster
from qgis_sslkd.core.labels import IGNORE
from qgis_sslkd.training.data import TrainingInputs, coarsened_gsd, prepare, read_window
from qgis_sslkd.training.hold_out import hold_out
from qgis_sslkd.training.sampler import Sampler, _Places
from qgis_sslkd.training.sources import source_of, windows_of_parts

LEFT, TOP, PIXEL = 500_000.0, 5_000_000.0, 0.5
TILE = 64


def in_pixels(left, top, right, bottom):
    """A box in UTM from pixel edges of the test rasters."""
    return shapely.box(LEFT + left * PIXEL, TOP - bottom * PIXEL, LEFT + right * PIXEL, TOP - top * PIXEL)


@pytest.fixture
def write_raster(make_raster):
    def write(name, pixels, pixel=PIXEL, left=LEFT, **options):
        return inspect_raster(str(make_raster(pixels, name, transform=from_origin(left, TOP, pixel, pixel), **options)))

    return write


@pytest.fixture
def write_layer(make_vector):
    def write(name, geometries):
        return read_polygons(str(make_vector(geometries, name)), line_width=None)

    return write


@pytest.fixture
def reader():
    with RasterReader() as reader:
        yield reader


@pytest.fixture
def scene(write_raster, write_layer):
    """400 x 300 pixels whose values tell their own column and row; a road down the columns 100 to 120."""
    rows, columns = np.mgrid[:300, :400]
    pixels = np.stack([columns, rows, np.zeros_like(rows)]).astype(np.uint16)
    raster = write_raster("scene.tif", pixels)
    roads = write_layer("roads.gpkg", [in_pixels(100, 0, 120, 300)])
    area = write_layer("area.gpkg", [in_pixels(0, 0, 200, 300)])
    return raster, roads, area


def places(data, images):
    """The column and the row that each pixel of normalised images `(C, H, W)` came from."""
    mean, std = np.array(data.normalisation.mean), np.array(data.normalisation.std)
    return np.rint(images[:2] * std[:2, None, None] + mean[:2, None, None]).astype(int)


def held_out_of(data):
    """The area of all windows to validate on, in pixels of the only raster."""
    return shapely.union_all(np.concatenate([each.source.annotation.area.geometries for each in data.validation]))


def test_labels_lie_on_the_pixels_they_belong_to(scene, reader):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    batch = Sampler(data, 8, (0,), True, reader).batch(3)
    for images, labels in zip(batch.images.numpy(), batch.labels.numpy(), strict=True):
        columns, _ = places(data, images)
        known = labels != IGNORE
        assert known.mean() >= 0.25
        np.testing.assert_array_equal(labels[known] == 1, ((columns >= 100) & (columns < 120))[known])
        assert not known[columns >= 200].any()


@pytest.mark.parametrize("tile", [TILE, 512])
def test_unlabelled_windows_leave_out_the_annotated_area(scene, reader, tile):
    """Its mirror image, too, which is seen where a window is larger than the raster."""
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), tile, 0, reader)
    batch = Sampler(data, 8, (0,), True, reader).batch(0)
    for images, valid in zip(batch.unlabelled.numpy(), batch.unlabelled_valid.numpy(), strict=True):
        columns, _ = places(data, images)
        np.testing.assert_array_equal(valid, columns >= 200)
        assert valid.mean() >= 0.5


def test_labelled_windows_are_the_same_where_nothing_unlabelled_is_learned_from(scene, reader):
    inputs = TrainingInputs([scene[0]], [scene[1]], [scene[2]], [])
    both, alone = (
        Sampler(prepare(inputs, TILE, 0, reader, unlabelled), 4, (0,), True, reader).batch(0)
        for unlabelled in (True, False)
    )
    assert torch.equal(both.images, alone.images) and torch.equal(both.labels, alone.labels)
    assert (len(both.unlabelled), len(alone.unlabelled), len(alone.unlabelled_valid)) == (4, 0, 0)


def test_a_tenth_is_held_out_and_never_learned_from(scene, reader):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    learned = shapely.union_all(data.labelled[0].annotation.area.geometries)
    held_out = held_out_of(data)
    assert learned.intersection(held_out).area == 0
    assert shapely.union(learned, held_out).area == pytest.approx(200 * 300)
    assert 0.03 < held_out.area / (200 * 300) <= 0.2
    # Scores need roads on both sides.
    assert len(data.labelled[0].annotation.roads.query(held_out, predicate="intersects"))


@pytest.mark.parametrize("tile", [TILE, 512])
def test_of_what_is_held_out_no_window_learns_without_labels_either(scene, reader, tile):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), tile, 0, reader)
    held_out = burn(np.array([held_out_of(data)]), raster.window, (300, 400)) > 0
    batch, seen = Sampler(data, 16, (0,), True, reader).batch(0), 0
    for images, valid in zip(batch.images.numpy(), batch.valid.numpy(), strict=True):
        columns, rows = places(data, images)
        np.testing.assert_array_equal(valid, ~held_out[rows, columns])
        seen += np.count_nonzero(held_out[rows, columns])
    assert seen > 1000


def test_an_unlabelled_raster_of_the_same_place_does_not_show_what_is_held_out(scene, reader):
    raster, roads, _ = scene
    data = prepare(TrainingInputs([raster], [roads], [], [raster]), TILE, 0, reader)
    held_out = burn(np.array([held_out_of(data)]), raster.window, (300, 400)) > 0
    batch = Sampler(data, 16, (0,), True, reader).batch(0)
    for images, valid in zip(batch.unlabelled.numpy(), batch.unlabelled_valid.numpy(), strict=True):
        columns, rows = places(data, images)
        np.testing.assert_array_equal(valid, ~held_out[rows, columns])


def test_areas_too_small_for_a_quarter_of_a_window_are_all_learned_from(write_raster, write_layer, reader):
    """Each as much as it is large: squares, of which the largest is less than a quarter, and a thin slanting strip."""
    rows, columns = np.mgrid[:600, :600]
    raster = write_raster("plots.tif", np.stack([columns, rows]).astype(np.uint16))
    plots = [shapely.box(20 + 100 * k, 40, 20 + 100 * k + side, 40 + side) for k, side in enumerate(range(16, 31, 3))]
    strip = shapely.LineString([(50, 150), (550, 550)]).buffer(4)
    area = write_layer("area.gpkg", [on_raster(raster, shape) for shape in (*plots, strip)])
    roads = write_layer("roads.gpkg", [in_pixels(0, 46, 600, 50), in_pixels(0, 300, 600, 304)])
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    parts = data.labelled[0].annotation.area.geometries
    shown = np.zeros(len(parts))
    for step in range(40):
        batch = Sampler(data, 8, (0,), True, reader).batch(step)
        for images, labels in zip(batch.images.numpy(), batch.labels.numpy(), strict=True):
            points = shapely.points(places(data, images)[:, labels != IGNORE].T + 0.5)
            nearest = shapely.STRtree(parts).nearest(points)
            shown[np.bincount(nearest).argmax()] += 1
    expected = shapely.area(parts) / shapely.area(parts).sum()
    np.testing.assert_allclose(shown / shown.sum(), expected, atol=0.08)
    assert len(parts) >= 5 and (shown > 0).all()


def on_raster(raster, shape):
    """A shape in the pixels of a raster, in its CRS."""
    return affine_transform(shape, raster.transform.to_shapely())


def test_of_a_single_short_road_in_a_large_area_both_sides_see_a_part(write_raster, write_layer, reader):
    raster = write_raster("large.tif", np.zeros((1, 2000, 2000), np.uint8))
    road, area = in_pixels(703, 805, 715, 809), write_layer("area.gpkg", [in_pixels(0, 0, 1900, 2000)])
    data = prepare(TrainingInputs([raster], [write_layer("road.gpkg", [road])], [area], []), TILE, 0, reader)
    learned, held_out = shapely.union_all(data.labelled[0].annotation.area.geometries), held_out_of(data)
    assert learned.intersection(held_out).area == 0
    assert shapely.union(learned, held_out).area == pytest.approx(1900 * 2000)
    in_raster = shapely.box(703, 805, 715, 809)
    assert learned.intersection(in_raster).area > 0 and held_out.intersection(in_raster).area > 0
    assert 0.03 < held_out.area / (1900 * 2000) <= 0.1


@pytest.mark.parametrize("gsd", [0.5, 1.0])
def test_blocks_are_held_out_that_are_two_windows_wide_on_the_ground(write_raster, write_layer, reader, gsd):
    raster = write_raster("large.tif", np.zeros((1, 1600, 1600), np.uint8))
    roads = write_layer("roads.gpkg", [in_pixels(k, 0, k + 12, 1600) for k in range(20, 1600, 60)])
    area = write_layer("area.gpkg", [in_pixels(0, 0, 1590, 1590)])
    data = prepare(TrainingInputs([raster], [roads], [area], [], gsd), TILE, 0, reader)
    sides = np.diff(shapely.bounds(shapely.get_parts(held_out_of(data))).reshape(-1, 2, 2), axis=1)
    assert sides.min() == pytest.approx(1590 // (1590 // (2 * TILE * gsd / PIXEL)), abs=1)


def test_blocks_are_as_wide_on_the_ground_in_rasters_of_other_pixels(write_raster, write_layer, reader):
    """Two rasters of 800 x 800 m, whose windows are 64 m wide."""
    fine = write_raster("fine.tif", np.zeros((1, 3200, 3200), np.uint8), pixel=0.25)
    coarse = write_raster("coarse.tif", np.zeros((1, 800, 800), np.uint8), pixel=1.0, left=LEFT + 1000)
    roads = write_layer("roads.gpkg", [in_pixels(0, k, 3600, k + 12) for k in range(20, 1600, 60)])
    data = prepare(TrainingInputs([fine, coarse], [roads], [], [], 1.0), TILE, 0, reader, unlabelled=False)
    widths = {
        each.source.raster.name: np.diff(shapely.bounds(part)[[0, 2]])[0] * each.source.raster.gsd
        for each in data.validation
        for part in each.source.annotation.area.geometries
    }
    assert widths == pytest.approx(dict.fromkeys(("fine.tif", "coarse.tif"), 800 / 6), abs=1)


@pytest.fixture
def held_out(write_raster, write_layer):
    """The parts of an area of 1000 x 1000 pixels that are held out, where blocks are cut to a side in pixels."""

    def hold(roads, area, side, seed):
        raster = write_raster("square.tif", np.zeros((1, 1000, 1000), np.uint8))
        annotation = annotate(raster, [write_layer("r.gpkg", roads)], [write_layer("a.gpkg", area)])
        _, held = hold_out({raster: annotation}, side * PIXEL, np.random.default_rng(seed))
        return [shapely.bounds(part).round().tolist() for part in held[raster].area.geometries]

    return hold


@pytest.mark.parametrize("place", [0, 1])
def test_where_all_with_a_road_are_large_the_smallest_is_held_out(held_out, place):
    """They are whole wherever they lie: none is twice as large as the side that blocks are cut to."""
    tops = (200, 600)
    smaller, larger = [500, tops[place], 700, tops[place] + 200], [500, tops[1 - place], 790, tops[1 - place] + 290]
    specks = [in_pixels(20 * k, 0, 20 * k + 10, 10) for k in range(10)]
    parts = held_out([in_pixels(550, 100, 560, 900)], [in_pixels(*smaller), in_pixels(*larger), *specks], 150, seed=0)
    assert parts == [smaller]


def test_of_small_blocks_that_show_a_road_half_are_held_out(held_out):
    specks = [in_pixels(20 * k, 0, 20 * k + 10, 10) for k in range(4)]
    for seed in range(3):
        parts = held_out([in_pixels(0, 2, 100, 8)], [*specks, in_pixels(500, 500, 800, 800)], 75, seed)
        assert len([part for part in parts if part[3] <= 10]) == 2


def test_a_tenth_of_the_ground_is_held_out_whatever_the_size_of_its_pixels(write_raster, write_layer, reader):
    """Two rasters of 200 x 200 m, one of 640,000 pixels and one of 40,000."""
    fine = write_raster("fine.tif", np.zeros((1, 800, 800), np.uint8), pixel=0.25)
    coarse = write_raster("coarse.tif", np.zeros((1, 200, 200), np.uint8), pixel=1.0, left=LEFT + 400)
    roads = write_layer("roads.gpkg", [in_pixels(0, 190, 1200, 200)])
    for seed in range(4):
        data = prepare(TrainingInputs([fine, coarse], [roads], [], []), TILE, seed, reader, unlabelled=False)
        assert 0.05 < data.held_out_area / (data.held_out_area + data.labelled_area) < 0.1001


def test_of_a_large_area_no_more_is_held_out_than_tells_how_good_a_network_is(write_raster, write_layer, reader):
    """The roads of a whole county may be drawn: a tenth of it would take longer to validate on than all the steps."""
    county = write_raster("county.tif", np.zeros((1, 1000, 1000), np.uint8))
    roads = write_layer("roads.gpkg", [in_pixels(0, 490, 1000, 500), in_pixels(490, 0, 500, 1000)])
    tile, most = 16, 32 * (2 * 16 * PIXEL) ** 2
    data = prepare(TrainingInputs([county], [roads], [], []), tile, 0, reader, unlabelled=False)
    assert 0.9 * most < data.held_out_area <= most
    assert data.held_out_area + data.labelled_area == pytest.approx((1000 * PIXEL) ** 2, rel=0.01)
    assert len(data.validation) <= 32 * 16


def test_of_rasters_of_one_place_none_learns_from_what_another_holds_out(write_raster, write_layer, reader):
    noise = np.random.default_rng(0).integers(0, 255, (3, 300, 400)).astype(np.uint8)
    dates = [write_raster("spring.tif", noise), write_raster("next.tif", noise, left=LEFT + 100 * PIXEL)]
    roads, area = (
        write_layer("roads.gpkg", [in_pixels(0, 100, 500, 120)]),
        write_layer("a.gpkg", [in_pixels(0, 0, 450, 300)]),
    )
    for seed in range(3):
        data = prepare(TrainingInputs(dates, [roads], [area], []), TILE, seed, reader)
        learned, held_out = (
            shapely.union_all([on_ground(source, part) for source in sources for part in parts_of(source)])
            for sources in (data.labelled, [window.source for window in data.validation])
        )
        assert learned.intersection(held_out).area < 1e-6 < learned.area


def test_of_a_road_that_two_rasters_show_both_sides_see_a_part(write_raster, write_layer, reader):
    dates = [write_raster(name, np.ones((1, 400, 400), np.uint8)) for name in ("spring.tif", "next.tif")]
    more = write_raster("more.tif", np.ones((1, 400, 400), np.uint8), left=LEFT + 1000)
    roads = [write_layer("road.gpkg", [in_pixels(203, 155, 218, 195)])]
    for seed in range(8):
        data = prepare(TrainingInputs(dates, roads, [], [more]), TILE, seed, reader)
        for sources in (data.labelled, [window.source for window in data.validation]):
            assert any((labels_of(source) == 1).any() for source in sources)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_what_holds_no_data_is_neither_learned_from_nor_held_out(write_raster, write_layer, reader, kind):
    rows, columns = np.mgrid[:640, :640]
    flown = abs(rows - columns) < 90
    strip = write_raster("strip.tif", np.where(flown, 9, 0).astype(kind)[None], nodata=0)
    more = write_raster("more.tif", np.ones((1, 400, 400), kind), left=LEFT + 1000)
    roads = [write_layer("roads.gpkg", [in_pixels(k, 0, k + 8, 640) for k in range(20, 640, 60)])]
    for seed in range(8):
        data = prepare(TrainingInputs([strip], roads, [], [more]), TILE, seed, reader)
        roads_scored = 0
        for source, window in ((each.source, each.window) for each in data.validation):
            _, valid = read_window(source, window, data, reader)
            roads_scored += np.count_nonzero((source.annotation.labels(window, (TILE, TILE)) == 1) & valid)
        assert roads_scored > 200
        assert data.labelled_area + data.held_out_area < 1.4 * flown.sum() * PIXEL**2


def labels_of(source):
    """Of the whole raster."""
    window = source.raster.window
    return source.annotation.labels(window, (window.height, window.width))


def parts_of(source):
    return source.annotation.area.geometries


def on_ground(source, part):
    return on_raster(source.raster, part)


@pytest.mark.parametrize("tile", [32, 64, 128, 512])
def test_no_pixel_is_scored_twice(write_raster, write_layer, reader, tile):
    raster = write_raster("plots.tif", np.zeros((1, 500, 500), np.uint8))
    plots = [in_pixels(x, y, x + 50, y + 50) for x in np.arange(0.4, 480, 60) for y in np.arange(0.4, 480, 60)]
    roads = write_layer("roads.gpkg", [in_pixels(k, 0, k + 12, 500) for k in range(40, 500, 90)])
    annotation = annotate(raster, [roads], [write_layer("area.gpkg", plots)])
    scored = np.zeros((1000, 1000), int)
    for labelled in windows_of_parts(raster, annotation, PIXEL, tile):
        rows, columns = np.nonzero(labelled.labels(tile) != IGNORE)
        scored[rows + labelled.window.row_off, columns + labelled.window.col_off] += 1
    assert scored.max() == 1 and scored.sum() == 64 * 50 * 50


@pytest.mark.parametrize("gsd", [PIXEL, 0.8, 2 * PIXEL])
def test_what_is_scored_is_seen_with_its_surroundings(scene, reader, gsd):
    """But at the raster's edges, as in detection."""
    raster, roads, area = scene
    windows = windows_of_parts(raster, annotate(raster, [roads], [area]), gsd, TILE)
    side = round(TILE * gsd / PIXEL)
    for labelled in windows:
        known = labelled.labels(TILE) != IGNORE
        ranges = zip(labelled.window.toranges(), labelled.scored.toranges(), (300, 400), (1, 0), strict=True)
        for (start, stop), (first, last), size, other in ranges:
            centres = start + (np.flatnonzero(known.any(axis=other)) + 0.5) * (stop - start) / TILE
            assert first <= centres[0] and centres[-1] < last
            assert 0 <= start <= first < last <= stop <= size
            assert start == 0 or first - start >= side // 8
            assert stop == size or stop - last >= side // 8
    scored = sum((labelled.labels(TILE) != IGNORE).sum() for labelled in windows)
    assert scored * (gsd / PIXEL) ** 2 == pytest.approx(200 * 300, rel=0.02)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_windows_are_drawn_where_there_is_data(scene, write_raster, reader, kind):
    pixels = np.zeros((3, 1600, 1600), kind) if kind == "uint8" else np.full((3, 1600, 1600), np.nan, kind)
    pixels[:, 1200:1400, 300:500] = 7
    _, roads, area = scene
    labelled = write_raster("labelled.tif", np.full((3, 300, 400), 9, kind))
    sparse = write_raster("sparse.tif", pixels, nodata=0 if kind == "uint8" else None, left=LEFT + 1000)
    data = prepare(TrainingInputs([labelled], [roads], [area], [sparse]), TILE, 0, reader)
    batches = [Sampler(data, 8, (0,), True, reader).batch(step) for step in range(4)]
    assert min(valid.float().mean() for batch in batches for valid in batch.unlabelled_valid) >= 0.5
    nothing = write_raster("nothing.tif", np.full_like(pixels, 0 if kind == "uint8" else np.nan), nodata=0)
    with pytest.raises(AnnotationError, match=r"no unlabelled imagery.* choose others"):
        prepare(TrainingInputs([labelled], [roads], [area], [nothing]), TILE, 0, reader)


def test_it_is_said_what_to_do_where_all_is_annotated(scene, write_layer, reader):
    raster, roads, _ = scene
    everything = write_layer("all.gpkg", [in_pixels(-9, -9, 409, 309)])
    for area, way_out in (([everything], r"all\.gpkg covers .* give unlabelled"), ([], "give the annotated area")):
        with pytest.raises(AnnotationError, match=f"no unlabelled imagery to learn from; .*{way_out}"):
            prepare(TrainingInputs([raster], [roads], area, []), TILE, 0, reader)


def test_no_window_is_read_twice(scene, write_raster, reader, monkeypatch):
    _, roads, area = scene
    raster = write_raster("whole.tif", np.full((3, 300, 400), 9, np.uint8), nodata=0)
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    seen, read = [], reader.read
    monkeypatch.setattr(reader, "read", lambda *window: seen.append(window[:2]) or read(*window))
    Sampler(data, 8, (0,), True, reader).batch(0)
    assert len(seen) == len(set(seen)) >= 16


def test_as_much_ground_is_seen_as_often_whatever_the_size_of_its_pixels(scene, write_raster, reader):
    """Two rasters of 200 x 200 m, one of 640,000 pixels and one of 40,000."""
    _, roads, area = scene
    labelled = write_raster("labelled.tif", np.full((3, 300, 400), 9, np.uint8))
    fine = write_raster("fine.tif", np.full((3, 800, 800), 50, np.uint8), pixel=0.25, left=LEFT + 1000)
    coarse = write_raster("coarse.tif", np.full((3, 200, 200), 200, np.uint8), pixel=1.0, left=LEFT + 2000)
    data = prepare(TrainingInputs([labelled], [roads], [area], [fine, coarse]), TILE, 0, reader)
    seen = Sampler(data, 200, (0,), False, reader).batch(0).unlabelled[:, 0, 0, 0]
    assert (seen == seen.min()).float().mean() == pytest.approx(0.5, abs=0.1)
    assert len(seen.unique()) == 2


@pytest.mark.parametrize(
    ("region", "columns", "rows"),
    [
        ((209.6, 20, 280.4, 90), range(210, 217), range(20, 27)),  # 70 pixels hold a window at seven places
        ((250, 20, 314, 90), range(250, 251), range(20, 27)),  # as wide as a window
        ((250, 20, 290, 90), range(226, 251), range(20, 27)),  # narrower: it lies anywhere in the window
        ((380, 270, 400, 300), range(336, 337), range(236, 237)),  # in the raster's corner
    ],
)
def test_windows_lie_wherever_they_fit_in_a_region(scene, reader, region, columns, rows):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    regions = np.array([shapely.box(*region)])
    source = source_of(raster, annotate(raster, [roads], [area]), data.gsd, TILE, regions)
    batch = Sampler(replace(data, unlabelled=(source,)), 250, (0,), False, reader).batch(0)
    corners = {tuple(places(data, images)[:, 0, 0]) for images in batch.unlabelled.numpy()}
    assert {column for column, _ in corners} == set(columns)
    assert {row for _, row in corners} == set(rows)


@pytest.mark.parametrize("pixel", [(0.5, 0.5), (0.478, 0.522), (0.526, 0.526), (0.476, 0.474), (0.52, 0.6)])
def test_training_resamples_the_pixels_that_detection_does(scene, pixel):
    raster = replace(scene[0], pixel=pixel)
    own = isinstance(grid_for(Scene(raster, raster.window), 0.5), OwnGrid)
    width, height = (TILE if own else round(TILE * 0.5 / size) for size in pixel)
    assert source_of(raster, annotate(raster, scene[1:2], []), 0.5, TILE).shape == (height, width)


def test_labelled_windows_are_drawn_where_there_is_data(scene, write_raster, reader):
    pixels = np.zeros((3, 300, 400), np.uint8)
    pixels[:, :, 80:130] = 7
    _, roads, area = scene
    data = prepare(TrainingInputs([write_raster("strip.tif", pixels, nodata=0)], [roads], [area], []), TILE, 0, reader)
    batch = Sampler(data, 16, (0,), True, reader).batch(0)
    assert min((labels != IGNORE).float().mean() for labels in batch.labels) >= 0.25


def test_labelled_windows_show_a_quarter_of_labels_where_the_area_is_a_comb(scene, write_layer, reader):
    raster, roads, _ = scene
    comb = shapely.union_all([in_pixels(0, 0, 400, 8), *(in_pixels(k, 0, k + 24, 300) for k in range(0, 400, 94))])
    data = prepare(TrainingInputs([raster], [roads], [write_layer("comb.gpkg", [comb])], []), TILE, 0, reader)
    batch = Sampler(data, 32, (0,), True, reader).batch(0)
    assert min((labels != IGNORE).float().mean() for labels in batch.labels) >= 0.25


def test_validation_windows_cover_all_that_is_held_out(scene, reader):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    labelled = sum((held_out.labels(TILE) != IGNORE).sum() for held_out in data.validation)
    held_out = held_out_of(data)
    assert labelled == pytest.approx(held_out.area, rel=0.05)


def test_batches_are_a_function_of_seed_and_step(scene, reader):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    first, again = Sampler(data, 2, (4, 1), True, reader), Sampler(data, 2, (4, 1), True, reader)
    first.batch(0)
    assert first.batch(7).images.equal(again.batch(7).images)
    assert not first.batch(7).images.equal(first.batch(8).images)
    assert not first.batch(7).images.equal(Sampler(data, 2, (5, 1), True, reader).batch(7).images)


def test_all_eight_turns_are_drawn_and_none_without_augmentation(scene, reader):
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)

    def turns(augment, part):
        batches = (Sampler(data, 4, (0,), augment, reader).batch(step) for step in range(20))
        return [turn_of(data, images) for batch in batches for images in getattr(batch, part).numpy()]

    labelled, unlabelled = (turns(True, part) for part in ("images", "unlabelled"))
    grown = list(itertools.product((1, -1), repeat=2))
    all_eight = {(right, 0, 0, down) for right, down in grown} | {(0, down, right, 0) for right, down in grown}
    assert set(labelled) == set(unlabelled) == all_eight
    # Drawn each on its own: of eight turns, one in eight is that of the other by chance.
    assert np.mean([one == other for one, other in zip(labelled, unlabelled, strict=True)]) < 0.5
    assert set(turns(False, "images")) == {(1, 0, 0, 1)}


def turn_of(data, images):
    """How columns and rows grow to the right and downwards."""
    columns, rows = places(data, images)
    return tuple(int(np.sign(np.diff(part, axis=axis)[0, 0])) for part in (columns, rows) for axis in (1, 0))


def test_nodata_takes_no_part(write_raster, write_layer, reader):
    pixels = np.full((3, 200, 200), 90, dtype=np.uint8)
    pixels[:, :, :60] = 0
    raster = write_raster("holes.tif", pixels, nodata=0)
    roads = write_layer("roads.gpkg", [in_pixels(0, 80, 200, 100)])
    area = write_layer("area.gpkg", [in_pixels(0, 0, 200, 120)])
    data = prepare(TrainingInputs([raster], [roads], [area], []), TILE, 0, reader)
    batch = Sampler(data, 8, (0,), False, reader).batch(0)
    holes = batch.images[:, 0] == 0
    assert holes.any()
    assert (batch.labels[holes] == IGNORE).all()
    assert not batch.valid[holes].any()
    assert not batch.unlabelled_valid[batch.unlabelled[:, 0] == 0].any()


def test_rasters_of_another_resolution_come_at_the_common_one(write_raster, write_layer, reader):
    """A road of 10 m is as many pixels wide on the raster of 1 m as on that of 0.5 m."""
    fine = write_raster("fine.tif", np.full((3, 300, 300), 50, dtype=np.uint8))
    coarse = write_raster("coarse.tif", np.full((3, 200, 200), 200, dtype=np.uint8), pixel=1.0, left=LEFT + 1000)
    roads = write_layer(
        "roads.gpkg",
        [in_pixels(100, 0, 120, 300), shapely.box(LEFT + 1100, TOP - 200, LEFT + 1110, TOP)],
    )
    more = write_raster("more.tif", np.full((3, 200, 200), 10, dtype=np.uint8))
    data = prepare(TrainingInputs([fine, coarse, fine], [roads], [], [more]), TILE, 0, reader)
    assert data.gsd == pytest.approx(0.5, rel=1e-2)
    shapes = {source.raster.name: source.shape for source in data.labelled}
    assert shapes == {"fine.tif": (TILE, TILE), "coarse.tif": (TILE // 2, TILE // 2)}
    widths = set()
    for step in range(20):
        for labels in Sampler(data, 2, (0,), False, reader).batch(step).labels.numpy():
            road = (labels == 1).any(axis=0)
            if road.any() and not road[0] and not road[-1]:
                widths.add(int(road.sum()))
    assert widths == {20}


def test_windows_of_oblong_pixels_are_square_on_the_ground(write_layer, make_raster, reader):
    """A road of 10 x 10 m is as many pixels wide as high, on the image as on the labels."""
    pixels = np.zeros((1, 100, 400), np.uint8)
    pixels[:, 40:50, 80:120] = 200
    path = make_raster(pixels, "oblong.tif", transform=from_origin(LEFT, TOP, 0.25, 1.0))
    oblong = inspect_raster(str(path))
    roads = write_layer("roads.gpkg", [shapely.box(LEFT + 20, TOP - 50, LEFT + 30, TOP - 40)])
    area = write_layer("area.gpkg", [in_pixels(0, 0, 100, 200)])
    data = prepare(TrainingInputs([oblong], [roads], [area], []), TILE, 0, reader)
    assert data.gsd == pytest.approx(0.5, rel=1e-3)
    places = [*data.labelled, *data.unlabelled, *(each.source for each in data.validation)]
    assert {source.shape for source in places} == {(TILE // 2, TILE * 2)}
    assert {(each.window.height, each.window.width) for each in data.validation} == {(TILE // 2, TILE * 2)}
    assert Sampler(data, 2, (0,), False, reader).batch(0).images.shape == (2, 1, TILE, TILE)
    window = Window(60, 30, TILE * 2, TILE // 2)
    image, _ = read_window(data.labelled[0], window, data, reader)
    labels = annotate(oblong, [roads], []).labels(window, (TILE, TILE))
    expected = np.zeros((TILE, TILE), bool)
    expected[20:40, 10:30] = True
    np.testing.assert_array_equal(labels == 1, expected)
    np.testing.assert_array_equal(image[0] > 0, expected)


@pytest.mark.parametrize("gsd", [0.5, 1.0, 2.5])
def test_windows_come_at_the_resolution_that_is_asked_for(scene, reader, gsd):
    """Images, labels and what is held out, and labels stay where they are on the images."""
    raster, roads, area = scene
    data = prepare(TrainingInputs([raster], [roads], [area], [], gsd), TILE, 0, reader)
    assert data.gsd == gsd
    for source in (*data.labelled, *data.unlabelled, *(window.source for window in data.validation)):
        assert source.shape == pytest.approx((TILE * gsd / raster.gsd,) * 2, abs=1)
    batch = Sampler(data, 8, (0,), False, reader).batch(0)
    assert batch.images.shape == (8, 3, TILE, TILE)
    seen = 0
    for image, labels in zip(batch.images.numpy(), batch.labels.numpy(), strict=True):
        columns, rows = places(data, image)
        inside = (rows > 0) & (rows < 299) & (columns > 0) & (columns < 199)  # mirrored beyond
        middle = np.diff(columns, axis=1, append=columns[:, -1:]) == round(gsd / raster.gsd)
        road = inside & middle & (labels == 1)
        assert ((columns[road] >= 100 - gsd) & (columns[road] < 120 + gsd)).all()
        seen += road.sum()
    assert seen


def test_a_raster_smaller_than_a_tile_is_padded(write_raster, write_layer, reader):
    raster = write_raster("small.tif", np.full((3, 40, 50), 50, dtype=np.uint8))
    more = write_raster("more.tif", np.full((3, 30, 30), 50, dtype=np.uint8))
    roads = write_layer("roads.gpkg", [in_pixels(10, 0, 20, 40)])
    data = prepare(TrainingInputs([raster], [roads], [], [more]), TILE, 0, reader)
    batch = Sampler(data, 2, (0,), False, reader).batch(0)
    assert batch.images.shape == (2, 3, TILE, TILE)
    assert (batch.labels != IGNORE).sum() <= 2 * 40 * 50
    # Mirrored, which is imagery as good as any, but for what is held out.
    assert batch.valid[:, 40:].any() and batch.valid[:, :, 50:].any()
    assert torch.equal(batch.valid[:, 40:], batch.valid[:, 16:40].flip(1))
    assert torch.equal(batch.valid[:, :, 50:], batch.valid[:, :, 36:50].flip(2))


def test_errors_name_the_thing(scene, write_raster, write_layer, reader):
    raster, roads, area = scene
    far = write_layer("far.gpkg", [shapely.box(0, 0, 100, 100)])
    speck = write_layer("speck.gpkg", [in_pixels(150.2, 50.2, 150.4, 50.4)])
    pixel = write_layer("pixel.gpkg", [in_pixels(110, 50, 111, 51)])
    empty = write_raster("empty.tif", np.zeros((3, 300, 400), np.uint16), nodata=0)
    grey = write_raster("grey.tif", np.zeros((1, 100, 100), dtype=np.uint16))
    other = write_raster("bytes.tif", np.zeros((3, 100, 100), dtype=np.uint8))
    for inputs, error, words in (
        (([raster], [far], [area], []), AnnotationError, "far.gpkg"),
        (([raster], [roads], [far], []), AnnotationError, "far.gpkg"),
        (([empty], [roads], [area], [raster]), AnnotationError, "no data in the annotated area area.gpkg"),
        (([empty], [roads], [], [raster]), AnnotationError, "rasters hold no data; check"),
        (([raster], [roads], [], []), AnnotationError, "unlabelled"),
        (([raster], [speck], [area], []), AnnotationError, "roads are too small"),
        (([raster], [roads], [pixel], []), AnnotationError, "annotated area is too small"),
        (([raster, grey], [roads], [area], []), RasterError, "grey.tif has 1"),
        (([raster], [roads], [area], [other]), RasterError, "bytes.tif has uint8"),
    ):
        with pytest.raises(error, match=words):
            prepare(TrainingInputs(*inputs), TILE, 0, reader)
    with pytest.raises(RasterError, match=r"0\.1 m, is much finer than the labelled imagery's 0\.5 m"):
        prepare(TrainingInputs([raster], [roads], [area], [], 0.1), TILE, 0, reader)
    with pytest.raises(RasterError, match=rf" {TILE} pixels {TILE * 50} m wide, but .* only 200 m"):
        prepare(TrainingInputs([raster], [roads], [area], [], 50), TILE, 0, reader)


# The scene is 400 pixels of 0.5 m long.
@pytest.mark.parametrize(
    ("finest", "own", "tile", "expected"),
    [
        (0.6, 0.5, 160, 0.6),
        (0.6, 0.1, 64, 0.6),
        (0.6, 0.6, 64, None),
        (0.6, 0.59, 64, None),  # as good as the same
        (0.6, 1.0, 64, None),
        (0.0, 0.1, 64, None),
        (0.6, 0.1, 80, 0.5),  # 40 m is all there is
        (0.6, 0.1, 400, None),
    ],
)
def test_finer_imagery_is_coarsened_as_far_as_a_window_fits(scene, finest, own, tile, expected):
    raster = replace(scene[0], pixel=(own, own))
    assert coarsened_gsd([raster], finest, tile) == (expected and pytest.approx(expected))


def test_a_place_is_as_likely_as_it_is_large_and_drawn_by_one_number(write_raster):
    """Of a hundred thousand places, their shares cannot be added up for every window."""
    raster = write_raster("scene.tif", np.zeros((1, 100, 100), np.uint8))
    regions = np.array([shapely.box(0, 0, 10, 10), shapely.box(20, 0, 50, 10)])
    places = _Places([source_of(raster, None, PIXEL, TILE, regions)])
    drawn = [places.draw(SimpleNamespace(random=lambda share=share: share))[1][0] for share in (0, 0.24, 0.26, 0.99)]
    assert drawn == [0, 0, 20, 20]
