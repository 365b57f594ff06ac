"""What the scores of a training mean for its user, and what to do next, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...core.metrics import Scores
from ..fit import Run
from ..methods import Trained
from .pages import ground

__all__ = ["Outcome", "advice", "verdict"]

_GRADES = (
    (0.7, "the result is good: what it draws needs proofreading, not redrawing"),
    (0.5, "the result is useful: what it draws is a draft whose errors are to be mended by hand"),
    (0.3, "the result is weak: it finds the plainest roads, and much of what it draws is to be redrawn"),
    (0.0, "the network is not fit for use yet"),
)
_LOW, _UNLIKE, _RISE, _BEHIND = 0.6, 0.15, 0.02, 0.05
# Square metres. In the tables of docs/results, IoUs on 2.9 ha lie 0.15 off those on test tiles: half a grade on 6 ha.
_LEAST_AREA, _LEAST_ROADS = 60_000.0, 5_000.0


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        scores: of the network that was kept.
        others: of the other networks, by name.
        ious: of the network that was kept, at each validation.
        held_out_area: square metres that the scores are of.
        held_out_roads: square metres of road among them.
    """

    scores: Scores
    others: Mapping[str, Scores]
    ious: Sequence[float]
    held_out_area: float
    held_out_roads: float

    @classmethod
    def of(cls, run: Run, trained: Trained) -> Outcome:
        """What a run came to."""
        kept, counts = trained.kept, trained.counts[trained.kept]
        return cls(
            scores=trained.scores[kept],
            others={name: scores for name, scores in trained.scores.items() if name != kept},
            ious=[s.iou for h in trained.histories.values() for s in h.scores.get(kept, [])],
            held_out_area=run.data.held_out_area,
            held_out_roads=(counts.hits + counts.misses) * run.data.gsd**2,
        )


def verdict(outcome: Outcome) -> str:
    """How good a network is, and how far that can be told, in one sentence."""
    iou = 0.0 if math.isnan(outcome.scores.iou) else outcome.scores.iou
    grade = next(words for least, words in _GRADES if iou >= least)
    doubt = ", which say little of other places," if _is_small(outcome) else ""
    return f"On the {ground(outcome.held_out_area)} that were held out{doubt} {grade}."


def advice(outcome: Outcome) -> list[str]:
    """What to do next, the most pressing first; at least one sentence."""
    return [*_on_trust(outcome), *_on_errors(outcome.scores), *_on_training(outcome)] or [
        "Detect roads in imagery that was not learned from, and look at the result: draw more where it errs, "
        "and train again."
    ]


def _on_trust(outcome: Outcome) -> Iterator[str]:
    if _is_small(outcome):
        yield (
            f"Read the scores with care: the held-out area is small, {ground(outcome.held_out_area)} with "
            f"{outcome.held_out_roads:,.0f} m² of road. Draw the roads of a larger area, in several places, "
            "and the scores will tell more."
        )


def _is_small(outcome: Outcome) -> bool:
    """Whether too little was held out for its scores to be those of other places."""
    return outcome.held_out_area < _LEAST_AREA or outcome.held_out_roads < _LEAST_ROADS


def _on_errors(scores: Scores) -> Iterator[str]:
    recall, precision = scores.recall, scores.precision
    if math.isnan(precision):
        yield "It calls nothing road: train with more steps, or draw the roads of a larger area."
    elif recall < _LOW and recall < precision - _UNLIKE:
        yield (
            "It misses many roads, but what it finds is mostly right: lower the threshold in Detect roads, such as to "
            "0.3, and draw more roads of the kinds that the pictures below show as missed."
        )
    elif precision < _LOW and precision < recall - _UNLIKE:
        yield (
            "It calls much road that is none: raise the threshold in Detect roads, such as to 0.7, and let the "
            "annotated area take in more of what the pictures below show as called road by mistake, such as yards."
        )
    elif min(recall, precision) < _LOW:
        yield (
            "It both misses roads and makes some up: draw the roads of a larger area, in several places that differ, "
            "or train with more steps or larger networks."
        )


def _on_training(outcome: Outcome) -> Iterator[str]:
    *before, last = outcome.ious or [math.nan]
    if len(before) > 1 and last > max((iou for iou in before if not math.isnan(iou)), default=0) + _RISE:
        yield "Its IoU was still rising when the training ended: more steps are likely to help."
    better = {name: each.iou - outcome.scores.iou for name, each in outcome.others.items()}
    name = max(better, key=lambda each: -1.0 if math.isnan(better[each]) else better[each], default=None)
    if name is not None and better[name] > _BEHIND:
        yield (
            f"The {name} is better by {better[name]:.2f} of IoU: with more steps, or with a larger network, the one "
            "that was kept may come closer to it."
        )
