"""Step 1 of SSLKD: teachers learn from labels, then from each other's pseudo labels."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ..losses import cross_model_losses
from .batch import Batch, Losses
from .supervised import SupervisedTrainer

__all__ = ["TeachersTrainer"]


class TeachersTrainer:
    """Cross-model supervision between two or more networks.

    Args:
        teachers: by name, at least two.
        warm_up: share of the training that is supervised alone, from 0 to 1.
        cross_weight: weight of each cross-model loss.
    """

    def __init__(self, teachers: Mapping[str, nn.Module], warm_up: float = 0.1, cross_weight: float = 1.0) -> None:
        self._supervised = SupervisedTrainer(teachers)
        self.networks = self._supervised.networks
        self.trained = self._supervised.trained
        self._warm_up = warm_up
        self._cross_weight = cross_weight

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_sup of every teacher and, after the warm-up, its loss against the other ones' pseudo labels."""
        losses = self._supervised.losses(batch, progress)
        if progress >= self._warm_up:
            logits = [network(batch.unlabelled) for network in self.networks.values()]
            cross = cross_model_losses(logits, batch.unlabelled_valid)
            losses |= {
                f"cross {name}": self._cross_weight * loss for name, loss in zip(self.networks, cross, strict=True)
            }
        return losses
