"""Writing a model as an ONNX file, which other programs run, the plugin Deepness for QGIS among them.

Input, output and metadata are what Deepness 0.6.5 asks of a segmentation model, by its documentation
(https://qgis-plugin-deepness.readthedocs.io, "Model classes and requirements" and "Adding metadata to ONNX model")
and, where that leaves it open, by its code (https://github.com/PUTvision/qgis-plugin-deepness).
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from .errors import GraphError, SettingError
from .files import check_writable, written_whole
from .images import Normalisation
from .models.engine import openvino
from .models.inference import RoadProbability
from .models.model_card import ModelCard
from .road_map import RoadMapSettings
from .windows import Tiling

__all__ = ["check_onnx_output", "deepness_metadata", "write_onnx"]

_INPUT, _OUTPUT = "images", "probability"
_FULL_SCALE = 255  # by which Deepness divides the values of rasters, whatever their type
_OPSET = 15  # of Deepness' documentation; the oldest ONNX Runtime that it allows stops at 17
_TOLERANCE = 1e-4
_MOST = 0.5


def check_onnx_output(path: Path) -> None:
    """Checks before any work that an ONNX file can be written.

    Raises:
        SettingError: if it cannot, or has another extension than `.onnx`.
    """
    check_writable(path)
    if path.suffix.lower() != ".onnx":
        raise SettingError(f"An ONNX model cannot be written to {path.name}; give it a name that ends in .onnx.")


def write_onnx(path: Path, network: nn.Module, card: ModelCard, tiling: Tiling, settings: RoadMapSettings) -> None:
    """Writes a network to an ONNX file, whole or not at all.

    It takes `images`, `(B, C, tile, tile)` float32 of a raster's values divided by 255, which it normalises itself,
    and gives `probability`, `(B, 1, tile, tile)` float32, of road. B is free; the side is not, for Deepness takes
    from the file how large its tiles are.

    Args:
        path: of the file.
        network: of two classes or more, in evaluation mode, on the CPU.
        card: of the model.
        tiling: the side of the images, and the overlap that the metadata tells.
        settings: threshold and least area that the metadata tells.

    Raises:
        GraphError: if the network cannot be written as an ONNX file that gives the same.
    """
    own = _FromRasterValues(network, card.normalisation).eval()
    noise = torch.randn(2, len(own.mean), tiling.tile, tiling.tile, generator=torch.Generator().manual_seed(0))
    images = (noise * own.std + own.mean) / _FULL_SCALE
    with written_whole(path) as partial:
        try:
            _trace(own, images[:1], partial)
            _complete(partial, deepness_metadata(card, tiling, settings), tiling.tile)
            _check(partial, own, images)
        except (RuntimeError, TypeError, ValueError, NotImplementedError, onnx.checker.ValidationError) as error:
            reason = str(error).partition("\n")[0]
            raise GraphError(f"The network cannot be written as an ONNX file: {reason}") from error


def deepness_metadata(card: ModelCard, tiling: Tiling, settings: RoadMapSettings) -> dict[str, str]:
    """What Deepness reads from the file besides the network, each value as JSON."""
    bands = card.network.in_channels
    # Deepness smooths by a median filter, which takes what fills less than half of its window.
    window = math.sqrt(2 * settings.vectors.least_area) / card.gsd
    values = {
        "model_type": "Segmentor",
        "class_names": dict(enumerate(card.classes[:2])),
        "resolution": round(100 * card.gsd, 4),  # centimetres
        # The documentation has the one, the code reads the other.
        "tiles_size": tiling.tile,
        "tile_size": tiling.tile,
        "tiles_overlap": round(100 * tiling.overlap / tiling.tile),  # percent
        "standardization_mean": [0.0] * bands,
        "standardization_std": [1.0] * bands,
        "seg_thresh": settings.threshold,
        "seg_small_segment": round(window),  # pixels
    }
    return {name: json.dumps(value) for name, value in values.items()}


class _FromRasterValues(nn.Module):
    """The probability of road `(B, 1, H, W)` from images `(B, C, H, W)` of a raster's values divided by 255."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.probability = RoadProbability(network)
        self.register_buffer("mean", torch.tensor(normalisation.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(normalisation.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        probability: Tensor = self.probability((images * _FULL_SCALE - self.mean) / self.std)
        return probability[:, None]


def _trace(network: nn.Module, image: Tensor, path: Path) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        # That sides of images become constants, as they should; and that there is another exporter, with
        # dependencies of its own.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (image,),
            path,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_axes={_INPUT: {0: "batch"}, _OUTPUT: {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )


def _complete(path: Path, metadata: dict[str, str], tile: int) -> None:
    """Adds the metadata and what is known of the output's shape."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata)
    sides = ("batch", 1, tile, tile)
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(_OUTPUT, onnx.TensorProto.FLOAT, sides))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _check(path: Path, network: nn.Module, images: Tensor) -> None:
    """Runs both on more images than one."""
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    found = openvino.Core().compile_model(path, "CPU", exact)(images.numpy())[0]
    with torch.inference_mode():
        expected = network(images).numpy()
    same = np.isclose(found, expected, rtol=0, atol=_TOLERANCE, equal_nan=True)
    # Most of each image: of two pixels that are equal but for rounding, SegNet's pooling takes the one here and the
    # other there, and much around them depends on it.
    if same.mean(axis=(1, 2, 3)).min() < _MOST:
        raise ValueError("it gives other probabilities than the network")
