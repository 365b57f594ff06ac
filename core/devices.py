"""Which device computes, and at which precision."""

from __future__ import annotations

import os
import re

import torch

from .errors import DeviceError

__all__ = ["choose_device", "describe_device", "multiplies_bfloat16", "training_precision"]


def choose_device(name: str) -> torch.device:
    """The device of a name: `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` is the first CUDA GPU where there is one (of several processes, each takes its own), else the CPU.

    Raises:
        DeviceError: if the name is not known or the GPU is not there.
    """
    if name == "auto":
        own = os.environ.get("LOCAL_RANK")
        gpu = "cuda" if own is None else f"cuda:{own}"
        return torch.device(gpu if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise DeviceError(f"There is no device '{name}'; choose auto, cpu, cuda or cuda:N.")
    if name != "cpu" and int(name[len("cuda:") :] or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"The device '{name}' is not there: PyTorch sees {torch.cuda.device_count()} CUDA GPUs; choose auto or cpu."
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """The device's name as people know it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16; other hardware emulates it, slowly."""
    on_gpu = device.type == "cuda"
    gpu, cpu = torch.cuda.is_bf16_supported, torch.cpu._is_amx_tile_supported
    multiplies: bool = gpu(including_emulation=False) if on_gpu else cpu()
    return multiplies


def training_precision(device: torch.device) -> torch.dtype:
    """The type that matrix products run in while training.

    bfloat16 where the hardware multiplies it, else float16 on CUDA and float32 on the CPU.
    """
    if multiplies_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32
