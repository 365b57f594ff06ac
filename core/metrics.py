"""Scores of road maps, from one confusion matrix over all pixels, exactly or within a buffer.

Within a buffer: https://www.cs.toronto.edu/~hinton/absps/road_detection.pdf
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from operator import add

import numpy as np

from .images import Mask
from .labels import IGNORE, ROAD, Labels

__all__ = ["Confusion", "Matches", "RelaxedScores", "Scores", "confusion", "matches"]


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
        return Confusion(*map(add, astuple(self), astuple(other)))

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


@dataclass(frozen=True)
class RelaxedScores:
    """Scores from 0 to 1 (NaN where undefined) that forgive roads that stand beside where they should, by a buffer.

    Attributes:
        precision: share of the found roads that lie within the buffer of a road.
        recall: share of the roads that lie within the buffer of a found one.
        f1: harmonic mean of both; 0 where one is 0.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Matches:
    """Pixel counts of roads found and drawn, and of those near one of the other. Counts of several windows add up."""

    found: int = 0
    found_near_road: int = 0
    road: int = 0
    road_near_found: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(*map(add, astuple(self), astuple(other)))

    def scores(self) -> RelaxedScores:
        """The scores of these counts."""
        precision, recall = _ratio(self.found_near_road, self.found), _ratio(self.road_near_found, self.road)
        f1 = 0.0 if 0 in (precision, recall) else 2 * precision * recall / (precision + recall)
        return RelaxedScores(precision, recall, f1)


def confusion(found: Mask, labels: Labels) -> Confusion:
    """Counts of a road map against labels of the same shape; pixels labelled 255 take no part."""
    counted = labels != IGNORE
    road, found = labels[counted] == ROAD, found[counted]
    hits = int(np.count_nonzero(found & road))
    false_alarms = int(np.count_nonzero(found)) - hits
    misses = int(np.count_nonzero(road)) - hits
    return Confusion(hits, false_alarms, misses, int(road.size) - hits - false_alarms - misses)


def matches(found: Mask, near_found: Mask, near_road: Mask, labels: Labels) -> Matches:
    """Counts of a road map against labels of the same shape, within a buffer.

    Args:
        found: the road map.
        near_found: what lies within the buffer of found roads.
        near_road: what lies within the buffer of roads.
        labels: 1 road, 0 background; pixels labelled 255 take no part.
    """
    found, road = found & (labels != IGNORE), labels == ROAD
    counts = (found, found & near_road, road, road & near_found)
    return Matches(*(int(np.count_nonzero(each)) for each in counts))


def _overlap(agreed: int, errors: int) -> tuple[float, float]:
    return _ratio(agreed, agreed + errors), _ratio(2 * agreed, 2 * agreed + errors)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
