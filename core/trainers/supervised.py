"""Supervised training: labelled images alone (equation 1)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ..losses import supervised_loss
from .batch import Batch, Losses

__all__ = ["SupervisedTrainer"]


class SupervisedTrainer:
    """Trains each network on the labels, on its own.

    Args:
        networks: by name.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self.networks = dict(networks)
        self.trained = nn.ModuleDict(self.networks)

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_sup of every network."""
        return {
            f"supervised {name}": supervised_loss(network(batch.images), batch.labels)
            for name, network in self.networks.items()
        }
