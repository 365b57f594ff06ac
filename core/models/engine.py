"""The engine that runs a model's graph on the CPU, one image at a time: OpenVINO, without PyTorch."""

from __future__ import annotations

import json
import mmap
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import DeviceError, ModelFileError, lacks_memory
from ..images import Images

# OpenVINO does without its converter, which with its telemetry client takes 0.2 s and 11 MB.
sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

__all__ = ["CONSTANT", "FACTORS", "GRAPH", "Engine", "has_graph", "openvino"]

GRAPH = "graph"
"""Name of the tensor that holds a model's layers, and beginning of the names of its constants."""

CONSTANT = re.compile(rb'offset="(?P<place>[^"]*)" size="(?P<size>[0-9]+)"')
"""Where and how long a constant is, as the layers tell it."""

FACTORS = "*"
"""Between the name of weights and that of the factors of their rows, in the layers."""

_ALIGNMENT = 64  # bytes
_LEAST_ADDRESSES = 2**30  # bytes; where a thread cannot start for want of them, OpenVINO and GDAL wait for it for ever

Bytes = npt.NDArray[np.uint8]


def has_graph(path: Path) -> bool:
    """Whether a model file holds a graph: older ones do not."""
    with path.open("rb") as file:
        return GRAPH in _places(file)


class Engine:
    """A predictor that runs the graph of a model file on the CPU.

    The graph is compiled for the shape of the images that come first, and again whenever it changes.

    Args:
        path: a model file with a graph.
        bfloat16: compute in bfloat16, or else in float32; None for bfloat16 where the processor multiplies it.

    Attributes:
        bfloat16: whether it computes in bfloat16.

    Raises:
        DeviceError: if the processor does not compute in bfloat16, or the process may not have enough addresses.
        ModelFileError: if the graph is damaged; also where images are computed, of one that cannot be run.
    """

    def __init__(self, path: Path, bfloat16: bool | None = False) -> None:
        _check_addresses()
        self._core = openvino.Core()
        if bfloat16 and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DeviceError("This processor does not compute in bfloat16; choose the precision float32 or auto.")
        self.bfloat16 = _multiplies_bfloat16(self._core) if bfloat16 is None else bfloat16
        precision = "bf16" if self.bfloat16 else "f32"
        self._settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        self._path = path
        with self._whole():
            layers, self._constants = _load(path)
            weights = openvino.Tensor(np.frombuffer(self._constants, np.uint8), shared_memory=True)
            self._model = self._core.read_model(layers, weights)
        self._compiler = ThreadPoolExecutor(1)
        self._shape: tuple[int, ...] = ()
        self._request: Future[openvino.InferRequest]

    def __call__(self, images: Images) -> Images:
        """The probability of road `(B, H, W)` in normalised images `(B, C, H, W)`."""
        if images.shape[1:] != self._shape:
            self.prepare(*images.shape[1:])
        request = self._request.result()
        with self._whole():
            # A copy of each: the engine writes every result to the same place.
            return np.concatenate([request.infer([image[None]], share_inputs=True)[0] for image in images])

    def prepare(self, *shape: int) -> None:
        """Starts to compile for images of a shape `(C, H, W)`, in a thread of its own; the next images wait for it."""
        self._request = self._compiler.submit(self._compile, shape)
        self._shape = shape

    def wait(self) -> None:
        """Waits until it is compiled."""
        self._request.result()

    def release(self) -> None:
        """Gives back most of the memory; the next images take it again, and some tenths of a second."""
        if self._shape:
            del self._request
            self._shape = ()

    def _compile(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        with self._whole():
            self._model.reshape([1, *shape])
            if [tuple(output.partial_shape.to_shape()) for output in self._model.outputs] != [(1, *shape[1:])]:
                raise ValueError("it gives something else than a probability for each pixel")
            request = self._core.compile_model(self._model, "CPU", self._settings).create_infer_request()
        # The compiled model has its own; for another shape they are read again.
        if isinstance(self._constants, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._constants.madvise(mmap.MADV_DONTNEED)
        return request

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Tells in a sentence that the graph is not what it should be."""
        try:
            yield
        except (KeyError, ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise ModelFileError(f"The graph in {self._path} is damaged; train the model again.") from error


def _check_addresses() -> None:
    if sys.platform == "win32":
        return
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY and most < _LEAST_ADDRESSES:
        raise DeviceError(
            f"This process may have no more than {most / 2**20:.0f} MiB of addresses, too few to detect with; allow "
            "1 GiB or more (`ulimit -v`)."
        )


def _multiplies_bfloat16(core: openvino.Core) -> bool:
    """Whether the processor multiplies bfloat16 itself, by what OpenVINO would choose: others emulate it, slowly."""
    return bool(core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16)


def _load(path: Path) -> tuple[bytes, mmap.mmap | memoryview]:
    """The layers of a model file, and their constants one after the other."""
    with path.open("rb") as file:
        places = _places(file)
        content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    tensors = {name: content[place] for name, place in places.items()}
    try:
        # There they take no memory but while they are read.
        with TemporaryFile() as disk:
            layers = _placed(tensors, disk)
            disk.flush()
            return layers, mmap.mmap(disk.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError:  # no room
        memory = BytesIO()
        return _placed(tensors, memory), memory.getbuffer()


def _placed(tensors: dict[str, Bytes], file: IO[bytes]) -> bytes:
    """Writes the constants to a file, and has the layers tell their places there."""
    starts: dict[bytes, int] = {}

    def place(match: re.Match[bytes]) -> bytes:
        constant, size = match["place"], int(match["size"])
        if constant not in starts:
            starts[constant] = file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR)
            file.write(_value(constant.decode(), size, tensors))
        return b'offset="%d" size="%d"' % (starts[constant], size)

    return CONSTANT.sub(place, tensors[GRAPH].tobytes())


def _value(constant: str, size: int, tensors: dict[str, Bytes]) -> memoryview:
    """A constant by the names of tensors."""
    weights, _, factors = constant.partition(FACTORS)
    value = tensors[weights].data
    if factors:
        rows = tensors[factors].view(np.float32)[:, None]
        value = (tensors[weights].view(np.float32).reshape(len(rows), -1) * rows).data
    if value.nbytes != size:
        raise ValueError(f"the constant {constant!r} has another size")
    return value


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
