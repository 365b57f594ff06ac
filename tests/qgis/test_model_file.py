"""What QGIS tells of a model file, whoever wrote it."""

import json
import struct

import pytest

from qgis_sslkd.model_file import read_facts

CARD = {
    "network": {"architecture": "deeplabv3plus", "encoder": "tu-resnet18.a1_in1k"},
    "normalisation": {"mean": [127.5] * 3},
    "gsd": 0.25,
    "scores": {"iou": 0.5, "f1": 0.75},
}


@pytest.fixture
def facts(tmp_path):
    """Tells the facts of a model file with this text for a card."""

    def of(card):
        header = json.dumps({"__metadata__": {"sslkd": card}}).encode()
        (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
        return read_facts(str(tmp_path / "m.safetensors"))

    return of


def test_a_model_is_told_in_a_line(facts):
    told = "deeplabv3plus/tu-resnet18.a1_in1k, 3 bands, 0.25 m, validation IoU 0.500, F1 0.750"
    assert str(facts(json.dumps(CARD))) == told


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"architecture": "segnet", "encoder": "<img src='http://x/y.png'>"}},
        {"network": {"architecture": "segnet", "encoder": "v" * 5000}},
        {"gsd": 0},
        {"gsd": float("nan")},
        {"gsd": 10**400},
        {"scores": {"iou": 10**400}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_of_a_card_that_no_training_wrote_nothing_is_told(facts, change):
    assert facts(json.dumps({**CARD, **change})) is None


def test_of_a_card_that_is_nested_without_end_nothing_is_told(facts):
    assert facts("[" * 100_000 + "]" * 100_000) is None
