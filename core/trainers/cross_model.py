"""Cross-model supervision: networks learn from labels, then from each other's pseudo labels.

Step 1 of SSLKD; also cross pseudo supervision (CPS, https://arxiv.org/abs/2106.01226) and a student with another
network as its peer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..losses import certainty as certainty_of
from ..losses import cross_model_losses, supervised_loss
from .batch import Batch, Losses
from .checks import check_share, check_weight

__all__ = ["CrossImages", "CrossModelTrainer", "CrossSupervision"]

CrossImages = Literal["unlabelled", "all"]
"""Which images the networks label for each other."""


@dataclass(frozen=True)
class CrossSupervision:
    """How networks learn from each other's pseudo labels; as it stands, the paper's way.

    Attributes:
        warm_up: share of the training that is supervised alone, from 0 to 1.
        weight: of each loss against pseudo labels.
        images: that the networks label for each other; `all` counts the pixels of labelled and unlabelled images
            as one set.
        certainty: whether a pseudo label weighs by how sure the network is that gives it (CGSSL).

    Raises:
        SettingError: if a number is out of range.
    """

    warm_up: float = 0.1
    weight: float = 1.0
    images: CrossImages = "unlabelled"
    certainty: bool = False

    def __post_init__(self) -> None:
        check_share("supervised start of cross-model supervision", self.warm_up)
        check_weight("weight of cross-model supervision", self.weight)


class CrossModelTrainer:
    """Cross-model supervision between two or more networks.

    Args:
        networks: by name, at least two.
        cross: how they learn from each other.

    Raises:
        SettingError: if there are fewer than two networks.
    """

    def __init__(self, networks: Mapping[str, nn.Module], cross: CrossSupervision | None = None) -> None:
        if len(networks) < 2:
            raise SettingError(f"Cross-model supervision takes two or more networks, got {len(networks)}.")
        self.networks = dict(networks)
        self.trained = nn.ModuleDict(self.networks)
        self._cross = cross or CrossSupervision()

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_sup of every network and, after the warm-up, its loss against the other ones' pseudo labels."""
        labelled = [network(batch.images) for network in self.networks.values()]
        losses = {
            f"supervised {name}": supervised_loss(logits, batch.labels)
            for name, logits in zip(self.networks, labelled, strict=True)
        }
        if progress < self._cross.warm_up:
            return losses
        logits, valid = self._exchanged(batch, labelled)
        weights = [certainty_of(scores.float().softmax(dim=1)) for scores in logits] if self._cross.certainty else None
        cross = cross_model_losses(logits, valid, weights)
        return losses | {
            f"cross {name}": self._cross.weight * loss for name, loss in zip(self.networks, cross, strict=True)
        }

    def _exchanged(self, batch: Batch, labelled: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Each network's logits on the images that are labelled for each other, and which pixels take part."""
        unlabelled = [network(batch.unlabelled) for network in self.networks.values()]
        if self._cross.images == "unlabelled":
            return unlabelled, batch.unlabelled_valid
        logits = [torch.cat(halves) for halves in zip(labelled, unlabelled, strict=True)]
        return logits, torch.cat([batch.valid, batch.unlabelled_valid])
