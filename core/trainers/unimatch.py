"""UniMatch (https://arxiv.org/abs/2208.09910), a method to compare with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..losses import pseudo_label, supervised_loss
from ..models.networks import Encoded, decode, encode, predict
from ..views import cut_boxes, cut_mix, strong_view
from .batch import Batch, Losses

__all__ = ["UniMatchTrainer"]

_DROPPED = 0.5


class UniMatchTrainer:
    """The confident labels of a weak view teach two strong views and one whose features were perturbed.

    The total is (L_x + (L_s1 + L_s2) / 4 + L_fp / 2) / 2, as the authors have it.

    Args:
        student: the network to train.
        confidence: probability from which on a pseudo label counts, from 0 to 1.
    """

    def __init__(self, student: nn.Module, confidence: float = 0.95) -> None:
        self._student = student
        self._confidence = confidence
        self.networks = {"student": student}
        self.trained = nn.ModuleDict({"student": student})

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_x and the terms of the two strong views and of the perturbed features."""
        # Labelled and weak images go together, intact and perturbed, as they share batch-norm statistics so.
        encoded = _with_perturbed(encode(self._student, torch.cat([batch.images, batch.unlabelled])))
        intact, perturbed = decode(self._student, encoded).logits.chunk(2)
        first = len(batch.images)  # of the unlabelled images
        probability, valid = intact[first:].detach().float().softmax(dim=1), batch.unlabelled_valid
        boxes = [cut_boxes(batch.unlabelled, multiple=1) for _ in range(2)]
        views = [cut_mix(strong_view(batch.unlabelled), each) for each in boxes]
        strong = predict(self._student, torch.cat(views)).logits.chunk(2)
        losses = {"supervised": supervised_loss(intact[:first], batch.labels) / 2}
        for number, (logits, each) in enumerate(zip(strong, boxes, strict=True), start=1):
            taught = self._confident_loss(logits, cut_mix(probability, each), cut_mix(valid, each))
            losses[f"strong {number}"] = taught / 8
        losses["perturbed"] = self._confident_loss(perturbed[first:], probability, valid) / 4
        return losses

    def _confident_loss(self, logits: Tensor, probability: Tensor, valid: Tensor) -> Tensor:
        """Cross-entropy of the confident pixels, as a share of all the valid ones."""
        confident = probability.amax(dim=1) >= self._confidence
        return supervised_loss(logits, pseudo_label(probability, valid), confident)


def _with_perturbed(encoded: Encoded) -> Encoded:
    """What was encoded, followed by the same with half of the channels dropped."""
    features = [torch.cat([feature, functional.dropout2d(feature, _DROPPED)]) for feature in encoded.features]
    return Encoded(features, encoded.size, [torch.cat([indices, indices]) for indices in encoded.indices])
