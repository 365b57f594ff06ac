"""Scores against sets of pixels counted one by one, and against scikit-learn."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from qgis_sslkd.core.labels import IGNORE
from qgis_sslkd.core.metrics import Confusion, Matches, confusion, matches

SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 8))


@st.composite
def maps(draw):
    shape = draw(SHAPES)
    found = draw(arrays(bool, shape))
    return found, draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, IGNORE])))


def expected(found, labels):
    """Scores from sets, one pixel at a time."""
    pixels = [(bool(f), int(t)) for f, t in zip(found.flat, labels.flat, strict=True) if t != IGNORE]

    def scores(positive):
        said = {k for k, (f, _) in enumerate(pixels) if f == bool(positive)}
        true = {k for k, (_, t) in enumerate(pixels) if t == positive}

        def share(part, whole):
            return len(part) / len(whole) if whole else math.nan

        precision, recall = share(said & true, said), share(said & true, true)
        total = len(said) + len(true)
        return precision, recall, share(said & true, said | true), 2 * len(said & true) / total if total else math.nan

    precision, recall, iou, f1 = scores(1)
    _, _, background_iou, background_f1 = scores(0)
    return {
        "oa": sum(f == (t == 1) for f, t in pixels) / len(pixels) if pixels else math.nan,
        "precision": precision,
        "recall": recall,
        "iou": iou,
        "f1": f1,
        "macro_iou": (iou + background_iou) / 2,
        "macro_f1": (f1 + background_f1) / 2,
    }


@given(maps())
def test_scores_are_those_of_the_sets(pair):
    found, labels = pair
    total = confusion(found, labels)
    assert total.pixels == np.count_nonzero(labels != IGNORE)
    assert asdict(total.scores()) == pytest.approx(expected(found, labels), nan_ok=True)


@given(st.builds(Confusion, *[st.integers(0, 10**12)] * 4))
def test_f1_follows_from_the_iou(total):
    scores = total.scores()
    if not math.isnan(scores.iou):
        assert scores.f1 == pytest.approx(2 * scores.iou / (1 + scores.iou))
    if scores.precision + scores.recall > 0:
        harmonic = 2 * scores.precision * scores.recall / (scores.precision + scores.recall)
        assert scores.f1 == pytest.approx(harmonic)


@given(maps(), st.integers(0, 8))
def test_counts_of_parts_add_up(pair, cut):
    found, labels = pair
    parts = confusion(found[:cut], labels[:cut]) + confusion(found[cut:], labels[cut:])
    assert parts == confusion(found, labels)


def test_scores_worked_out_by_hand():
    found = np.array([[1, 1, 1, 0, 0, 0, 1]], dtype=bool)
    labels = np.array([[1, 1, 0, 1, 0, 0, IGNORE]], dtype=np.uint8)
    scores = confusion(found, labels).scores()
    assert scores.oa == pytest.approx(4 / 6)
    assert (scores.precision, scores.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (scores.iou, scores.f1) == (0.5, pytest.approx(2 / 3))
    assert scores.macro_iou == 0.5


def test_all_road_against_no_road_is_zero_and_nothing_at_all_is_undefined():
    everywhere = np.ones((2, 2), dtype=bool)
    labels = np.zeros((2, 2), dtype=np.uint8)
    assert confusion(everywhere, labels).scores().iou == 0
    assert math.isnan(confusion(everywhere, labels).scores().recall)
    assert math.isnan(confusion(~everywhere, labels).scores().iou)
    assert confusion(~everywhere, labels).scores().oa == 1
    assert all(map(math.isnan, asdict(Confusion().scores()).values()))


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    found, labels = rng.random((40, 50)) < rng.random(), rng.choice([0, 1, IGNORE], size=(40, 50)).astype(np.uint8)
    known = labels != IGNORE
    said, true = found[known].astype(int), labels[known].astype(int)
    assert asdict(confusion(found, labels).scores()) == pytest.approx(
        {
            "oa": metrics.accuracy_score(true, said),
            "precision": metrics.precision_score(true, said),
            "recall": metrics.recall_score(true, said),
            "iou": metrics.jaccard_score(true, said),
            "f1": metrics.f1_score(true, said),
            "macro_iou": metrics.jaccard_score(true, said, average="macro"),
            "macro_f1": metrics.f1_score(true, said, average="macro"),
        }
    )


def test_scores_within_a_buffer_worked_out_by_hand():
    found = np.array([[1, 1, 0, 1, 0, 1]], dtype=bool)
    labels = np.array([[0, 1, 1, 0, 1, IGNORE]], dtype=np.uint8)
    near_found, near_road = np.array([[1, 1, 1, 1, 0, 1]], dtype=bool), np.array([[1, 1, 1, 0, 1, 1]], dtype=bool)
    counts = matches(found, near_found, near_road, labels)
    assert counts == Matches(found=3, found_near_road=2, road=3, road_near_found=2)
    assert asdict((counts + counts).scores()) == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})


def test_scores_within_a_buffer_are_undefined_without_roads():
    nothing_found, nothing_drawn = Matches(0, 0, 5, 3).scores(), Matches(5, 3, 0, 0).scores()
    assert math.isnan(nothing_found.precision) and nothing_found.recall == 0.6 and math.isnan(nothing_found.f1)
    assert math.isnan(nothing_drawn.recall) and nothing_drawn.precision == 0.6 and math.isnan(nothing_drawn.f1)
    assert all(map(math.isnan, asdict(Matches().scores()).values()))


@pytest.mark.parametrize("counts", [Matches(5, 0, 5, 0), Matches(0, 0, 5, 0), Matches(5, 0, 0, 0)])
def test_f1_within_a_buffer_is_zero_where_no_road_is_found_or_none_is_drawn(counts):
    assert counts.scores().f1 == 0
