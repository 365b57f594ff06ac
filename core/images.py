"""What goes from rasters to networks and back: arrays, and how they are normalised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, with_config

__all__ = ["Images", "Mask", "Normalisation", "Pixels", "Predictor"]

Pixels = npt.NDArray[np.generic]
Mask = npt.NDArray[np.bool_]
Images = npt.NDArray[np.float32]

Predictor = Callable[[Images], Images]
"""From normalised images `(B, C, H, W)` to the probability of road `(B, H, W)`; the images are soon written over."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]


@with_config(extra="forbid")
@dataclass(frozen=True)
class Normalisation:
    """Per band: normalised = (pixel - mean) / std, in units of the raster's values."""

    mean: tuple[_Finite, ...]
    std: tuple[Annotated[_Finite, Field(gt=0)], ...]

    @classmethod
    def of_bytes(cls, bands: int) -> Normalisation:
        """The paper's mean and standard deviation of 0.5 each, for bands of 8 bits."""
        return cls((127.5,) * bands, (127.5,) * bands)

    def apply(self, pixels: Pixels, valid: Mask, out: Images | None = None) -> Images:
        """Normalised images from pixels `(C, H, W)`, in `out` where it is given; invalid ones become 0, the mean."""
        mean = np.asarray(self.mean, dtype=np.float32)[:, None, None]
        std = np.asarray(self.std, dtype=np.float32)[:, None, None]
        images: Images = np.empty(pixels.shape, np.float32) if out is None else out
        with np.errstate(over="ignore"):  # by what is not valid
            images[:] = pixels
            images -= mean
            images /= std
        if not valid.all():
            images[:, ~valid] = 0
        return images
