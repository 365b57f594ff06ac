"""The losses of SSLKD (Ma, Karakuş and Rosin, IGARSS 2024) and of cross-model supervision: pure functions.

Every mean runs over all pixels of the batch that count, at full resolution. Where none counts, a loss is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "IGNORE",
    "aggregate_logit_sum",
    "cross_model_losses",
    "feature_loss",
    "probability_loss",
    "pseudo_label",
    "supervised_loss",
]

IGNORE = 255
"""The label of a pixel that takes no part."""


def supervised_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels that are labelled (equation 1).

    Args:
        logits: `(B, C, H, W)`.
        labels: `(B, H, W)` int64, a class or `IGNORE`.
    """
    total = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)


def pseudo_label(scores: Tensor, valid: Tensor) -> Tensor:
    """The winning class of logits or probabilities `(B, C, H, W)`, detached; `IGNORE` where not `valid`.

    Args:
        scores: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.

    Returns:
        `(B, H, W)` int64.
    """
    return scores.detach().argmax(dim=1).masked_fill(~valid, IGNORE)


def cross_model_losses(logits: Sequence[Tensor], valid: Tensor) -> list[Tensor]:
    """Each network's cross-entropy against the pseudo labels of every other one, divided by K - 1.

    With two networks: `CE(z1, argmax z2)` and `CE(z2, argmax z1)`; with more, n-CPS.

    Args:
        logits: of K networks on the same images, each `(B, C, H, W)`.
        valid: `(B, H, W)` bool, the pixels that take part.

    Returns:
        K losses in the order of the networks; gradients reach each network from its own loss alone.
    """
    labels = [pseudo_label(scores, valid) for scores in logits]
    return [
        torch.stack([supervised_loss(scores, other) for k, other in enumerate(labels) if k != own]).mean()
        for own, scores in enumerate(logits)
    ]


def aggregate_logit_sum(logits: Sequence[Tensor]) -> Tensor:
    """The teachers' common probability: softmax of the sum of their logits, each `(B, C, H, W)`."""
    return torch.stack([scores.float() for scores in logits]).sum(dim=0).softmax(dim=1)


def feature_loss(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error between backbone features (equation 2).

    Args:
        student: `(B, C, h, w)`.
        teacher: `(B, C, h, w)`.
        valid: `(B, H, W)` bool at the images' size; a feature counts by the share of its pixels that are valid.
    """
    height, width = student.shape[-2:]
    weight = functional.adaptive_avg_pool2d(valid[:, None].float(), (height, width))
    return _weighted_mean((student.float() - teacher.float()).abs(), weight)


def probability_loss(logits: Tensor, teacher_probability: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error between the student's softmax and the teachers' probability.

    Args:
        logits: of the student, `(B, C, H, W)`.
        teacher_probability: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.
    """
    error = (logits.float().softmax(dim=1) - teacher_probability.float()).abs()
    return _weighted_mean(error, valid[:, None].float())


def _weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Mean of `(B, C, H, W)` under weights `(B, 1, H, W)`."""
    total = (error * weight).sum()
    return total / (weight.sum() * error.shape[1]).clamp(min=torch.finfo(error.dtype).tiny)
