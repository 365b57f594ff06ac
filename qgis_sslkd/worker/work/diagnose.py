"""Telling what the worker runs on, whether it works and how fast."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import torch

from ...core.machine import describe_gpus, describe_size, describe_versions, memory_size
from ...core.models.devices import choose_device, describe_device
from ...core.models.inference import predictor
from ...core.models.networks import build_network
from ...core.reporting import Reporter
from ...training.presets import PRESETS
from ..jobs import DiagnoseJob, Outputs

__all__ = ["do_diagnose"]

_LEAST_MEMORY = 4 * 2**30
_STUDENT = PRESETS["quick"].student
_SIDE = 512


def do_diagnose(job: DiagnoseJob, reporter: Reporter) -> Outputs:
    """Names versions, device and memory, times the student of the preset `quick`, and names problems if any."""
    problems: list[str] = []
    device = choose_device(job.device, problems.append)
    reporter.progress(0.2, "running a network")
    seconds = _seconds_of_a_pass(device)
    problems.extend(_problems())
    return {
        "python": f"{platform.python_version()}, {sys.executable}",
        **describe_versions(),
        "gpus": describe_gpus(),
        "device": describe_device(device),
        "memory": describe_size(memory_size()),
        "forward_pass": f"{seconds:.3f} s for {_SIDE} x {_SIDE} pixels in {_STUDENT.architecture}/{_STUDENT.encoder}",
        **({"problems": problems} if problems else {}),
    }


def _problems() -> Iterator[str]:
    """What is wrong, each with what mends it."""
    if shutil.which("nvidia-smi") and not torch.cuda.device_count():
        if torch.version.cuda is None:
            yield "This PyTorch is made for the processor alone: run Set up SSLKD with PyTorch “driver” to use the GPU."
        else:
            yield (
                f"PyTorch with its CUDA {torch.version.cuda} sees no GPU though there is a graphics driver: "
                "look whether nvidia-smi lists it, and CUDA_VISIBLE_DEVICES names it."
            )
    if (memory := memory_size()) is not None and memory < _LEAST_MEMORY:
        yield f"There is little memory, {describe_size(memory)}: choose small tiles and few at a time."


def _seconds_of_a_pass(device: torch.device) -> float:
    """How long the student takes from normalised pixels in memory to probabilities in memory."""
    predict = predictor(build_network(_STUDENT), device)
    images = np.zeros((1, _STUDENT.in_channels, _SIDE, _SIDE), dtype=np.float32)
    predict(images)  # the first pass also prepares the device
    start = perf_counter()
    predict(images)
    return perf_counter() - start
