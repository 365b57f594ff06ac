"""Which device computes, and at which precision."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import torch

from ..errors import DeviceError

__all__ = ["choose_device", "describe_device", "multiplies_bfloat16", "training_precision"]


def choose_device(name: str, warn: Callable[[str], object]) -> torch.device:
    """The device of a name: `auto`, `cpu`, `cuda` or `cuda:N`.

    `cuda` is the first GPU; of several processes on a machine, each takes its own. `auto` is the same where PyTorch
    can compute on it, else the CPU.

    Args:
        name: of the device.
        warn: hears of a GPU that `auto` leaves alone, since PyTorch cannot compute on it.

    Raises:
        DeviceError: if the name is not known, or the GPU is not there or of no use.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise DeviceError(f"There is no device '{name}'; choose auto, cpu, cuda or cuda:N.")
    count = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and not count):
        return torch.device("cpu")
    own = os.environ.get("LOCAL_RANK")
    number = int(name.partition(":")[2] or own or 0)
    if number >= count:
        way_out = "choose auto or cpu" if own is None else "start as many processes as there are, or choose cpu"
        raise DeviceError(f"The device 'cuda:{number}' is not there: PyTorch sees {count} CUDA GPUs; {way_out}.")
    gpu = torch.device("cuda", number)
    trouble = _trouble(gpu)
    if trouble is None:
        return gpu
    if name == "auto" and own is None:
        warn(f"{trouble}; the CPU is used.")
        return torch.device("cpu")
    raise DeviceError(f"{trouble}, or choose cpu.")


def _trouble(gpu: torch.device) -> str | None:
    """Why PyTorch cannot compute on a GPU that is there, and what helps; None if it can.

    PyTorch itself counts GPUs whose driver is too old, and only warns of those that it brings no kernels for.
    """
    if not torch.cuda.is_available():
        return (
            f"PyTorch cannot use the GPU with its CUDA {torch.version.cuda}: install a newer graphics driver, "
            "or run Set up SSLKD with PyTorch “driver” for what suits the present one"
        )
    try:
        image = torch.ones(1, 1, 3, 3, device=gpu)
        torch.nn.functional.conv2d(image, image).item()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        return (
            f"PyTorch cannot compute on the GPU {gpu} ({reason}): close other programs that use it, "
            "or have Set up SSLKD “use” a Python whose PyTorch is made for it"
        )
    return None


def describe_device(device: torch.device) -> str:
    """The device's name as people know it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16; other hardware emulates it, slowly."""
    if device.type == "cpu":
        multiplies: bool = torch.cpu._is_amx_tile_supported()
        return multiplies
    with torch.cuda.device(device):  # PyTorch tells of the current one
        multiplies = torch.cuda.is_bf16_supported(including_emulation=False)
    return multiplies


def training_precision(device: torch.device) -> torch.dtype:
    """The type that matrix products run in while training.

    bfloat16 where the hardware multiplies it, else float16 on CUDA and float32 on the CPU.
    """
    if multiplies_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32
