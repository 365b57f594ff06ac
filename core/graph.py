"""Writing the graph of a network: its layers without PyTorch, for the engine that runs them on the CPU."""

from __future__ import annotations

import re
import warnings
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from .engine import CONSTANT, GRAPH, openvino
from .errors import GraphError
from .inference import RoadProbability

__all__ = ["trace_graph"]

_TRACED, _CHECKED = (96, 64), (64, 128)
_TOLERANCE = 1e-4


def trace_graph(network: nn.Module, bands: int) -> dict[str, bytes]:
    """The graph from one image to the probability of road, as further tensors for the network's model file.

    `graph` holds the layers in OpenVINO's format (https://docs.openvino.ai, "OpenVINO IR format"), whose constants
    are told by the names of tensors: those of the network's weights, and `graph.N` for the few others.

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
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise GraphError(f"The network cannot be written as a graph: {error}") from error
    return _with_names(layers, constants, own.network)


def _converted(network: nn.Module, bands: int) -> openvino.Model:
    # These take PyTorch, whose import the engine spares.
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
    model.set_friendly_name(GRAPH)
    # Names that do not depend on what was traced before in this process; nobody reads them.
    for number, layer in enumerate(model.get_ordered_ops()):
        layer.set_friendly_name(str(number))
    return model


def _check(model: openvino.Model, network: nn.Module, bands: int) -> None:
    """Runs both on an image of another shape than the traced one."""
    image = np.random.default_rng(0).standard_normal((1, bands, *_CHECKED), dtype=np.float32)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    found = openvino.Core().compile_model(model, "CPU", exact)(image)[0]
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=_TOLERANCE, equal_nan=True):
        raise ValueError("it gives other probabilities than the network")


def _serialised(model: openvino.Model) -> tuple[bytes, bytes]:
    """Layers, and their constants one after the other."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "graph.xml")
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _with_names(layers: bytes, constants: bytes, network: nn.Module) -> dict[str, bytes]:
    """Has the layers tell their constants by the names of tensors."""
    names = {
        tensor.detach().numpy().tobytes(): name
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    others: dict[str, bytes] = {}

    def name(match: re.Match[bytes]) -> bytes:
        start, size = int(match["place"]), int(match["size"])
        content = constants[start : start + size]
        if content not in names:
            names[content] = f"{GRAPH}.{len(others)}"
            others[names[content]] = content
        return b'offset="%s" size="%d"' % (names[content].encode(), size)

    return {GRAPH: CONSTANT.sub(name, layers), **others}
