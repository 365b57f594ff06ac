"""What a student may learn from a teacher whose structure differs; each term is thrown away after training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..losses import channel_wise_loss, divergence_loss, squared_feature_loss
from ..models.networks import Prediction, probe

__all__ = ["STRUCTURAL", "ChannelWise", "LogitHeads", "MaskedGeneration", "Structural", "StructuralTerm"]

Structural = Literal["none", "logit_heads", "channel_wise", "mgd"]


class StructuralTerm(nn.Module):
    """A loss of the student against something of the teacher's prediction.

    Args:
        student: the network that learns.
        teacher: the network that it learns from.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()

    @abstractmethod
    def target(self, teacher: Prediction) -> Tensor:
        """What is learned from the teacher's prediction `(B, C, h, w)`."""

    @abstractmethod
    def forward(self, student: Prediction, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of the student's prediction against a target, over the pixels `valid` `(B, H, W)`."""


class LogitHeads(StructuralTerm):
    """A 1x1 classifier on each encoder stage of the student from stride 4 on, against the teacher's probability.

    The loss is the mean over the stages of the divergence from the teacher's softmax.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__(student, teacher)
        logits, features, _ = probe(student)
        channels = [feature.shape[1] if _stride(feature, logits) >= 4 else 0 for feature in features]
        self._stages = [stage for stage, count in enumerate(channels) if count]
        self.heads = nn.ModuleList(nn.Conv2d(channels[stage], logits.shape[1], 1) for stage in self._stages)

    def target(self, teacher: Prediction) -> Tensor:
        """The teacher's softmax `(B, C, H, W)`."""
        return teacher.logits.float().softmax(dim=1)

    def forward(self, student: Prediction, target: Tensor, valid: Tensor) -> Tensor:
        """Mean over the heads of the divergence at full resolution."""
        losses = []
        for stage, head in zip(self._stages, self.heads, strict=True):
            logits = functional.interpolate(head(student.features[stage]).float(), valid.shape[-2:], mode="bilinear")
            losses.append(divergence_loss(logits, target, valid))
        return torch.stack(losses).mean()


class ChannelWise(StructuralTerm):
    """Channel-wise distillation of the logits (https://arxiv.org/abs/2011.13256)."""

    def target(self, teacher: Prediction) -> Tensor:
        """The teacher's logits `(B, C, H, W)`."""
        return teacher.logits

    def forward(self, student: Prediction, target: Tensor, valid: Tensor) -> Tensor:
        """The channel-wise loss at a temperature of 4."""
        return channel_wise_loss(student.logits, target, valid)


class MaskedGeneration(StructuralTerm):
    """Masked generative distillation of the last decoder feature (MGD, https://arxiv.org/abs/2205.01529).

    From half of the student's places, drawn at random, the teacher's whole feature is to be generated.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__(student, teacher)
        logits, _, decoded = probe(student)
        channels = probe(teacher).decoded.shape[1]
        self._stride = _stride(decoded, logits)
        self.align = nn.Conv2d(decoded.shape[1], channels, 1)
        self.generation = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def target(self, teacher: Prediction) -> Tensor:
        """The teacher's decoded feature at the size of the student's, each channel with mean 0 and variance 1."""
        height, width = (side // self._stride for side in teacher.logits.shape[-2:])
        pooled = functional.adaptive_avg_pool2d(teacher.decoded.float(), (height, width))
        return functional.batch_norm(pooled, None, None, training=True)

    def forward(self, student: Prediction, target: Tensor, valid: Tensor) -> Tensor:
        """Mean squared error of what is generated."""
        feature = self.align(student.decoded)
        kept = torch.rand_like(feature[:, :1], dtype=torch.float32) < 0.5
        return squared_feature_loss(self.generation(feature * kept), target, valid)


STRUCTURAL: dict[str, type[StructuralTerm]] = {
    "logit_heads": LogitHeads,
    "channel_wise": ChannelWise,
    "mgd": MaskedGeneration,
}


def _stride(feature: Tensor, logits: Tensor) -> int:
    return logits.shape[-1] // feature.shape[-1]
