"""The report of a training, read as a browser would."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from html_page import Page

from qgis_sslkd.core.geodata.rasters import RasterReader
from qgis_sslkd.core.labels import IGNORE
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.training.data import TrainingInputs, prepare, read_window
from qgis_sslkd.training.fit import History, Run, Stage, count
from qgis_sslkd.training.methods import Method, Trained
from qgis_sslkd.training.presets import PRESETS
from qgis_sslkd.training.reports.explained import explained
from qgis_sslkd.training.reports.pages import ground
from qgis_sslkd.training.reports.training import write_report
from qgis_sslkd.training.run import model_card

SPEC = NetworkSpec("deeplabv3plus", "resnet18")
SETTINGS = replace(PRESETS["quick"], tile=64)
EVIL = "<script>alert('1')</script>"


@pytest.fixture(scope="module")
def reported(small_scene, tmp_path_factory):
    """A run whose networks learned nothing: the page as text, the run, what was trained."""
    raster, roads, area = small_scene
    torch.manual_seed(0)
    networks = {"teacher 1": build_network(SPEC), "student": build_network(SPEC)}
    with RasterReader() as reader:
        data = prepare(TrainingInputs([raster], [roads], [area], []), SETTINGS.tile, 0, reader)
        run = Run(data, SETTINGS, torch.device("cpu"), reader, Silent())
        history = History(seconds=100.0, validating=20.0, waiting=5.0)
        history.note_losses(1, {"supervised": 0.7}, 1e-3)
        history.note_losses(200, {"supervised": 0.5, "pseudo label": 0.2}, 0.0)
        history.note_counts(200, count(networks, data, run.device, reader), "last")
        stage = Stage("student", 2, "step 2 of 2 (student)", 0.5, 1.0)
        trained = Trained("student", SPEC, networks, {stage: history})
        path = tmp_path_factory.mktemp("report") / "r.html"
        method = Method(EVIL, lambda run: trained)
        write_report(path, method, model_card(trained, run), run, trained, {EVIL: EVIL})
    return path.read_text(encoding="utf-8"), run, trained


@pytest.fixture(scope="module")
def page(reported):
    return Page(reported[0])


def test_it_needs_no_other_file_and_fits_a_phone(reported, page):
    text, _, _ = reported
    assert "http" not in text and "@import" not in text and "<script" not in text
    assert len(page.images) == 3
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.images)
    assert "name='viewport' content='width=device-width" in text
    assert "@media print" in text


def test_what_users_name_is_shown_as_it_is(page):
    assert EVIL in {text for _, text in page.texts}
    assert [EVIL, EVIL] in [row for rows in page.tables for row in rows]


def test_every_part_has_a_heading_and_every_table_of_numbers_titles(page):
    headings = [text for tag, text in page.texts if tag == "h2"]
    assert headings == [
        "What was learned from",
        "Scores on the validation area",
        "Found and missed on the validation area",
        "How it went: step 2 of 2 (student)",
        "Time it took",
        "Imagery and labels",
        "Settings",
        "Machine and versions",
        "What the words mean",
    ]


def test_the_confusion_matrix_is_that_of_the_validation_windows(reported, page):
    """Counted again: float64 NumPy on what the network says, window by window."""
    _, run, trained = reported
    network = trained.networks["student"].eval()
    counts = np.zeros((2, 2), dtype=np.int64)
    with RasterReader() as reader, torch.inference_mode():
        for each in run.data.validation:
            images, valid = read_window(each.source, each.window, run.data, reader)
            drawn = each.source.annotation.labels(each.window, (SETTINGS.tile,) * 2)
            drawn[~valid] = IGNORE
            logits = network(torch.from_numpy(images[None])).double().numpy()[0]
            known = drawn != IGNORE
            np.add.at(counts, (drawn[known], (logits[1] >= logits[0])[known].astype(int)), 1)
    rows = page.table("", "called road", "called background", "both")
    assert [row[0] for row in rows] == ["drawn as road", "drawn as background", "both"]
    shown = np.array([[int(re.match(r"[\d,]+", cell)[0].replace(",", "")) for cell in row[1:]] for row in rows])
    expected = counts[::-1, ::-1]
    np.testing.assert_allclose(shown[:2, :2], expected, atol=2)  # ties at a probability of one half
    np.testing.assert_array_equal(shown[2], shown[:2].sum(axis=0))
    np.testing.assert_array_equal(shown[:, 2], shown[:, :2].sum(axis=1))
    assert shown[2, 2] == counts.sum()
    words = [cell.partition(": ")[2] for row in rows[:2] for cell in row[1:3]]
    assert words == ["found", "missed", "called road by mistake", "rightly left alone"]
    shares = [float(re.search(r"\(([\d.]+)%\)", cell)[1]) for row in rows[:2] for cell in row[1:3]]
    np.testing.assert_allclose(shares, 100 * expected.ravel() / counts.sum(), atol=0.1)


def test_areas_and_scores(reported, page):
    _, run, trained = reported
    ((name, labelled, held_out, unlabelled),) = page.table("Raster")
    assert name == "1: scene.tif"
    assert labelled == ground(run.data.labelled_area)
    assert held_out == ground(run.data.held_out_area)
    assert unlabelled == ground(256 * 128 * 0.25)
    teacher, student = page.table("Network")
    assert (teacher[0], student[0]) == ("teacher 1", "student (kept)")
    assert student[2] == f"{trained.scores['student'].oa:.3f}"


def test_where_the_time_went(page):
    step, whole = page.table("Part")
    assert step == ["step 2 of 2 (student)", "200", "2 min", "2.5", "20 s (20%)", "5 s (5%)"]
    assert whole[:3] == ["all", "", "2 min"]


def test_the_settings_are_complete(page):
    rows = page.table("Setting", "Value", "What it is")
    assert [row[:2] for row in rows] == [[each.name, each.value] for each in explained(SETTINGS)]


def test_machine_and_words_are_told(page):
    names = {row[0] for rows in page.tables for row in rows}
    assert names >= {"Processor", "Memory", "GPUs", "Graphics driver", "torch", "rasterio"}
    words = [text for tag, text in page.texts if tag == "dt"]
    assert {"IoU", "Precision", "Recall", "F1", "Teacher", "Student", "Pseudo label"} <= set(words)
    assert [word for word in words if word.startswith("Loss term")] == [
        "Loss term “supervised”",
        "Loss term “pseudo label”",
    ]


def test_it_begins_with_what_came_out_and_what_to_do_next(page):
    items = [text for tag, text in page.texts if tag == "li"]
    assert any("held-out area is small" in item for item in items)
    assert next(text for tag, text in page.texts if tag == "b" and "fit for use" in text)


def test_it_tells_the_pixels_that_were_learned_from(page):
    rows = {row[0]: row[1] for table in page.tables for row in table if len(row) == 2}
    assert rows["Ground sampling distance"] == "0.500 m, of imagery of 0.500 m"


def test_a_raster_that_is_held_out_as_a_whole_is_named_among_the_inputs(reported, tmp_path):
    _, run, trained = reported
    (learned,) = run.data.labelled
    elsewhere = replace(learned, raster=replace(learned.raster, path="elsewhere.tif"))
    with RasterReader() as reader:
        other = replace(run, data=replace(run.data, labelled=(elsewhere,), unlabelled=()), reader=reader)
        write_report(
            tmp_path / "r.html", Method("", lambda run: trained), model_card(trained, other), other, trained, {}
        )
    rows = {row[0]: row[1] for table in Page((tmp_path / "r.html").read_text("utf-8")).tables for row in table}
    assert rows["Rasters"] == f"elsewhere.tif, {learned.raster.path}"
