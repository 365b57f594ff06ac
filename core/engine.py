"""The engine that runs a model's graph on the CPU, one image at a time: OpenVINO, without PyTorch."""

from __future__ import annotations

import json
import mmap
import re
import sys
from pathlib import Path
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
                # The graph takes the weights from where they lie in the file, and keeps them there.
                self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            layers = _layers(self._file, places)
            weights = openvino.Tensor(np.frombuffer(self._file, np.uint8), shared_memory=True)
            self._model = self._core.read_model(layers, weights)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ModelFileError(f"The graph in {path} is damaged; train the model again.") from error
        apply_moc_transformations(self._model, cf=False, smart_reshape=False)
        self._forget_file()
        self._shape: tuple[int, ...] = ()

    def __call__(self, images: Images) -> Images:
        """The probability of road `(B, H, W)` in normalised images `(B, C, H, W)`."""
        if images.shape[1:] != self._shape:
            self._compile(images.shape[1:])
        # A copy of each: the engine writes every result to the same place.
        return np.concatenate([self._request.infer([image[None]], share_inputs=True)[0] for image in images])

    def _compile(self, shape: tuple[int, ...]) -> None:
        self._model.reshape([1, *shape])
        self._request = self._core.compile_model(self._model, "CPU", self._settings).create_infer_request()
        self._forget_file()
        self._shape = shape

    def _forget_file(self) -> None:
        """Gives back the memory of what was read from the file; what is needed again is read again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._file.madvise(mmap.MADV_DONTNEED)


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
