"""SSLKD: the teachers learn from each other, then the student from the frozen teachers."""

from __future__ import annotations

from dataclasses import replace

from ...core.trainers import StudentTrainer
from ..fit import Run, Stage
from ..presets import TrainingSettings
from .cross_model import train_teachers
from .method import Trained

__all__ = ["settings_of_structural", "train_sslkd"]

_STUDENT = Stage("student", 2, "step 2 of 2 (student)", 0.5, 1.0)


def train_sslkd(run: Run) -> Trained:
    """Step 1, then step 2."""
    # First, as its ImageNet weights may not be there.
    student = run.build(run.settings.student, 0)
    taught = train_teachers(run, "step 1 of 2 (teachers)", (0.0, 0.5))
    trainer = StudentTrainer(student, taught.networks, run.settings.distillation)
    history = run.fit(trainer, _STUDENT)
    return Trained(
        kept="student",
        spec=run.for_bands(run.settings.student),
        networks={**taught.networks, "student": student},
        histories={**taught.histories, _STUDENT: history},
    )


def settings_of_structural(settings: TrainingSettings) -> TrainingSettings:
    """What the last teacher, whose structure differs, knows beyond probabilities is learned, too.

    By class-logit heads unless the settings name another way: of the three they did best on the validation tiles of
    docs/results/epfl-quick.
    """
    if settings.distillation.structural != "none":
        return settings
    return replace(settings, distillation=replace(settings.distillation, structural="logit_heads"))
