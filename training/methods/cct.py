"""Cross-consistency training: the student agrees with itself on perturbed features."""

from __future__ import annotations

from ...core.trainers import CctTrainer
from ..fit import Run, Stage
from .method import ALL, Trained, fit_all

__all__ = ["train_cct"]


def train_cct(run: Run) -> Trained:
    """The student with auxiliary decoders, which are thrown away."""
    student = run.build(run.settings.student, 0)
    stage = Stage("cct", 2, "cross-consistency training", *ALL)
    return fit_all(run, CctTrainer(student), "student", run.settings.student, stage)
