"""Scores of road maps, from one confusion matrix over all pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .labels import IGNORE

__all__ = ["Confusion", "Scores", "confusion"]


@dataclass(frozen=True)
class Scores:
    """Scores from 0 to 1 (NaN where undefined), of the road class unless said otherwise.

    Attributes:
        oa: overall accuracy, over both classes.
        precision: share of the found roads that are roads.
        recall: share of the roads that are found.
        iou: intersection over union.
        f1: harmonic mean of precision and recall; 2 iou / (1 + iou).
        macro_iou: mean of the IoU of road and background.
        macro_f1: mean of the F1 of road and background.
    """

    oa: float
    precision: float
    recall: float
    iou: float
    f1: float
    macro_iou: float
    macro_f1: float


@dataclass(frozen=True)
class Confusion:
    """Pixel counts; road is positive. Counts of several windows add up."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    rejections: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
            self.misses + other.misses,
            self.rejections + other.rejections,
        )

    @property
    def pixels(self) -> int:
        """How many pixels were compared."""
        return self.hits + self.false_alarms + self.misses + self.rejections

    def scores(self) -> Scores:
        """The scores of these counts."""
        errors = self.false_alarms + self.misses
        road_iou, road_f1 = _overlap(self.hits, errors)
        background_iou, background_f1 = _overlap(self.rejections, errors)
        return Scores(
            oa=_ratio(self.hits + self.rejections, self.pixels),
            precision=_ratio(self.hits, self.hits + self.false_alarms),
            recall=_ratio(self.hits, self.hits + self.misses),
            iou=road_iou,
            f1=road_f1,
            macro_iou=(road_iou + background_iou) / 2,
            macro_f1=(road_f1 + background_f1) / 2,
        )


def confusion(found: npt.NDArray[np.bool_], labels: npt.NDArray[np.uint8]) -> Confusion:
    """Counts of a road map against labels of the same shape; pixels labelled 255 take no part."""
    counted = labels != IGNORE
    road, found = labels[counted] == 1, found[counted]
    hits = int(np.count_nonzero(found & road))
    false_alarms = int(np.count_nonzero(found)) - hits
    misses = int(np.count_nonzero(road)) - hits
    return Confusion(hits, false_alarms, misses, int(road.size) - hits - false_alarms - misses)


def _overlap(agreed: int, errors: int) -> tuple[float, float]:
    return _ratio(agreed, agreed + errors), _ratio(2 * agreed, 2 * agreed + errors)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
