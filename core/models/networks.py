"""The networks: teachers and student, by name, from segmentation-models-pytorch and our SegNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn

from ..errors import SettingError, WeightsError, lacks_memory
from .network_spec import ARCHITECTURES, NetworkSpec
from .segnet import VGG_STAGES, SegNet

__all__ = [
    "Encoded",
    "Prediction",
    "Weights",
    "build_network",
    "check_network",
    "count_parameters",
    "decode",
    "encode",
    "feature_channels",
    "parse_network",
    "predict",
    "probe",
]

Weights = Literal["none", "imagenet"]


class Encoded(NamedTuple):
    """What the decoder of a network works on.

    Attributes:
        features: of the encoder, shallow to deep, each `(B, C_i, H_i, W_i)`; number and strides are the network's.
        size: (H, W) of the images.
        indices: of SegNet's poolings, shallow to deep, int64 of the features' shapes; other networks have none.
    """

    features: Sequence[Tensor]
    size: torch.Size
    indices: Sequence[Tensor] = ()


class Prediction(NamedTuple):
    """What a network makes of images `(B, C, H, W)`.

    Attributes:
        logits: `(B, classes, H, W)`.
        features: of the encoder, shallow to deep, each `(B, C_i, H_i, W_i)`.
        decoded: last feature of the decoder `(B, C, h, w)`, at stride 4, or at full size for SegNet.
    """

    logits: Tensor
    features: Sequence[Tensor]
    decoded: Tensor


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
    _check_known(spec)
    try:
        network = _BUILDERS[spec.architecture](spec, weights)
    except WeightsError:
        raise
    except (OSError, RuntimeError) as error:  # RuntimeError: what came is not what was asked for
        if weights == "none" or lacks_memory(error):
            raise
        raise WeightsError(
            f"The ImageNet weights of {spec.encoder} could not be downloaded; "
            "connect to the internet or choose starting weights 'none'."
        ) from error
    if batch_norm_momentum is not None:
        for module in network.get_submodule("encoder").modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = batch_norm_momentum
    return network


def encode(network: nn.Module, images: Tensor) -> Encoded:
    """The encoder's part of a forward pass on images `(B, C, H, W)`."""
    size = images.shape[-2:]
    if isinstance(network, SegNet):
        features, indices = network.encode(images)
        return Encoded(features, size, indices)
    return Encoded(network.get_submodule("encoder")(images), size)


def decode(network: nn.Module, encoded: Encoded) -> Prediction:
    """The decoder's part of a forward pass; `encoded` may have been perturbed since the encoder."""
    if isinstance(network, SegNet):
        decoded = network.decode(encoded.features, encoded.indices, encoded.size)
    else:
        decoded = network.get_submodule("decoder")(encoded.features)
    return Prediction(network.get_submodule("segmentation_head")(decoded), encoded.features, decoded)


def predict(network: nn.Module, images: Tensor) -> Prediction:
    """Logits and features of images `(B, C, H, W)`, in one forward pass."""
    return decode(network, encode(network, images))


def probe(network: nn.Module) -> Prediction:
    """The prediction of one blank 64 x 64 image, which tells channels and strides; the network is left as it was."""
    parameter = next(network.parameters())
    bands = next(m for m in network.modules() if isinstance(m, nn.Conv2d)).in_channels
    training = network.training
    network.eval()
    with torch.no_grad():
        prediction = predict(network, torch.zeros(1, bands, 64, 64, device=parameter.device))
    network.train(training)
    return prediction


def feature_channels(network: nn.Module) -> int:
    """Channels of the deepest encoder feature."""
    return probe(network).features[-1].shape[1]


@cache
def check_network(spec: NetworkSpec) -> None:
    """Checks that there is such a network, and that it takes images of any size, by building it.

    Raises:
        SettingError: if the architecture or the encoder is unknown, they do not go together, or the width is out of
            its range.
    """
    _check_known(spec)
    try:
        probe(build_network(spec))
    # Each family of encoders complains in its own way.
    except Exception as error:
        if lacks_memory(error):
            raise
        raise SettingError(
            f"{spec.architecture} does not work with the encoder {spec.encoder}; choose another, such as resnet50."
        ) from error


def parse_network(text: str) -> NetworkSpec:
    """The network of a text such as `deeplabv3plus/resnet50`.

    Raises:
        SettingError: if there is none of that name.
    """
    architecture, _, encoder = text.partition("/")
    spec = NetworkSpec(architecture, encoder)
    _check_known(spec)
    return spec


def count_parameters(network: nn.Module) -> int:
    """Number of trained numbers in the network."""
    return sum(parameter.numel() for parameter in network.parameters())


def _check_known(spec: NetworkSpec) -> None:
    if spec.architecture not in ARCHITECTURES:
        raise SettingError(f"There is no architecture '{spec.architecture}'; choose one of {', '.join(ARCHITECTURES)}.")
    known = VGG_STAGES if spec.architecture == "segnet" else smp.encoders.get_encoder_names()
    if spec.encoder not in known and not (spec.architecture != "segnet" and _is_of_timm(spec.encoder)):
        raise SettingError(f"{spec.architecture} has no encoder '{spec.encoder}'; choose one of {', '.join(known)}.")
    if not 0 < spec.width < math.inf:
        raise SettingError(f"The width of a network must be a finite number above 0, got {spec.width}.")


def _is_of_timm(encoder: str) -> bool:
    return encoder.startswith("tu-") and timm.is_model(encoder.removeprefix("tu-"))


def _deeplabv3plus(spec: NetworkSpec, weights: Weights) -> nn.Module:
    network: nn.Module = smp.DeepLabV3Plus(
        spec.encoder,
        encoder_weights=_smp_weights(spec.encoder, weights),
        encoder_output_stride=16,
        in_channels=spec.in_channels,
        classes=spec.classes,
    )
    return network


def _segformer(spec: NetworkSpec, weights: Weights) -> nn.Module:
    network: nn.Module = smp.Segformer(
        spec.encoder,
        encoder_weights=_smp_weights(spec.encoder, weights),
        in_channels=spec.in_channels,
        classes=spec.classes,
    )
    return network


def _segnet(spec: NetworkSpec, weights: Weights) -> nn.Module:
    network = SegNet(spec.encoder, spec.in_channels, spec.classes, spec.width)
    if weights == "imagenet":
        network.load_imagenet()
    return network


def _smp_weights(encoder: str, weights: Weights) -> str | None:
    if weights == "none":
        return None
    if _is_of_timm(encoder):
        known = timm.is_model_pretrained(encoder.removeprefix("tu-"))
    else:
        known = "imagenet" in smp.encoders.encoders[encoder]["pretrained_settings"]
    if not known:
        raise WeightsError(
            f"There are no ImageNet weights for {encoder}; choose another encoder or starting weights 'none'."
        )
    return "imagenet"


_BUILDERS = {"deeplabv3plus": _deeplabv3plus, "segformer": _segformer, "segnet": _segnet}
