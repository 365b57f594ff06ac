"""Scores of rasters against drawn roads, counted another way."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from rasterio.transform import from_origin
from rasterio.warp import transform as transform_points

from qgis_sslkd.core.errors import AnnotationError, CancelledError, RasterError, SettingError
from qgis_sslkd.core.evaluation import evaluate_surface
from qgis_sslkd.core.geodata.annotations import pixels_around, read_polygons
from qgis_sslkd.core.geodata.rasters import inspect_raster

LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 0.5
HEIGHT, WIDTH = 1100, 60  # more rows than are read at once


def box(left, top, right, bottom):
    """A box in pixels, on the ground."""
    return shapely.box(LEFT + left * PIXEL, TOP - bottom * PIXEL, LEFT + right * PIXEL, TOP - top * PIXEL)


@pytest.fixture
def layer(make_vector):
    def make(boxes, name="roads.gpkg"):
        return read_polygons(str(make_vector([box(*each) for each in boxes], name)), line_width=None)

    return make


@pytest.fixture
def surface(make_raster):
    def make(mask):
        return inspect_raster(str(make_raster(mask[None].astype(np.uint8), "surface.tif", nodata=255)))

    return make


def mask_of(*boxes):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 1
    return mask


TRUTH = [(10, 0, 20, HEIGHT), (0, 500, WIDTH, 520)]
FOUND = [(12, 0, 22, HEIGHT), (0, 505, WIDTH, 525), (40, 900, 50, 910)]


@pytest.fixture
def evaluate(reporter):
    """Evaluates without a buffer and a map unless said otherwise."""

    def run(surface, roads, area=(), buffer=0.0, map_file=None):
        return evaluate_surface(surface, roads, area, buffer, map_file, reporter)

    return run


def exact(evaluation):
    return evaluation.whole.confusion.scores()


def near(mask, buffer, pixel=(PIXEL, PIXEL)):
    """What lies within a buffer, by shifting the mask to every place within it."""
    (height, width), (pixel_height, pixel_width) = mask.shape, pixel
    reach = math.floor(buffer / pixel_height), math.floor(buffer / pixel_width)
    padded = np.pad(mask, [(each, each) for each in reach])
    found = np.zeros_like(mask)
    for y in range(-reach[0], reach[0] + 1):
        for x in range(-reach[1], reach[1] + 1):
            if math.hypot(y * pixel_height, x * pixel_width) <= buffer + 1e-9:
                found |= padded[reach[0] + y : reach[0] + y + height, reach[1] + x : reach[1] + x + width]
    return found


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


def test_the_truth_itself_scores_one_throughout(evaluate, layer, surface, reporter):
    scores = exact(evaluate(surface(mask_of(*TRUTH)), [layer(TRUTH)]))
    assert set(asdict(scores).values()) == {1.0}
    assert reporter.fractions[-1] == 1


def test_scores_against_the_masks(evaluate, layer, surface):
    scores = exact(evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)]))
    found, truth = mask_of(*FOUND) == 1, mask_of(*TRUTH) == 1
    assert scores.iou == pytest.approx(iou(found, truth))
    assert scores.macro_iou == pytest.approx((iou(found, truth) + iou(~found, ~truth)) / 2)
    assert scores.oa == pytest.approx((found == truth).mean())
    assert scores.precision == pytest.approx(truth[found].mean())
    assert scores.recall == pytest.approx(found[truth].mean())


def test_only_the_area_counts(evaluate, layer, surface):
    area = [(0, 480, 30, 1000), (5, 100, 15, 130)]
    scores = exact(evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)], [layer(area, "area.gpkg")]))
    inside = mask_of(*area) == 1
    assert scores.iou == pytest.approx(iou(mask_of(*FOUND)[inside] == 1, mask_of(*TRUTH)[inside] == 1))


def test_nodata_does_not_count_declared_or_not(evaluate, layer, surface, make_raster):
    decided = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.6
    mask = np.where(decided, mask_of(*FOUND), 255)
    scores = exact(evaluate(surface(mask), [layer(TRUTH)]))
    assert scores.iou == pytest.approx(iou(mask_of(*FOUND)[decided] == 1, mask_of(*TRUTH)[decided] == 1))
    undeclared = inspect_raster(str(make_raster(mask[None].astype(np.uint8), "undeclared.tif")))
    assert exact(evaluate(undeclared, [layer(TRUTH)])) == scores


def test_several_layers_and_lines_are_the_truth_together(evaluate, layer, surface, make_vector):
    line = f"LINESTRING ({LEFT} {TOP - 510 * PIXEL}, {LEFT + WIDTH * PIXEL} {TOP - 510 * PIXEL})"
    lines = read_polygons(str(make_vector([line], "lines.gpkg")), line_width=20 * PIXEL)
    scores = exact(evaluate(surface(mask_of(*TRUTH)), [layer(TRUTH[:1]), lines]))
    assert scores.iou == 1.0


def test_an_area_elsewhere_is_an_error(evaluate, layer, surface):
    with pytest.raises(AnnotationError, match=r"no pixel of surface\.tif"):
        evaluate(surface(mask_of()), [layer(TRUTH)], [layer([(500, 0, 600, 10)], "area.gpkg")])


def test_a_surface_without_a_decision_is_an_error(evaluate, layer, surface):
    with pytest.raises(AnnotationError, match=r"no pixel of surface\.tif"):
        evaluate(surface(np.full((20, 20), 255)), [layer(TRUTH)])


def test_a_surface_in_another_crs_than_the_roads(evaluate, layer, make_raster):
    """A truth in UTM, a surface in degrees that calls all road: its precision is the truth's share of it."""
    place = from_origin(9.0001, 46.9535, 5e-6, 5e-6)
    raster = inspect_raster(str(make_raster(np.ones((1, 60, 80), np.uint8), crs="EPSG:4326", transform=place)))
    scores = exact(evaluate(raster, [layer([(-5000, -5000, 5000, 5000)])]))
    assert (scores.precision, scores.recall) == (1.0, 1.0)


def test_roads_that_go_on_beyond_the_antimeridian_count(evaluate, make_raster, make_vector):
    (x,), (y,) = transform_points("EPSG:4326", "EPSG:3832", [180], [-17])
    raster = inspect_raster(
        str(make_raster(np.ones((1, 10, 80), np.uint8), crs="EPSG:3832", transform=from_origin(x - 40, y + 5, 1, 1)))
    )
    roads = read_polygons(str(make_vector([shapely.box(179.9, -17.1, 180.1, -16.9)], crs="EPSG:4326")), None)
    assert exact(evaluate(raster, [roads])).iou == 1.0


def test_a_buffer_forgives_what_is_near_across_strips_and_around_the_area(evaluate, layer, surface):
    area, buffer = [(20, 300, 45, 700), (0, 880, 44, 1060)], 2.2  # beside the first is a road
    found, truth, inside = mask_of(*FOUND) == 1, mask_of(*TRUTH) == 1, mask_of(*area) == 1
    decided = np.random.default_rng(1).random(found.shape) < 0.8
    found &= decided
    evaluation = evaluate(surface(np.where(decided, found, 255)), [layer(TRUTH)], [layer(area, "area.gpkg")], buffer)
    inside &= decided
    scores = evaluation.whole.matches.scores()
    precision, recall = near(truth, buffer)[inside & found].mean(), near(found, buffer)[inside & truth].mean()
    assert (scores.precision, scores.recall) == (pytest.approx(precision), pytest.approx(recall))
    assert 0.5 < precision < 1 and 0.5 < recall < 1


def test_a_buffer_is_measured_on_the_ground(evaluate, make_raster, make_vector, monkeypatch):
    """Pixels of degrees, on the ground twice as wide as high: a road below, in the next rows, is nearer than beside."""
    monkeypatch.setattr("qgis_sslkd.core.evaluation._MOST_ROWS", 10)
    place = from_origin(9.0, 60.0, 4e-5, 1e-5)
    mask = np.zeros((1, 40, 40), np.uint8)
    mask[0, 10, 5] = mask[0, 29, 5] = mask[0, 20, 25] = 1
    raster = inspect_raster(str(make_raster(mask, crs="EPSG:4326", transform=place)))
    beside, below = (
        shapely.box(9 + column * 4e-5, 60 - (row + 1) * 1e-5, 9 + (column + 1) * 4e-5, 60 - row * 1e-5)
        for row, column in ((10, 7), (32, 5))
    )
    roads = read_polygons(str(make_vector([beside, below], crs="EPSG:4326")), line_width=None)
    # Three pixels down are 3.3 m, two to the right 4.5 m.
    for buffer, precision in ((3.2, 0), (3.4, 1 / 3), (4.4, 1 / 3), (4.6, 2 / 3)):
        assert evaluate(raster, [roads], buffer=buffer).whole.matches.scores().precision == pytest.approx(precision)


@pytest.mark.parametrize("pixels", [1, 2, 7])
def test_a_buffer_of_whole_pixels_reaches_as_many(evaluate, layer, surface, pixels):
    """Half a metre on the map is a little more on the ground here."""
    road, found = [(10, 0, 20, HEIGHT)], [(20 + pixels - 1, 0, 20 + pixels, HEIGHT)]
    evaluation = evaluate(surface(mask_of(*found)), [layer(road)], buffer=pixels * PIXEL)
    assert evaluation.whole.matches.scores().precision == 1
    evaluation = evaluate(surface(mask_of(*found)), [layer(road)], buffer=pixels * PIXEL - 0.01)
    assert evaluation.whole.matches.scores().precision == 0


def test_without_a_buffer_relaxed_scores_are_the_exact_ones(evaluate, layer, surface):
    evaluation = evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)])
    strict, relaxed = exact(evaluation), evaluation.whole.matches.scores()
    assert (relaxed.precision, relaxed.recall) == (strict.precision, strict.recall)
    assert relaxed.f1 == pytest.approx(strict.f1)


def test_each_polygon_of_the_area_has_its_own_scores(evaluate, layer, surface):
    area = [(0, 480, 30, 1000), (0, 0, 15, 130), (30, 890, 70, 915), (200, 0, 210, 10), (0, 500, 20, 600)]
    area.append((10, 550, 40, 700))
    evaluation = evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)], [layer(area, "area.gpkg")], buffer=1.0)
    found, truth = mask_of(*FOUND) == 1, mask_of(*TRUTH) == 1
    on_raster = [each for each in area if each[0] < WIDTH]
    assert len(evaluation.parts) == len(on_raster) == 5
    for part, corners in zip(evaluation.parts, on_raster, strict=True):
        inside = mask_of(corners) == 1
        counts, matched = part.comparison.confusion, part.comparison.matches.scores()
        assert counts.pixels == inside.sum()
        assert (counts.hits, counts.misses) == ((found & truth & inside).sum(), (~found & truth & inside).sum())
        assert matched.precision == pytest.approx(near(truth, 1.0)[found & inside].mean())
        assert shapely.intersects_xy(box(*corners), *part.place)
    # Two lie on the first and on one another, where each pixel counts once.
    assert evaluation.whole.confusion.pixels == (mask_of(*on_raster) == 1).sum()


def test_polygons_are_looked_at_where_they_lie(evaluate, layer, surface, monkeypatch):
    """An area may have fifty thousand polygons, and a raster hundreds of strips."""
    monkeypatch.setattr("qgis_sslkd.core.evaluation._MOST_ROWS", 10)
    looked_at = []
    monkeypatch.setattr(
        "qgis_sslkd.core.evaluation.pixels_around", lambda *given: looked_at.append(given) or pixels_around(*given)
    )
    area = [(0, top + 2, 10, top + 8) for top in range(0, HEIGHT, 10)]
    assert len(evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)], [layer(area, "area.gpkg")]).parts) == len(area)
    assert len(looked_at) == len(area)


def test_what_is_drawn_is_burnt_once_for_each_strip(evaluate, layer, surface, monkeypatch):
    """Roads, area and all the polygons of the area, which would take as long one by one as all the rest."""
    burnings = []
    monkeypatch.setattr(
        "qgis_sslkd.core.geodata.annotations.rasterize",
        lambda shapes, **given: burnings.append(given) or rasterize(shapes, **given),
    )
    area = [(0, top + 2, 10, top + 8) for top in range(0, 500, 10)]
    evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)], [layer(area, "area.gpkg")])
    strips = math.ceil(HEIGHT / 512)
    assert len(burnings) <= 3 * strips


def test_the_map_tells_hits_misses_and_false_alarms(evaluate, layer, surface, tmp_path):
    area, file = [(0, 400, 55, 950)], tmp_path / "map.tif"
    evaluation = evaluate(surface(mask_of(*FOUND)), [layer(TRUTH)], [layer(area, "area.gpkg")], map_file=file)
    with rasterio.open(file) as dataset:
        kinds = dataset.read(1)
        assert dataset.nodata == 255 and dataset.transform == from_origin(LEFT, TOP, PIXEL, PIXEL)
    found, truth = mask_of(*FOUND), mask_of(*TRUTH)
    expected = np.select([(found == 1) & (truth == 1), truth == 1, found == 1], [1, 2, 3], 0)
    assert np.array_equal(kinds, np.where(mask_of(*area) == 1, expected, 255))
    counts = evaluation.whole.confusion
    assert [(kinds == kind).sum() for kind in (0, 1, 2, 3)] == [
        counts.rejections, counts.hits, counts.misses, counts.false_alarms,
    ]  # fmt: skip


def test_what_is_no_road_surface_is_an_error(evaluate, layer, make_raster):
    chances, photo, classes, whites = (
        inspect_raster(str(make_raster(pixels, name)))
        for pixels, name in (
            (np.full((1, 9, 9), 0.7, np.float32), "p.tif"),
            (np.zeros((3, 9, 9), np.uint8), "photo.tif"),
            (np.full((1, 9, 9), 7, np.uint8), "c.tif"),
            (np.uint8([[[0, 255, 0]]]), "w.tif"),
        )
    )
    for raster, message in (
        (chances, r"p\.tif holds the value 0\.7.* Make what is road 1 and what is none 0 "),
        (photo, "3 bands"),
        (classes, "value 7"),
        (whites, "holds 255 but no 1"),
    ):
        with pytest.raises(RasterError, match=message):
            evaluate(raster, [layer(TRUTH)])


def test_a_value_that_the_thinned_copy_misses_is_an_error(evaluate, layer, make_raster):
    pixels = np.zeros((1, 700, 1100), np.uint8)
    pixels[0, 333, 555] = 7
    with pytest.raises(RasterError, match="value 7"):
        evaluate(inspect_raster(str(make_raster(pixels))), [layer(TRUTH)])


def test_background_that_is_declared_as_nodata_counts(evaluate, layer, make_raster, reporter):
    """Else all that is not called road would be left out, and any mask would find every road."""
    plain, declared = (
        inspect_raster(str(make_raster(mask_of(*FOUND)[None], f"{nodata}.tif", nodata=nodata))) for nodata in (None, 0)
    )
    scores = exact(evaluate(plain, [layer(TRUTH)]))
    assert not reporter.warnings and scores.recall < 1
    assert exact(evaluate(declared, [layer(TRUTH)])) == scores
    assert reporter.warnings == ["The raster 0.tif declares 0 as nodata; it was taken for background."]


@pytest.mark.parametrize("hides", ["mask", "alpha"])
def test_what_a_mask_or_alpha_hides_is_left_out_whatever_is_declared(evaluate, layer, make_raster, reporter, hides):
    found, shown = mask_of(*FOUND), np.full((HEIGHT, WIDTH), 255, np.uint8)
    shown[:50] = 0
    if hides == "mask":
        path = make_raster(found[None], nodata=0, mask=shown > 0)
    else:
        path = make_raster(np.stack([found, shown]), nodata=0, colours=[ColorInterp.gray, ColorInterp.alpha])
    scores = exact(evaluate(inspect_raster(str(path)), [layer(TRUTH)]))
    assert scores.iou == pytest.approx(iou(found[50:] == 1, mask_of(*TRUTH)[50:] == 1))
    assert not reporter.warnings


def test_a_surface_of_floating_point_numbers_will_do(evaluate, layer, make_raster):
    mask = mask_of(*FOUND).astype(np.float32)
    mask[:50] = np.nan
    scores = exact(evaluate(inspect_raster(str(make_raster(mask[None]))), [layer(TRUTH)]))
    assert scores.iou == pytest.approx(iou(mask_of(*FOUND)[50:] == 1, mask_of(*TRUTH)[50:] == 1))


@pytest.mark.parametrize("buffer", [-1, math.inf, math.nan])
def test_a_buffer_without_a_meaning_is_an_error(evaluate, layer, surface, buffer):
    with pytest.raises(SettingError, match="buffer must be 0 metres or more"):
        evaluate(surface(mask_of()), [layer(TRUTH)], buffer=buffer)


def test_an_evaluation_can_be_stopped(layer, surface, stopping_reporter):
    with pytest.raises(CancelledError):
        evaluate_surface(surface(mask_of()), [layer(TRUTH)], [], 0, None, stopping_reporter(0.3))
