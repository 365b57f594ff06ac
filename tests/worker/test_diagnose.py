"""What the worker says about itself."""

import re
import shutil
from importlib.metadata import version

import pytest
import torch

from qgis_sslkd.core.errors import DeviceError
from qgis_sslkd.worker.jobs import DiagnoseJob, parse_job
from qgis_sslkd.worker.work import do


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only folder in which programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_it_names_versions_device_memory_and_the_time_of_a_pass(reporter, programs, device):
    facts = do(DiagnoseJob(device=device), reporter)
    assert (facts["torch"], facts["rasterio"]) == (version("torch"), version("rasterio"))
    assert facts["device"].startswith("CPU, ") is (device == "cpu")
    assert float(facts["memory"].removesuffix(" GiB")) > 0.5
    seconds = re.fullmatch(r"([0-9.]+) s for 512 x 512 pixels in deeplabv3plus/resnet18", facts["forward_pass"])
    assert 0 < float(seconds[1]) < 60
    assert "problems" not in facts


@pytest.mark.parametrize(("cuda", "named"), [(None, "processor alone"), ("13.2", "CUDA 13.2")])
def test_a_gpu_that_pytorch_cannot_use_is_told_with_what_mends_it(reporter, programs, monkeypatch, cuda, named):
    shutil.copy("/bin/true", programs / "nvidia-smi")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    (problem,) = do(DiagnoseJob(device="cpu"), reporter)["problems"]
    assert named in problem


def test_a_driver_that_is_too_old_is_told_and_the_cpu_measured(reporter, programs, monkeypatch):
    shutil.copy("/bin/true", programs / "nvidia-smi")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # of the driver's own, which PyTorch takes
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    facts = do(DiagnoseJob(), reporter)
    (problem,) = facts["problems"]
    assert "install a newer graphics driver, or run Set up SSLKD" in problem
    assert facts["device"].startswith("CPU, ") and facts["gpus"] == "none that PyTorch can use"


def test_a_device_that_is_not_there_is_an_error(reporter):
    with pytest.raises(DeviceError, match="cuda:99"):
        do(DiagnoseJob(device="cuda:99"), reporter)


def test_qgis_asks_for_it_in_json():
    assert parse_job('{"kind": "diagnose"}') == DiagnoseJob(device="auto")
