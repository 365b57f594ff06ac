"""`sslkd evaluate` end to end: scores, their file, the map and the report."""

import json
import re

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.transform import from_origin

from qgis_sslkd.core.geodata.rasters import inspect_raster
from qgis_sslkd.worker.jobs import EvaluateJob
from qgis_sslkd.worker.work import do

LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 0.5
SCORES = ["oa", "precision", "recall", "iou", "f1", "macro_iou", "macro_f1"]
RELAXED = ["relaxed_precision", "relaxed_recall", "relaxed_f1"]
COUNTS = ["hits", "false_alarms", "misses", "rejections"]


def box(left, top, right, bottom):
    """A box in pixels, on the ground."""
    return shapely.box(LEFT + left * PIXEL, TOP - bottom * PIXEL, LEFT + right * PIXEL, TOP - top * PIXEL)


@pytest.fixture
def job(make_raster, make_vector, results):
    """A street of ten rows, found two rows too low, on a raster of two areas that leave out twenty columns."""
    mask = np.zeros((1, 60, 100), np.uint8)
    mask[0, 22:32] = 1

    def make(**changes):
        usual = {
            "surface": str(make_raster(mask, "s.tif", nodata=255)),
            "roads": [str(make_vector([box(0, 20, 100, 30)], "r.gpkg"))],
            "area": [str(make_vector([box(0, 0, 50, 60), box(70, 0, 100, 60)], "a.gpkg"))],
        }
        return EvaluateJob(**usual | changes)

    return make


def test_scores_and_files(job, results, reporter):
    files = {"json": results / "m.json", "report": results / "r.html", "map": results / "e.tif"}
    outputs = do(job(buffer=1, **files), reporter)
    assert list(outputs) == [*SCORES, *RELAXED, "json", "report", "map"]
    assert (outputs["precision"], outputs["iou"]) == (0.8, pytest.approx(8 / 12))
    assert [outputs[name] for name in RELAXED] == [1, 1, 1]
    assert {path.name for path in results.iterdir()} == {"m.json", "r.html", "e.tif"}
    details = json.loads(files["json"].read_text())
    assert list(details) == [*SCORES, *RELAXED, "buffer", *COUNTS, "areas"]
    assert [details[name] for name in COUNTS] == [640, 160, 160, 3840]
    assert [each["hits"] for each in details["areas"]] == [400, 240]
    assert all(list(each) == ["x", "y", *SCORES, *RELAXED, *COUNTS] for each in details["areas"])
    with rasterio.open(files["map"]) as dataset:
        assert dataset.read(1)[[21, 25, 31, 40, 25], [5, 5, 5, 5, 60]].tolist() == [2, 1, 3, 0, 255]


def test_the_report_needs_no_other_file_and_shows_the_map(job, results, reporter, tmp_path):
    report = results / "r.html"
    do(job(buffer=0.5, report=report), reporter)
    assert [path.name for path in results.iterdir()] == ["r.html"]
    text = report.read_text(encoding="utf-8")
    assert "compared with drawn roads on 0.12 ha" in text
    # Hits, false alarms, misses and what is rightly no road; then the two polygons of the area: small ones, too.
    areas = ["160 m²", "40 m²", "40 m²", "961 m²", "751 m²", "450 m²"]
    assert re.findall(r"<td class='number'>([^<]* (?:ha|m²))</td>", text) == areas
    assert "finds 80% of the road surface, and 80% of what it calls road is road" in text
    assert re.search("<th [^>]*>IoU</th><td>[^<]*</td><td class='number'>0.667</td>", text)
    assert "within 0.5 m of a road" in text
    assert re.search("<th [^>]*>Relaxed recall</th><td>[^<]*</td><td class='number'>0.900</td>", text)
    assert "Quality by area" in text and text.count("0.667") == 3
    # Of the layers, the names: QGIS puts their files into folders that say nothing.
    assert ">r.gpkg<" in text and ">a.gpkg<" in text
    for table in re.findall("<table>.*?</table>", text):
        assert len({len(re.findall("<t[hd][ >]", row)) for row in re.findall("<tr>.*?</tr>", table)}) == 1
    # In a narrow window a wide table is scrolled, not the page.
    assert text.count("<div class='scrolled'><table>") == len(re.findall("<th scope='col'>(Score|Polygon|)</th>", text))
    assert not re.search(r"(src|href)=.(?!data:)", text)
    (picture,) = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0xF0, 0xE4, 0x42), (0x90, 0x90, 0x90)} <= colours_of(picture)


def colours_of(encoded):
    import base64
    import io

    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
    return set(map(tuple, np.unique(pixels.reshape(-1, 3), axis=0).tolist()))


def test_what_is_undefined_is_null_and_told_so(job, make_raster, results, reporter):
    nothing = str(make_raster(np.zeros((1, 60, 100), np.uint8), "nothing.tif"))
    outputs = do(job(surface=nothing, area=[], report=results / "r.html", json=results / "m.json"), reporter)
    assert (outputs["precision"], outputs["recall"], outputs["relaxed_precision"]) == (None, 0, None)
    assert json.loads((results / "m.json").read_text())["areas"] == []
    text = (results / "r.html").read_text(encoding="utf-8")
    assert "on 0.15 ha. It calls nothing road.</p>" in text and "undefined" in text
    assert "Quality by area" not in text


def test_roads_that_lie_elsewhere_are_told(job, make_vector, results, reporter):
    elsewhere = str(make_vector([box(9000, 0, 9100, 10)], "elsewhere.gpkg"))
    outputs = do(job(roads=[elsewhere]), reporter)
    assert outputs["recall"] is None
    assert reporter.warnings == ["No road of elsewhere.gpkg lies where was compared; check the layers' positions."]
    reporter.warnings.clear()
    do(job(), reporter)
    assert not reporter.warnings


def test_names_are_shown_as_they_are(job, make_raster, results, reporter):
    strange = str(make_raster(np.ones((1, 9, 9), np.uint8), "<b>&amp;.tif"))
    do(job(surface=strange, area=[], report=results / "r.html"), reporter)
    assert "&lt;b&gt;&amp;amp;.tif" in (results / "r.html").read_text(encoding="utf-8")


def test_an_error_leaves_no_file(job, make_vector, results, reporter):
    elsewhere = [str(make_vector([box(9000, 0, 9100, 60)], "elsewhere.gpkg"))]
    files = {"json": results / "m.json", "report": results / "r.html", "map": results / "e.tif"}
    with pytest.raises(ValueError, match="no pixel of"):
        do(job(area=elsewhere, **files), reporter)
    assert list(results.iterdir()) == []


def test_the_command_line_does_the_same(job, sslkd, results):
    asked = job()
    files = ("--report", results / "r.html", "--map", results / "e.tif", "--json", results / "m.json")
    inputs = ("--surface", asked.surface, "--roads", asked.roads[0], "--area", asked.area[0])
    ended = sslkd("evaluate", *inputs, "--buffer", 1, *files)
    assert ended.code == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*SCORES, *RELAXED, "json", "report", "map"]
    assert "relaxed_recall: 1.0000" in lines and f"map: {results / 'e.tif'}" in lines


def test_the_command_line_tells_what_is_undefined(job, make_raster, sslkd):
    nothing = make_raster(np.zeros((1, 60, 100), np.uint8), "nothing.tif")
    ended = sslkd("evaluate", "--surface", nothing, "--roads", job().roads[0])
    assert "precision: undefined" in ended.stdout.splitlines()


def test_the_map_is_shown_as_the_raster_lies_on_the_ground(make_raster):
    from qgis_sslkd.training.reports.evaluation import _map_figure

    path = make_raster(np.ones((1, 60, 100), np.uint8), transform=from_origin(LEFT, TOP, PIXEL, 3 * PIXEL))
    (axes,) = _map_figure(path, inspect_raster(str(path))).axes
    assert axes.get_aspect() == pytest.approx(3, rel=1e-3)


def test_a_large_map_is_shown_small_with_its_thin_roads(tmp_path):
    from qgis_sslkd.training.reports.evaluation import _thumbnail

    kinds = np.zeros((2501, 3301), np.uint8)
    kinds[:, 1000] = 1
    kinds[2500, 3300] = 3
    profile = {"driver": "GTiff", "width": 3301, "height": 2501, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "map.tif", "w", **profile) as dataset:
        dataset.write(kinds, 1)
    small = _thumbnail(tmp_path / "map.tif")
    assert small.shape == (626, 826, 3)
    blueness = small[:, :, 2].astype(int) - small[:, :, 0]
    assert (blueness[:, 250] > 20).all() and (np.delete(blueness, 250, axis=1) <= 0).all()
    assert small[-1, -1].tolist() == [0xF0, 0xE4, 0x42]
