"""One raster's pixels for several threads: each block is decoded once, by the thread that needs it first."""

from __future__ import annotations

import math
from concurrent.futures import Future
from itertools import product
from threading import Lock

import numpy as np
from rasterio.windows import Window

from .images import Mask, Pixels
from .rasters import RasterInfo, RasterReader, mirrored

__all__ = ["BlockReader"]

# Pixels along a side of what is decoded at a time, where the raster's own blocks are smaller.
_SIDE = 512
# Blocks that are kept besides: threads overtake one another, though by no more windows than are read ahead.
_SPARE = 4
# Bytes that are kept for the next row of windows: if it took more, some blocks would rather be decoded again.
_MOST_BYTES = 512 * 2**20

_Key = tuple[int, int]
_Block = Future[tuple[Pixels, Mask | None]]
"""Pixels and validity; None where all are valid, as most are."""


class BlockReader:
    """Reads overlapping windows of a raster, from any number of threads, and keeps what neighbouring ones share.

    GDAL keeps blocks, too, but for each handle, and every thread has one of its own: each would decode them again.

    Args:
        reader: that decodes.
        raster: which raster.
        within: where the windows lie, but for their margins.
        shape: height and width of a window, in pixels; what is kept serves such windows side by side, row below row.
    """

    def __init__(self, reader: RasterReader, raster: RasterInfo, within: Window, shape: tuple[int, int]) -> None:
        self._reader, self._raster = reader, raster
        self._sides = _sides(*reader.block_shape(raster))
        rows, columns = (math.ceil(size / side) + 1 for size, side in zip(shape, self._sides, strict=True))
        across = len(self._touched(within.col_off, within.width, axis=1))
        block = len(raster.bands) * np.dtype(raster.dtype).itemsize * math.prod(self._sides)
        if rows * across * block > _MOST_BYTES:
            across = min(across, 2 * columns)
        self._most = rows * across + _SPARE
        self._lock = Lock()
        self._kept: dict[_Key, _Block] = {}  # the one used least lately first

    def read(self, window: Window) -> tuple[Pixels, Mask]:
        """Pixels `(C, H, W)` in the raster's type and validity `(H, W)` of a window.

        What lies outside of the raster mirrors what lies inside, as `RasterReader.read` has it.

        Raises:
            RasterError: if the raster cannot be read there.
        """
        inside = window.intersection(Window(0, 0, self._raster.width, self._raster.height))
        shape = (inside.height, inside.width)
        pixels = np.empty((len(self._raster.bands), *shape), self._raster.dtype)
        valid = np.ones(shape, dtype=bool)
        for (row, column), block in self._blocks(inside).items():
            some_pixels, some_valid = block.result()
            _, height, width = some_pixels.shape
            down, from_down = _shared(inside.row_off, inside.height, row * self._sides[0], height)
            across, from_across = _shared(inside.col_off, inside.width, column * self._sides[1], width)
            pixels[:, down, across] = some_pixels[:, from_down, from_across]
            if some_valid is not None:
                valid[down, across] = some_valid[from_down, from_across]
        top, left = inside.row_off - window.row_off, inside.col_off - window.col_off
        margins = ((top, window.height - top - inside.height), (left, window.width - left - inside.width))
        return mirrored(pixels, valid, margins)

    def read_validity(self, window: Window) -> Mask:
        """Validity `(H, W)` of a window within the raster; its pixels are read only where it takes them.

        Raises:
            RasterError: if the raster cannot be read there.
        """
        if not self._raster.masked and np.dtype(self._raster.dtype).kind != "f":
            return np.ones((window.height, window.width), dtype=bool)
        return self.read(window)[1]

    def _blocks(self, window: Window) -> dict[_Key, _Block]:
        """The blocks that a window touches; those that no thread has begun are decoded here."""
        rows = self._touched(window.row_off, window.height, axis=0)
        columns = self._touched(window.col_off, window.width, axis=1)
        new: list[_Key] = []
        found: dict[_Key, _Block] = {}
        with self._lock:
            for key in product(rows, columns):
                block = self._kept.pop(key, None)
                if block is None:
                    block = Future()
                    new.append(key)
                found[key] = self._kept[key] = block
            for key in list(self._kept)[: -self._most]:
                del self._kept[key]
        # All of them, whatever happens: other threads may wait for them by now.
        for key in new:
            self._decode(key, found[key])
        return found

    def _decode(self, key: _Key, block: _Block) -> None:
        (height, width), (top, left) = self._sides, (key[0] * self._sides[0], key[1] * self._sides[1])
        whole = Window(left, top, min(width, self._raster.width - left), min(height, self._raster.height - top))
        try:
            pixels, valid = self._reader.read(self._raster, whole, (whole.height, whole.width))
            block.set_result((pixels, None if valid.all() else valid))
        except Exception as error:
            block.set_exception(error)

    def _touched(self, start: int, size: int, axis: int) -> range:
        side = self._sides[axis]
        return range(start // side, (start + size - 1) // side + 1)


def _sides(height: int, width: int) -> tuple[int, int]:
    """Height and width of whole blocks that together are about as large as a square of `_SIDE`."""
    wide = math.ceil(_SIDE / width) * width
    return max(1, round(_SIDE**2 / (wide * height))) * height, wide


def _shared(start: int, size: int, other: int, other_size: int) -> tuple[slice, slice]:
    """What two ranges share, as a part of the first and as a part of the second."""
    first, last = max(start, other), min(start + size, other + other_size)
    return slice(first - start, last - start), slice(first - other, last - other)
