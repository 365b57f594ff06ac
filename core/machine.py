"""What the work runs on: processor, memory, GPUs and the versions that matter, in words."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pyogrio
import rasterio
import torch

from .version import own_version

__all__ = ["describe_gpus", "describe_machine", "describe_size", "describe_versions", "memory_size"]

_PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "numpy", "rasterio", "pyogrio", "shapely")
_PROCESSORS = Path("/proc/cpuinfo")
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def describe_machine() -> dict[str, str]:
    """System, processor, memory, GPUs and their driver, by name."""
    return {
        "System": platform.platform(terse=True),
        "Processor": f"{_processor()}, {os.cpu_count() or 'unknown'} logical cores",
        "Memory": describe_size(memory_size()),
        "GPUs": describe_gpus(),
        "Graphics driver": _driver(),
    }


def describe_versions() -> dict[str, str]:
    """The versions of SSLKD, of PyTorch and of what reads and writes files, by name."""
    return {
        "sslkd": own_version(),
        **{name: version(name) for name in _PACKAGES},
        "gdal": f"{rasterio.__gdal_version__} (rasterio), {pyogrio.__gdal_version_string__} (pyogrio)",
        "cuda": torch.version.cuda or "not in this PyTorch",
    }


def describe_gpus() -> str:
    """The GPUs that PyTorch can use, with their memory."""
    return ", ".join(_gpus()) or "none that PyTorch can use"


def memory_size() -> int | None:
    """The machine's memory in bytes, where the system tells it."""
    names = getattr(os, "sysconf_names", {})
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(names):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def describe_size(count: int | None) -> str:
    """A number of bytes as people write it."""
    return "unknown" if count is None else f"{count / 2**30:.1f} GiB"


def _gpus() -> Iterator[str]:
    # Without a driver that PyTorch can use, it counts GPUs all the same.
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(number)
        yield f"{properties.name} ({describe_size(properties.total_memory)})"


def _processor() -> str:
    """The processor's name; Linux tells it in a file alone."""
    named = re.search(r"^model name\s*:\s*(.+)$", _text(_PROCESSORS), re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine() or "unknown"


def _driver() -> str:
    """NVIDIA's driver, where the system tells it without a program of its own."""
    found = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]*)", _text(_NVIDIA_DRIVER))
    if found:
        return f"NVIDIA {found[1]}"
    return "unknown" if torch.cuda.device_count() else "none"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
