"""The perturbations of a feature in cross-consistency training (CCT, https://arxiv.org/abs/2003.09005).

Strengths are those of the authors' configuration. Each function takes a feature `(B, C, h, w)` and returns one of
that shape, through which gradients flow; `objects` `(B, H, W)` bool is where the main decoder sees anything but
background.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["adversarial", "context_mask", "cut_out", "feature_drop", "feature_noise", "object_mask", "spatial_dropout"]

_NOISE = 0.3
_DROPPED = 0.5
_CUT = 0.4
_STEP = 2.0
_PROBE = 0.01


def feature_drop(feature: Tensor) -> Tensor:
    """Drops the most active places: those above 70 to 90 % of the highest mean over the channels."""
    activity = feature.mean(dim=1, keepdim=True)
    threshold = activity.amax(dim=(1, 2, 3), keepdim=True) * float(torch.empty(()).uniform_(0.7, 0.9))
    return feature * (activity < threshold)


def feature_noise(feature: Tensor) -> Tensor:
    """Makes each element up to 30 % more or less, all images of the batch alike."""
    return feature * (1 + torch.empty_like(feature[:1]).uniform_(-_NOISE, _NOISE))


def spatial_dropout(feature: Tensor) -> Tensor:
    """Drops half of the channels."""
    return functional.dropout2d(feature, _DROPPED)


def context_mask(feature: Tensor, objects: Tensor) -> Tensor:
    """Leaves the objects alone."""
    return feature * _at_size_of(feature, objects)


def object_mask(feature: Tensor, objects: Tensor) -> Tensor:
    """Leaves the background alone."""
    return feature * ~_at_size_of(feature, objects)


def cut_out(feature: Tensor, objects: Tensor) -> Tensor:
    """Cuts a box from the frame around the objects, its sides 40 % of the frame's.

    All objects of an image have one frame, for roads are one network rather than things apart.
    """
    occupied = _at_size_of(feature, objects)[:, 0]
    rows, columns = _random_part(occupied.any(dim=2)), _random_part(occupied.any(dim=1))
    return feature * ~(rows[:, None, :, None] & columns[:, None, None, :])


def adversarial(feature: Tensor, decoder: nn.Module) -> Tensor:
    """Adds what changes the decoder's prediction most, with a norm of 2 an image (https://arxiv.org/abs/1704.03976).

    The direction is found from one random probe. The probe's norm is a hundredth of the feature's: the authors' 1e-6
    would be lost in rounding.
    """
    with torch.autocast(feature.device.type, enabled=False), torch.enable_grad():
        still = feature.detach().float()
        size = still.flatten(1).norm(dim=1)[:, None, None, None]
        probe = (_PROBE * size * _unit(torch.randn_like(still))).requires_grad_()
        expected = decoder(still).detach().softmax(dim=1)
        divergence = functional.kl_div(decoder(still + probe).log_softmax(dim=1), expected, reduction="sum")
        (direction,) = torch.autograd.grad(divergence, probe)
    return feature + _STEP * _unit(direction).to(feature.dtype)


def _unit(tensor: Tensor) -> Tensor:
    """Norm 1 for each image."""
    return functional.normalize(tensor.flatten(1), dim=1).view_as(tensor)


def _at_size_of(feature: Tensor, objects: Tensor) -> Tensor:
    """The mask `(B, 1, h, w)` bool at the places of the feature."""
    return functional.interpolate(objects[:, None].float(), feature.shape[-2:]).bool()


def _random_part(occupied: Tensor) -> Tensor:
    """A random run within the occupied stretch `(B, N)` bool, as long as 40 % of it."""
    length = occupied.shape[1]
    places = torch.arange(length, device=occupied.device)
    start = places.where(occupied, length).amin(dim=1, keepdim=True)
    stretch = ((places + 1) * occupied).amax(dim=1, keepdim=True) - start
    first = start + torch.rand_like(stretch, dtype=torch.float32) * (1 - _CUT) * stretch
    return (places + 0.5 >= first) & (places + 0.5 < first + _CUT * stretch)
