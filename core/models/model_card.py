"""What a model is, told without building it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import safetensors
from pydantic import Field, TypeAdapter, with_config

from ..errors import ModelFileError
from ..images import Normalisation
from .network_spec import NetworkSpec

__all__ = ["FORMAT_VERSION", "ModelCard", "card_header", "load_card"]

FORMAT_VERSION = 4
_HEADER = "sslkd"

_Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Word = Annotated[str, Field(pattern=r"^\w{1,30}$")]


@with_config(extra="forbid")
@dataclass(frozen=True)
class ModelCard:
    """What a model is and where it comes from.

    Attributes:
        network: how to build it.
        normalisation: from raster values to what the network sees.
        dtype: NumPy's name of the type of the rasters that it learned from.
        gsd: ground sampling distance in metres that it learned at.
        tile: side in pixels of the windows that it learned from.
        training: the configuration of its training.
        scores: its scores on the validation area.
        classes: names of the classes in the order of the logits.
        imagery_gsd: ground sampling distance in metres of the imagery itself; None where older files do not tell it.
        colours: of the bands that it learned from, as `RasterInfo` has them; none where they are not known.
        version: version of this format.

    Raises:
        ValueError: if the normalisation is of another number of bands than the network.
    """

    network: NetworkSpec
    normalisation: Normalisation
    dtype: _Word
    gsd: _Metres
    tile: int
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ("background", "road")
    imagery_gsd: _Metres | None = None
    colours: tuple[_Word, ...] = ()
    version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if {len(self.normalisation.mean), len(self.normalisation.std)} != {self.network.in_channels}:
            raise ValueError("the normalisation is of another number of bands than the network")


def card_header(card: ModelCard) -> dict[str, str]:
    """The card as the metadata of a safetensors file."""
    return {_HEADER: json.dumps(asdict(card))}


def load_card(path: Path) -> ModelCard:
    """Reads what a model is, without its weights.

    Raises:
        ModelFileError: if there is no such file, or it is no model, or of a newer format.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {})[_HEADER]
        version = json.loads(header)["version"]
        if version > FORMAT_VERSION:
            raise ModelFileError(f"The model {path} was written by a newer version (format {version}); update SSLKD.")
        card = TypeAdapter(ModelCard).validate_json(header, strict=True)
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file {path}; choose one that Train SSLKD wrote.") from error
    except ModelFileError:
        raise
    except (OSError, safetensors.SafetensorError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} is no model of SSLKD; choose a .safetensors file that Train SSLKD wrote."
        ) from error
    return card
