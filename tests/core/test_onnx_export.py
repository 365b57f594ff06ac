"""The ONNX file gives in ONNX Runtime what the model gives here, and tells Deepness what it has to know."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from test_engine import NETWORKS, TINY, card, trained
from torch import nn

from qgis_sslkd.core.errors import GraphError, SettingError
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models.engine import Engine
from qgis_sslkd.core.models.inference import RoadProbability
from qgis_sslkd.core.models.model_file import save_model
from qgis_sslkd.core.onnx_export import check_onnx_output, deepness_metadata, write_onnx
from qgis_sslkd.core.road_map import RoadMapSettings
from qgis_sslkd.core.vectors.outlines import VectorSettings
from qgis_sslkd.core.windows import Tiling

SETTINGS = RoadMapSettings(0.5, VectorSettings())


def opened(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def export(path, network, model_card, tile=64, settings=SETTINGS):
    """The ONNX file of a network, open in ONNX Runtime."""
    write_onnx(path, network, model_card, Tiling(tile, tile // 4, 1), settings)
    return opened(path)


def pixels(spec, batch, tile, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (batch, spec.in_channels, tile, tile), dtype)


def normalised(values, normalisation):
    mean, std = (np.array(each)[:, None, None] for each in (normalisation.mean, normalisation.std))
    return (values.astype(np.float64) - mean) / std


def expected(network, images):
    """In float64: in float32 SegNet's pooling takes another one of two pixels here and there."""
    with torch.inference_mode():
        found = RoadProbability(network).double()(torch.from_numpy(images)).numpy()
    network.float()
    return found


def assert_same(found, wanted):
    assert found.dtype == np.float32
    assert wanted.std() > 0.04  # or agreeing would be no feat
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


DEEPLAB, _, SEGFORMER, SEGNET = NETWORKS


@pytest.mark.parametrize(("spec", "tile"), [(DEEPLAB, 256), (SEGFORMER, 64), (SEGNET, 64)])
def test_onnx_runtime_and_engine_and_pytorch_give_the_same(spec, tile, tmp_path):
    network, values = trained(spec), pixels(spec, 2, tile)
    save_model(tmp_path / "m", network, card(spec))
    session = export(tmp_path / "m.onnx", network, card(spec), tile)
    images = normalised(values, card(spec).normalisation)
    (found,) = session.run(None, {"images": np.float32(values * 1.0 / 255.0)})
    assert found.shape == (2, 1, tile, tile)
    assert_same(found[:, 0], expected(network, images))
    np.testing.assert_allclose(found[:, 0], Engine(tmp_path / "m")(images.astype(np.float32)), rtol=0, atol=1e-4)


def test_batches_of_any_size(tmp_path):
    network = trained(TINY)
    session = export(tmp_path / "m.onnx", network, card(TINY), tile=32)
    for batch in (1, 3, 8):
        values = pixels(TINY, batch, 32)
        (found,) = session.run(None, {"images": np.float32(values / 255)})
        assert_same(found[:, 0], expected(network, normalised(values, card(TINY).normalisation)))


def test_the_file_normalises_values_of_any_type(tmp_path):
    network, values = trained(TINY), pixels(TINY, 1, 64, np.uint16)
    own = replace(card(TINY), dtype="uint16", normalisation=Normalisation((30000.0, 500.0, 0.5), (20000.0, 9e4, 3e4)))
    (found,) = export(tmp_path / "m.onnx", network, own).run(None, {"images": np.float32(values / 255)})
    assert_same(found[:, 0], expected(network, normalised(values, own.normalisation)))


class Deepness:
    """A file as the plugin takes it, by its documentation and its code of version 0.6.5."""

    def __init__(self, path):
        self.session = opened(path)
        (self.input,), (self.output,) = self.session.get_inputs(), self.session.get_outputs()
        told = self.session.get_modelmeta().custom_metadata_map
        self.told = {name: json.loads(text) for name, text in told.items()}

    def classes(self, tiles):
        """The number of the class in every pixel `(B, H, W)` of tiles `(B, H, W, C)` of bytes."""
        mean, std = (np.float32(self.told[f"standardization_{name}"]) for name in ("mean", "std"))
        images = (np.float32(tiles * 1.0 / 255.0) - mean) / std
        (found,) = self.session.run(None, {self.input.name: images.transpose(0, 3, 1, 2)})
        found[found < self.told["seg_thresh"]] = 0
        # A single channel is taken for a sigmoid's; of several, the largest counts.
        return (found != 0).astype(int)[:, 0] if found.shape[1] == 1 else found.argmax(axis=1)


@pytest.mark.parametrize("threshold", [0.3, 0.8])
def test_deepness_finds_road_from_the_threshold_on(threshold, tmp_path):
    network, values = trained(TINY), pixels(TINY, 2, 64)
    export(tmp_path / "m.onnx", network, card(TINY), settings=replace(SETTINGS, threshold=threshold))
    probability = expected(network, normalised(values, card(TINY).normalisation))
    clear = np.abs(probability - threshold) > 1e-4
    found = Deepness(tmp_path / "m.onnx").classes(values.transpose(0, 2, 3, 1))
    assert 0.01 < found.mean() < 0.99
    np.testing.assert_array_equal(found[clear], probability[clear] >= threshold)


def test_deepness_reads_what_it_has_to_know(tmp_path):
    spec = replace(TINY, in_channels=4, classes=3)
    own = replace(card(spec), gsd=0.3, classes=("background", "road", "path"))
    settings = RoadMapSettings(0.35, VectorSettings(least_area=8))
    write_onnx(tmp_path / "m.onnx", trained(spec), own, Tiling(96, 30, 1), settings)
    deepness = Deepness(tmp_path / "m.onnx")
    assert deepness.input.shape == ["batch", 4, 96, 96]
    assert deepness.output.shape == ["batch", 1, 96, 96]
    assert deepness.told == {
        "model_type": "Segmentor",
        "class_names": {"0": "background", "1": "road"},
        "resolution": 30,  # centimetres
        "tiles_size": 96,
        "tile_size": 96,
        "tiles_overlap": 31,  # percent
        "standardization_mean": [0, 0, 0, 0],
        "standardization_std": [1, 1, 1, 1],
        "seg_thresh": 0.35,
        "seg_small_segment": 13,  # half of its square of 3.9 m is 7.6 square metres
    }
    integers = ("tiles_size", "tile_size", "tiles_overlap", "seg_small_segment")
    assert all(type(deepness.told[name]) is int for name in integers)


def test_old_runtimes_open_the_file_and_it_tells_nothing_of_this_machine(tmp_path):
    export(tmp_path / "m.onnx", trained(TINY), card(TINY))
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    # ONNX Runtime 1.12, the oldest that Deepness takes: https://onnxruntime.ai/docs/reference/compatibility.html
    assert [(each.domain, each.version <= 17) for each in model.opset_import] == [("", True)]
    assert model.ir_version <= 8
    content = (tmp_path / "m.onnx").read_bytes()
    assert b".py" not in content and str(tmp_path).encode() not in content
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_nothing_to_smooth_away():
    told = deepness_metadata(card(TINY), Tiling(64, 0, 1), RoadMapSettings(0.5, VectorSettings(least_area=0)))
    assert (told["seg_small_segment"], told["tiles_overlap"]) == ("0", "0")


class Counting(nn.Module):
    """Knows the number of images that it was traced with for good."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, images):
        return self.layer(images) * float(images.shape[0])


class Opaque(Counting):
    """Computes what ONNX has no layer for."""

    def forward(self, images):
        return torch.linalg.eigvals(images).real[:, :2, :, None] + self.layer(images)


@pytest.mark.parametrize(
    ("network", "reason"), [(Counting(), "other probabilities than the network"), (Opaque(), "linalg_eig")]
)
def test_a_network_that_cannot_be_written_is_told_and_nothing_is_left(network, reason, tmp_path):
    with pytest.raises(GraphError, match=rf"cannot be written as an ONNX file: .*{reason}"):
        export(tmp_path / "m.onnx", network, card(TINY))
    assert list(tmp_path.iterdir()) == []


def test_only_an_onnx_file_is_an_output(tmp_path):
    check_onnx_output(tmp_path / "M.ONNX")
    for name, message in (("m.pt", r"m\.pt; give it a name that ends in \.onnx"), ("no/m.onnx", "does not exist")):
        with pytest.raises(SettingError, match=message):
            check_onnx_output(tmp_path / name)
