"""Folders of image tiles with mask tiles, as research data sets come, and how they are split."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ..core.errors import AnnotationError, RasterError, SettingError
from ..core.geodata.rasters import RasterInfo, check_end, imagery_bands
from ..core.images import Normalisation
from ..core.labels import IGNORE, ROAD, Labels
from .data import TrainingData, check_alike
from .sources import LabelledWindow, Source, centres, source_of, windows_over

__all__ = [
    "MASKS",
    "MaskKind",
    "MaskedTile",
    "Tile",
    "TileSplit",
    "masked_tiles",
    "read_roadnet",
    "read_split",
    "tile_data",
    "tile_windows",
    "with_all_labels",
]

MaskKind = Literal["labels", "grey", "red"]
_HELD_OUT = 0.1
_LEAST_LABELLED = 2  # one of them is held out
_ROADNET_LABELLED = 5
_ROADNET_SPLIT_SEED = 2024
# Tiles lie nowhere on the Earth, which nothing here asks of them.
_NOWHERE = CRS.from_epsg(32631)


@dataclass(frozen=True)
class Tile:
    """An image and its mask, two files of one size."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class TileSplit:
    """Which tiles are for what; the masks of the unlabelled ones are for training on all labels alone."""

    labelled: tuple[Tile, ...]
    unlabelled: tuple[Tile, ...]
    test: tuple[Tile, ...]


@dataclass(frozen=True, eq=False)
class TileLabels:
    """The labels of one tile, held in memory: `(H, W)` uint8: 0 background, 1 road, 255 unlabelled."""

    mask: Labels

    @property
    def has_roads(self) -> bool:
        """Whether a pixel is road."""
        return bool((self.mask == ROAD).any())

    def labels(self, window: Window, shape: tuple[int, int]) -> Labels:
        """Labels `(H, W)` of a window resampled to `shape`, 255 beyond the tile."""
        rows, rows_inside = _under_centres(window.row_off, window.height, shape[0], self.mask.shape[0])
        columns, columns_inside = _under_centres(window.col_off, window.width, shape[1], self.mask.shape[1])
        found = self.mask[np.ix_(rows, columns)]
        found[~(rows_inside[:, None] & columns_inside)] = IGNORE
        return found


@dataclass(frozen=True)
class _NoLabels:
    def labels(self, window: Window, shape: tuple[int, int]) -> Labels:
        return np.full(shape, IGNORE, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class MaskedTile:
    """An opened tile."""

    raster: RasterInfo
    labels: TileLabels


def read_split(folder: Path, images: str, masks: str, split: str) -> TileSplit:
    """Reads a split: JSON with the file names that are `labelled`, `unlabelled` and `test`.

    Args:
        folder: where everything lies.
        images: folder of the images within it.
        masks: folder of the masks within it, of the images' names.
        split: the JSON file within it.

    Raises:
        SettingError: if the file cannot be read.
        AnnotationError: if a set is empty, or a tile stands in two of them or twice in one.
    """
    names = _read_names(folder / split)
    tiles = {
        part: tuple(Tile(folder / images / name, folder / masks / name) for name in names[part])
        for part in ("labelled", "unlabelled", "test")
    }
    found = TileSplit(**tiles)
    _check_split(found, folder / split)
    return found


def read_roadnet(folder: Path) -> TileSplit:
    """Reads the RoadNet data set as it is cut to tiles: `{train,test}_{image,segment}/<folder>-<row>-<col>.png`.

    One training tile in five is labelled, drawn once for all methods and seeds: 91 : 364 of 455.

    Raises:
        SettingError: if the folder has no such tiles, or fewer to train on than two that are labelled take.
    """
    train, test = (_roadnet_tiles(folder, part) for part in ("train", "test"))
    count = len(train) // _ROADNET_LABELLED
    if count < _LEAST_LABELLED:
        raise SettingError(
            f"There are {len(train)} RoadNet tiles in {folder / 'train_image'}, of which one in {_ROADNET_LABELLED} is "
            f"labelled; at least {_LEAST_LABELLED * _ROADNET_LABELLED} are needed."
        )
    order = np.random.default_rng(_ROADNET_SPLIT_SEED).permutation(len(train)).tolist()
    labelled, unlabelled = sorted(order[:count]), sorted(order[count:])
    found = TileSplit(tuple(train[k] for k in labelled), tuple(train[k] for k in unlabelled), tuple(test))
    _check_split(found, folder)
    return found


def masked_tiles(tiles: Iterable[Tile], kind: MaskKind, gsd: float) -> list[MaskedTile]:
    """Opens tiles: the masks are kept, the images read when they are needed; both are tried to their ends.

    Args:
        tiles: which.
        kind: how masks tell roads: `labels` (0, 1, 255), `grey` (above 127) or `red` (RoadNet's colour).
        gsd: ground sampling distance of the images, in metres.

    Raises:
        RasterError: if a file cannot be read, or image and mask differ in size.
        AnnotationError: if a mask holds what its kind does not know.
    """
    return [_masked_tile(tile, kind, gsd) for tile in tiles]


def tile_data(
    labelled: Sequence[MaskedTile],
    unlabelled: Sequence[MaskedTile],
    tile: int,
    gsd: float,
) -> TrainingData:
    """Training data of tiles; a tenth of the labelled ones, at least one, is held out, the same ones every time.

    One of those shows a road: without, all networks would score alike.

    Args:
        labelled: tiles whose labels are learned from.
        unlabelled: tiles whose labels are not looked at; empty where the labels alone are learned from.
        tile: side of a window in pixels.
        gsd: ground sampling distance of the windows, in metres.

    Raises:
        AnnotationError: if a single tile is labelled, or not enough of them show a road.
        RasterError: if the tiles differ in their bands or types.
    """
    if len(labelled) < _LEAST_LABELLED:
        raise AnnotationError("At least two tiles must be labelled: one of them is held out for validation.")
    check_alike([tile.raster for tile in (*labelled, *unlabelled)])
    held_out, learned = _hold_out(labelled)
    if not all(any(tile.labels.has_roads for tile in part) for part in (held_out, learned)):
        raise AnnotationError(
            "No road is drawn on the labelled tiles, or on too few: one that shows a road is held out for validation, "
            "and from one is learned; check the masks."
        )
    return TrainingData(
        labelled=_sources(learned, tile, gsd),
        unlabelled=tuple(replace(source, annotation=_NoLabels()) for source in _sources(unlabelled, tile, gsd)),
        validation=tile_windows(held_out, tile, gsd),
        normalisation=Normalisation.of_bytes(len(labelled[0].raster.bands)),
        gsd=gsd,
        tile=tile,
        labelled_area=_square_metres(learned),
        held_out_area=_square_metres(held_out),
    )


def with_all_labels(data: TrainingData, unlabelled: Sequence[MaskedTile]) -> TrainingData:
    """The same data, with the labels of the unlabelled tiles to learn from, too."""
    more = _sources(unlabelled, data.tile, data.gsd)
    return replace(
        data, labelled=(*data.labelled, *more), labelled_area=data.labelled_area + _square_metres(unlabelled)
    )


def tile_windows(tiles: Sequence[MaskedTile], tile: int, gsd: float) -> tuple[LabelledWindow, ...]:
    """Windows that cover tiles, to score on."""
    return tuple(window for source in _sources(tiles, tile, gsd) for window in windows_over(source))


def _hold_out(tiles: Sequence[MaskedTile]) -> tuple[list[MaskedTile], list[MaskedTile]]:
    """A tenth of some tiles at random, the first that shows a road among them, and the others."""
    order = np.random.default_rng(0).permutation(len(tiles)).tolist()
    first = next((k for k in order if tiles[k].labels.has_roads), order[0])
    order = [first, *(k for k in order if k != first)]
    count = max(1, round(_HELD_OUT * len(tiles)))
    held_out, learned = ([tiles[k] for k in sorted(part)] for part in (order[:count], order[count:]))
    return held_out, learned


def _sources(tiles: Sequence[MaskedTile], tile: int, gsd: float) -> tuple[Source, ...]:
    return tuple(source_of(each.raster, each.labels, gsd, tile) for each in tiles)


def _square_metres(tiles: Sequence[MaskedTile]) -> float:
    return sum(float((each.labels.mask != IGNORE).sum()) * each.raster.gsd**2 for each in tiles)


def _under_centres(
    offset: float, extent: float, count: int, size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """The pixels under the centres of `count` cells of a window along one axis, and which lie inside."""
    places = np.floor(centres(offset, extent, count)).astype(np.intp)
    return np.clip(places, 0, size - 1), (places >= 0) & (places < size)


def _read_names(path: Path) -> Mapping[str, Sequence[str]]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {part: [str(name) for name in content[part]] for part in ("labelled", "unlabelled", "test")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"The split {path} cannot be read; it must be JSON with the lists labelled, unlabelled and test."
        ) from error


def _check_split(split: TileSplit, where: Path) -> None:
    parts: dict[Path, str] = {}
    for part, tiles in (("labelled", split.labelled), ("unlabelled", split.unlabelled), ("test", split.test)):
        if not tiles and part != "unlabelled":  # of which supervised training needs none
            raise AnnotationError(f"The split {where} has no {part} tiles; name at least one.")
        for image in (tile.image for tile in tiles):
            if image in parts:
                raise AnnotationError(
                    f"The split {where} names the tile {image.name} twice, as {parts[image]} and as {part}; "
                    "no tile may be learned from and scored on."
                )
            parts[image] = part


def _roadnet_tiles(folder: Path, part: str) -> list[Tile]:
    images = sorted((folder / f"{part}_image").glob("*.png"), key=_numbers)
    if not images:
        raise SettingError(f"There are no RoadNet tiles in {folder / f'{part}_image'}; give the folder that holds it.")
    return [Tile(image, folder / f"{part}_segment" / image.name) for image in images]


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.stem)]


def _masked_tile(tile: Tile, kind: MaskKind, gsd: float) -> MaskedTile:
    try:
        with rasterio.open(tile.image) as dataset:
            bands = imagery_bands(dataset)[:3]
            check_end(dataset, bands)
            raster = RasterInfo(
                path=str(tile.image),
                width=dataset.width,
                height=dataset.height,
                crs=_NOWHERE,
                transform=Affine.scale(gsd, -gsd),
                bands=bands,
                dtype=dataset.dtypes[0],
                masked=False,
                pixel=(gsd, gsd),
            )
        with rasterio.open(tile.mask) as dataset:
            check_end(dataset, dataset.indexes)
            pixels = dataset.read()
    except RasterioError as error:
        reason = str(error.__cause__ or error).rstrip(".")
        raise RasterError(f"The tile {tile.image} or its mask {tile.mask} cannot be read: {reason}.") from error
    if raster.dtype != "uint8":
        raise RasterError(f"The tile {tile.image} holds {raster.dtype}; tiles must be 8-bit images.")
    if pixels.shape[1:] != (raster.height, raster.width):
        raise RasterError(
            f"The tile {tile.image} has {raster.width} x {raster.height} pixels, "
            f"its mask {pixels.shape[2]} x {pixels.shape[1]}; they must be of one size."
        )
    return MaskedTile(raster, TileLabels(MASKS[kind](pixels, tile.mask)))


def _from_labels(pixels: npt.NDArray[np.uint8], path: Path) -> Labels:
    unknown = set(np.unique(pixels[0]).tolist()) - {0, 1, IGNORE}
    if unknown:
        raise AnnotationError(
            f"The mask {path} holds the value {min(unknown)}; only 0 (background), 1 (road) and 255 (unlabelled) are "
            "known."
        )
    labels: Labels = pixels[0].astype(np.uint8)
    return labels


def _from_grey(pixels: npt.NDArray[np.uint8], path: Path) -> Labels:
    labels: Labels = (pixels[0] > 127).astype(np.uint8)
    return labels


def _from_red(pixels: npt.NDArray[np.uint8], path: Path) -> Labels:
    if len(pixels) < 3:
        raise AnnotationError(f"The mask {path} has {len(pixels)} band(s); a road is red in three bands there.")
    labels: Labels = ((pixels[0] > 127) & (pixels[1] < 128) & (pixels[2] < 128)).astype(np.uint8)
    return labels


MASKS: dict[MaskKind, Callable[[npt.NDArray[np.uint8], Path], Labels]] = {
    "labels": _from_labels,
    "grey": _from_grey,
    "red": _from_red,
}
"""How each kind of mask becomes labels."""
