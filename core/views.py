"""Strong views of images, and CutMix (https://arxiv.org/abs/1905.04899): random, on the images' device.

Every random number comes from PyTorch's global generator on the CPU, so a seed gives the same views on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

__all__ = ["cut_boxes", "cut_mix", "strong_view"]

_JITTERED = 0.8
_GREY = 0.2
_BLURRED = 0.5
_STRENGTH = 0.5
_SIGMAS = (0.1, 2.0)
_KERNEL = 13  # three of the largest sigma to either side

_CUT = 0.5
_AREAS = (0.02, 0.4)
_LONGEST = 10 / 3  # of a box's sides, the long one to the short one


def strong_view(images: Tensor) -> Tensor:
    """Images whose colours and sharpness differ at random from image to image; everything stays in its place.

    Args:
        images: `(B, C, H, W)`, normalised, any number of bands, H and W more than 6.

    Returns:
        `(B, C, H, W)` float32.
    """
    with torch.autocast(images.device.type, enabled=False):
        return _blurred(_greyed(_jittered(images.float())))


def cut_boxes(images: Tensor, multiple: int) -> Tensor:
    """A random box in each image, or none with a probability of one half.

    A box takes 2 to 40 % of its image, any such share being as likely as another.

    Args:
        images: `(B, C, H, W)`.
        multiple: of which the boxes' edges are, in pixels; the stride of the coarsest feature to mix by the boxes.

    Returns:
        `(B, H, W)` bool on the images' device, true inside of the boxes.
    """
    batch, _, height, width = images.shape
    rows, columns = height // multiple, width // multiple
    sizes = _box_sizes(rows, columns)
    boxes = torch.zeros(batch, rows, columns, dtype=torch.bool)
    for box, drawn in zip(boxes, torch.rand(batch) < _CUT, strict=True):
        if drawn and len(sizes):
            h, w = sizes[_below(len(sizes))].tolist()
            top, left = _below(rows - h + 1), _below(columns - w + 1)
            box[top : top + h, left : left + w] = True
    pixels = boxes.repeat_interleave(multiple, dim=1).repeat_interleave(multiple, dim=2)
    padded = torch.nn.functional.pad(pixels, (0, width - pixels.shape[2], 0, height - pixels.shape[1]))
    return padded.to(images.device)


def cut_mix(tensor: Tensor, boxes: Tensor) -> Tensor:
    """Pastes the boxes from the next image of the batch; the last image takes them from the first.

    Args:
        tensor: images or logits `(B, C, H, W)`, masks `(B, H, W)`, or features `(B, C, H / stride, W / stride)`.
        boxes: `(B, H, W)` bool on the tensor's device, with edges on multiples of the stride.
    """
    rows, columns = boxes.shape[-2] // tensor.shape[-2], boxes.shape[-1] // tensor.shape[-1]
    inside = boxes[:, ::rows, ::columns]
    return tensor.roll(-1, dims=0).where(inside if tensor.ndim == 3 else inside[:, None], tensor)


def _jittered(images: Tensor) -> Tensor:
    """Another brightness, contrast and saturation, in most of the images."""
    brightness = _uniform(images, -_STRENGTH, _STRENGTH)
    contrast, saturation = (_uniform(images, 1 - _STRENGTH, 1 + _STRENGTH) for _ in range(2))
    jittered = images.mean(dim=(1, 2, 3), keepdim=True).lerp(images, contrast) + brightness
    jittered = _grey(jittered).lerp(jittered, saturation)
    return jittered.where(_uniform(images, 0, 1) < _JITTERED, images)


def _greyed(images: Tensor) -> Tensor:
    return _grey(images).where(_uniform(images, 0, 1) < _GREY, images)


def _blurred(images: Tensor) -> Tensor:
    sigmas = torch.empty(len(images)).uniform_(*_SIGMAS).tolist()
    blurred = images.clone()
    for image, sigma, drawn in zip(blurred, sigmas, torch.rand(len(images)) < _BLURRED, strict=True):
        if drawn:
            image.copy_(gaussian_blur(image, [_KERNEL, _KERNEL], [sigma, sigma]))
    return blurred


def _grey(images: Tensor) -> Tensor:
    """The mean of the bands in all of them."""
    return images.mean(dim=1, keepdim=True).expand_as(images)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """A random number for each image `(B, 1, 1, 1)`, on its device."""
    return torch.empty(len(images), 1, 1, 1).uniform_(low, high).to(images.device)


def _box_sizes(rows: int, columns: int) -> Tensor:
    """Height and width `(N, 2)` of all boxes that are neither too small, too large nor too long.

    Of these, as many have one area as another, up to rounding: a random one has a random area.
    """
    heights, widths = torch.arange(1, rows + 1)[:, None], torch.arange(1, columns + 1)
    share = heights * widths / (rows * columns)
    ratio = heights / widths
    fits = (share >= _AREAS[0]) & (share <= _AREAS[1]) & (ratio <= _LONGEST) & (ratio >= 1 / _LONGEST)
    return fits.nonzero() + 1


def _below(end: int) -> int:
    return int(torch.randint(end, ()))
