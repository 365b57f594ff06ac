"""SegNet: a VGG encoder with pooling indices and its mirrored decoder (https://arxiv.org/abs/1511.00561)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torchvision
from torch import Tensor, nn

from ..errors import WeightsError

__all__ = ["VGG_STAGES", "SegNet"]

# (channels, number of convolutions) of each stage; every stage ends in a 2x2 max-pooling.
VGG_STAGES: dict[str, tuple[tuple[int, int], ...]] = {
    "vgg11": ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)),
    "vgg13": ((64, 2), (128, 2), (256, 2), (512, 2), (512, 2)),
    "vgg16": ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)),
}


class SegNet(nn.Module):
    """Encoder-decoder that unpools with the encoder's pooling indices.

    Args:
        encoder: one of `VGG_STAGES`, with batch norm.
        in_channels: bands of the images.
        classes: channels of the logits.
        width: factor on the channels of every stage; below 1 for a light network.
    """

    def __init__(self, encoder: str = "vgg16", in_channels: int = 3, classes: int = 2, width: float = 1.0) -> None:
        super().__init__()
        self.encoder_name = encoder
        self.width = width
        stages = [(max(1, round(channels * width)), depth) for channels, depth in VGG_STAGES[encoder]]
        inputs = [in_channels, *(channels for channels, _ in stages[:-1])]
        self.encoder = nn.ModuleList(
            _convolutions([previous] + [channels] * depth)
            for previous, (channels, depth) in zip(inputs, stages, strict=True)
        )
        # Mirrored: each stage goes back to the channels of the stage before it; the last one gives the logits.
        outputs = [stages[0][0], *(channels for channels, _ in stages[:-1])]
        self.decoder = nn.ModuleList(
            _convolutions([channels] * depth + [out])
            for out, (channels, depth) in reversed(list(zip(outputs[1:], stages[1:], strict=True)))
        )
        first, depth = stages[0]
        self.decoder.append(_convolutions([first] * depth) if depth > 1 else nn.Identity())
        self.segmentation_head = nn.Conv2d(first, classes, kernel_size=3, padding=1)

    def encode(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The pooled feature of every stage, shallow to deep, and the indices of its pooling.

        Args:
            images: `(B, C, H, W)`, H and W at least 32.
        """
        features, indices = [], []
        x = images
        for stage in self.encoder:
            x, positions = nn.functional.max_pool2d(stage(x), kernel_size=2, return_indices=True)
            features.append(x)
            indices.append(positions)
        return features, indices

    def decode(self, features: Sequence[Tensor], indices: Sequence[Tensor], size: torch.Size) -> Tensor:
        """The last decoder feature `(B, 64 * width, H, W)`, for images of `size` (H, W)."""
        x = features[-1]
        sizes = [size, *(feature.shape[-2:] for feature in features[:-1])]
        for stage, positions, output in zip(self.decoder, reversed(indices), reversed(sizes), strict=True):
            x = stage(_unpool(x, positions, output))
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, classes, H, W)` of images `(B, C, H, W)`."""
        features, indices = self.encode(images)
        logits: Tensor = self.segmentation_head(self.decode(features, indices, images.shape[-2:]))
        return logits

    def load_imagenet(self) -> None:
        """Starts the encoder from torchvision's ImageNet weights of the same VGG with batch norm.

        Raises:
            WeightsError: if this encoder is slimmed, or the weights cannot be downloaded.
        """
        if self.width != 1:
            raise WeightsError("There are no ImageNet weights for a slim SegNet; choose starting weights 'none'.")
        source = torchvision.models.get_model(f"{self.encoder_name}_bn", weights="IMAGENET1K_V1").features
        theirs = [m for m in source.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        ours = [m for m in self.encoder.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        theirs[0].weight = nn.Parameter(_spread_bands(theirs[0].weight.data, ours[0].weight.shape[1]))
        for target, module in zip(ours, theirs, strict=True):
            target.load_state_dict(module.state_dict())


def _unpool(pooled: Tensor, indices: Tensor, size: torch.Size) -> Tensor:
    """Each value back where it was pooled from, 0 elsewhere: `(B, C, *size)`."""
    # Not nn.functional.max_unpool2d, which does the same but cannot be traced.
    height, width = size
    flat = pooled.new_zeros((*pooled.shape[:2], height * width))
    return flat.scatter(2, indices.flatten(2), pooled.flatten(2)).view(*pooled.shape[:2], height, width)


def _spread_bands(weight: Tensor, bands: int) -> Tensor:
    """RGB filters `(out, 3, k, k)` for any number of bands: repeated in turn, the response kept in scale."""
    if bands == weight.shape[1]:
        return weight
    return weight[:, torch.arange(bands) % weight.shape[1]] * (weight.shape[1] / bands)


def _convolutions(channels: Sequence[int]) -> nn.Sequential:
    """3x3 convolutions with batch norm and ReLU through the given channel counts."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
