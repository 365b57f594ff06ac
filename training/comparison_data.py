"""The data of a comparison: what to learn from, what all labels would give, what to test on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import shapely

from ..core.errors import AnnotationError, SettingError
from ..core.geodata.annotations import VectorLayer, annotate, are_near, names_of, on_ground, read_polygons
from ..core.geodata.bands import in_colours
from ..core.geodata.rasters import RasterInfo, RasterReader, inspect_raster
from ..core.labels import ROAD
from ..core.windows import TILE_MULTIPLE
from .checkpoints import identify
from .configuration import LabelSet, RastersData, RoadNetData, TilesData
from .data import (
    TrainingData,
    TrainingInputs,
    check_alike,
    read_labelled,
    split_annotated,
    training_data,
    unlabelled_sources,
)
from .digests import digest_of
from .sources import windows_of_parts
from .survey import measure_normalisation
from .tiles import (
    MaskedTile,
    MaskKind,
    TileSplit,
    masked_tiles,
    read_roadnet,
    read_split,
    tile_data,
    tile_windows,
    with_all_labels,
)

__all__ = ["ComparisonData", "open_comparison_data"]

_TEST_TILE = 512
_SEAM = 1.0  # pixels that neighbouring areas may overlap by, as they are drawn and brought to another CRS


@dataclass(frozen=True)
class ComparisonData:
    """What every row of a comparison learns from and is tested on.

    Attributes:
        description: in a few words.
        identity: a digest of it.
        training: gives what to learn from in windows of a side in pixels, with the labels of the split or with all,
            and with imagery without labels or not.
        test: windows to test on, as what would be held out.
    """

    description: str
    identity: str
    training: Callable[[int, LabelSet, bool], TrainingData]
    test: TrainingData


def open_comparison_data(
    data: TilesData | RoadNetData | RastersData, folder: Path, reader: RasterReader
) -> ComparisonData:
    """Reads and checks all labels, and tries what is tested on; images are read when they are needed.

    Args:
        data: where it is.
        folder: the folder of all data, from which the paths of `data` start.
        reader: reads rasters.

    Raises:
        SslkdError: if something is missing or does not go together.
    """
    match data:
        case TilesData():
            split = read_split(folder / data.folder, data.images, data.masks, data.split)
            return _of_tiles(split, data.mask, data.gsd, data.resampled_gsd or data.gsd)
        case RoadNetData():
            return _of_tiles(read_roadnet(folder / data.folder), "red", data.gsd, data.gsd)
        case RastersData():
            return _of_rasters(data, folder / data.folder, reader)


def _of_tiles(split: TileSplit, mask: MaskKind, image_gsd: float, gsd: float) -> ComparisonData:
    labelled, unlabelled, test = (
        masked_tiles(tiles, mask, image_gsd) for tiles in (split.labelled, split.unlabelled, split.test)
    )
    check_alike([tile.raster for tile in (*labelled, *unlabelled, *test)])

    def training(tile: int, labels: LabelSet, with_unlabelled: bool) -> TrainingData:
        if with_unlabelled and not unlabelled:
            raise AnnotationError("There are no unlabelled tiles to learn from; name some, or choose supervised rows.")
        some = tile_data(labelled, unlabelled if with_unlabelled else [], tile, gsd)
        # All labels but those held out, so that every row is validated alike.
        return some if labels == "split" else with_all_labels(some, unlabelled)

    side = _whole_tile(test, gsd)
    any_data = training(side, "split", False)
    windows = tile_windows(test, side, gsd)
    if not any((window.labels(side) == ROAD).any() for window in windows):
        raise AnnotationError(f"No road is seen on the test tiles at {gsd:g} m a pixel; check the masks and the gsd.")
    rasters = [[tile.raster for tile in part] for part in (labelled, unlabelled, test)]
    masks = [hashlib.sha256(tile.labels.mask.tobytes()).hexdigest() for tile in (*labelled, *unlabelled, *test)]
    return ComparisonData(
        description=f"{len(labelled)} labelled, {len(unlabelled)} unlabelled, {len(test)} test tiles at {gsd:g} m",
        identity=digest_of([identify(rasters, [], gsd), masks]),
        training=training,
        test=replace(any_data, validation=windows),
    )


def _whole_tile(tiles: Sequence[MaskedTile], gsd: float) -> int:
    """The side in pixels of a window that takes in a whole tile."""
    largest = max(max(tile.raster.width, tile.raster.height) * tile.raster.gsd / gsd for tile in tiles)
    return -(-round(largest) // TILE_MULTIPLE) * TILE_MULTIPLE


def _of_rasters(data: RastersData, folder: Path, reader: RasterReader) -> ComparisonData:
    labelled, unlabelled, test = (
        [inspect_raster(str(folder / path), nodata=data.nodata) for path in paths]
        for paths in (data.labelled, data.unlabelled, data.test)
    )
    colours = labelled[0].colours
    labelled, unlabelled, test = (
        [in_colours(raster, colours) for raster in rasters] for rasters in (labelled, unlabelled, test)
    )
    check_alike([*labelled, *unlabelled, *test])
    learned_from = [*labelled, *unlabelled]
    roads = _layers(folder, data.roads, data.road_width, learned_from)
    area = _layers(folder, data.area, None, learned_from)
    test_roads = _layers(folder, data.test_roads, data.road_width, test)
    test_area = _layers(folder, data.test_area, None, test)
    for one in test:
        for other in compress(labelled, are_near(one, labelled)):
            _check_apart(one, test_roads, test_area, other, roads, area)

    inputs = TrainingInputs(labelled, roads, area, unlabelled)
    # One of each for all rows: they are validated and tested alike, whatever their windows and their imagery.
    split = split_annotated(inputs, _TEST_TILE, 0, reader)
    normalisation = measure_normalisation(learned_from, reader)

    def training(tile: int, labels: LabelSet, with_unlabelled: bool) -> TrainingData:
        if labels == "all":
            raise SettingError("Rasters have no labels beyond the drawn roads; leave out the rows with all labels.")
        without_labels = unlabelled_sources(inputs, split, tile, reader) if with_unlabelled else []
        return training_data(split, without_labels, tile, normalisation)

    learned = training(_TEST_TILE, "split", False)
    annotations = {raster: annotate(raster, test_roads, test_area) for raster in test}
    windows = [w for raster, a in annotations.items() for w in windows_of_parts(raster, a, learned.gsd, _TEST_TILE)]
    if not windows:
        raise AnnotationError(f"The test area {names_of(test_area)} lies outside of the test rasters.")
    # All are read: one that cannot be is told now, not after hours of training.
    if not any([(read_labelled(window, learned, reader)[1] == ROAD).any() for window in windows]):
        raise AnnotationError(
            f"No road of {names_of(test_roads)} lies where is to be tested; check the layers' positions and the "
            "rasters' nodata."
        )
    return ComparisonData(
        description=f"{len(labelled)} labelled, {len(unlabelled)} unlabelled, {len(test)} test raster(s)",
        identity=digest_of([identify([labelled, unlabelled, test], [roads, area, test_roads, test_area]), _TEST_TILE]),
        training=training,
        test=replace(learned, validation=tuple(windows)),
    )


def _check_apart(
    scored: RasterInfo,
    test_roads: Sequence[VectorLayer],
    test_area: Sequence[VectorLayer],
    learned: RasterInfo,
    roads: Sequence[VectorLayer],
    area: Sequence[VectorLayer],
) -> None:
    """Checks that a raster is not tested where the labels of another are learned from."""
    test = annotate(scored, test_roads, test_area).area
    annotated = on_ground(annotate(learned, roads, area).area.geometries, learned).in_pixels(scored)
    if test.query(shapely.buffer(annotated, -_SEAM), predicate="intersects").size:
        raise AnnotationError(
            f"The test area on {scored.name} overlaps the annotated area of {learned.name}: what is learned from there "
            "would be tested on; draw them apart, or test on another raster."
        )


def _layers(
    folder: Path, paths: Sequence[str], width: float | None, rasters: Sequence[RasterInfo]
) -> list[VectorLayer]:
    return [read_polygons(str(folder / path), width, rasters) for path in paths]
