"""Cross-model supervision: step 1 of SSLKD, the student with a peer, and cross pseudo supervision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import nn

from ...core.trainers import CrossModelTrainer
from ..fit import Run, Stage
from ..presets import TrainingSettings
from .method import ALL, Trained, fit_all

__all__ = ["settings_of_cps", "settings_of_teacher", "train_cms", "train_cms_teacher", "train_cps", "train_teachers"]

_CPS_WEIGHT = 1.5


def train_teachers(run: Run, text: str, share: tuple[float, float]) -> Trained:
    """All teachers, from the labels and from each other: step 1 of SSLKD, called so, within a share of the run."""
    settings = run.settings.of_teachers()
    teachers = {f"teacher {k}": run.build(spec, k) for k, spec in enumerate(settings.teachers, start=1)}
    trainer = CrossModelTrainer(teachers, settings.cross)
    stage = Stage("teachers", 1, text, *share)
    return fit_all(replace(run, settings=settings), trainer, "teacher 1", settings.teachers[0], stage)


def settings_of_teacher(settings: TrainingSettings) -> TrainingSettings:
    """No running average is kept of the teachers."""
    return replace(settings, average=0.0)


def train_cms_teacher(index: int) -> Callable[[Run], Trained]:
    """One of the teachers that step 1 of SSLKD gives, counted from 0."""

    def train(run: Run) -> Trained:
        trained = train_teachers(run, "cross-model supervision of the teachers", ALL)
        return replace(trained, kept=f"teacher {index + 1}", spec=run.for_bands(run.settings.teachers[index]))

    return train


def train_cms(run: Run) -> Trained:
    """The student and the second teacher's network teach each other."""
    peer = run.build(run.settings.teachers[1], 2)
    return _train_student(run, {"student": run.build(run.settings.student, 0), "peer": peer}, "cms")


def settings_of_cps(settings: TrainingSettings) -> TrainingSettings:
    """All images, and the weight of the paper of cross pseudo supervision."""
    return replace(settings, cross=replace(settings.cross, weight=_CPS_WEIGHT, images="all"))


def train_cps(run: Run) -> Trained:
    """Two networks of the student's kind, which start from different weights, teach each other."""
    student = run.settings.student
    pair = {"student": run.build(student, 0), "second student": run.build(student, 1)}
    return _train_student(run, pair, "cps")


def _train_student(run: Run, networks: Mapping[str, nn.Module], name: str) -> Trained:
    trainer = CrossModelTrainer(networks, run.settings.cross)
    return fit_all(run, trainer, "student", run.settings.student, Stage(name, 2, "student and peer", *ALL))
