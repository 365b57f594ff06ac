"""Devices by name."""

import pytest
import torch

from qgis_sslkd.core.devices import choose_device, describe_device, training_precision
from qgis_sslkd.core.errors import DeviceError


def test_the_cpu_is_always_there():
    device = choose_device("cpu")
    assert device.type == "cpu"
    assert describe_device(device).startswith("CPU, ")
    assert training_precision(device) in (torch.float32, torch.bfloat16)


def test_auto_is_the_gpu_where_there_is_one():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cpu:", "cpu:1", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "mps"])
def test_an_unknown_device_is_named(name):
    with pytest.raises(DeviceError, match=f"no device '{name}'"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(DeviceError, match="'cuda:99' is not there"):
        choose_device("cuda:99")
