"""Training of one network on its own: on the labels alone, or as one that agrees with itself on further imagery."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ...core.trainers import SupervisedTrainer, Trainer
from ..fit import Run, Stage
from .method import ALL, Trained, fit_all

__all__ = ["supervised_student", "train_student", "train_teacher"]


def train_student(kind: Callable[[nn.Module], Trainer], name: str, text: str) -> Callable[[Run], Trained]:
    """The student's network by a kind of trainer, in a stage of a name that is called so."""

    def train(run: Run) -> Trained:
        student = run.build(run.settings.student, 0)
        return fit_all(run, kind(student), "student", run.settings.student, Stage(name, 2, text, *ALL))

    return train


def supervised_student(student: nn.Module) -> Trainer:
    """Trains the student on the labels alone."""
    return SupervisedTrainer({"student": student})


def train_teacher(index: int) -> Callable[[Run], Trained]:
    """The network of a teacher, counted from 0, on the labels alone."""

    def train(run: Run) -> Trained:
        spec, name = run.settings.teachers[index], f"teacher {index + 1}"
        stage = Stage(f"supervised-t{index + 1}", 1, f"supervised training of {name}", *ALL)
        return fit_all(run, SupervisedTrainer({name: run.build(spec, index + 1)}), name, spec, stage)

    return train
