"""The model file: weights and graph as safetensors with a JSON header; loading it cannot run code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save
from torch import nn

from ..errors import GraphError, ModelFileError
from ..files import written_whole
from .engine import GRAPH
from .graph import trace_graph
from .model_card import FORMAT_VERSION, ModelCard, card_header, load_card
from .networks import build_network

__all__ = ["load_network", "save_model", "upgrade_model"]


def save_model(path: Path, network: nn.Module, card: ModelCard) -> bool:
    """Writes weights, graph and card to one file, whole or not at all.

    A network that cannot be written as a graph is written without it, and detection then runs it in PyTorch.

    Returns:
        Whether the file holds the graph.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    try:
        graph = trace_graph(network, card.network.in_channels)
    except GraphError:
        # Hours of training must not hang on the speed of detection.
        graph = {}
    tensors |= {name: torch.frombuffer(bytearray(content), dtype=torch.uint8) for name, content in graph.items()}
    with written_whole(path) as partial:
        # Not save_file, whose files are for their owner alone.
        partial.write_bytes(save(tensors, metadata=card_header(replace(card, version=FORMAT_VERSION))))
    return bool(graph)


def load_network(path: Path, card: ModelCard) -> nn.Module:
    """Builds the network of a model file and loads its weights; it comes in evaluation mode.

    Raises:
        ModelFileError: if the weights do not fit the network that the file names.
    """
    network = build_network(card.network)
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if not name.startswith(GRAPH)}  # noqa: SIM118
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelFileError(f"The weights in {path} do not fit its network; the file is damaged.") from error
    return network.eval()


def upgrade_model(path: Path) -> None:
    """Writes a model file of an older format anew, with its graph.

    Raises:
        ModelFileError: if the file is no model.
    """
    card = load_card(path)
    save_model(path, load_network(path, card), card)
