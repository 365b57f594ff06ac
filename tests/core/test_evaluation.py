"""Scores of rasters against drawn roads, counted another way."""

from dataclasses import asdict

import numpy as np
import pytest
import shapely
from rasterio.transform import from_origin

from qgis_sslkd.core.annotations import read_polygons
from qgis_sslkd.core.errors import AnnotationError
from qgis_sslkd.core.evaluation import evaluate_surface
from qgis_sslkd.core.rasters import inspect_raster

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


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


def test_the_truth_itself_scores_one_throughout(layer, surface, reporter):
    scores = evaluate_surface(surface(mask_of(*TRUTH)), [layer(TRUTH)], [], reporter)
    assert set(asdict(scores).values()) == {1.0}
    assert reporter.fractions[-1] == 1


def test_scores_against_the_masks(layer, surface, reporter):
    scores = evaluate_surface(surface(mask_of(*FOUND)), [layer(TRUTH)], [], reporter)
    found, truth = mask_of(*FOUND) == 1, mask_of(*TRUTH) == 1
    assert scores.iou == pytest.approx(iou(found, truth))
    assert scores.macro_iou == pytest.approx((iou(found, truth) + iou(~found, ~truth)) / 2)
    assert scores.oa == pytest.approx((found == truth).mean())
    assert scores.precision == pytest.approx(truth[found].mean())
    assert scores.recall == pytest.approx(found[truth].mean())


def test_only_the_area_counts(layer, surface, reporter):
    area = [(0, 480, 30, 1000), (5, 100, 15, 130)]
    scores = evaluate_surface(surface(mask_of(*FOUND)), [layer(TRUTH)], [layer(area, "area.gpkg")], reporter)
    inside = mask_of(*area) == 1
    assert scores.iou == pytest.approx(iou(mask_of(*FOUND)[inside] == 1, mask_of(*TRUTH)[inside] == 1))


def test_nodata_does_not_count(layer, surface, reporter):
    decided = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.6
    mask = np.where(decided, mask_of(*FOUND), 255)
    scores = evaluate_surface(surface(mask), [layer(TRUTH)], [], reporter)
    assert scores.iou == pytest.approx(iou(mask_of(*FOUND)[decided] == 1, mask_of(*TRUTH)[decided] == 1))


def test_several_layers_and_lines_are_the_truth_together(layer, surface, make_vector, reporter):
    line = f"LINESTRING ({LEFT} {TOP - 510 * PIXEL}, {LEFT + WIDTH * PIXEL} {TOP - 510 * PIXEL})"
    lines = read_polygons(str(make_vector([line], "lines.gpkg")), line_width=20 * PIXEL)
    scores = evaluate_surface(surface(mask_of(*TRUTH)), [layer(TRUTH[:1]), lines], [], reporter)
    assert scores.iou == 1.0


def test_an_area_elsewhere_is_an_error(layer, surface, reporter):
    with pytest.raises(AnnotationError, match=r"no pixel of surface\.tif"):
        evaluate_surface(surface(mask_of()), [layer(TRUTH)], [layer([(500, 0, 600, 10)], "area.gpkg")], reporter)


def test_a_surface_without_a_decision_is_an_error(layer, surface, reporter):
    with pytest.raises(AnnotationError, match=r"no pixel of surface\.tif"):
        evaluate_surface(surface(np.full((20, 20), 255)), [layer(TRUTH)], [], reporter)


def test_a_surface_in_another_crs_than_the_roads(layer, make_raster, reporter):
    """A truth in UTM, a surface in degrees that calls all road: its precision is the truth's share of it."""
    place = from_origin(9.0001, 46.9535, 5e-6, 5e-6)
    raster = inspect_raster(str(make_raster(np.ones((1, 60, 80), np.uint8), crs="EPSG:4326", transform=place)))
    scores = evaluate_surface(raster, [layer([(-5000, -5000, 5000, 5000)])], [], reporter)
    assert (scores.precision, scores.recall) == (1.0, 1.0)
