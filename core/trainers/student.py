"""Step 2 of SSLKD: the student learns from labels and from the frozen teachers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..losses import aggregate_logit_sum, feature_loss, probability_loss, pseudo_label, supervised_loss
from ..networks import Prediction, feature_channels, predict
from .batch import Batch, Losses

__all__ = ["StudentTrainer"]


class StudentTrainer:
    """L_tot = L_sup + L_dis_f + L_dis_p + L_unsup after a supervised start.

    Args:
        student: the network to train.
        teachers: by name; they are frozen here. The first gives the feature of L_dis_f.
        warm_up: share of the training that is supervised alone, from 0 to 1.
    """

    def __init__(self, student: nn.Module, teachers: Mapping[str, nn.Module], warm_up: float = 0.1) -> None:
        self._student = student
        self._teachers = [_frozen(teacher) for teacher in teachers.values()]
        self._warm_up = warm_up
        self._projector = _projector(student, self._teachers[0])
        self.networks = {"student": student}
        self.trained = nn.ModuleDict({"student": student, "projector": self._projector})

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_sup alone during the warm-up, then all four terms, each with weight 1."""
        labelled = predict(self._student, batch.images)
        losses = {"supervised": supervised_loss(labelled.logits, batch.labels)}
        if progress < self._warm_up:
            return losses
        unlabelled = predict(self._student, batch.unlabelled)
        taught_labelled, _ = self._distil(labelled, batch.images, batch.valid)
        taught_unlabelled, probability = self._distil(unlabelled, batch.unlabelled, batch.unlabelled_valid)
        # The mean over both halves of the step, which are of one size.
        losses |= {name: (taught_labelled[name] + taught_unlabelled[name]) / 2 for name in taught_labelled}
        labels = pseudo_label(probability, batch.unlabelled_valid)
        losses["pseudo label"] = supervised_loss(unlabelled.logits, labels)
        return losses

    def _distil(self, student: Prediction, images: Tensor, valid: Tensor) -> tuple[Losses, Tensor]:
        """L_dis_f and L_dis_p on `images`, and the teachers' aggregated probability `(B, C, H, W)`."""
        with torch.no_grad():
            teachers = [predict(teacher, images) for teacher in self._teachers]
            probability = aggregate_logit_sum([teacher.logits for teacher in teachers])
        feature = self._projector(student.features[-1])
        losses = {
            "feature": feature_loss(feature, teachers[0].features[-1], valid),
            "probability": probability_loss(student.logits, probability, valid),
        }
        return losses, probability


def _frozen(teacher: nn.Module) -> nn.Module:
    teacher.eval()
    return teacher.requires_grad_(False)


def _projector(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """A 1x1 convolution to the teacher's channels where they differ; it is thrown away after training."""
    ours, theirs = feature_channels(student), feature_channels(teacher)
    return nn.Identity() if ours == theirs else nn.Conv2d(ours, theirs, kernel_size=1)
