"""The engine that runs a model's graph on the CPU, one image at a time: OpenVINO, without PyTorch."""

from __future__ import annotations

import json
import mmap
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

from .errors import DeviceError, ModelFileError
from .rasters import Images

# OpenVINO does without its converter, which with its telemetry client takes 0.2 s and 11 MB.
sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino._offline_transformations import apply_moc_transformations  # noqa: E402

__all__ = ["CONSTANT", "GRAPH", "Engine", "has_graph", "openvino"]

GRAPH = "graph"
"""Name of the tensor that holds a model's layers, and beginning of the names of its constants."""

CONSTANT = re.compile(rb'offset="(?P<place>[^"]*)" size="(?P<size>[0-9]+)"')
"""Where and how long a constant is, as the layers tell it."""

_LARGE = 4096  # bytes
_ALIGNMENT = 64


def has_graph(path: Path) -> bool:
    """Whether a model file holds a graph: older ones do not."""
    with path.open("rb") as file:
        return GRAPH in _places(file)


class Engine:
    """A predictor that runs the graph of a model file on the CPU.

    The graph is compiled for the height and width of the images that come first, and again whenever they change.

    Args:
        path: a model file with a graph.
        bfloat16: compute in bfloat16; in float32 otherwise.

    Raises:
        DeviceError: if the processor does not compute in bfloat16.
        ModelFileError: if the graph is damaged.
    """

    def __init__(self, path: Path, bfloat16: bool = False) -> None:
        self._core = openvino.Core()
        if bfloat16 and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DeviceError("This processor does not compute in bfloat16; choose the precision float32 or auto.")
        self._settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32"}
        try:
            with path.open("rb") as file:
                places = _places(file)
                # The graph takes the weights from where they lie in the file.
                self._files = [_mapped(file)]
            layers = _layers(self._files[0], places)
            weights = openvino.Tensor(np.frombuffer(self._files[0], np.uint8), shared_memory=True)
            self._model = self._core.read_model(layers, weights)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ModelFileError(f"The graph in {path} is damaged; train the model again.") from error
        # This multiplies the normalisations into the weights, which the engine would else do at every compilation.
        apply_moc_transformations(self._model, cf=False, smart_reshape=False)
        # Without room on the disk they stay in memory.
        with suppress(OSError):
            self._files += _moved_to_disk(self._model)
        self._forget_files()
        self._shape: tuple[int, ...] = ()

    def __call__(self, images: Images) -> Images:
        """The probability of road `(B, H, W)` in normalised images `(B, C, H, W)`."""
        if images.shape[1:] != self._shape:
            self._compile(images.shape[1:])
        # A copy of each: the engine writes every result to the same place.
        return np.concatenate([self._request.infer([image[None]], share_inputs=True)[0] for image in images])

    def release(self) -> None:
        """Gives back most of the memory; the next images take it again, and some tenths of a second."""
        if self._shape:
            del self._request
            self._shape = ()

    def _compile(self, shape: tuple[int, ...]) -> None:
        self._model.reshape([1, *shape])
        self._request = self._core.compile_model(self._model, "CPU", self._settings).create_infer_request()
        self._forget_files()
        self._shape = shape

    def _forget_files(self) -> None:
        """Gives back the memory of what was read from the files; what is needed again is read again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for file in self._files:
                file.madvise(mmap.MADV_DONTNEED)


def _mapped(file: BinaryIO) -> mmap.mmap:
    """A file as memory that is written to for this process alone, as the engine asks for."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _moved_to_disk(model: openvino.Model) -> list[mmap.mmap]:
    """Moves the large constants of a model, which the compiled one keeps beside its own, to a temporary file.

    Returns:
        The file; none if there are no large constants.

    Raises:
        OSError: if there is no room for it; the model is then as it was.
    """
    constants = [layer for layer in model.get_ordered_ops() if _is_large(layer)]
    if not constants:
        return []
    starts = []
    with TemporaryFile() as file:
        for constant in constants:
            starts.append(file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR))
            file.write(constant.data)
        file.flush()
        mapped = _mapped(file)
    for constant, start in zip(constants, starts, strict=True):
        data = np.frombuffer(mapped, constant.data.dtype, constant.data.size, start).reshape(constant.data.shape)
        moved = openvino.op.Constant(openvino.Tensor(data, shared_memory=True))
        constant.output(0).replace(moved.output(0))
    return [mapped]


def _is_large(layer: openvino.Node) -> bool:
    constant: bool = layer.get_type_name() == "Constant" and layer.get_element_type() == openvino.Type.f32
    return constant and int(layer.get_byte_size()) >= _LARGE


def _places(file: BinaryIO) -> dict[str, slice]:
    """Where the bytes of each tensor of a safetensors file lie (https://github.com/huggingface/safetensors#format)."""
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    start = 8 + size
    return {
        name: slice(start + entry["data_offsets"][0], start + entry["data_offsets"][1])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _layers(file: mmap.mmap, places: dict[str, slice]) -> bytes:
    """The layers, with the places of their constants in the file for the names of these."""

    def place(match: re.Match[bytes]) -> bytes:
        found = places[match["place"].decode()]
        if found.stop - found.start != int(match["size"]):
            raise ValueError(f"the constant {match['place']!r} has another size")
        return b'offset="%d" size="%s"' % (found.start, match["size"])

    return CONSTANT.sub(place, file[places[GRAPH]])
