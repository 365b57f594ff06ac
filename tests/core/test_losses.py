"""Each loss against numbers worked out by hand or in float64 NumPy."""

import numpy as np
import pytest
import torch

from qgis_sslkd.core.losses import (
    IGNORE,
    aggregate_logit_sum,
    aggregate_prob_mean,
    certainty,
    channel_wise_loss,
    consistency_loss,
    cross_model_losses,
    divergence_loss,
    feature_loss,
    normalised_feature_loss,
    probability_loss,
    pseudo_label,
    squared_feature_loss,
    supervised_loss,
)

SHAPE = (2, 2, 5, 7)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits, labels, weight=None):
    """Mean over the pixels whose label is not IGNORE, in float64."""
    logs = np.log(softmax(logits))
    total = count = 0
    for b, y, x in np.ndindex(labels.shape):
        if labels[b, y, x] != IGNORE:
            total -= logs[b, labels[b, y, x], y, x] * (1 if weight is None else weight[b, y, x])
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


def test_supervised_loss_weighs_pixels_and_divides_by_their_number(rng):
    logits, weight = rng.normal(size=SHAPE), rng.random((2, 5, 7))
    labels = rng.choice([0, 1, IGNORE], size=(2, 5, 7))
    found = supervised_loss(*tensors(logits, labels, weight))
    assert found.item() == pytest.approx(cross_entropy(logits, labels, weight), rel=1e-6)
    assert supervised_loss(*tensors(logits, labels, weight / 2)).item() == pytest.approx(found.item() / 2, rel=1e-6)


LOSSES_OF_TWO = [
    probability_loss,
    consistency_loss,
    divergence_loss,
    channel_wise_loss,
    feature_loss,
    normalised_feature_loss,
    squared_feature_loss,
]


def test_losses_of_nothing_are_zero_and_give_zero_gradients():
    logits = torch.randn(SHAPE, requires_grad=True)
    nowhere = torch.zeros(2, 5, 7, dtype=torch.bool)
    losses = [
        supervised_loss(logits, torch.full((2, 5, 7), IGNORE)),
        supervised_loss(logits, torch.full((2, 5, 7), IGNORE), torch.ones(2, 5, 7)),
        *(loss(logits, torch.full(SHAPE, 0.5), nowhere) for loss in LOSSES_OF_TWO),
        *cross_model_losses([logits, logits.detach() + 1], nowhere),
    ]
    assert [loss.item() for loss in losses] == [0] * len(losses)
    # As large a factor as half precision's gradients are scaled by, and the weight of CCT.
    (30 * 65536 * sum(losses)).backward()
    assert torch.equal(logits.grad, torch.zeros(SHAPE))


def test_supervised_loss_in_half_precision_is_computed_in_single(rng):
    logits, weight = (array.bfloat16() for array in tensors(rng.normal(size=SHAPE), rng.random((2, 5, 7))))
    labels = torch.from_numpy(rng.choice([0, 1, IGNORE], size=(2, 5, 7)))
    for factor in (None, weight):
        found = supervised_loss(logits, labels, factor)
        assert found.dtype == torch.float32
        assert (
            found.item() == supervised_loss(logits.float(), labels, None if factor is None else factor.float()).item()
        )


@pytest.mark.parametrize("loss", LOSSES_OF_TWO)
def test_losses_in_half_precision_are_computed_in_single(loss, rng):
    student, teacher = tensors(rng.normal(size=SHAPE), softmax(rng.normal(size=SHAPE)))
    student, teacher, valid = student.bfloat16(), teacher.bfloat16(), torch.ones(2, 5, 7, dtype=torch.bool)
    found = loss(student, teacher, valid)
    assert found.dtype == torch.float32
    assert found.item() == loss(student.float(), teacher.float(), valid).item()


@pytest.mark.parametrize("loss", LOSSES_OF_TWO)
def test_losses_of_far_apart_predictions_are_finite(loss):
    student = torch.tensor([300.0, -300.0]).reshape(1, 2, 1, 1).repeat(1, 1, 4, 4).requires_grad_()
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, 0] = False
    found = loss(student, torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4), valid)
    found.backward()
    assert found.isfinite()
    assert student.grad.isfinite().all()
    assert not student.grad[0, :, 0].any()


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


def test_cross_model_losses_weigh_by_the_network_that_labels(rng):
    logits = [rng.normal(size=SHAPE) for _ in range(3)]
    weights = [rng.random((2, 5, 7)) for _ in range(3)]
    losses = cross_model_losses(tensors(*logits), torch.ones(2, 5, 7, dtype=torch.bool), tensors(*weights))
    labels = [scores.argmax(axis=1) for scores in logits]
    for own, loss in enumerate(losses):
        others = [cross_entropy(logits[own], labels[k], weights[k]) for k in range(3) if k != own]
        assert loss.item() == pytest.approx(sum(others) / 2, rel=1e-6)


def test_certainty_by_hand():
    # A half each: log 2 of entropy, the most there is. A quarter: 0.5623 of it. One class alone: none.
    probability = torch.tensor([[0.5, 0.25, 0.0], [0.5, 0.75, 1.0]]).reshape(1, 2, 1, 3).requires_grad_()
    found = certainty(probability)
    assert found.flatten().tolist() == pytest.approx([0, 1 - 0.811278, 1], abs=1e-6)
    assert not found.requires_grad
    assert certainty(probability.bfloat16()).dtype == torch.float32


def test_certainty_of_more_classes_against_numpy(rng):
    probability = softmax(rng.normal(size=(2, 5, 3, 4), scale=3))
    entropy = -(probability * np.log(probability)).sum(axis=1)
    np.testing.assert_allclose(certainty(*tensors(probability)), 1 - entropy / np.log(5), atol=1e-6)


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


def test_mean_aggregate_is_the_mean_of_the_softmaxes(rng):
    first, second = rng.normal(size=SHAPE, scale=2), rng.normal(size=SHAPE, scale=2)
    found = aggregate_prob_mean(tensors(first, second))
    np.testing.assert_allclose(found, (softmax(first) + softmax(second)) / 2, rtol=1e-5)


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
    half_a_feature = torch.tensor([[[True, False]]])
    assert feature_loss(torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 3.0), half_a_feature).item() == 3


def test_feature_loss_averages_the_teacher_to_the_students_size(rng):
    student, teacher = rng.normal(size=(2, 6, 2, 2)), rng.normal(size=(2, 6, 4, 4))
    pooled = teacher.reshape(2, 6, 2, 2, 2, 2).mean(axis=(3, 5))
    found = feature_loss(*tensors(student, teacher), torch.ones(2, 64, 64, dtype=torch.bool))
    assert found.item() == pytest.approx(np.abs(student - pooled).mean(), rel=1e-6)


def test_normalised_feature_loss_against_numpy(rng):
    student, teacher = rng.normal(size=(2, 6, 4, 4)), rng.normal(size=(2, 6, 4, 4), scale=50)
    scaled = [f / np.sqrt((f**2).mean(axis=1, keepdims=True)) for f in (student, teacher)]
    found = normalised_feature_loss(*tensors(student, teacher), torch.ones(2, 64, 64, dtype=torch.bool))
    assert found.item() == pytest.approx(np.abs(scaled[0] - scaled[1]).mean(), rel=1e-4)


def test_normalised_feature_loss_does_not_see_magnitudes(rng):
    (feature,) = tensors(rng.normal(size=(2, 6, 4, 4)))
    everywhere = torch.ones(2, 64, 64, dtype=torch.bool)
    assert normalised_feature_loss(feature, 30 * feature, everywhere).item() == pytest.approx(0, abs=1e-5)
    assert normalised_feature_loss(0 * feature, 0 * feature, everywhere).item() == 0
    assert feature_loss(feature, 30 * feature, everywhere).item() > 10


def test_squared_feature_loss_counts_valid_places_alone(rng):
    student, teacher = rng.normal(size=(2, 6, 4, 4)), rng.normal(size=(2, 6, 4, 4))
    valid = torch.ones(2, 64, 64, dtype=torch.bool)
    valid[:, :, 32:] = False
    found = squared_feature_loss(*tensors(student, teacher), valid)
    assert found.item() == pytest.approx(((student - teacher)[..., :2] ** 2).mean(), rel=1e-6)


def test_consistency_loss_against_numpy(rng):
    logits, target = rng.normal(size=SHAPE), softmax(rng.normal(size=SHAPE))
    valid = rng.random((2, 5, 7)) < 0.5
    error = ((softmax(logits) - target) ** 2).mean(axis=1)
    assert consistency_loss(*tensors(logits, target, valid)).item() == pytest.approx(error[valid].mean(), rel=1e-6)


def test_divergence_loss_against_numpy(rng):
    logits, target = rng.normal(size=SHAPE), softmax(rng.normal(size=SHAPE))
    valid = rng.random((2, 5, 7)) < 0.5
    error = (target * np.log(target / softmax(logits))).sum(axis=1)
    assert divergence_loss(*tensors(logits, target, valid)).item() == pytest.approx(error[valid].mean(), rel=1e-5)


@pytest.mark.parametrize(("temperature", "chosen"), [(1.0, {"temperature": 1.0}), (4.0, {})])
def test_channel_wise_loss_against_numpy(rng, temperature, chosen):
    student, teacher = rng.normal(size=SHAPE, scale=3), rng.normal(size=SHAPE, scale=3)
    valid = rng.random((2, 5, 7)) < 0.6
    total = 0
    for b, c in np.ndindex(2, 2):
        powers = [np.exp(logits[b, c][valid[b]] / temperature) for logits in (student, teacher)]
        ours, theirs = (p / p.sum() for p in powers)
        total += (theirs * np.log(theirs / ours)).sum()
    found = channel_wise_loss(*tensors(student, teacher, valid), **chosen)
    assert found.item() == pytest.approx(total * temperature**2 / (2 * 2), rel=1e-4)


def test_channel_wise_loss_is_a_mean_over_the_images_that_have_valid_pixels(rng):
    student, teacher, valid = tensors(rng.normal(size=SHAPE), rng.normal(size=SHAPE), np.ones((2, 5, 7), bool))
    valid[1] = False
    first = channel_wise_loss(student[:1], teacher[:1], valid[:1])
    assert channel_wise_loss(student, teacher, valid).item() == pytest.approx(first.item(), rel=1e-6)


def test_channel_wise_loss_does_not_see_what_is_added_to_a_class(rng):
    """Only where a class stands out counts, not how probable it is."""
    (logits,) = tensors(rng.normal(size=SHAPE))
    shifted = logits + torch.tensor([5.0, -2.0]).reshape(1, 2, 1, 1)
    assert channel_wise_loss(logits, shifted, torch.ones(2, 5, 7, dtype=torch.bool)).item() == pytest.approx(
        0, abs=1e-5
    )
