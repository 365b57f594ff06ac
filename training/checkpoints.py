"""Where a run stands, on disk, so that one that was stopped goes on to the same result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import rasterio
import shapely
import torch
from rasterio.errors import RasterioError

from ..core.distributed import broadcast, is_first
from ..core.errors import SettingError
from ..core.files import written_to_its_end
from ..core.geodata.annotations import VectorLayer
from ..core.geodata.rasters import RasterInfo, files_of
from .digests import digest_of
from .presets import TrainingSettings

__all__ = ["Checkpoints", "State", "identify"]

State = dict[str, Any]
"""Tensors and plain values alone: reading them back runs no code."""


class Checkpoints:
    """One file for each training of a run; of several processes, the first reads and writes.

    Args:
        folder: where the files lie.
        inputs: a digest of what the run learns from; what a run of other inputs or settings left is not read.
    """

    def __init__(self, folder: Path, inputs: str) -> None:
        self._folder, self._inputs = folder, inputs
        self._used: dict[str, Path] = {}

    def path(self, name: str, settings: TrainingSettings) -> Path:
        """The file of the training of this name."""
        digest = digest_of([self._inputs, asdict(settings)])[:12]
        self._used[name] = self._folder / f"sslkd-{name}-{digest}.checkpoint"
        return self._used[name]

    def load(self, name: str, settings: TrainingSettings) -> State | None:
        """The state that the training of this name was left in; None where no such run left one.

        Raises:
            SettingError: if the file is damaged.
        """
        path = self.path(name, settings)
        return broadcast(_read(path) if is_first() and path.exists() else None)

    def save(self, name: str, settings: TrainingSettings, state: State) -> None:
        """Replaces the state of the training of this name.

        Raises:
            NotWholeError: if the disk is full; the former state stays.
        """
        if is_first():
            with written_to_its_end(self.path(name, settings)) as partial, partial.open("wb") as file:
                _write(state, file)

    def remove(self, names: Sequence[str]) -> None:
        """Removes what is of no use once the run has ended."""
        if is_first():
            for name in names:
                self._used[name].unlink(missing_ok=True)


def _write(state: State, file: BinaryIO) -> None:
    try:
        torch.save(state, file)
    except RuntimeError as error:
        # Of a full disk PyTorch complains by the place that it then comes to in the file.
        raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def _read(path: Path) -> State:
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        return state
    # On rubbish, torch.load raises whatever its unpickler comes upon.
    except Exception as error:
        raise SettingError(f"The checkpoint {path} is damaged; remove it to start anew.") from error


def identify(
    rasters: Sequence[Sequence[RasterInfo]],
    layers: Sequence[Sequence[VectorLayer]],
    gsd: float | None = None,
    copies: Path | None = None,
) -> str:
    """A digest of what a run learns from.

    Args:
        rasters: for each use that is made of rasters, which; by what their files are and how they are read.
        layers: likewise; by their polygons' shapes.
        gsd: ground sampling distance to learn at, in metres.
        copies: where files may be made anew for every run: they are known by their content, others by size and age.
    """
    return digest_of(
        [
            gsd,
            [[_raster(raster, copies) for raster in of_one_use] for of_one_use in rasters],
            [[_layer(layer) for layer in of_one_use] for of_one_use in layers],
        ]
    )


def _raster(raster: RasterInfo, copies: Path | None) -> list[object]:
    # Not the statistics that QGIS writes beside a raster when it shows it; nodata may be declared there, too.
    files = [_file(Path(file), copies) for file in files_of(raster.path) if not file.endswith(".aux.xml")]
    return [
        raster.path,
        raster.width,
        raster.height,
        raster.crs.to_wkt(),
        tuple(raster.transform),
        raster.bands,
        raster.dtype,
        raster.nodata,
        _declared(raster.path),
        files,
    ]


def _declared(path: str) -> list[object]:
    """What a raster declares of which pixels hold data; of what is no raster, nothing."""
    try:
        with rasterio.open(path) as dataset:
            return [dataset.nodatavals, dataset.mask_flag_enums]
    except RasterioError:
        return []


def _file(path: Path, copies: Path | None) -> list[object]:
    try:
        if copies and path.is_relative_to(copies):
            with path.open("rb") as file:
                return [str(path), hashlib.file_digest(file, "sha256").hexdigest()]
        about = path.stat()
    except OSError:  # a name that GDAL alone understands
        return [str(path)]
    return [str(path), about.st_size, about.st_mtime_ns]


def _layer(layer: VectorLayer) -> list[object]:
    return [layer.crs.to_wkt(), shapely.to_wkb(layer.polygons, hex=True).tolist()]
