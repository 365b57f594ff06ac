"""Writing the graph of a network: its layers without PyTorch, for the engine that runs them on the CPU."""

from __future__ import annotations

import re
import warnings
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..errors import GraphError
from .engine import CONSTANT, FACTORS, GRAPH, openvino
from .inference import RoadProbability

__all__ = ["trace_graph"]

_TRACED, _CHECKED = (96, 64), (64, 128)
_CHECKS = 8
_TOLERANCE = 1e-4
_ROUNDING = 1e-6

Floats = npt.NDArray[np.float32]


def trace_graph(network: nn.Module, bands: int) -> dict[str, bytes]:
    """The graph from one image to the probability of road, as further tensors for the network's model file.

    `graph` holds the layers in OpenVINO's format (https://docs.openvino.ai, "OpenVINO IR format"). The normalisations
    are multiplied into the weights before them. The constants are told by the names of tensors: those of the
    network's weights, `weights*graph.N` for weights whose rows, one for each output channel, take a factor each, and
    `graph.N` for others.

    Args:
        network: of two classes or more; it is left as it is.
        bands: of the images.

    Raises:
        GraphError: if the network cannot be written as a graph that gives the same.
    """
    # In one memory layout, or the weights would not be found again.
    own = RoadProbability(deepcopy(network).cpu().to(memory_format=torch.contiguous_format)).eval()
    try:
        model = _converted(own, bands)
        layers, constants = _serialised(model)
        _check(model, own, bands)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise GraphError(f"The network cannot be written as a graph: {error}") from error
    return _with_names(layers, constants, own.network)


def _converted(network: nn.Module, bands: int) -> openvino.Model:
    # The engine spares these imports.
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        # Sides of images are constants to the tracer here and there, which `_check` looks into.
        warnings.simplefilter("ignore")
        image = torch.zeros(1, bands, *_TRACED)
        traced = torch.jit.trace(network, image, check_trace=False)  # type: ignore[no-untyped-call]
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # must outlive the conversion
        model = frontend.convert(frontend.load(decoder))
    model.reshape([1, bands, -1, -1])
    # This multiplies the normalisations into the weights, which the engine would else do at every start.
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    model.set_friendly_name(GRAPH)
    # Names that do not depend on what was traced before in this process; nobody reads them.
    for number, layer in enumerate(model.get_ordered_ops()):
        layer.set_friendly_name(str(number))
    return model


def _check(model: openvino.Model, network: nn.Module, bands: int) -> None:
    """Runs both on images of another shape than the traced one until they give the same.

    They need not for every image: of two pixels that are equal but for rounding, SegNet's pooling takes the one here
    and the other there.
    """
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    engine = openvino.Core().compile_model(model, "CPU", exact)
    noise = np.random.default_rng(0)
    for _ in range(_CHECKS):
        image = noise.standard_normal((1, bands, *_CHECKED), dtype=np.float32)
        found = engine(image)[0]
        with torch.inference_mode():
            expected = network(torch.from_numpy(image)).numpy()
        if found.shape == expected.shape and np.allclose(found, expected, rtol=0, atol=_TOLERANCE, equal_nan=True):
            return
    raise ValueError("it gives other probabilities than the network")


def _serialised(model: openvino.Model) -> tuple[bytes, bytes]:
    """Layers, and their constants one after the other."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "graph.xml")
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _with_names(layers: bytes, constants: bytes, network: nn.Module) -> dict[str, bytes]:
    """Has the layers tell their constants by the names of tensors."""
    tensors = {
        name: tensor.detach().numpy() for name, tensor in network.state_dict().items() if tensor.is_floating_point()
    }
    names = {tensor.tobytes(): name for name, tensor in tensors.items()}
    others: dict[str, bytes] = {}

    def named(content: bytes) -> str:
        if content not in names:
            names[content] = f"{GRAPH}.{len(others)}"
            others[names[content]] = content
        return names[content]

    def name(match: re.Match[bytes]) -> bytes:
        start, size = int(match["place"]), int(match["size"])
        content = constants[start : start + size]
        if content not in names and (found := _as_product(content, tensors)):
            weights, factors = found
            told = f"{weights}{FACTORS}{named(factors.tobytes())}"
        else:
            told = named(content)
        return b'offset="%s" size="%d"' % (told.encode(), size)

    return {GRAPH: CONSTANT.sub(name, layers), **others}


def _as_product(content: bytes, tensors: dict[str, Floats]) -> tuple[str, Floats] | None:
    """The name of the weights that a constant is a product of, and a factor for each of their rows."""
    for name, weights in tensors.items():
        if weights.ndim < 2 or weights.nbytes != len(content):
            continue
        rows = weights.reshape(len(weights), -1)
        product = np.frombuffer(content, np.float32).reshape(rows.shape)
        # By the largest weight of each row, whose quotient is the most exact.
        largest = np.abs(rows).argmax(axis=1)[:, None]
        divisor, dividend = (np.take_along_axis(values, largest, axis=1) for values in (rows, product))
        factors = np.divide(dividend, divisor, out=np.zeros_like(divisor), where=divisor != 0)
        if np.allclose(rows * factors, product, rtol=_ROUNDING, atol=np.finfo(np.float32).tiny):
            return name, factors
    return None
