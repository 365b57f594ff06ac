"""What the words of a training report mean, for people who do not know the method."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["SCORE_TERMS", "TERMS", "loss_terms"]

SCORE_TERMS = {
    "Precision": "The share of what is called road that is road.",
    "Recall": "The share of the roads that is found.",
    "IoU": "Intersection over union: what is both road and called road, over what is one of the two. From 0 to 1; "
    "half of the roads found without a mistake is 0.5.",
    "F1": "The harmonic mean of precision and recall; 2 IoU / (1 + IoU).",
    "Overall accuracy": "The share of all pixels that are right. Where roads are few it is high even if none is found.",
    "Mean of both classes": "The mean of the score of roads and that of everything else, as some papers give it.",
}
"""The scores of a network and their meanings."""

TERMS = {
    "Network": "What looks at imagery and gives the probability of road for every pixel. It learns from examples.",
    "Label": "What a person drew: road, or no road. Outside of the annotated area nothing is known, and a pixel there "
    "is unlabelled, not background.",
    "Pseudo label": "What one network says of imagery without labels, taken as the label for another one.",
    "Teacher": "A large network. The teachers learn from the labels and from each other's pseudo labels.",
    "Student": "A light network that learns from the labels and from the teachers. It is what Detect roads uses.",
    "Validation area": "A part of the annotated area that was held out: nothing was learned from it, so it tells how "
    "good a network is on imagery that it has not seen.",
    "Threshold": "From this probability on a pixel is called road; 0.5 here. A lower one finds more roads, with more "
    "mistakes.",
    **SCORE_TERMS,
    "Confusion matrix": "How many pixels of road and of everything else were called road, and how many were not.",
    "Step": "One small change of the networks, after a look at a few windows of the imagery (a batch).",
    "Learning rate": "How large these changes are; they get smaller towards the end.",
    "Loss": "What the training makes small: how far the networks are from what they are to learn. It has several "
    "terms.",
}
"""Words and meanings, in the order in which a reader needs them; terms of the loss follow."""

_LOSS_TERMS = {
    "supervised": "how far a network is from the labels (L_sup)",
    "cross": "how far a network is from the pseudo labels of the other ones",
    "feature": "how far what the student sees in an image is from what the first teacher sees (L_dis_f)",
    "probability": "how far the student's probabilities are from those of the teachers (L_dis_p)",
    "pseudo label": "how far the student is from the teachers' pseudo labels (L_unsup)",
    "structural": "how far the student is from the structure that the last teacher sees",
    "consistency": "how far a network is from itself when what it sees is disturbed",
    "strong": "how far a network is from its own confident pseudo labels when the imagery is changed strongly",
    "perturbed": "how far a network is from its own confident pseudo labels when what it sees is disturbed",
}


def loss_terms(names: Iterable[str]) -> dict[str, str]:
    """The kinds of the terms of these names, such as `cross` of `cross teacher 1`, with their meanings."""
    told = list(names)
    return {kind: text for kind, text in _LOSS_TERMS.items() if any(name.startswith(kind) for name in told)}
