"""The model file: the same network comes back, and nothing else is taken for one."""

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from qgis_sslkd.core.errors import ModelFileError, SslkdError
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.models.model_card import FORMAT_VERSION, ModelCard, load_card
from qgis_sslkd.core.models.model_file import load_network, save_model
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network

SPEC = NetworkSpec("segnet", "vgg11", in_channels=4, width=0.125)
CARD = ModelCard(
    network=SPEC,
    normalisation=Normalisation((127.5, 1 / 3, 1e-7, -5.0), (127.5, 0.1, 1.0, 2.0)),
    dtype="uint16",
    gsd=0.3,
    tile=224,
    training={"preset": "quick", "steps": 3, "seed": 2**31},
    scores={"iou": 0.61, "f1": 0.76},
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(SPEC)


@pytest.fixture
def model(tmp_path, network):
    path = tmp_path / "modèle [1].safetensors"
    save_model(path, network, CARD)
    return path


def rewrite(path, **changes):
    """Writes the file again with another header."""
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["sslkd"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    safetensors.torch.save_file(tensors, path, metadata={"sslkd": json.dumps({**header, **changes})})


def test_the_card_comes_back_exactly(model):
    assert load_card(model) == CARD


def test_the_weights_come_back_exactly(model, network):
    loaded = load_network(model, load_card(model))
    assert not any(module.training for module in loaded.modules())
    before, after = network.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name
    images = torch.randn(1, 4, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(images), network.eval()(images))


def test_the_weights_of_any_memory_layout_are_written(tmp_path, model, network):
    turned = build_network(SPEC)
    turned.load_state_dict(network.state_dict())
    save_model(tmp_path / "turned.safetensors", turned.to(memory_format=torch.channels_last), CARD)
    assert (tmp_path / "turned.safetensors").read_bytes() == model.read_bytes()


def test_nothing_is_left_where_writing_fails(tmp_path, network):
    unwritable = replace(CARD, training={"steps": object()})
    with pytest.raises(TypeError):
        save_model(tmp_path / "m.safetensors", network, unwritable)
    assert list(tmp_path.iterdir()) == []


class Payload:
    """What a hostile pickle would do."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def refusal(path):
    with pytest.raises(ModelFileError) as caught:
        load_card(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_no_model_is_refused(tmp_path):
    contents = {
        "empty.safetensors": b"",
        "text.safetensors": b"no model at all, but more than eight bytes",
        "raster.tif": b"II*\0" + bytes(100),
        "zeros.safetensors": bytes(1000),
        "huge_header.safetensors": (2**62).to_bytes(8, "little") + bytes(100),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for path in (*tmp_path.iterdir(), tmp_path):
        assert "is no model of SSLKD" in refusal(path)
    assert "There is no model file" in refusal(tmp_path / "missing.safetensors")


def test_a_pickle_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "was_run"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Payload(trace)))
    torch.save({"state": Payload(trace)}, tmp_path / "torch.pt")
    for name in ("plain.pt", "torch.pt"):
        refusal(tmp_path / name)
    assert not trace.exists()
    # It would have been: this is no empty threat.
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.exists()


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_model_is_refused(model, share):
    content = model.read_bytes()
    model.write_bytes(content[: int(len(content) * share)])
    assert "is no model of SSLKD" in refusal(model)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"sslkd": "no JSON"},
        {"sslkd": "[1, 2]"},
        {"sslkd": "{}"},
        {"sslkd": "[" * 100_000 + "]" * 100_000},
        {"sslkd": f'{{"version": {"9" * 5000}}}'},
    ],
    ids=lambda metadata: str(metadata)[:99],
)
def test_safetensors_of_others_are_refused(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
    assert "is no model of SSLKD" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"architecture": "segnet", "depth": 3}},
        {"network": None},
        {"normalisation": [1, 2]},
        {"normalisation": {"mean": 1, "std": 2}},
        {"classes": 2},
        {"colour": "red"},
        {"version": "one"},
        {"network": {"architecture": ["segnet"], "encoder": "vgg11", "in_channels": 4, "width": 0.125}},
        {"network": {"architecture": "segnet", "encoder": "<img src='http://x/y.png'>", "in_channels": 4}},
        {"network": {"architecture": "segnet", "encoder": "vgg11\x1b[2J", "in_channels": 4}},
        {"network": {"architecture": "segnet", "encoder": "v" * 5000, "in_channels": 4}},
        {"network": {"architecture": "segnet", "encoder": "vgg11", "in_channels": 3, "width": 0.125}},
        {"network": {"architecture": "segnet", "encoder": "vgg11", "in_channels": 4, "width": "wide"}},
        {"normalisation": {"mean": ["a"] * 4, "std": [1.0] * 4}},
        {"normalisation": {"mean": [math.nan] * 4, "std": [1.0] * 4}},
        {"normalisation": {"mean": [1.0] * 4, "std": [0.0] * 4}},
        {"normalisation": {"mean": [1.0], "std": [1.0]}},
        {"gsd": 0},
        {"gsd": math.nan},
        {"gsd": math.inf},
        {"gsd": "fine"},
        {"gsd": 10**400},
        {"imagery_gsd": "fine"},
        {"dtype": "<b>uint8</b>"},
        {"colours": [1, 2]},
    ],
    ids=lambda changes: str(changes)[:99],
)
def test_a_header_that_was_tampered_with_is_refused(model, changes):
    rewrite(model, **changes)
    assert "is no model of SSLKD" in refusal(model)


def test_a_newer_format_asks_to_update(model):
    rewrite(model, version=FORMAT_VERSION + 1, invented_later={"what": "unknown"})
    message = refusal(model)
    assert f"format {FORMAT_VERSION + 1}" in message
    assert "update" in message


def test_weights_of_another_network_are_refused(model):
    rewrite(model, network={"architecture": "segnet", "encoder": "vgg11", "in_channels": 4, "width": 0.25})
    card = load_card(model)
    with pytest.raises(ModelFileError, match="do not fit"):
        load_network(model, card)


def test_an_unknown_network_is_refused(model):
    rewrite(model, network={"architecture": "of the future", "encoder": "vgg11", "in_channels": 4})
    card = load_card(model)
    with pytest.raises(SslkdError, match="of the future"):
        load_network(model, card)


def test_a_model_of_more_classes_keeps_their_names(tmp_path):
    spec = replace(SPEC, classes=3)
    save_model(tmp_path / "m", build_network(spec), replace(CARD, network=spec, classes=("background", "road", "path")))
    card = load_card(tmp_path / "m")
    assert card.classes == ("background", "road", "path")
    images = torch.from_numpy(np.zeros((1, 4, 32, 32), np.float32))
    assert load_network(tmp_path / "m", card)(images).shape == (1, 3, 32, 32)
