"""What a network is, without building it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, with_config

__all__ = ["ARCHITECTURES", "NetworkSpec"]

ARCHITECTURES = ("deeplabv3plus", "segformer", "segnet")

# Messages, reports and QGIS's layers show it, of strangers' models too: no markup, no control characters.
_Name = Annotated[str, Field(pattern=r"^[\w ./:-]{1,100}$")]


@with_config(extra="forbid")
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

    architecture: _Name
    encoder: _Name
    in_channels: int = 3
    classes: int = 2
    width: float = 1.0
