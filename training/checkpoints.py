"""Where a run stands, on disk, so that one that was stopped goes on to the same result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import shapely
import torch

from ..core.annotations import VectorLayer
from ..core.distributed import broadcast, is_first
from ..core.errors import SettingError
from ..core.files import written_whole
from ..core.rasters import RasterInfo
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

    def load(self, name: str, settings: TrainingSettings) -> State | None:
        """The state that the training of this name was left in; None where no such run left one.

        Raises:
            SettingError: if the file is damaged.
        """
        path = self._path(name, settings)
        return broadcast(_read(path) if is_first() and path.exists() else None)

    def save(self, name: str, settings: TrainingSettings, state: State) -> None:
        """Replaces the state of the training of this name."""
        if is_first():
            with written_whole(self._path(name, settings)) as partial:
                torch.save(state, partial)

    def remove(self, names: Sequence[str]) -> None:
        """Removes what is of no use once the run has ended."""
        if is_first():
            for name in names:
                self._used[name].unlink(missing_ok=True)

    def _path(self, name: str, settings: TrainingSettings) -> Path:
        digest = digest_of([self._inputs, asdict(settings)])[:12]
        self._used[name] = self._folder / f"sslkd-{name}-{digest}.checkpoint"
        return self._used[name]


def _read(path: Path) -> State:
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        return state
    # On rubbish, torch.load raises whatever its unpickler comes upon.
    except Exception as error:
        raise SettingError(f"The checkpoint {path} is damaged; remove it to start anew.") from error


def identify(rasters: Sequence[RasterInfo], layers: Sequence[VectorLayer], gsd: float | None = None) -> str:
    """A digest of what a run learns from, and at which ground sampling distance; of polygons by their shapes."""
    digest = hashlib.sha256(str(gsd).encode())
    for raster in rasters:
        digest.update(f"{raster.path} {raster.width} {raster.height} {tuple(raster.transform)}".encode())
    for layer in layers:
        digest.update(layer.crs.to_wkt().encode())
        for encoded in shapely.to_wkb(layer.polygons):
            digest.update(encoded)
    return digest.hexdigest()
