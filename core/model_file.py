"""The model file: weights as safetensors with a JSON header; loading it cannot run code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save
from torch import nn

from .errors import ModelFileError
from .files import written_whole
from .network_spec import NetworkSpec
from .networks import build_network
from .rasters import Normalisation

__all__ = ["FORMAT_VERSION", "ModelCard", "load_card", "load_network", "save_model"]

FORMAT_VERSION = 1
_HEADER = "sslkd"


@dataclass(frozen=True)
class ModelCard:
    """What a model is and where it comes from.

    Attributes:
        network: how to build it.
        normalisation: from raster values to what the network sees.
        dtype: NumPy's name of the type of the rasters that it learned from.
        gsd: ground sampling distance in metres that it learned at.
        tile: side in pixels of the windows that it learned from.
        training: the configuration of its training.
        scores: its scores on the validation area.
        classes: names of the classes in the order of the logits.
        version: version of this format.
    """

    network: NetworkSpec
    normalisation: Normalisation
    dtype: str
    gsd: float
    tile: int
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ("background", "road")
    version: int = FORMAT_VERSION


def save_model(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Writes the weights and the card to one file, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with written_whole(path) as partial:
        # Not save_file, whose files are for their owner alone.
        partial.write_bytes(save(tensors, metadata={_HEADER: json.dumps(asdict(card))}))


def load_card(path: Path) -> ModelCard:
    """Reads what a model is, without its weights.

    Raises:
        ModelFileError: if the file is no model, or of a newer format.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {})[_HEADER]
        content: dict[str, Any] = json.loads(header)
        if content["version"] > FORMAT_VERSION:
            raise ModelFileError(
                f"The model {path} was written by a newer version (format {content['version']}); update SSLKD."
            )
        content["network"] = NetworkSpec(**content["network"])
        content["normalisation"] = Normalisation(**{k: tuple(v) for k, v in content["normalisation"].items()})
        content["classes"] = tuple(content["classes"])
        return ModelCard(**content)
    except (OSError, safetensors.SafetensorError, AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelFileError(
            f"{path} is no model of SSLKD; choose a .safetensors file that Train SSLKD wrote."
        ) from error


def load_network(path: Path, card: ModelCard) -> nn.Module:
    """Builds the network of a model file and loads its weights; it comes in evaluation mode.

    Raises:
        ModelFileError: if the weights do not fit the network that the file names.
    """
    network = build_network(card.network)
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelFileError(f"The weights in {path} do not fit its network; the file is damaged.") from error
    return network.eval()
