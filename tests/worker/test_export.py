"""`sslkd export` end to end: a model file becomes an ONNX file, or a sentence says why not."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from qgis_sslkd.core.errors import CancelledError, ModelFileError, SettingError
from qgis_sslkd.core.models.inference import RoadProbability
from qgis_sslkd.core.models.model_card import load_card
from qgis_sslkd.core.models.model_file import load_network, save_model
from qgis_sslkd.worker.jobs import ExportJob
from qgis_sslkd.worker.work import do


def told_by(session):
    return {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}


def test_a_model_becomes_an_onnx_file_that_gives_the_same(sslkd, model, results):
    path = results / "m.onnx"
    ended = sslkd("export", "--model", model, "--onnx", path, "--tile", 96, "--threshold", 0.4)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"onnx: {path}"]
    assert [each.name for each in results.iterdir()] == ["m.onnx"]
    session = onnxruntime.InferenceSession(path)
    images = np.random.default_rng(0).random((2, 3, 96, 96), dtype=np.float32)
    with torch.inference_mode():
        seen = torch.from_numpy((images * 255 - 127.5) / 127.5)
        expected = RoadProbability(load_network(model, load_card(model)))(seen).numpy()
    np.testing.assert_allclose(session.run(None, {"images": images})[0][:, 0], expected, rtol=0, atol=1e-4)
    told = told_by(session)
    assert (told["tile_size"], told["tiles_overlap"], told["seg_thresh"]) == (96, 25, 0.4)
    assert told["seg_small_segment"] == 6  # the square root of twice 5 square metres, in half metres


def test_a_job_of_qgis(start_job, model, results):
    job = {"kind": "export", "model": model, "onnx": results / "m.onnx", "tile": 32, "overlap": 0, "least_area": 0}
    ended = start_job(job).wait()
    assert ended.code == 0, ended.stderr
    *said, last = ended.events
    assert last == {"event": "result", "outputs": {"onnx": str(results / "m.onnx")}}
    assert "deeplabv3plus/resnet18 for 32 x 32 pixels of 0.50 m in 3 bands." in [each.get("text") for each in said]
    told = told_by(onnxruntime.InferenceSession(results / "m.onnx"))
    assert (told["tile_size"], told["tiles_overlap"], told["seg_small_segment"]) == (32, 0, 0)


def test_imagery_that_deepness_does_not_promise_to_read_is_told(model, results, reporter):
    card = load_card(model)
    save_model(results / "m.safetensors", load_network(model, card), replace(card, dtype="uint16"))
    do(ExportJob(model=results / "m.safetensors", onnx=results / "m.onnx", tile=32), reporter)
    (warning,) = reporter.warnings
    assert "learned from uint16 imagery" in warning


def test_what_cannot_be_done_is_told_in_a_sentence_before_any_work(model, results, reporter):
    other = results / "other.safetensors"
    other.write_text("no model")
    for changes, error, message in (
        ({"model": results / "none.safetensors"}, ModelFileError, r"no model file .*none\.safetensors"),
        ({"model": other}, ModelFileError, r"other\.safetensors is no model of SSLKD"),
        ({"onnx": results / "m.pt"}, SettingError, r"written to m\.pt; .* ends in \.onnx"),
        ({"onnx": results / "no" / "m.onnx"}, SettingError, "does not exist"),
        ({"tile": 100}, SettingError, "multiple of 32 pixels, at most 8192, got 100"),
        ({"tile": 64, "overlap": 64}, SettingError, "below the tile of 64, got 64"),
        ({"threshold": 0}, SettingError, "threshold must be above 0"),
        ({"least_area": -1}, SettingError, "least area must be 0 square metres or more"),
    ):
        with pytest.raises(error, match=message):
            do(ExportJob(**{"model": model, "onnx": results / "m.onnx", **changes}), reporter)
    assert reporter.fractions == [] and [each.name for each in results.iterdir()] == ["other.safetensors"]


def test_a_stop_leaves_nothing(model, results, stopping_reporter):
    with pytest.raises(CancelledError):
        do(ExportJob(model=model, onnx=results / "m.onnx"), stopping_reporter(0.2))
    assert list(results.iterdir()) == []
