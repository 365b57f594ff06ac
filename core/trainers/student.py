"""Step 2 of SSLKD: the student learns from labels and from the frozen teachers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..distributed import mean_over_processes
from ..losses import (
    aggregate_logit_sum,
    aggregate_prob_mean,
    certainty,
    feature_loss,
    normalised_feature_loss,
    probability_loss,
    pseudo_label,
    supervised_loss,
)
from ..models.networks import Prediction, feature_channels, predict
from ..views import cut_boxes, cut_mix, strong_view
from .batch import Batch, Losses
from .checks import check_share
from .structural import STRUCTURAL, Structural

__all__ = ["Aggregation", "Distillation", "DistilledImages", "FeatureTerm", "StudentTrainer", "Views"]

FeatureTerm = Literal["l1", "normalised", "projector", "none"]
Aggregation = Literal["logit_sum", "prob_mean"]
Views = Literal["same", "strong"]
DistilledImages = Literal["all", "unlabelled"]

_AGGREGATES = {"logit_sum": aggregate_logit_sum, "prob_mean": aggregate_prob_mean}


@dataclass(frozen=True)
class Distillation:
    """How the student learns from its teachers; as it stands, the paper's way.

    Attributes:
        warm_up: share of the training that is supervised alone, from 0 to 1.
        feature: L_dis_f on features as they are (`l1`), `normalised` ones, or always through a `projector`; with the
            first two there is a projector only where the channels differ. `none` leaves the term out.
        aggregation: softmax of the sum of the teachers' logits, or mean of their softmaxes.
        certainty: whether a pseudo label weighs by how sure the teachers are.
        views: the student sees the unlabelled pixels that the teachers see (`same`), or a `strong` view of them.
        structural: what the student learns of the last teacher's structure besides.
        images: that L_dis_f, L_dis_p and the structural term count on.

    Raises:
        SettingError: if the share is out of range.
    """

    warm_up: float = 0.1
    feature: FeatureTerm = "l1"
    aggregation: Aggregation = "logit_sum"
    certainty: bool = False
    views: Views = "same"
    structural: Structural = "none"
    images: DistilledImages = "all"

    def __post_init__(self) -> None:
        check_share("student's supervised start", self.warm_up)


class StudentTrainer:
    """L_tot = L_sup + L_dis_f + L_dis_p + L_unsup after a supervised start, and a structural term if one is chosen.

    Args:
        student: the network to train.
        teachers: by name; they are frozen here. The first gives the feature of L_dis_f, the last the structure.
        distillation: how the student learns from them.
    """

    def __init__(
        self, student: nn.Module, teachers: Mapping[str, nn.Module], distillation: Distillation | None = None
    ) -> None:
        self._student = student
        self._teachers = [_frozen(teacher) for teacher in teachers.values()]
        self._distillation = distillation or Distillation()
        self.networks = {"student": student}
        self.trained = nn.ModuleDict({"student": student})
        self._projector = _projector(student, self._teachers[0], self._distillation.feature)
        self.trained["projector"] = self._projector
        self._structural = None
        if self._distillation.structural != "none":
            self._structural = STRUCTURAL[self._distillation.structural](student, self._teachers[-1])
            self.trained["structural"] = self._structural

    def losses(self, batch: Batch, progress: float) -> Losses:
        """L_sup alone during the warm-up, then all the terms, each with weight 1."""
        labelled = predict(self._student, batch.images)
        losses = {"supervised": supervised_loss(labelled.logits, batch.labels)}
        if progress < self._distillation.warm_up:
            return losses
        images, lesson = self._view(batch.unlabelled, self._lesson(batch.unlabelled, batch.unlabelled_valid))
        unlabelled = predict(self._student, images)
        distilled = self._distil(unlabelled, lesson)
        if self._distillation.images == "all":
            also = self._distil(labelled, self._lesson(batch.images, batch.valid))
            distilled = _merged(also, distilled, batch.valid.sum(), batch.unlabelled_valid.sum())
        return losses | distilled | {"pseudo label": self._pseudo_label_loss(unlabelled, lesson)}

    @torch.no_grad()
    def _lesson(self, images: Tensor, valid: Tensor) -> _Lesson:
        """What the teachers say of images."""
        predictions = [predict(teacher, images) for teacher in self._teachers]
        return _Lesson(
            valid=valid,
            probability=_AGGREGATES[self._distillation.aggregation]([each.logits for each in predictions]),
            feature=predictions[0].features[-1],
            structure=None if self._structural is None else self._structural.target(predictions[-1]),
        )

    def _view(self, images: Tensor, lesson: _Lesson) -> tuple[Tensor, _Lesson]:
        """What the student sees of images, and what the teachers say of that."""
        if self._distillation.views == "same":
            return images, lesson
        boxes = cut_boxes(images, multiple=images.shape[-2] // lesson.feature.shape[-2])
        return cut_mix(strong_view(images), boxes), lesson.mixed(boxes)

    def _distil(self, student: Prediction, lesson: _Lesson) -> Losses:
        """L_dis_f, L_dis_p and the structural term."""
        losses = {}
        if self._distillation.feature != "none":
            compare = normalised_feature_loss if self._distillation.feature == "normalised" else feature_loss
            losses["feature"] = compare(self._projector(student.features[-1]), lesson.feature, lesson.valid)
        losses["probability"] = probability_loss(student.logits, lesson.probability, lesson.valid)
        if self._structural is not None:
            losses["structural"] = self._structural(student, lesson.structure, lesson.valid)
        return losses

    def _pseudo_label_loss(self, student: Prediction, lesson: _Lesson) -> Tensor:
        """L_unsup."""
        weight = certainty(lesson.probability) if self._distillation.certainty else None
        return supervised_loss(student.logits, pseudo_label(lesson.probability, lesson.valid), weight)


@dataclass(frozen=True)
class _Lesson:
    """What the frozen teachers say of images.

    Attributes:
        valid: `(B, H, W)` bool, the pixels that it is about.
        probability: of all the teachers `(B, C, H, W)`.
        feature: deepest one of the first teacher `(B, C', h, w)`.
        structure: target of the structural term, from the last teacher `(B, C'', h', w')`; None without the term.
    """

    valid: Tensor
    probability: Tensor
    feature: Tensor
    structure: Tensor | None

    def mixed(self, boxes: Tensor) -> _Lesson:
        """The lesson of images that were mixed by the same boxes."""
        return _Lesson(
            valid=cut_mix(self.valid, boxes),
            probability=cut_mix(self.probability, boxes),
            feature=cut_mix(self.feature, boxes),
            structure=None if self.structure is None else cut_mix(self.structure, boxes),
        )


def _merged(first: Losses, second: Losses, first_count: Tensor, second_count: Tensor) -> Losses:
    """Mean losses over two sets of pixels as those over both of them."""
    counts = mean_over_processes(torch.stack([first_count, second_count]).float())
    share = counts[0] / counts.sum().clamp(min=1)
    return {name: share * first[name] + (1 - share) * second[name] for name in first}


def _frozen(teacher: nn.Module) -> nn.Module:
    teacher.eval()
    return teacher.requires_grad_(False)


def _projector(student: nn.Module, teacher: nn.Module, feature: FeatureTerm) -> nn.Module:
    """A 1x1 convolution to the teacher's channels where there has to be one; it is thrown away after training."""
    ours, theirs = feature_channels(student), feature_channels(teacher)
    needed = feature == "projector" or (feature != "none" and ours != theirs)
    return nn.Conv2d(ours, theirs, kernel_size=1) if needed else nn.Identity()
