"""Arithmetic of overlapping tiles: where they stand and how much each counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import SettingError

__all__ = ["LARGEST_TILE", "TILE_MULTIPLE", "Tiling", "blend_weights", "tile_starts"]

TILE_MULTIPLE = 32
"""Every network here halves its input up to five times."""

LARGEST_TILE = 8192
"""Pixels; larger ones take more memory than machines have."""


@dataclass(frozen=True)
class Tiling:
    """How a raster is cut into tiles.

    Attributes:
        tile: side of a tile, in pixels; a multiple of `TILE_MULTIPLE`, at most `LARGEST_TILE`.
        overlap: pixels that neighbouring tiles share at least; below `tile`.
        batch: tiles in one forward pass.

    Raises:
        SettingError: if a number lies outside of its range.
    """

    tile: int
    overlap: int
    batch: int

    def __post_init__(self) -> None:
        if not TILE_MULTIPLE <= self.tile <= LARGEST_TILE or self.tile % TILE_MULTIPLE:
            raise SettingError(
                f"The tile must be a multiple of {TILE_MULTIPLE} pixels, at most {LARGEST_TILE}, got {self.tile}."
            )
        if not 0 <= self.overlap < self.tile:
            raise SettingError(f"The overlap must be at least 0 and below the tile of {self.tile}, got {self.overlap}.")
        if self.batch < 1:
            raise SettingError(f"The batch must be at least 1, got {self.batch}.")


def tile_starts(size: int, tile: int, overlap: int) -> list[int]:
    """First pixel of each tile along an axis: as few tiles as possible, evenly spread, the last flush with the end.

    The overlap is then `overlap` or more. For size 1000, tile 512, overlap 128: [0, 244, 488]. An axis
    shorter than a tile gets one that starts at 0 and reaches beyond it.
    """
    if size <= tile:
        return [0]
    count = math.ceil((size - tile) / (tile - overlap)) + 1
    return [round(k * (size - tile) / (count - 1)) for k in range(count)]


def blend_weights(size: int, starts: list[int], tile: int) -> npt.NDArray[np.float32]:
    """Weight `(tiles, tile)` of each tile's pixels along an axis; over the tiles they sum to 1 at every pixel.

    The profile is a raised cosine, high in the middle of a tile where the network sees most around a
    pixel, and never zero. The weight of a pixel in two dimensions is the product of both axes' weights.
    """
    profile = 1e-3 + np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2
    total = np.zeros(max(size, tile))
    for start in starts:
        total[start : start + tile] += profile
    return np.stack([profile / total[start : start + tile] for start in starts]).astype(np.float32)
