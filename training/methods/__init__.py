"""The methods that a run can train by, behind one interface."""

from __future__ import annotations

from ...core.errors import SettingError
from ...core.trainers import CctTrainer, UniMatchTrainer
from .alone import supervised_student, train_student, train_teacher
from .cross_model import settings_of_cps, settings_of_teacher, train_cms, train_cms_teacher, train_cps
from .method import Method, Trained
from .sslkd import settings_of_structural, train_sslkd

__all__ = ["METHODS", "Method", "Trained", "find_method"]

METHODS = {
    "sslkd": Method("the student by SSLKD", train_sslkd),
    "sslkd-structural": Method(
        "the student by SSLKD and the last teacher's structure", train_sslkd, settings=settings_of_structural
    ),
    "supervised": Method(
        "the student, supervised",
        train_student(supervised_student, "supervised", "supervised training"),
        unlabelled=False,
    ),
    "supervised-t1": Method("the first teacher, supervised", train_teacher(0), unlabelled=False),
    "supervised-t2": Method("the second teacher, supervised", train_teacher(1), unlabelled=False),
    "cms-t1": Method(
        "the first teacher by cross-model supervision", train_cms_teacher(0), settings=settings_of_teacher
    ),
    "cms-t2": Method(
        "the second teacher by cross-model supervision", train_cms_teacher(1), settings=settings_of_teacher
    ),
    "cms": Method("the student by cross-model supervision with the second teacher's network", train_cms),
    "cps": Method("the student by cross pseudo supervision with its like", train_cps, settings=settings_of_cps),
    "cct": Method(
        "the student by cross-consistency training", train_student(CctTrainer, "cct", "cross-consistency training")
    ),
    "unimatch": Method("the student by UniMatch", train_student(UniMatchTrainer, "unimatch", "UniMatch")),
}
"""By the name that users choose; the first is what this project is for, the others are what it is compared with."""


def find_method(name: str) -> Method:
    """The method of a name.

    Raises:
        SettingError: if there is none.
    """
    if name not in METHODS:
        raise SettingError(f"There is no method '{name}'; choose one of {', '.join(METHODS)}.")
    return METHODS[name]
