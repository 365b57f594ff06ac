"""What can be asked of the worker; the same from QGIS (JSON) and from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..core.errors import SettingError
from ..core.validation import explain

__all__ = [
    "AnyJob",
    "CompareJob",
    "DetectJob",
    "EvaluateJob",
    "Job",
    "TrainJob",
    "VectoriseJob",
    "parse_job",
]


class _Job(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainJob(_Job):
    """Train the teachers and the student.

    Attributes:
        labelled: rasters that roads were drawn on.
        roads: vector files of the roads: polygons, or lines that get `road_width`.
        road_width: full width of roads drawn as lines, in metres.
        area: vector files of where all roads were drawn; empty for the whole of the rasters.
        unlabelled: further rasters; empty for what lies outside of the area.
        method: how to train; `sslkd`, or one of those that it is compared with.
        preset: sizes of the networks and of the training.
        student: the student's network as architecture/encoder; None for the preset's.
        teachers: two or more networks as architecture/encoder; empty for the preset's.
        steps: optimiser steps of each of the two steps of the method; None for the preset's.
        batch: labelled windows a step, and as many unlabelled ones; None for the preset's.
        tile: side of a window in pixels, a multiple of 32; None for the preset's.
        learning_rate: at the start; None for the preset's.
        seed: of everything that is random.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        weights: what the encoders start from.
        model: the student's model file to write.
        report: HTML report to write.
        checkpoints: folder to note in how far the training is, and to go on from after a stop; None for nowhere.
    """

    kind: Literal["train"] = "train"
    labelled: Annotated[list[str], Field(min_length=1)]
    roads: Annotated[list[str], Field(min_length=1)]
    road_width: Annotated[float, Field(gt=0)] = 6.0
    area: list[str] = []
    unlabelled: list[str] = []
    method: str = "sslkd"
    preset: Literal["paper", "balanced", "quick"] = "balanced"
    student: str | None = None
    teachers: list[str] = []
    steps: int | None = None
    batch: int | None = None
    tile: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    device: str = "auto"
    weights: Literal["none", "imagenet"] = "none"
    model: Path
    report: Path
    checkpoints: Path | None = None


class DetectJob(_Job):
    """Detect roads in a raster.

    Attributes:
        raster: the raster.
        model: a model file.
        extent: least x, least y, largest x, largest y in the raster's CRS; None for the whole raster.
        threshold: from this probability on a pixel is road.
        least_area: smaller outlines are left out, in square metres.
        simplify: tolerance of the outlines' simplification, in metres; 0 keeps the pixels' edges.
        tile: side of a tile in pixels, a multiple of 32; None for 512.
        overlap: pixels that neighbouring tiles share at least; None for a quarter of the tile.
        batch: tiles in one forward pass; None for 1 on the CPU and 8 on a GPU.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: of the computation; `auto` is bfloat16 on a GPU and float32 on the CPU.
        surface: raster of roads to write.
        probability: raster of probabilities to write, if any.
        outlines: vector file of outlines to write, if any.
        centre_lines: vector file of centre lines to write, if any.
    """

    kind: Literal["detect"] = "detect"
    raster: str
    model: Path
    extent: tuple[float, float, float, float] | None = None
    threshold: float = 0.5
    least_area: float = 20.0
    simplify: float = 0.5
    tile: int | None = None
    overlap: int | None = None
    batch: int | None = None
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    surface: Path
    probability: Path | None = None
    outlines: Path | None = None
    centre_lines: Path | None = None


class VectoriseJob(_Job):
    """Make outlines and centre lines of a raster of roads.

    Attributes:
        raster: of 1 road and 0 background, or of the probability of road.
        threshold: from this probability on a pixel is road.
        outlines: vector file of outlines to write, if any.
        centre_lines: vector file of centre lines to write, if any.
        least_area: smaller roads are left out, in square metres.
        fill_holes: smaller holes are filled, in square metres.
        simplify: tolerance of the simplification, in metres; 0 keeps the pixels' edges.
        smooth: as far from a corner, in metres, it is rounded off; 0 keeps the corners.
        bridge: gaps of centre lines up to this long are bridged, in metres.
        crs: coordinate reference system of the vectors; None for the raster's.
    """

    kind: Literal["vectorise"] = "vectorise"
    raster: str
    threshold: float = 0.5
    outlines: Path | None = None
    centre_lines: Path | None = None
    least_area: float = 20.0
    fill_holes: float = 30.0
    simplify: float = 0.5
    smooth: float = 2.0
    bridge: float = 15.0
    crs: str | None = None


class EvaluateJob(_Job):
    """Compare a surface raster with drawn roads.

    Attributes:
        surface: raster of 1 road and 0 background.
        roads: vector files of the roads: polygons, or lines that get `road_width`.
        road_width: full width of roads drawn as lines, in metres.
        area: vector files of where to compare; empty for the whole raster.
        json_file: file to write the scores to, if any; `json` in JSON.
    """

    kind: Literal["evaluate"] = "evaluate"
    surface: str
    roads: Annotated[list[str], Field(min_length=1)]
    road_width: Annotated[float, Field(gt=0)] = 6.0
    area: list[str] = []
    json_file: Annotated[Path | None, Field(alias="json")] = None


class CompareJob(_Job):
    """Train and test methods on the same data.

    Attributes:
        configuration: a TOML file, or the name of a configuration that comes with SSLKD.
        output: folder for tables, pictures and models; the same one again goes on where it stopped.
        data: folder of the data that the configuration names; None for the environment variable SSLKD_DATA.
        rows: names of the rows to do; empty for all.
        seeds: to train with; empty for the configuration's.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    kind: Literal["compare"] = "compare"
    configuration: str
    output: Path
    data: Path | None = None
    rows: list[str] = []
    seeds: list[int] = []
    device: str = "auto"


AnyJob = TrainJob | DetectJob | VectoriseJob | EvaluateJob | CompareJob
Job = Annotated[AnyJob, Field(discriminator="kind")]
_JOB: TypeAdapter[AnyJob] = TypeAdapter(Job)


def parse_job(text: str) -> AnyJob:
    """The job in a JSON text.

    Raises:
        SettingError: if it is no job, with what is wrong in one sentence.
    """
    try:
        return _JOB.validate_json(text)
    except ValidationError as error:
        raise SettingError(f"The job is not understood: {explain(error)}.") from error
