"""Each perturbation changes what it promises to, and lets gradients through."""

import pytest
import torch
from torch import nn

from qgis_sslkd.core.trainers.perturbations import (
    adversarial,
    context_mask,
    cut_out,
    feature_drop,
    feature_noise,
    object_mask,
    spatial_dropout,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(8)


@pytest.fixture
def feature():
    return torch.rand(3, 6, 8, 4) + 0.5


@pytest.fixture
def objects():
    """A road in the first image, at four times the feature's resolution; two spots in the second, none in the third."""
    mask = torch.zeros(3, 32, 16, dtype=torch.bool)
    mask[0, 8:12] = True
    mask[1, 0:4, 0:4] = mask[1, 28:32, 12:16] = True
    return mask


def test_masks_take_the_feature_apart(feature, objects):
    context, background = context_mask(feature, objects), object_mask(feature, objects)
    assert torch.equal(context + background, feature)
    assert torch.equal(context[0, :, 2], feature[0, :, 2])
    assert not context[0, :, :2].any()
    assert not context[0, :, 3:].any()
    assert torch.equal(background[2], feature[2])


def test_feature_drop_drops_the_most_active_places_in_all_channels(feature):
    feature[0, :, 3, 1] = 4
    dropped = feature_drop(feature)
    gone = dropped.eq(0).all(dim=1)
    assert gone[0].nonzero().tolist() == [[3, 1]]
    assert torch.equal(dropped * ~gone[:, None], feature * ~gone[:, None])
    activity = feature.mean(dim=1)
    for image in range(3):
        threshold = activity[image][gone[image]].min()
        assert 0.7 * activity[image].max() <= threshold
        assert (activity[image][~gone[image]] < 0.9 * activity[image].max()).all()


def test_feature_noise_is_within_its_range_and_the_same_for_all_images(feature):
    factor = feature_noise(feature) / feature
    assert 0.7 <= factor.min() < 0.75
    assert 1.25 < factor.max() <= 1.3001
    torch.testing.assert_close(factor[0], factor[1])


def test_spatial_dropout_drops_half_of_the_channels():
    dropped = spatial_dropout(torch.ones(20, 50, 2, 2))
    channels = dropped.flatten(2)
    assert torch.equal(channels.amin(2), channels.amax(2))
    assert channels.amax(2).eq(0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_cut_out_is_a_box_within_the_frame_of_the_objects(objects):
    feature = torch.ones(3, 1, 32, 16)
    for _ in range(20):
        gone = cut_out(feature, objects)[:, 0].eq(0)
        assert not gone[2].any()
        assert not gone[0, :8].any()
        assert not gone[0, 12:].any()
        # 40 % of 4 x 16 and of 32 x 16, rounded.
        for image, sides in ((0, (1.6, 6.4)), (1, (12.8, 6.4))):
            rows, columns = gone[image].any(1).sum().item(), gone[image].any(0).sum().item()
            assert rows == pytest.approx(sides[0], abs=0.99)
            assert columns == pytest.approx(sides[1], abs=0.99)
            assert gone[image].sum() == rows * columns


def test_cut_out_takes_any_part_of_the_frame(objects):
    kept = torch.stack([cut_out(torch.ones(3, 1, 32, 16), objects) for _ in range(100)]).mean(dim=0)
    assert (kept[1] < 1).float().mean() > 0.9


def test_adversarial_changes_more_than_noise_of_the_same_norm(feature):
    decoder = nn.Sequential(nn.Conv2d(6, 8, 1), nn.Tanh(), nn.Conv2d(8, 2, 1))
    expected = decoder(feature).softmax(dim=1)

    def change(perturbed):
        return nn.functional.kl_div(decoder(perturbed).log_softmax(1), expected, reduction="sum").item()

    perturbed = adversarial(feature, decoder)
    assert (perturbed - feature).flatten(1).norm(dim=1).tolist() == pytest.approx([2] * 3, rel=1e-4)
    for _ in range(5):
        noise = nn.functional.normalize(torch.randn(3, 6 * 8 * 4)).view_as(feature)
        assert change(perturbed) > 2 * change(feature + 2 * noise)


def test_adversarial_leaves_no_gradient_at_the_decoder(feature):
    decoder = nn.Conv2d(6, 2, 1)
    perturbed = adversarial(feature.requires_grad_(), decoder)
    assert decoder.weight.grad is None
    (gradient,) = torch.autograd.grad(perturbed.sum(), feature)
    assert torch.equal(gradient, torch.ones_like(feature))


def test_adversarial_of_a_feature_of_zeros_is_finite():
    assert adversarial(torch.zeros(2, 6, 4, 4), nn.Conv2d(6, 2, 1)).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_perturbations_keep_shape_and_type_and_pass_gradients(feature, objects, dtype):
    feature = feature.to(dtype).requires_grad_()
    for perturbed in (
        feature_drop(feature),
        feature_noise(feature),
        spatial_dropout(feature),
        context_mask(feature, objects),
        object_mask(feature, objects),
        cut_out(feature, objects),
        adversarial(feature, nn.Conv2d(6, 2, 1)),
    ):
        assert perturbed.shape == feature.shape
        assert perturbed.dtype == dtype
        (gradient,) = torch.autograd.grad(perturbed.sum(), feature)
        assert gradient.any()
