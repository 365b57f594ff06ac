"""The networks: teachers and student, by name, from segmentation-models-pytorch and our SegNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.error import URLError

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from .errors import SettingError, WeightsError
from .segnet import VGG_STAGES, SegNet

__all__ = [
    "ARCHITECTURES",
    "NetworkSpec",
    "Prediction",
    "Weights",
    "build_network",
    "count_parameters",
    "feature_channels",
    "predict",
]

Weights = Literal["none", "imagenet"]
ARCHITECTURES = ("deeplabv3plus", "segformer", "segnet")


@dataclass(frozen=True)
class NetworkSpec:
    """What it takes to build a network again.

    Attributes:
        architecture: one of `ARCHITECTURES`.
        encoder: an encoder of segmentation-models-pytorch, or of SegNet (`vgg11`, `vgg13`, `vgg16`).
        in_channels: bands of the images.
        classes: channels of the logits; 0 is background, 1 is road.
        width: factor on SegNet's channels; other networks have 1.
    """

    architecture: str
    encoder: str
    in_channels: int = 3
    classes: int = 2
    width: float = 1.0


class Prediction(NamedTuple):
    """Logits `(B, classes, H, W)` and encoder features, shallow to deep, each `(B, C_i, H_i, W_i)`."""

    logits: Tensor
    features: Sequence[Tensor]


def build_network(spec: NetworkSpec, weights: Weights = "none", batch_norm_momentum: float | None = None) -> nn.Module:
    """Builds the network of `spec`.

    Args:
        spec: the network.
        weights: `imagenet` starts the encoder from ImageNet weights, which are downloaded once.
        batch_norm_momentum: momentum of the batch norms in the encoder; PyTorch's 0.1 when None.

    Raises:
        SettingError: if the architecture or the encoder is unknown.
        WeightsError: if ImageNet weights are asked for and cannot be had.
    """
    _check_spec(spec)
    try:
        network = _BUILDERS[spec.architecture](spec, weights)
    except (OSError, URLError) as error:
        raise WeightsError(
            f"The ImageNet weights of {spec.encoder} could not be downloaded; "
            "connect to the internet or choose starting weights 'none'."
        ) from error
    if batch_norm_momentum is not None:
        for module in network.get_submodule("encoder").modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = batch_norm_momentum
    return network


def predict(network: nn.Module, images: Tensor) -> Prediction:
    """Logits and encoder features of images `(B, C, H, W)`, in one forward pass."""
    if isinstance(network, SegNet):
        features, indices = network.encode(images)
        decoded = network.decode(features, indices, images.shape[-2:])
        return Prediction(network.segmentation_head(decoded), features)
    features = network.get_submodule("encoder")(images)
    decoded = network.get_submodule("decoder")(features)
    return Prediction(network.get_submodule("segmentation_head")(decoded), features)


def feature_channels(network: nn.Module) -> int:
    """Channels of the deepest encoder feature."""
    parameter = next(network.parameters())
    bands = next(m for m in network.modules() if isinstance(m, nn.Conv2d)).in_channels
    training = network.training
    network.eval()
    with torch.no_grad():
        features = predict(network, torch.zeros(1, bands, 64, 64, device=parameter.device)).features
    network.train(training)
    return features[-1].shape[1]


def count_parameters(network: nn.Module) -> int:
    """Number of trained numbers in the network."""
    return sum(parameter.numel() for parameter in network.parameters())


def _check_spec(spec: NetworkSpec) -> None:
    if spec.architecture not in ARCHITECTURES:
        raise SettingError(f"There is no architecture '{spec.architecture}'; choose one of {', '.join(ARCHITECTURES)}.")
    known = VGG_STAGES if spec.architecture == "segnet" else smp.encoders.get_encoder_names()
    if spec.encoder not in known and not spec.encoder.startswith("tu-"):
        raise SettingError(f"{spec.architecture} has no encoder '{spec.encoder}'; choose one of {', '.join(known)}.")


def _deeplabv3plus(spec: NetworkSpec, weights: Weights) -> nn.Module:
    network: nn.Module = smp.DeepLabV3Plus(
        spec.encoder,
        encoder_weights=_smp_weights(weights),
        encoder_output_stride=16,
        in_channels=spec.in_channels,
        classes=spec.classes,
    )
    return network


def _segformer(spec: NetworkSpec, weights: Weights) -> nn.Module:
    network: nn.Module = smp.Segformer(
        spec.encoder,
        encoder_weights=_smp_weights(weights),
        in_channels=spec.in_channels,
        classes=spec.classes,
    )
    return network


def _segnet(spec: NetworkSpec, weights: Weights) -> nn.Module:
    network = SegNet(spec.encoder, spec.in_channels, spec.classes, spec.width)
    if weights == "imagenet":
        network.load_imagenet()
    return network


def _smp_weights(weights: Weights) -> str | None:
    return "imagenet" if weights == "imagenet" else None


_BUILDERS = {"deeplabv3plus": _deeplabv3plus, "segformer": _segformer, "segnet": _segnet}
