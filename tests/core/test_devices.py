"""Devices by name."""

import re

import pytest
import torch

from qgis_sslkd.core.errors import DeviceError
from qgis_sslkd.core.machine import describe_gpus
from qgis_sslkd.core.models.devices import choose_device, describe_device, training_precision


def never(warning):
    raise AssertionError(warning)


def test_the_cpu_is_always_there():
    device = choose_device("cpu", never)
    assert device.type == "cpu"
    assert describe_device(device).startswith("CPU, ")
    assert training_precision(device) in (torch.float32, torch.bfloat16)


def test_auto_is_the_gpu_where_there_is_one():
    assert choose_device("auto", never).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cpu:", "cpu:1", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "mps"])
def test_an_unknown_device_is_named(name):
    with pytest.raises(DeviceError, match=f"no device '{name}'"):
        choose_device(name, never)


def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(DeviceError, match="'cuda:99' is not there"):
        choose_device("cuda:99", never)


@pytest.fixture
def gpus(monkeypatch):
    """Has PyTorch count GPUs that it cannot compute on, as with a driver too old or without kernels for them."""

    def count(number, usable=True):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
        monkeypatch.setattr(torch.version, "cuda", "13.2")

    return count


@pytest.mark.parametrize(
    ("usable", "told"),
    [
        (False, r"^PyTorch cannot use the GPU with its CUDA 13\.2: "),
        (True, r"^PyTorch cannot compute on the GPU cuda:0 "),
    ],
)
def test_a_gpu_that_pytorch_cannot_compute_on_is_left_alone_and_told(gpus, usable, told):
    gpus(1, usable)
    warnings = []
    assert choose_device("auto", warnings.append).type == "cpu"
    (warning,) = warnings
    assert re.search(told, warning) and warning.endswith("; the CPU is used.")
    with pytest.raises(DeviceError, match=f"{told}.*, or choose cpu\\.$"):
        choose_device("cuda", never)
    assert usable or describe_gpus() == "none that PyTorch can use"


def test_each_process_takes_a_gpu_of_its_own(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for name in ("auto", "cuda"):
        with pytest.raises(DeviceError, match="on the GPU cuda:1 "):  # the others compute on theirs
            choose_device(name, never)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match=r"'cuda:2' is not there: PyTorch sees 2 CUDA GPUs; start as many processes"):
        choose_device("auto", never)
    gpus(0)
    assert choose_device("auto", never).type == "cpu"
