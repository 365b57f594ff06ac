"""Supervised training of one network, on the labels alone."""

from __future__ import annotations

from collections.abc import Callable

from ...core.trainers import SupervisedTrainer
from ..fit import Run, Stage
from .method import ALL, Trained, fit_all

__all__ = ["train_student", "train_teacher"]


def train_student(run: Run) -> Trained:
    """The student's network."""
    student = run.build(run.settings.student, 0)
    stage = Stage("supervised", 2, "supervised training", *ALL)
    return fit_all(run, SupervisedTrainer({"student": student}), "student", run.settings.student, stage)


def train_teacher(index: int) -> Callable[[Run], Trained]:
    """The network of a teacher, counted from 0."""

    def train(run: Run) -> Trained:
        spec, name = run.settings.teachers[index], f"teacher {index + 1}"
        stage = Stage(f"supervised-t{index + 1}", 1, f"supervised training of {name}", *ALL)
        return fit_all(run, SupervisedTrainer({name: run.build(spec, index + 1)}), name, spec, stage)

    return train
