"""Strong views change colours and sharpness alone; boxes are where and what they promise, and mixing is exact."""

import numpy as np
import pytest
import torch

from qgis_sslkd.core.views import cut_boxes, cut_mix, strong_view


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(4)


def seeded_view(images):
    torch.manual_seed(6)
    return strong_view(images)


def extent(box):
    """Top, bottom, left and right of the true pixels."""
    rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_strong_view_keeps_shape_type_and_memory(bands, memory):
    images = torch.randn(3, bands, 32, 64).to(memory_format=memory)
    before = images.clone()
    view = strong_view(images)
    assert view.shape == images.shape
    assert view.dtype == torch.float32
    assert view.is_contiguous(memory_format=memory)
    assert view.isfinite().all()
    assert torch.equal(images, before)


def test_strong_view_is_the_same_for_the_same_seed_alone():
    images = torch.randn(4, 3, 32, 32)
    first, second = seeded_view(images), strong_view(images)
    assert torch.equal(seeded_view(images), first)
    assert not torch.equal(second, first)


def test_strong_view_is_as_precise_under_autocast():
    images = torch.randn(4, 3, 32, 32)
    plain = seeded_view(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(seeded_view(images), plain)


def test_strong_view_treats_each_image_on_its_own():
    """One image's view does not depend on what the others hold."""
    images = torch.randn(4, 3, 32, 32)
    others = torch.cat([images[:1], torch.randn(3, 3, 32, 32)])
    assert torch.equal(seeded_view(others)[0], seeded_view(images)[0])


def test_strong_view_of_an_even_image_is_even_and_bounded():
    """Blur, contrast and saturation leave an even grey alone: brightness shifts it by half a unit at most."""
    view = strong_view(torch.zeros(400, 3, 13, 13))
    assert (view.amax(dim=(1, 2, 3)) - view.amin(dim=(1, 2, 3))).max() < 1e-5
    assert view.abs().max() <= 0.5
    jittered = view[:, 0, 0, 0].abs() > 1e-4
    assert jittered.float().mean().item() == pytest.approx(0.8, abs=0.06)


def test_strong_view_makes_a_fifth_grey():
    images = torch.randn(400, 3, 13, 13)
    view = strong_view(images)
    grey = (view - view.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert grey.float().mean().item() == pytest.approx(0.2, abs=0.06)


def test_strong_view_changes_how_far_bands_are_apart_by_contrast_and_by_saturation():
    """By half at most each, so from a quarter to nine quarters together; one alone would leave a half to three."""
    bands = torch.tensor([-0.5, 0.0, 0.5])[:, None, None].expand(400, 3, 13, 13)
    apart = strong_view(bands)[:, :, 6, 6].diff(dim=1)
    torch.testing.assert_close(apart[:, 0], apart[:, 1])
    spread = 2 * apart[apart[:, 0] > 1e-5, 0]
    assert 0.25 <= spread.min() < 0.45 and 1.6 < spread.max() <= 2.25


def test_strong_view_blurs_half():
    """A pattern of the highest frequency all but goes where it is blurred."""
    checkers = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    view = strong_view(checkers.expand(400, 1, 32, 32))
    left = view.std(dim=(1, 2, 3))
    # A sigma below 0.28 leaves more than this: a tenth of the sigmas, so 5 % of the images.
    assert (left < 0.45).float().mean().item() == pytest.approx(0.45, abs=0.08)
    point = torch.zeros(400, 1, 13, 13)
    point[:, :, 6, 6] = 1
    round_ones = strong_view(point)
    torch.testing.assert_close(round_ones, round_ones.mT)


@pytest.mark.parametrize(("height", "width", "multiple"), [(512, 512, 32), (96, 160, 16), (64, 64, 1), (70, 75, 8)])
def test_boxes_are_boxes_of_the_promised_size_on_the_grid(height, width, multiple):
    masks = cut_boxes(torch.empty(200, 1, height, width), multiple)
    assert masks.shape == (200, height, width)
    assert masks.dtype == torch.bool
    boxes = [mask for mask in masks.numpy() if mask.any()]
    assert 70 <= len(boxes) <= 130
    for box in boxes:
        top, bottom, left, right = extent(box)
        assert box.sum() == (bottom - top) * (right - left)
        assert 0.02 <= box.mean() <= 0.4
        assert all(edge % multiple == 0 for edge in (top, bottom, left, right))


def test_boxes_take_any_share_and_any_place():
    masks = cut_boxes(torch.empty(1000, 1, 64, 64), 4).float()
    shares = masks.mean(dim=(1, 2))
    shares = shares[shares > 0]
    assert shares.mean().item() == pytest.approx(0.21, abs=0.02)
    assert shares.min() < 0.04
    assert shares.max() > 0.38
    assert (masks.mean(dim=0) > 0).all()


def test_a_tile_of_one_cell_has_no_box():
    assert not cut_boxes(torch.empty(50, 1, 32, 32), 32).any()


def test_mixing_takes_the_box_from_the_next_image_and_nothing_else():
    boxes = cut_boxes(torch.empty(6, 1, 64, 96), 32)
    assert boxes.any()
    for tensor in (torch.randn(6, 3, 64, 96), torch.randint(0, 9, (6, 64, 96)), torch.rand(6, 64, 96) < 0.5):
        mixed = cut_mix(tensor, boxes)
        assert mixed.shape == tensor.shape
        assert mixed.dtype == tensor.dtype
        for i in range(6):
            np.testing.assert_array_equal(mixed[i][..., ~boxes[i]], tensor[i][..., ~boxes[i]])
            np.testing.assert_array_equal(mixed[i][..., boxes[i]], tensor[(i + 1) % 6][..., boxes[i]])


@pytest.mark.parametrize("stride", [1, 4, 16, 32])
def test_features_are_mixed_as_their_pixels_are(stride):
    """Mixing features that repeat each pixel block equals mixing the pixels and taking the blocks afterwards."""
    boxes = cut_boxes(torch.empty(4, 1, 128, 64), 32)
    features = torch.randn(4, 5, 128 // stride, 64 // stride)
    pixels = features.repeat_interleave(stride, dim=2).repeat_interleave(stride, dim=3)
    assert torch.equal(cut_mix(features, boxes), cut_mix(pixels, boxes)[:, :, ::stride, ::stride])


def test_an_image_alone_is_mixed_with_itself():
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(cut_mix(images, torch.ones(1, 64, 64, dtype=torch.bool)), images)
