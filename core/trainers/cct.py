"""Cross-consistency training (CCT, https://arxiv.org/abs/2003.09005), a method to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..losses import consistency_loss, supervised_loss
from ..models.networks import Prediction, decode, encode, predict, probe
from .batch import Batch, Losses
from .perturbations import (
    adversarial,
    context_mask,
    cut_out,
    feature_drop,
    feature_noise,
    object_mask,
    spatial_dropout,
)

__all__ = ["CctTrainer"]

_WEIGHT = 30.0
_RAMP_UP = 0.1  # share of the training

# Each takes the feature, where the main decoder sees objects, and the auxiliary decoder.
_PERTURBATIONS: dict[str, Callable[[Tensor, Tensor, nn.Module], Tensor]] = {
    "drop-out": lambda feature, objects, decoder: spatial_dropout(feature),
    "feature drop": lambda feature, objects, decoder: feature_drop(feature),
    "feature noise": lambda feature, objects, decoder: feature_noise(feature),
    "cut-out": lambda feature, objects, decoder: cut_out(feature, objects),
    "context mask": lambda feature, objects, decoder: context_mask(feature, objects),
    "object mask": lambda feature, objects, decoder: object_mask(feature, objects),
    "adversarial": lambda feature, objects, decoder: adversarial(feature, decoder),
}


class CctTrainer:
    """Auxiliary decoders are to predict from perturbed features what the main decoder does from the intact one.

    They train the encoder and themselves on the unlabelled images, never the main decoder, and are thrown away.

    Args:
        student: the network to train.
    """

    def __init__(self, student: nn.Module) -> None:
        self._student = student
        blank = probe(student)
        self._decoders = nn.ModuleDict({name: _auxiliary_decoder(blank) for name in _PERTURBATIONS})
        self.networks = {"student": student}
        self.trained = nn.ModuleDict({"student": student, "auxiliary": self._decoders})

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_sup and the consistency loss as a mean over the auxiliary decoders."""
        supervised = supervised_loss(predict(self._student, batch.images).logits, batch.labels)
        encoded = encode(self._student, batch.unlabelled)
        main = decode(self._student, encoded).logits.detach()
        probability, objects = main.float().softmax(dim=1), main.argmax(dim=1) > 0
        consistency = []
        for name, decoder in self._decoders.items():
            perturbed = _PERTURBATIONS[name](encoded.features[-1], objects, decoder)
            logits = functional.interpolate(decoder(perturbed).float(), main.shape[-2:], mode="bilinear")
            consistency.append(consistency_loss(logits, probability, batch.unlabelled_valid))
        weighted = _weight_at(progress) * torch.stack(consistency).mean()
        return {"supervised": supervised, "consistency": weighted}


def _weight_at(progress: float) -> float:
    """Of the consistency loss: it grows as exp(-5 (1 - t)^2) while it is ramped up."""
    ramped = min(1.0, progress / _RAMP_UP)
    return _WEIGHT * math.exp(-5 * (1 - ramped) ** 2)


def _auxiliary_decoder(student: Prediction) -> nn.Sequential:
    """A 1x1 convolution from the deepest feature to the classes, then doublings up to about the images' size."""
    deepest, classes = student.features[-1], student.logits.shape[1]
    doublings = round(math.log2(student.logits.shape[-1] / deepest.shape[-1]))
    first = nn.Conv2d(deepest.shape[1], classes, kernel_size=1, bias=False)
    nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
    return nn.Sequential(first, *(_doubling(classes) for _ in range(doublings)))


def _doubling(channels: int) -> nn.Sequential:
    """Sub-pixel convolution (https://arxiv.org/abs/1609.05158) whose four pixels start alike, against checkerboards."""
    convolution = nn.Conv2d(channels, 4 * channels, kernel_size=1)
    weight = nn.init.kaiming_normal_(torch.empty(channels, channels, 1, 1))
    convolution.weight = nn.Parameter(weight.repeat_interleave(4, dim=0))
    return nn.Sequential(convolution, nn.ReLU(inplace=True), nn.PixelShuffle(2))
