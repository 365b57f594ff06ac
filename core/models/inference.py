"""Networks at work in PyTorch: from normalised images to the probability of road."""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import lacks_memory
from ..images import Images, Predictor
from .devices import multiplies_bfloat16

__all__ = ["RoadProbability", "predictor", "within_memory"]


class RoadProbability(nn.Module):
    """The probability of road `(B, H, W)` by a network of two classes or more."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Float32 from images `(B, C, H, W)`."""
        logits: Tensor = self.network(images)
        return logits.float().softmax(dim=1)[:, 1]


def predictor(network: nn.Module, device: torch.device, bfloat16: bool | None = None) -> Predictor:
    """Runs a network on a device.

    Args:
        network: of two classes or more; it is moved to the device.
        device: where to compute.
        bfloat16: multiply in bfloat16, or else in float32; None for bfloat16 on a GPU that multiplies it itself.
    """
    model = RoadProbability(network).to(device).to(memory_format=torch.channels_last).eval()
    half = device.type == "cuda" and multiplies_bfloat16(device) if bfloat16 is None else bfloat16

    def predict(images: Images) -> Images:
        batch = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            probability: Images = model(batch).cpu().numpy()
        return probability

    return predict


def within_memory(predict: Predictor) -> Predictor:
    """Halves batches that the device has no memory for, and keeps to the size that it has memory for.

    Raises:
        RuntimeError: by the predictor, if there is no memory for a single image.
    """
    most = sys.maxsize

    def predict_some(images: Images) -> Images | None:
        try:
            return predict(images)
        except RuntimeError as error:
            if len(images) == 1 or not lacks_memory(error):
                raise
            return None

    def predict_all(images: Images) -> Images:
        nonlocal most
        found: list[Images] = []
        done = 0
        while done < len(images):
            part = images[done : done + most]
            probability = predict_some(part)
            if probability is None:
                most = len(part) // 2
            else:
                found.append(probability)
                done += len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)

    return predict_all
