"""The settings of a training run, and the presets that users choose from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ..core.errors import SettingError
from ..core.models.network_spec import NetworkSpec
from ..core.models.networks import Weights
from ..core.trainers import CrossSupervision, Distillation
from ..core.windows import LARGEST_TILE, TILE_MULTIPLE

__all__ = ["FINEST_GSD", "PRESETS", "TrainingSettings"]

_LARGEST_RATE = 10.0  # nothing is learned beyond


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        teachers: two or more networks; the first gives the feature that the student imitates.
        student: the network that is kept.
        steps: optimiser steps of each of the two steps of the method.
        batch: labelled windows a step, and as many unlabelled ones; at least 2, for batch norm.
        tile: side of a window in pixels; a multiple of 32.
        learning_rate: at the start.
        optimiser: `sgd` (momentum 0.9, weight decay 1e-4) or `adamw` (weight decay 1e-2).
        schedule: `poly` (power 0.9, down to 1e-6) or `cosine` (down to 0).
        augment: whether windows are flipped and turned by right angles.
        cross: how the teachers learn from each other, and networks in the other methods of that kind.
        distillation: how the student learns from the teachers.
        average: decay of the running average of the weights that is kept in place of the weights; 0 for none.
        batch_norm_momentum: in the encoders.
        validations: how often each step of the method is validated.
        keep: `best` keeps each network as it was when it validated best; `last` as it is at the end, which is
            safer where the held-out area is small and the learning rate falls to 0.
        weights: what the encoders start from: `none` for random numbers, or `imagenet`.
        seed: of everything that is random.

    Raises:
        SettingError: if a number lies outside of its range.
    """

    teachers: tuple[NetworkSpec, ...]
    student: NetworkSpec
    steps: int
    batch: int
    tile: int
    learning_rate: float
    optimiser: Literal["sgd", "adamw"]
    schedule: Literal["poly", "cosine"]
    augment: bool
    cross: CrossSupervision = field(default_factory=CrossSupervision)
    distillation: Distillation = field(default_factory=Distillation)
    average: float = 0.0
    batch_norm_momentum: float = 0.1
    validations: int = 20
    keep: Literal["best", "last"] = "best"
    weights: Weights = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingError(f"The steps must be at least 1, got {self.steps}.")
        if self.batch < 2:
            raise SettingError(f"The batch must be at least 2, which batch norm needs, got {self.batch}.")
        if not 2 * TILE_MULTIPLE <= self.tile <= LARGEST_TILE or self.tile % TILE_MULTIPLE:
            raise SettingError(
                f"The tile must be a multiple of {TILE_MULTIPLE} pixels from {2 * TILE_MULTIPLE} to {LARGEST_TILE}, "
                f"got {self.tile}."
            )
        if not 0 < self.learning_rate <= _LARGEST_RATE:
            raise SettingError(
                f"The learning rate must be above 0 and at most {_LARGEST_RATE:g}, got {self.learning_rate:g}."
            )
        if not 0 <= self.average < 1:
            raise SettingError(f"The decay of the average must be at least 0 and below 1, got {self.average}.")
        if not 0 < self.batch_norm_momentum <= 1:
            raise SettingError(
                f"The momentum of batch norms must be above 0 and at most 1, got {self.batch_norm_momentum}."
            )
        if self.validations < 1:
            raise SettingError(f"The validations must be at least 1, got {self.validations}.")
        if len(self.teachers) < 2:
            raise SettingError(f"Cross-model supervision takes at least 2 teachers, got {len(self.teachers)}.")
        if not 0 <= self.seed < 2**32:
            raise SettingError(f"The seed must be from 0 to {2**32 - 1}, got {self.seed}.")

    def of_teachers(self) -> TrainingSettings:
        """The settings of step 1, alike whatever the student is and learns: its results can then be shared."""
        return replace(self, student=self.teachers[0], distillation=Distillation(), average=0.0)


_PAPER_TEACHERS = (NetworkSpec("deeplabv3plus", "resnet101"), NetworkSpec("segnet", "vgg16"))
_PAPER_STUDENT = NetworkSpec("deeplabv3plus", "resnet50")

PRESETS = {
    # The paper to the letter.
    "paper": TrainingSettings(
        teachers=_PAPER_TEACHERS,
        student=_PAPER_STUDENT,
        steps=15_000,
        batch=5,
        tile=512,
        learning_rate=0.01,
        optimiser="sgd",
        schedule="poly",
        augment=False,
        batch_norm_momentum=0.01,
    ),
    # The paper's networks within an hour or two on a GPU.
    "balanced": TrainingSettings(
        teachers=_PAPER_TEACHERS,
        student=_PAPER_STUDENT,
        steps=5_000,
        batch=6,
        tile=384,
        learning_rate=3e-4,
        optimiser="adamw",
        schedule="cosine",
        augment=True,
        keep="last",
    ),
    # Small networks, minutes on a laptop without a GPU.
    "quick": TrainingSettings(
        teachers=(
            NetworkSpec("deeplabv3plus", "resnet18"),
            # Not VGG-11: its single convolution before the first pooling, and none after the last unpooling, leave a
            # slim SegNet at "nothing is road" for hundreds of steps.
            NetworkSpec("segnet", "vgg13", width=0.25),
        ),
        student=NetworkSpec("deeplabv3plus", "resnet18"),
        steps=400,
        batch=6,
        tile=160,
        learning_rate=1e-3,
        optimiser="adamw",
        schedule="cosine",
        augment=True,
        # In so few steps the teachers know little at first: early pseudo labels would teach that nothing is road.
        cross=CrossSupervision(warm_up=0.5),
        validations=4,
        keep="last",
    ),
}

FINEST_GSD = {"paper": 0.0, "balanced": 0.0, "quick": 0.6}
"""Pixel size in metres that a preset learns at where the imagery is finer and no other is asked for.

So short a training learns more from much ground than from fine pixels.
"""
