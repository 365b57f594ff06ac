"""What travels into a training step and out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

__all__ = ["Batch", "Losses", "Trainer"]

Losses = dict[str, Tensor]
"""The weighted terms of one step by name; their sum is what is minimised."""


@dataclass(frozen=True)
class Batch:
    """Labelled and unlabelled images of one step.

    Attributes:
        images: `(B, C, H, W)` float32, normalised.
        labels: `(B, H, W)` int64: 0 background, 1 road, 255 unlabelled.
        valid: `(B, H, W)` bool: pixels of `images` that take part without their labels, too.
        unlabelled: `(B, C, H, W)` float32, normalised.
        unlabelled_valid: `(B, H, W)` bool: pixels of `unlabelled` that take part.
    """

    images: Tensor
    labels: Tensor
    valid: Tensor
    unlabelled: Tensor
    unlabelled_valid: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device, images in channels-last memory."""

        def move(images: Tensor) -> Tensor:
            return images.to(device, non_blocking=True, memory_format=torch.channels_last)

        return Batch(
            move(self.images),
            self.labels.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            move(self.unlabelled),
            self.unlabelled_valid.to(device, non_blocking=True),
        )


class Trainer(Protocol):
    """One way of training networks.

    Attributes:
        trained: the modules that the optimiser changes.
        networks: those of them that are worth testing and keeping, by name.
    """

    trained: nn.ModuleDict
    networks: dict[str, nn.Module]

    def losses(self, batch: Batch, progress: float) -> Losses:
        """The losses of one step; `progress` runs from 0 at the first step towards 1."""
        ...
