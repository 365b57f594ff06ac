"""What runs a model file in detection: OpenVINO on the CPU, PyTorch on a GPU, which alone takes its import."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import DeviceError
from ..images import Predictor
from .engine import Engine, has_graph
from .model_card import ModelCard

__all__ = ["Precision", "Runtime", "runtime_loader"]

Precision = Literal["auto", "float32", "bfloat16"]

_CPU_BATCH, _GPU_BATCH = 1, 8


@dataclass(frozen=True)
class Runtime:
    """A model, ready to run.

    Attributes:
        predict: the model.
        batch: images in one pass that suit the device.
        description: of the device, the engine and the precision, for messages.
        warnings: what the user should know, a sentence each.
        release: gives back most of the memory until the next images; None where the model keeps it.
    """

    predict: Predictor
    batch: int
    description: str
    warnings: tuple[str, ...] = ()
    release: Callable[[], None] | None = None


def runtime_loader(path: Path, card: ModelCard, device: str, precision: Precision, tile: int) -> Callable[[], Runtime]:
    """Begins to load a model where it runs fastest.

    OpenVINO compiles from now on, in a thread of its own that reads environment variables: none may be set, as imports
    do, before the call ends. PyTorch is left to the call: its import takes seconds.

    Args:
        path: the model file.
        card: of the model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: of the computation; `auto` is bfloat16 where the device multiplies it, else float32.
        tile: side in pixels of the images to expect.

    Returns:
        What loads the rest of it; raises the same.

    Raises:
        DeviceError: if the device is not there, or does not compute at this precision.
        ModelFileError: if the file is damaged.
    """
    on_cpu = device == "cpu" or (device == "auto" and not _has_cuda())
    if on_cpu and has_graph(path):
        return partial(_compiled, _compiling(path, card, precision, tile))
    return partial(_chosen_by_pytorch, path, card, device, precision, tile)


def _compiling(path: Path, card: ModelCard, precision: Precision, tile: int) -> Engine:
    engine = Engine(path, None if precision == "auto" else precision == "bfloat16")
    engine.prepare(card.network.in_channels, tile, tile)
    return engine


def _compiled(engine: Engine) -> Runtime:
    engine.wait()
    return Runtime(engine, _CPU_BATCH, f"the CPU (OpenVINO, {_name(engine.bfloat16)})", release=engine.release)


def _chosen_by_pytorch(path: Path, card: ModelCard, device: str, precision: Precision, tile: int) -> Runtime:
    from .devices import choose_device, describe_device, multiplies_bfloat16
    from .inference import predictor, within_memory
    from .model_file import load_network

    warnings: list[str] = []
    chosen = choose_device(device, warnings.append)
    on_gpu = chosen.type == "cuda"
    if not on_gpu:
        if has_graph(path):
            return replace(_compiled(_compiling(path, card, precision, tile)), warnings=tuple(warnings))
        warnings.append(
            f"The model {path.name} holds no graph for the CPU, as models of older versions do not: it runs slowly. "
            "`qgis_sslkd.core.models.model_file.upgrade_model` adds the graph."
        )
    multiplies = multiplies_bfloat16(chosen)
    if on_gpu and precision == "bfloat16" and not multiplies:
        raise DeviceError(
            f"{describe_device(chosen)} does not compute in bfloat16; choose the precision float32 or auto."
        )
    bfloat16 = multiplies if precision == "auto" else precision == "bfloat16"
    predict = within_memory(predictor(load_network(path, card), chosen, bfloat16))
    # GPUs that multiply bfloat16 round what convolutions take to TF32 where PyTorch is left alone.
    name = "float32, convolutions in TF32" if on_gpu and multiplies and not bfloat16 else _name(bfloat16)
    description = f"{describe_device(chosen)} (PyTorch, {name})"
    return Runtime(predict, _GPU_BATCH if on_gpu else _CPU_BATCH, description, tuple(warnings))


def _name(bfloat16: bool) -> str:
    return "bfloat16" if bfloat16 else "float32"


def _has_cuda() -> bool:
    """Whether the CUDA driver sees a GPU; PyTorch would tell, too, but its import takes seconds."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
