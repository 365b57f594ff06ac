"""What can be asked of the worker; the same from QGIS (JSON) and from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ..core.errors import SettingError
from ..core.validation import explain

__all__ = [
    "AnyJob",
    "CompareJob",
    "DetectJob",
    "DiagnoseJob",
    "EvaluateJob",
    "ExportJob",
    "Outputs",
    "Product",
    "TrainJob",
    "VectoriseJob",
    "VectorsJob",
    "parse_job",
]

Outputs = dict[str, Any]
"""What a job made, by name: files and scores."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Job(BaseModel):
    # A process does one of the jobs; only that one is built.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


Nodata = Annotated[float, Field(allow_inf_nan=True)] | None


class TrainJob(_Job):
    """Train the teachers and the student.

    Attributes:
        labelled: rasters that roads were drawn on.
        roads: vector files of the roads: polygons, or lines that get `road_width`.
        road_width: full width of roads drawn as lines, in metres.
        area: vector files of where all roads were drawn; empty for the whole of the rasters.
        unlabelled: further rasters; empty for what lies outside of the area.
        bands: 1-based indexes of the bands to learn from, of each raster; empty for all but alpha, in the order of
            the colours of the first, where the files declare them.
        nodata: a value that counts as nodata besides what the rasters declare.
        gsd: ground sampling distance to learn at, in metres; None for the labelled rasters' (their median), or the
            preset's where theirs is finer.
        method: how to train; `sslkd`, or one of those that it is compared with.
        preset: sizes of the networks and of the training.
        student: the student's network as architecture/encoder; None for the preset's.
        teachers: two or more networks as architecture/encoder; empty for the preset's.
        steps: optimiser steps of each of the two steps of the method; None for the preset's.
        batch: labelled windows a step, and as many unlabelled ones; None for the preset's.
        tile: side of a window in pixels, a multiple of 32; None for the preset's.
        learning_rate: at the start; None for the preset's.
        seed: of everything that is random; None for the preset's.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        weights: what the encoders start from; None for the preset's.
        settings: further settings by name, or a TOML file of them. They come before the preset's, and what else
            this job says comes before them.
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
    bands: list[int] = []
    nodata: Nodata = None
    gsd: Annotated[float, Field(gt=0)] | None = None
    method: str = "sslkd"
    preset: Literal["paper", "balanced", "quick"] = "balanced"
    student: str | None = None
    teachers: list[str] = []
    steps: int | None = None
    batch: int | None = None
    tile: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    device: str = "auto"
    weights: Literal["none", "imagenet"] | None = None
    settings: dict[str, Any] | Path | None = None
    model: Path
    report: Path
    checkpoints: Path | None = None


Product = Literal["probability", "outlines", "centre-lines"]


class VectorsJob(_Job):
    """What is asked of vectors, whatever they are made of.

    Attributes:
        threshold: from this probability on a pixel is road.
        least_area: smaller roads are left out, in square metres.
        fill_holes: smaller holes are filled, in square metres.
        simplify: tolerance of the simplification, in metres; 0 keeps the pixels' edges, unless they are smoothed.
        smooth: as far from a corner, in metres, it is rounded off; 0 keeps the corners.
        bridge: gaps of centre lines up to this long are bridged, in metres.
        crs: coordinate reference system of the vectors; None for the raster's.
        outlines: vector file of outlines to write, if any.
        centre_lines: vector file of centre lines to write, if any.
    """

    threshold: float = 0.5
    least_area: float = 20.0
    fill_holes: float = 30.0
    simplify: float = 0.5
    smooth: float = 2.0
    bridge: float = 15.0
    crs: str | None = None
    outlines: Path | None = None
    centre_lines: Path | None = None


class DetectJob(VectorsJob):
    """Detect roads in a raster, or in several, one after the other.

    Of one raster, each file to write is named; of several, a folder, where the files get their names from the
    rasters: `folder/<name of the raster>-surface.tif`, `-probability.tif`, `-outlines.gpkg`, `-centre-lines.gpkg`.

    Attributes:
        raster: one raster, or a list of rasters.
        model: a model file.
        bands: 1-based indexes of the bands that the model learned from; empty for those of its colours where the
            rasters declare them, else for all but alpha.
        nodata: a value that counts as nodata besides what the rasters declare.
        area: vector files of polygons; outside of them nothing is computed. Empty for everywhere.
        extent: least x, least y, largest x, largest y in the raster's CRS; None for the whole raster.
        resample: whether the model sees the rasters at the ground sampling distance that it learned at.
        flips: whether to take the mean over the eight flips and right-angle turns, in eight times the time.
        tile: side of a tile in pixels, a multiple of 32; None for 512.
        overlap: pixels that neighbouring tiles share at least; None for a quarter of the tile.
        batch: tiles in one forward pass; None for 1 on the CPU and 8 on a GPU.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: of the computation; `auto` is bfloat16 where the device multiplies it, else float32.
        surface: raster of roads to write, if any.
        probability: raster of probabilities to write, if any.
        folder: where to write the files of one raster or several.
        products: what to write to the folder besides the surface.
        cog: whether the rasters that are written are Cloud Optimised GeoTIFFs.
    """

    kind: Literal["detect"] = "detect"
    raster: Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list)]
    model: Path
    bands: list[int] = []
    nodata: Nodata = None
    area: list[str] = []
    extent: tuple[float, float, float, float] | None = None
    resample: bool = True
    flips: bool = False
    tile: int | None = None
    overlap: int | None = None
    batch: int | None = None
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    surface: Path | None = None
    probability: Path | None = None
    folder: Path | None = None
    products: list[Product] = []
    cog: bool = False


class VectoriseJob(VectorsJob):
    """Make outlines and centre lines of a raster of roads.

    Attributes:
        raster: of 1 road and 0 background, of the probability of road, or of classes.
        road_class: the class that is road; None for a raster of 1 road or of the probability.
    """

    kind: Literal["vectorise"] = "vectorise"
    raster: str
    road_class: int | None = None


class EvaluateJob(_Job):
    """Compare a surface raster with drawn roads.

    Attributes:
        surface: raster of 1 road and 0 background.
        roads: vector files of the roads: polygons, or lines that get `road_width`.
        road_width: full width of roads drawn as lines, in metres.
        area: vector files of where to compare; empty for the whole raster.
        buffer: the relaxed scores forgive roads that are off by so many metres.
        json_file: file to write the scores to, if any; `json` in JSON.
        report: HTML report to write, if any.
        map: raster of hits, misses and false alarms to write, if any.
    """

    kind: Literal["evaluate"] = "evaluate"
    surface: str
    roads: Annotated[list[str], Field(min_length=1)]
    road_width: Annotated[float, Field(gt=0)] = 6.0
    area: list[str] = []
    buffer: float = 3.0
    json_file: Annotated[Path | None, Field(alias="json")] = None
    report: Path | None = None
    map: Path | None = None


class CompareJob(_Job):
    """Train and test methods on the same data.

    Attributes:
        configuration: a TOML file, or the name of a configuration that comes with SSLKD.
        output: folder for tables, pictures and models; the same one again goes on where it stopped.
        data: folder of the data that the configuration names; the command line knows it by SSLKD_DATA, too.
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


class ExportJob(_Job):
    """Write a model as an ONNX file, which the plugin Deepness and other programs run.

    Attributes:
        model: a model file.
        onnx: ONNX file to write.
        tile: side in pixels of the images that it takes, a multiple of 32.
        overlap: pixels that Deepness has neighbouring tiles share; None for a quarter of the tile.
        threshold: from this probability on a pixel is road in Deepness.
        least_area: smaller patches are smoothed away in Deepness, in square metres.
    """

    kind: Literal["export"] = "export"
    model: Path
    onnx: Path
    tile: int = 512
    overlap: int | None = None
    threshold: float = 0.5
    least_area: float = 5.0


class DiagnoseJob(_Job):
    """Tell what the worker runs on, whether it works and how fast.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    kind: Literal["diagnose"] = "diagnose"
    device: str = "auto"


AnyJob = TrainJob | DetectJob | VectoriseJob | EvaluateJob | CompareJob | ExportJob | DiagnoseJob
_JOB: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="kind")])


def parse_job(text: str) -> AnyJob:
    """The job in a JSON text.

    Raises:
        SettingError: if it is no job, with what is wrong in one sentence.
    """
    try:
        return _JOB.validate_json(text, strict=True)
    except ValidationError as error:
        raise SettingError(f"The job is not understood: {explain(error)}.") from error
