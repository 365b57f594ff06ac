"""Each loss against numbers worked out by hand or in float64 NumPy."""

import numpy as np
import pytest
import torch

from qgis_sslkd.core.losses import (
    IGNORE,
    aggregate_logit_sum,
    cross_model_losses,
    feature_loss,
    probability_loss,
    pseudo_label,
    supervised_loss,
)

SHAPE = (2, 2, 5, 7)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits, labels):
    """Mean over the pixels whose label is not IGNORE, in float64."""
    logs = np.log(softmax(logits))
    total = count = 0
    for b, y, x in np.ndindex(labels.shape):
        if labels[b, y, x] != IGNORE:
            total -= logs[b, labels[b, y, x], y, x]
            count += 1
    return total / count


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


def test_supervised_loss_of_equal_logits_is_log_2():
    assert supervised_loss(torch.zeros(1, 2, 3, 3), torch.ones(1, 3, 3).long()).item() == pytest.approx(np.log(2))


def test_supervised_loss_by_hand():
    # One pixel, road logit above background by log 3: the probability of road is 3/4.
    logits = torch.tensor([0.0, np.log(3)]).reshape(1, 2, 1, 1)
    assert supervised_loss(logits, torch.tensor([[[1]]])).item() == pytest.approx(-np.log(0.75))
    assert supervised_loss(logits, torch.tensor([[[0]]])).item() == pytest.approx(-np.log(0.25))


def test_supervised_loss_against_numpy_with_ignored_pixels(rng):
    logits = rng.normal(size=SHAPE, scale=3)
    labels = rng.choice([0, 1, IGNORE], size=(2, 5, 7))
    assert supervised_loss(*tensors(logits, labels)).item() == pytest.approx(cross_entropy(logits, labels), rel=1e-6)


def test_losses_of_nothing_are_zero_and_give_zero_gradients():
    logits = torch.randn(SHAPE, requires_grad=True)
    nowhere = torch.zeros(2, 5, 7, dtype=torch.bool)
    probability = torch.full(SHAPE, 0.5)
    losses = [
        supervised_loss(logits, torch.full((2, 5, 7), IGNORE)),
        probability_loss(logits, probability, nowhere),
        feature_loss(logits, torch.zeros(SHAPE), nowhere),
        *cross_model_losses([logits, logits.detach() + 1], nowhere),
    ]
    assert [loss.item() for loss in losses] == [0] * 5
    sum(losses).backward()
    assert torch.equal(logits.grad, torch.zeros(SHAPE))


def test_pseudo_label_is_the_winner_and_ignores_what_is_not_valid(rng):
    scores = rng.normal(size=SHAPE)
    valid = rng.random((2, 5, 7)) < 0.7
    found = pseudo_label(*tensors(scores, valid)).numpy()
    np.testing.assert_array_equal(found, np.where(valid, scores.argmax(axis=1), IGNORE))


def test_cross_model_losses_of_two_networks(rng):
    first, second = rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    valid = rng.random((2, 5, 7)) < 0.7
    losses = cross_model_losses(tensors(first, second), torch.from_numpy(valid))
    expected = [
        cross_entropy(first, np.where(valid, second.argmax(axis=1), IGNORE)),
        cross_entropy(second, np.where(valid, first.argmax(axis=1), IGNORE)),
    ]
    assert [loss.item() for loss in losses] == pytest.approx(expected, rel=1e-6)


def test_cross_model_losses_of_three_networks_are_divided_by_two(rng):
    logits = [rng.normal(size=SHAPE) for _ in range(3)]
    losses = cross_model_losses(tensors(*logits), torch.ones(2, 5, 7, dtype=torch.bool))
    labels = [scores.argmax(axis=1) for scores in logits]
    for own, loss in enumerate(losses):
        others = [cross_entropy(logits[own], labels[k]) for k in range(3) if k != own]
        assert loss.item() == pytest.approx(sum(others) / 2, rel=1e-6)


def test_no_network_learns_from_its_own_pseudo_labels(rng):
    """Each loss moves one network alone, and not by that network's own winners."""
    logits = [torch.from_numpy(rng.normal(size=SHAPE)).requires_grad_() for _ in range(2)]
    first, second = cross_model_losses(logits, torch.ones(2, 5, 7, dtype=torch.bool))
    assert torch.autograd.grad(first, logits[1], allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(second, logits[0], allow_unused=True, retain_graph=True) == (None,)
    # Against its own winners cross-entropy would always push the winner up; here it pushes up the other's.
    (gradient,) = torch.autograd.grad(first, logits[0])
    pushed_up = gradient.argmin(dim=1)
    assert torch.equal(pushed_up, logits[1].argmax(dim=1))
    assert not torch.equal(pushed_up, logits[0].argmax(dim=1))


def test_aggregate_is_the_softmax_of_the_sum(rng):
    first, second = rng.normal(size=SHAPE, scale=2), rng.normal(size=SHAPE, scale=2)
    found = aggregate_logit_sum(tensors(first, second)).numpy()
    np.testing.assert_allclose(found, softmax(first + second), rtol=1e-5)
    assert found.min() >= 0
    assert found.max() <= 1


def test_probability_loss_against_numpy(rng):
    logits = rng.normal(size=SHAPE)
    teacher = softmax(rng.normal(size=SHAPE))
    everywhere = torch.ones(2, 5, 7, dtype=torch.bool)
    found = probability_loss(*tensors(logits, teacher), everywhere)
    assert found.item() == pytest.approx(np.abs(softmax(logits) - teacher).mean(), rel=1e-6)


def test_probability_loss_counts_valid_pixels_alone(rng):
    logits, teacher = rng.normal(size=SHAPE), softmax(rng.normal(size=SHAPE))
    valid = rng.random((2, 5, 7)) < 0.5
    error = np.abs(softmax(logits) - teacher).mean(axis=1)
    assert probability_loss(*tensors(logits, teacher, valid)).item() == pytest.approx(error[valid].mean(), rel=1e-6)


def test_feature_loss_against_numpy(rng):
    student, teacher = rng.normal(size=(2, 6, 4, 4)), rng.normal(size=(2, 6, 4, 4))
    everywhere = torch.ones(2, 64, 64, dtype=torch.bool)
    found = feature_loss(*tensors(student, teacher), everywhere)
    assert found.item() == pytest.approx(np.abs(student - teacher).mean(), rel=1e-6)


def test_feature_loss_leaves_out_features_of_nodata(rng):
    student, teacher = rng.normal(size=(2, 6, 4, 4)), rng.normal(size=(2, 6, 4, 4))
    valid = torch.ones(2, 64, 64, dtype=torch.bool)
    valid[:, :, 32:] = False
    found = feature_loss(*tensors(student, teacher), valid)
    assert found.item() == pytest.approx(np.abs(student - teacher)[..., :2].mean(), rel=1e-6)
