"""Telling what the worker runs on, whether it works and how fast."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from time import perf_counter

import numpy as np
import pyogrio
import rasterio
import torch

from ...core.devices import choose_device, describe_device
from ...core.inference import predictor
from ...core.networks import build_network
from ...core.reporting import Reporter
from ...training.presets import PRESETS
from ..jobs import DiagnoseJob
from .common import Outputs

__all__ = ["do_diagnose"]

_PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "numpy", "rasterio", "pyogrio", "shapely")
_LEAST_MEMORY = 4 * 2**30
_STUDENT = PRESETS["quick"].student
_SIDE = 512


def do_diagnose(job: DiagnoseJob, reporter: Reporter) -> Outputs:
    """Names versions, device and memory, times the student of the preset `quick`, and names problems if any."""
    device = choose_device(job.device)
    reporter.progress(0.2, "running a network")
    seconds = _seconds_of_a_pass(device)
    problems = list(_problems())
    return {
        "python": f"{platform.python_version()}, {sys.executable}",
        **{name: version(name) for name in _PACKAGES},
        "gdal": f"{rasterio.__gdal_version__} (rasterio), {pyogrio.__gdal_version_string__} (pyogrio)",
        "cuda": torch.version.cuda or "not in this PyTorch",
        "gpus": ", ".join(_gpus()) or "none that PyTorch can use",
        "device": describe_device(device),
        "memory": _gigabytes(_memory()),
        "forward_pass": f"{seconds:.3f} s for {_SIDE} x {_SIDE} pixels in {_STUDENT.architecture}/{_STUDENT.encoder}",
        **({"problems": problems} if problems else {}),
    }


def _problems() -> Iterator[str]:
    """What is wrong, each with what mends it."""
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        if torch.version.cuda is None:
            yield "This PyTorch is made for the processor alone: run Set up SSLKD with PyTorch “driver” to use the GPU."
        else:
            yield (
                f"PyTorch cannot use the GPU with its CUDA {torch.version.cuda}: install a newer graphics driver, "
                "or run Set up SSLKD with PyTorch “driver” for what suits the present one."
            )
    if (memory := _memory()) is not None and memory < _LEAST_MEMORY:
        yield f"There is little memory, {_gigabytes(memory)}: choose small tiles and few at a time."


def _seconds_of_a_pass(device: torch.device) -> float:
    """How long the student takes from normalised pixels in memory to probabilities in memory."""
    predict = predictor(build_network(_STUDENT), device)
    images = np.zeros((1, _STUDENT.in_channels, _SIDE, _SIDE), dtype=np.float32)
    predict(images)  # the first pass also prepares the device
    start = perf_counter()
    predict(images)
    return perf_counter() - start


def _gpus() -> Iterator[str]:
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        yield f"{properties.name} ({_gigabytes(properties.total_memory)})"


def _memory() -> int | None:
    """The machine's memory in bytes, where the system tells it."""
    names = getattr(os, "sysconf_names", {})
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(names):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gigabytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 2**30:.1f} GiB"
