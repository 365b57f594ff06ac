"""Figures show what they are given: bars, points and the colours of single pixels."""

import math
from itertools import combinations, product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from qgis_sslkd.core.metrics import Scores
from qgis_sslkd.core.models.costs import Costs
from qgis_sslkd.training.reports import evaluation
from qgis_sslkd.training.reports.figures import (
    accuracy_against_cost,
    bar_chart,
    masks_side_by_side,
    overlay,
    picture,
    save_png,
    side_by_side,
)
from qgis_sslkd.training.reports.palette import KINDS
from qgis_sslkd.training.reports.results import Summary

STYLES = Path(__file__).parents[2] / "qgis_sslkd" / "styles"
NAN = math.nan
BLUE, YELLOW, RED = to_rgb("#0072b2"), to_rgb("#f0e442"), to_rgb("#d55e00")
BLACK, WHITE, GREY = (0.0,) * 3, (1.0,) * 3, (0.4,) * 3

# One pixel each: hit, false alarm, miss, rejection, and two unknown ones, found and not.
LABELS = np.array([[1, 0, 1, 0, 255, 255]], dtype=np.uint8)
FOUND = np.array([[True, True, False, False, True, False]])
COLOURS = np.full((1, 6, 3), (0.2, 0.5, 0.8), dtype=np.float32)


def summary(method, iou, spread=NAN, gflops=36.6):
    mean = Scores(0.9, 0.7, 0.6, iou, 2 * iou / (1 + iou), 0.5, 0.5)
    seeds = 1 if math.isnan(spread) else 3
    return Summary(method, seeds, mean, Scores(*[spread] * 7), Costs(1_000_000, gflops, 10.0), 60.0)


def shown(axes):
    (image,) = axes.images
    return np.asarray(image.get_array())


def texts_of(figure):
    """Where every text lies on the canvas, in pixels."""
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels(), axes.title)]
    # An annotation counts its line in; the text alone does not.
    return [(text.get_text(), Text.get_window_extent(text)) for text in texts if text.get_text()]


def mixed(colour, grey):
    return 0.6 * np.array(colour) + 0.4 * grey


def test_overlay_colours_hits_false_alarms_and_misses():
    expected = [0.6 * np.array(colour) + 0.4 * COLOURS[0, 0] for colour in (BLUE, YELLOW, RED)]
    expected += [COLOURS[0, 0], 0.4 * COLOURS[0, 0], 0.4 * COLOURS[0, 0]]
    np.testing.assert_allclose(overlay(COLOURS, FOUND, LABELS), [expected], rtol=1e-6)


# Machado, Oliveira and Fernandes, https://doi.org/10.1109/TVCG.2009.113: from linear RGB to what is seen.
SIGHTS = {
    "all colours": np.eye(3),
    "without red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "without green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "without blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def least_difference(colours, sight):
    """The least CIEDE2000 difference of colours as an eye sees them; one of 10 is plain at a glance."""
    seen = np.asarray(colours, dtype=np.float64)
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4) @ np.transpose(SIGHTS[sight])
    linear = linear.clip(0, 1)
    seen = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    lab = rgb2lab(seen[None])[0]
    return min(deltaE_ciede2000(a, b) for a, b in combinations(lab, 2))


@pytest.mark.parametrize("sight", SIGHTS)
def test_everybody_tells_hits_mistakes_and_misses_apart(sight):
    for grey in (0.3, 0.5, 0.7):
        colours = np.full((1, 6, 3), grey, dtype=np.float32)
        assert least_difference(overlay(colours, FOUND, LABELS)[0, :4], sight) > 10


@pytest.mark.parametrize("sight", SIGHTS)
def test_everybody_reads_the_map_of_an_evaluation(sight):
    assert least_difference([to_rgb(colour) for colour, _ in evaluation._COLOURS.values()], sight) > 10


def test_qgis_shows_that_map_in_the_same_words_and_colours():
    style = ElementTree.parse(STYLES / "map.qml")
    entries = {int(each.get("value")): each for each in style.iter("paletteEntry")}
    assert {kind: (each.get("color"), each.get("label")) for kind, each in entries.items() if kind} == KINDS


def lines_of(style):
    """The colours that the lines of a style are drawn in, one on the other."""
    properties = ElementTree.parse(STYLES / f"{style}.qml").iter("prop")
    values = {each.get("v", "") for each in properties if each.get("k") == "line_color"}
    return [np.array([int(part) / 255 for part in value.split(",")[:3]]) for value in values]


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("grey", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_everybody_sees_roads_over_dark_and_bright_imagery(sight, grey):
    (road,) = ElementTree.parse(STYLES / "surface.qml").iterfind(".//paletteEntry[@value='1']")
    opacity, imagery = int(road.get("alpha")) / 255, np.full(3, grey)
    surface = opacity * np.array(to_rgb(road.get("color"))) + (1 - opacity) * imagery
    assert opacity < 0.6
    assert least_difference([imagery, surface], sight) > 10
    for lines, below in product((lines_of("outlines"), lines_of("centre_lines")), (imagery, surface)):
        assert max(least_difference([line, below], sight) for line in lines) > 20


def test_side_by_side_greys_the_image_below_the_errors():
    image, truth, method = side_by_side(["S"], [COLOURS], [LABELS], [[FOUND]]).axes
    np.testing.assert_array_equal(shown(image), COLOURS)
    np.testing.assert_allclose(shown(truth), [[WHITE, BLACK, WHITE, BLACK, GREY, GREY]], rtol=1e-6)
    expected = [mixed(BLUE, 0.5), mixed(YELLOW, 0.5), mixed(RED, 0.5), [0.5] * 3, [0.2] * 3, [0.2] * 3]
    np.testing.assert_allclose(shown(method), [expected], rtol=1e-6)
    assert [axes.get_title() for axes in (image, truth, method)] == ["image", "truth", "S"]


def test_masks_show_the_same_without_the_image():
    truth, method = masks_side_by_side(["S"], [LABELS], [[FOUND]]).axes
    np.testing.assert_allclose(shown(truth), [[WHITE, BLACK, WHITE, BLACK, GREY, GREY]], rtol=1e-6)
    np.testing.assert_allclose(shown(method), [[BLUE, YELLOW, RED, BLACK, GREY, GREY]], rtol=1e-6)


def test_colours_reach_the_file(tmp_path):
    save_png(masks_side_by_side(["S"], [LABELS], [[FOUND]]), tmp_path / "masks.png")
    with Image.open(tmp_path / "masks.png") as file:
        drawn = np.array([colour for pixels, colour in file.convert("RGB").getcolors(2**24) if pixels > 500]) / 255
    for colour in (BLUE, YELLOW, RED, BLACK, WHITE, GREY):
        assert abs(drawn - colour).max(axis=1).min() <= 1 / 255


@pytest.mark.parametrize(("methods", "lines", "columns"), [(1, 1, 1), (8, 1, 8), (9, 2, 5), (14, 2, 7), (17, 3, 6)])
def test_many_methods_take_several_lines_that_repeat_the_truth(methods, lines, columns):
    """Method m of tile t found the single pixel (t, m); each panel is told by it."""
    names = [f"method {number}" for number in range(methods)]
    found = np.zeros((2, methods, 2, methods), dtype=bool)
    for tile, method in np.ndindex(2, methods):
        found[tile, method, tile, method] = True
    labels = np.zeros((2, 2, methods), dtype=np.uint8)
    axes = np.reshape(masks_side_by_side(names, labels, found).axes, (lines, 2, 1 + columns))
    assert all(axis.get_title() == "truth" for axis in axes[:, 0, 0])
    panels = axes[:, :, 1:].transpose(0, 2, 1).reshape(-1, 2)
    for method, name in enumerate(names):
        assert panels[method, 0].get_title() == name
        for tile in range(2):
            assert np.argwhere(shown(panels[method, tile]).any(axis=2)).tolist() == [[tile, method]]
    assert not any(axis.images or axis.axison for axis in panels[methods:].flat)


@pytest.mark.parametrize("methods", [1, 2, 4, 8])
def test_the_legend_fits_into_the_figure(methods):
    figure = masks_side_by_side(["S"] * methods, [LABELS.repeat(6, 0)], [[FOUND.repeat(6, 0)] * methods])
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_a_method_that_misses_in_a_tile_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        masks_side_by_side(["S"], [LABELS, LABELS], [[FOUND]])


def test_picture_of_normalised_images():
    images = np.array([-2, -1, 0, 1, 0.5], dtype=np.float32).reshape(5, 1, 1)
    np.testing.assert_array_equal(picture(images), [[[0, 0, 0.5]]])
    np.testing.assert_array_equal(picture(images[3:4]), [[[1, 1, 1]]])


def test_bars_are_as_long_as_the_scores_and_undefined_ones_say_so():
    figure = bar_chart([summary("first", 0.6, spread=0.02), summary("second", 0.5), summary("third", NAN)])
    (axes,) = figure.axes
    ious, f1s = (container for container in axes.containers if hasattr(container, "patches"))
    np.testing.assert_allclose([bar.get_width() for bar in ious], [0.6, 0.5, NAN])
    np.testing.assert_allclose([bar.get_width() for bar in f1s], [0.75, 2 / 3, NAN])
    whiskers = ious.errorbar.lines[2][0].get_segments()
    np.testing.assert_allclose(whiskers[0][:, 0], [0.58, 0.62])
    assert [len(whisker) for whisker in whiskers] == [2, 0, 0]
    values = ["0.600 ± 0.020", "0.500", "undefined", "0.750 ± 0.020", "0.667", "undefined"]
    assert [text.get_text() for text in axes.texts] == values
    heights = [label.get_window_extent().y0 for label in axes.get_yticklabels()]
    assert heights == sorted(heights, reverse=True)


def test_points_lie_at_cost_and_accuracy():
    figure = accuracy_against_cost(
        [summary("T", 0.7, 0.01, 160.2), summary("nothing", NAN), summary("S", 0.6, gflops=4.6)]
    )
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    points = axes.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[4.6, 0.6], [160.2, 0.7]])
    assert {text.get_text(): text.xy for text in axes.texts} == {"T": (160.2, 0.7), "S": (4.6, 0.6)}
    assert "undefined: nothing" in axes.get_xlabel()


@pytest.mark.parametrize("ious", [[], [NAN], [0.0], [0.5, 0.5]], ids=str)
def test_figures_of_scores_that_are_hard_to_scale(tmp_path, ious):
    summaries = [summary(f"method {number}", iou) for number, iou in enumerate(ious)]
    save_png(bar_chart(summaries), tmp_path / "bars.png")
    save_png(accuracy_against_cost(summaries), tmp_path / "costs.png")


@pytest.mark.parametrize("draw", [bar_chart, accuracy_against_cost])
def test_many_long_names_neither_overlap_nor_leave_the_figure(draw):
    rng = np.random.default_rng(0)
    names = [f"student with structural knowledge and strong views, variant {number}" for number in range(18)]
    figure = draw([summary(name, iou, 0.01) for name, iou in zip(names, rng.normal(0.65, 0.01, 18), strict=True)])
    texts = texts_of(figure)
    assert {" ".join(text.split()) for text, _ in texts} >= set(names)
    for index, (_, box) in enumerate(texts):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for _, other in texts[:index])


def test_dollar_signs_in_names_are_no_mathematics(tmp_path):
    name = r"S at $5, \nothing at $6"
    figures = (
        bar_chart([summary(name, 0.5)]),
        accuracy_against_cost([summary(name, 0.5), summary(name, NAN)]),
        masks_side_by_side([name], [LABELS], [[FOUND]]),
    )
    for figure in figures:
        save_png(figure, tmp_path / "figure.png")


def test_a_figure_that_cannot_be_drawn_leaves_no_file(tmp_path):
    figure = Figure()
    figure.text(0, 0, r"$\frac$")
    with pytest.raises(ValueError, match="frac"):
        save_png(figure, tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []
