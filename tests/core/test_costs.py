"""Costs are those that the field states for these networks."""

import copy

import pytest
import torch
from torch import nn

from qgis_sslkd.core.models.costs import count_multiply_adds, measure_costs
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network

CPU = torch.device("cpu")
STATED = [
    (NetworkSpec("deeplabv3plus", "resnet101"), 56.0),
    (NetworkSpec("segnet", "vgg16"), 160.2),
    (NetworkSpec("deeplabv3plus", "resnet50"), 36.6),
    (NetworkSpec("deeplabv3plus", "resnet18"), 18.3),
    (NetworkSpec("deeplabv3plus", "tu-mobilenetv3_large_100"), 4.6),
    (NetworkSpec("deeplabv3plus", "efficientnet-b0"), 5.7),
    (NetworkSpec("segformer", "mit_b0"), 7.8),
]


@pytest.mark.parametrize(("spec", "giga"), STATED, ids=lambda value: getattr(value, "encoder", None))
def test_multiply_adds_are_those_of_the_literature(spec, giga):
    assert count_multiply_adds(build_network(spec), bands=3) / 1e9 == pytest.approx(giga, abs=0.1)


@pytest.fixture
def small():
    """Four bands to eight channels by 3 x 3, stride 2, then to two classes: small enough to count by hand."""
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1), nn.Dropout(0.5)
    )


def test_costs_counted_by_hand(small):
    costs = measure_costs(small, 4, CPU)
    assert costs.parameters == 8 * 4 * 9 + 2 * 8 + (2 * 8 + 2)
    assert costs.gflops == pytest.approx(256 * 256 * (8 * 4 * 9 + 2 * 8) / 1e9, rel=1e-12)


def test_the_pace_is_the_median_without_the_warm_up(small, monkeypatch):
    """Every reading of the clock ends or starts a pass: slow at first, then 0.25 s but for one outlier."""
    passes = [9.0, 9.0, 0.25, 0.25, 0.25, 60.0, 0.25, 0.25, 0.25]
    clock = (time for seconds in passes for time in (0.0, seconds))
    monkeypatch.setattr("qgis_sslkd.core.models.costs.perf_counter", lambda: next(clock))
    assert measure_costs(small, 4, CPU).images_per_second == 4
    assert next(clock, None) is None


def test_measuring_leaves_the_network_as_it_is(small):
    before = copy.deepcopy(small.state_dict())
    measure_costs(small.train(), 4, CPU)
    assert all(module.training for module in small.modules())
    assert small[0].weight.is_contiguous()
    assert all(torch.equal(tensor, before[name]) for name, tensor in small.state_dict().items())
