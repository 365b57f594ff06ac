"""Where a run stands, on disk, so that one that was stopped goes on to the same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import shapely
import torch

from ..core.annotations import VectorLayer
from ..core.errors import SettingError
from ..core.files import written_whole
from ..core.rasters import RasterInfo
from .presets import TrainingSettings

__all__ = ["Checkpoints", "State", "identify"]

State = dict[str, Any]
"""Tensors and plain values alone: reading them back runs no code."""


@dataclass(frozen=True)
class Checkpoints:
    """One file for each training of a run.

    Attributes:
        folder: where the files lie.
        identity: of the run's inputs and settings; what another run left is not read.
    """

    folder: Path
    identity: str

    def load(self, number: int) -> State | None:
        """The state that the training of this number was left in; None where this run left none.

        Raises:
            SettingError: if the file is damaged.
        """
        path = self._path(number)
        if not path.exists():
            return None
        try:
            content: State = torch.load(path, map_location="cpu", weights_only=True)
            return content["state"] if content["identity"] == self.identity else None
        # On rubbish, torch.load raises whatever its unpickler comes upon.
        except Exception as error:
            raise SettingError(f"The checkpoint {path} is damaged; remove it to start anew.") from error

    def save(self, number: int, state: State) -> None:
        """Replaces the state of the training of this number."""
        with written_whole(self._path(number)) as partial:
            torch.save({"identity": self.identity, "state": state}, partial)

    def remove(self, numbers: Sequence[int]) -> None:
        """Removes what is of no use once the run has ended."""
        for number in numbers:
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"sslkd-step-{number}.checkpoint"


def identify(rasters: Sequence[RasterInfo], layers: Sequence[VectorLayer], settings: TrainingSettings) -> str:
    """A digest of what a run learns from and how; of polygons by their shapes, whatever file they come in."""
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    for raster in rasters:
        digest.update(f"{raster.path} {raster.width} {raster.height} {tuple(raster.transform)}".encode())
    for layer in layers:
        digest.update(layer.crs.to_wkt().encode())
        for encoded in shapely.to_wkb(layer.polygons):
            digest.update(encoded)
    return digest.hexdigest()
