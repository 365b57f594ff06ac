"""What scores mean, and what to do next."""

import math
from dataclasses import replace

import pytest

from qgis_sslkd.core.metrics import Confusion
from qgis_sslkd.training.reports.advice import Outcome, advice, verdict

GOOD = Outcome(
    scores=Confusion(900, 100, 100, 8900).scores(), others={}, ious=[0.8, 0.81, 0.818], held_out_area=2e5,
    held_out_roads=2e4,
)  # fmt: skip


def outcome(hits=900, false_alarms=100, misses=100, **changes):
    return replace(GOOD, scores=Confusion(hits, false_alarms, misses, 8900).scores(), **changes)


@pytest.mark.parametrize(
    ("counts", "word"),
    [((70, 15, 15), "good"), ((60, 20, 20), "useful"), ((40, 30, 30), "weak"), ((10, 30, 30), "not fit"),
     ((0, 0, 30), "not fit"), ((0, 0, 0), "not fit")],
)  # fmt: skip
def test_the_verdict_follows_the_iou(counts, word):
    assert word in verdict(outcome(*counts))


@pytest.mark.parametrize("little", [{"held_out_area": 14_400.0}, {"held_out_roads": 150.0}])
def test_the_verdict_tells_how_far_it_goes(little):
    assert verdict(GOOD).startswith("On the 20.00 ha that were held out the result is good: ")
    assert "which say little of other places, the result is good" in verdict(outcome(**little))


def test_of_a_good_result_there_is_nothing_to_mend():
    (sentence,) = advice(GOOD)
    assert sentence.startswith("Detect roads")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (outcome(hits=300, misses=700, false_alarms=30), "lower the threshold"),
        (outcome(hits=300, misses=30, false_alarms=700), "raise the threshold"),
        (outcome(hits=300, misses=700, false_alarms=700), "larger area"),
        (outcome(hits=0, misses=1000, false_alarms=0), "nothing road"),
        (outcome(held_out_area=2e3), "0.20 ha"),
        (outcome(held_out_roads=150.0), "150 m² of road"),
        (outcome(ious=[0.4, 0.5, 0.6]), "still rising"),
        (outcome(ious=[math.nan, math.nan, 0.6]), "still rising"),
        (outcome(others={"teacher 1": Confusion(1, 0, 0, 1).scores()}), "teacher 1 is better by 0.18"),
    ],
)
def test_what_to_do_next(case, words):
    (sentence,) = advice(case)
    assert words in sentence


def test_small_differences_and_unknown_scores_are_no_reason():
    nothing = Confusion(0, 0, 0, 9).scores()
    calm = outcome(others={"teacher 1": nothing, "teacher 2": GOOD.scores}, ious=[0.81, 0.818])
    assert len(advice(calm)) == 1
    assert advice(calm) == advice(GOOD)


def test_what_casts_doubt_on_the_scores_comes_first():
    first, second = advice(outcome(hits=300, misses=700, false_alarms=30, held_out_area=100.0))
    assert "care" in first and "threshold" in second
