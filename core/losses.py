"""The losses of SSLKD (Ma, Karakuş and Rosin, IGARSS 2024) and of the methods compared with it: pure functions.

Every mean runs over all pixels of the batch that count, at full resolution, in float32. Where none counts, a loss
is zero and so are its gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .distributed import mean_over_processes
from .labels import IGNORE

__all__ = [
    "aggregate_logit_sum",
    "aggregate_prob_mean",
    "certainty",
    "channel_wise_loss",
    "consistency_loss",
    "cross_model_losses",
    "divergence_loss",
    "feature_loss",
    "normalised_feature_loss",
    "probability_loss",
    "pseudo_label",
    "squared_feature_loss",
    "supervised_loss",
]


def supervised_loss(logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the pixels that are labelled (equation 1).

    Args:
        logits: `(B, C, H, W)`.
        labels: `(B, H, W)` int64, a class or `IGNORE`.
        weight: `(B, H, W)`, factor on each pixel's cross-entropy; the mean still divides by the number of labelled
            pixels, so that less weight means a smaller loss.
    """
    error = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="none")
    if weight is not None:
        error = error * weight
    return _mean(error.sum(), (labels != IGNORE).sum())


def pseudo_label(scores: Tensor, valid: Tensor) -> Tensor:
    """The winning class of logits or probabilities `(B, C, H, W)`, detached; `IGNORE` where not `valid`.

    Args:
        scores: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.

    Returns:
        `(B, H, W)` int64.
    """
    return scores.detach().argmax(dim=1).masked_fill(~valid, IGNORE)


def certainty(probability: Tensor) -> Tensor:
    """How sure a prediction is: one less the entropy, which is normalised by that of equal probabilities; detached.

    Args:
        probability: `(B, C, H, W)`.

    Returns:
        `(B, H, W)` float32 from 0 (all classes alike) to 1 (one class for certain).
    """
    entropy: Tensor = torch.special.entr(probability.detach().float()).sum(dim=1)
    return (1 - entropy / math.log(probability.shape[1])).clamp(0, 1)


def cross_model_losses(
    logits: Sequence[Tensor], valid: Tensor, weights: Sequence[Tensor | None] | None = None
) -> list[Tensor]:
    """Each network's cross-entropy against the pseudo labels of every other one, divided by K - 1.

    With two networks: `CE(z1, argmax z2)` and `CE(z2, argmax z1)`; with more, n-CPS.

    Args:
        logits: of K networks on the same images, each `(B, C, H, W)`.
        valid: `(B, H, W)` bool, the pixels that take part.
        weights: of each network's pseudo labels `(B, H, W)`, such as their `certainty`; None for 1.

    Returns:
        K losses in the order of the networks; gradients reach each network from its own loss alone.
    """
    labels = [pseudo_label(scores, valid) for scores in logits]
    taught = list(zip(labels, weights or [None] * len(labels), strict=True))
    return [
        torch.stack([supervised_loss(scores, *other) for k, other in enumerate(taught) if k != own]).mean()
        for own, scores in enumerate(logits)
    ]


def aggregate_logit_sum(logits: Sequence[Tensor]) -> Tensor:
    """The teachers' common probability: softmax of the sum of their logits, each `(B, C, H, W)`."""
    return torch.stack([scores.float() for scores in logits]).sum(dim=0).softmax(dim=1)


def aggregate_prob_mean(logits: Sequence[Tensor]) -> Tensor:
    """The teachers' common probability: mean of the softmaxes of their logits, each `(B, C, H, W)`."""
    return torch.stack([scores.float().softmax(dim=1) for scores in logits]).mean(dim=0)


def feature_loss(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error between backbone features (equation 2).

    Args:
        student: `(B, C, h, w)`.
        teacher: `(B, C, h', w')`, averaged to the student's size where that is another.
        valid: `(B, H, W)` bool at the images' size; a feature counts by the share of its pixels that are valid.
    """
    return _weighted_mean((student.float() - _pooled(teacher, student)).abs(), _pooled(valid[:, None], student))


def normalised_feature_loss(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """As `feature_loss`, of features whose root mean square over the channels is 1 at each place.

    So it compares directions: features of any magnitude go together.
    """
    return feature_loss(_unit_scale(student.float()), _unit_scale(_pooled(teacher, student)), valid)


def squared_feature_loss(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """As `feature_loss`, with squared errors."""
    return _weighted_mean((student.float() - _pooled(teacher, student)).square(), _pooled(valid[:, None], student))


def probability_loss(logits: Tensor, teacher_probability: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error between the student's softmax and the teachers' probability.

    Args:
        logits: of the student, `(B, C, H, W)`.
        teacher_probability: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.
    """
    error = (logits.float().softmax(dim=1) - teacher_probability.float()).abs()
    return _weighted_mean(error, valid[:, None])


def consistency_loss(logits: Tensor, probability: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error between the softmax of `logits` and a probability (CCT, https://arxiv.org/abs/2003.09005).

    Args:
        logits: `(B, C, H, W)`.
        probability: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.
    """
    error = (logits.float().softmax(dim=1) - probability.float()).square()
    return _weighted_mean(error, valid[:, None])


def divergence_loss(logits: Tensor, teacher_probability: Tensor, valid: Tensor) -> Tensor:
    """Mean over the pixels of the Kullback-Leibler divergence of the student's softmax from the teacher's.

    Args:
        logits: of the student, `(B, C, H, W)`.
        teacher_probability: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.
    """
    logs = logits.float().log_softmax(dim=1)
    error = functional.kl_div(logs, teacher_probability.float(), reduction="none").sum(dim=1, keepdim=True)
    return _weighted_mean(error, valid[:, None])


def channel_wise_loss(
    student_logits: Tensor, teacher_logits: Tensor, valid: Tensor, temperature: float = 4.0
) -> Tensor:
    """Channel-wise distillation: where each class stands out (https://arxiv.org/abs/2011.13256).

    The logits of a class become a distribution over the valid pixels of an image; the loss is its Kullback-Leibler
    divergence from the teacher's, times the squared temperature, as a mean over classes and images.

    Args:
        student_logits: `(B, C, H, W)`.
        teacher_logits: `(B, C, H, W)`.
        valid: `(B, H, W)` bool.
        temperature: softens the distributions; above 0.
    """
    student, teacher = (_spatial_logs(logits, valid, temperature) for logits in (student_logits, teacher_logits))
    # (B, C, H * W): an image without a valid pixel has the same distribution twice.
    divergence = functional.kl_div(student, teacher, reduction="sum", log_target=True)
    images = valid.flatten(1).any(dim=1).sum()
    return _mean(divergence * temperature**2 / student_logits.shape[1], images)


def _spatial_logs(logits: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Logarithms of the softmax over the valid pixels `(B, C, H * W)`; elsewhere the probability is zero."""
    # Finite, since the difference of two infinities is no number.
    lowest = torch.finfo(torch.float32).min / 2
    scores = (logits.float() / temperature).masked_fill(~valid[:, None], lowest)
    return scores.flatten(2).log_softmax(dim=2)


def _pooled(tensor: Tensor, like: Tensor) -> Tensor:
    """`(B, C, H, W)` as float32, averaged to the size of `like`."""
    height, width = like.shape[-2:]
    return functional.adaptive_avg_pool2d(tensor.float(), (height, width))


def _unit_scale(feature: Tensor) -> Tensor:
    """Root mean square 1 over the channels `(B, C, h, w)`; a feature of zeros stays zero."""
    return feature * (feature.square().mean(dim=1, keepdim=True) + 1e-6).rsqrt()


def _weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Mean of `(B, C, H, W)` under weights `(B, 1, H, W)`."""
    return _mean((error * weight).sum(), weight.sum() * error.shape[1])


def _mean(total: Tensor, count: Tensor) -> Tensor:
    """`total / count`, and `total` where nothing counts, which is zero then; every mean of a loss divides here.

    Processes that train together divide by the mean of their counts: the mean of their losses, and of their
    gradients, is then that of one process with all their pixels.
    """
    count = mean_over_processes(count.float())
    return total / count.where(count > 0, 1)
