"""Networks at work: from normalised images to the probability of road."""

from __future__ import annotations

import torch
from torch import nn

from .detection import Predictor
from .rasters import Images

__all__ = ["predictor"]


def predictor(network: nn.Module, device: torch.device) -> Predictor:
    """Runs a network of two classes on a device: in bfloat16 on CUDA, in float32 on the CPU."""
    network = network.to(device).to(memory_format=torch.channels_last).eval()

    def predict(images: Images) -> Images:
        batch = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(batch)
        probability: Images = logits.float().softmax(dim=1)[:, 1].cpu().numpy()
        return probability

    return predict
