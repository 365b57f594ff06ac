"""UniMatch: the student agrees, where it is confident, with itself on strong views."""

from __future__ import annotations

from ...core.trainers import UniMatchTrainer
from ..fit import Run, Stage
from .method import ALL, Trained, fit_all

__all__ = ["train_unimatch"]


def train_unimatch(run: Run) -> Trained:
    """The student alone."""
    student = run.build(run.settings.student, 0)
    stage = Stage("unimatch", 2, "UniMatch", *ALL)
    return fit_all(run, UniMatchTrainer(student), "student", run.settings.student, stage)
