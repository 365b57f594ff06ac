"""One raster's pixels for several threads: each block is decoded once, by the thread that needs it first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import Future
from itertools import product
from threading import Lock

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from ..images import Mask, Pixels
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
_Bits = npt.NDArray[np.uint8]
_Part = tuple[slice, slice]


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
        across = row = len(self._touched(within.col_off, within.width, axis=1))
        block = len(raster.bands) * np.dtype(raster.dtype).itemsize * math.prod(self._sides)
        if rows * across * block > _MOST_BYTES:
            across = min(across, 2 * columns)
        self._most = rows * across + _SPARE
        # The next row of windows is read while it is asked what is valid in those above.
        self._most_masks = (2 * rows + 1) * row
        self._lock, self._asking = Lock(), Lock()
        self._kept: dict[_Key, _Block] = {}  # the one used least lately first
        self._masks: dict[_Key, _Bits | None] = {}  # the one decoded first, first

    def read(self, window: Window) -> tuple[Pixels, Mask]:
        """Pixels `(C, H, W)` in the raster's type and validity `(H, W)` of a window.

        What lies outside of the raster mirrors what lies inside, as `RasterReader.read` has it.

        Raises:
            RasterError: if the raster cannot be read there.
        """
        inside = window.intersection(self._raster.window)
        shape = (inside.height, inside.width)
        pixels = np.empty((len(self._raster.bands), *shape), self._raster.dtype)
        valid = np.ones(shape, dtype=bool)
        for key, block in self._blocks(inside).items():
            some_pixels, some_valid = block.result()
            here, there = _shared(inside, self._window(key))
            pixels[(..., *here)] = some_pixels[(..., *there)]
            if some_valid is not None:
                valid[here] = some_valid[there]
        top, left = inside.row_off - window.row_off, inside.col_off - window.col_off
        margins = ((top, window.height - top - inside.height), (left, window.width - left - inside.width))
        return mirrored(pixels, valid, margins)

    def valid_among(self, wanted: Mask, window: Window) -> Mask:
        """Which of the wanted pixels `(H, W)` of a window within the raster are valid.

        Only blocks that hold some are asked, and those that were read lately are not decoded again.

        Raises:
            RasterError: if the raster cannot be read there.
        """
        valid = wanted.copy()
        if not self._raster.may_lack_data:
            return valid
        for key in self._keys(window):
            here, there = _shared(window, self._window(key))
            if valid[here].any():
                mask = self._mask(key)
                if mask is not None:
                    valid[here] &= mask[there]
        return valid

    def _blocks(self, window: Window) -> dict[_Key, _Block]:
        """The blocks that a window touches; those that no thread has begun are decoded here."""
        new: list[_Key] = []
        found: dict[_Key, _Block] = {}
        with self._lock:
            for key in self._keys(window):
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
        whole = self._window(key)
        try:
            pixels, valid = self._reader.read(self._raster, whole, (whole.height, whole.width))
            mask = None if valid.all() else valid
            self._keep_mask(key, mask)
            block.set_result((pixels, mask))
        except Exception as error:
            block.set_exception(error)

    def _keep_mask(self, key: _Key, mask: Mask | None) -> None:
        with self._lock:
            self._masks[key] = None if mask is None else np.packbits(mask)
            for old in list(self._masks)[: -self._most_masks]:
                del self._masks[old]

    def _mask(self, key: _Key) -> Mask | None:
        """Validity of a block; None where all is valid."""
        # By one thread after the other, or several would decode the same block.
        with self._asking:
            try:
                bits = self._masks[key]
            except KeyError:
                # Not among the kept blocks: windows to come need those.
                block: _Block = Future()
                self._decode(key, block)
                return block.result()[1]
        window = self._window(key)
        shape = (window.height, window.width)
        return None if bits is None else np.unpackbits(bits, count=math.prod(shape)).reshape(shape).view(bool)

    def _keys(self, window: Window) -> Iterable[_Key]:
        """Rows and columns of the blocks that a window touches."""
        rows = self._touched(window.row_off, window.height, axis=0)
        return product(rows, self._touched(window.col_off, window.width, axis=1))

    def _window(self, key: _Key) -> Window:
        (height, width), (top, left) = self._sides, (key[0] * self._sides[0], key[1] * self._sides[1])
        return Window(left, top, min(width, self._raster.width - left), min(height, self._raster.height - top))

    def _touched(self, start: int, size: int, axis: int) -> range:
        side = self._sides[axis]
        return range(start // side, (start + size - 1) // side + 1)


def _sides(height: int, width: int) -> tuple[int, int]:
    """Height and width of whole blocks that together are about as large as a square of `_SIDE`."""
    wide = math.ceil(_SIDE / width) * width
    return max(1, round(_SIDE**2 / (wide * height))) * height, wide


def _shared(window: Window, other: Window) -> tuple[_Part, _Part]:
    """What two windows share, as rows and columns of the first and as such of the second."""
    rows = _shared_range(window.row_off, window.height, other.row_off, other.height)
    columns = _shared_range(window.col_off, window.width, other.col_off, other.width)
    return (rows[0], columns[0]), (rows[1], columns[1])


def _shared_range(start: int, size: int, other: int, other_size: int) -> tuple[slice, slice]:
    first, last = max(start, other), min(start + size, other + other_size)
    return slice(first - start, last - start), slice(first - other, last - other)
