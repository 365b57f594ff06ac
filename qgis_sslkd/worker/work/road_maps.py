"""From a job to its road maps: all is checked first, then map after map is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import rasterio
from rasterio.crs import CRS

from ...core.detection import Alone, Team, averaged_over_flips, slide
from ...core.errors import OutsideError, RasterError, SettingError
from ...core.geodata.annotations import VectorLayer
from ...core.geodata.grids import Grid, OwnGrid, Scene, area_of_interest, grid_for
from ...core.geodata.outputs import find_crs
from ...core.geodata.rasters import inspect_raster
from ...core.images import Predictor
from ...core.models.model_card import ModelCard
from ...core.models.runtime import Runtime
from ...core.reporting import PartOfJob, Reporter, Silent
from ...core.road_map import (
    RoadMapFiles,
    VectorFiles,
    check_model_fits,
    make_road_map,
    window_of_extent,
)
from ...core.windows import Tiling
from ..jobs import DetectJob, Outputs
from .common import check_inputs_stay, files_made, match_colours, read_area, told
from .vectors import road_map_settings

__all__ = ["make_road_maps"]

# Bytes for GDAL to keep blocks in, which are decoded once and written whole; it would take 5 % of the machine's memory.
_CACHE = 4 * 2**20


@dataclass(frozen=True, eq=False)
class _Task:
    """One raster's detection; all that can be checked before it is."""

    grid: Grid
    files: RoadMapFiles
    crs: CRS | None


def make_road_maps(
    job: DetectJob, card: ModelCard, load: Callable[[], Runtime], tiling: Tiling, reporter: Reporter
) -> Outputs:
    """Finds the roads in a raster or several.

    Args:
        job: what is asked for.
        card: of the model.
        load: loads the model.
        tiling: how the rasters are cut; where the job says no batch, the model says it.
        reporter: hears of the progress, and may stop the work.
    """
    files = _files(job, reporter)
    settings = road_map_settings(job)
    area = read_area(job.area)
    tasks = _tasks(job, files, card, area, reporter)
    runtime = load()
    if job.batch is None:
        tiling = replace(tiling, batch=runtime.batch)
    predict = averaged_over_flips(runtime.predict) if job.flips else runtime.predict
    damaged: list[str] = []
    with _team() as team, rasterio.Env(GDAL_CACHEMAX=_CACHE):
        for warning in runtime.warnings:
            reporter.warning(warning)
        for task, part in zip(tasks, _parts(tasks, reporter), strict=True):
            if team.rank > 0:
                _help(team, task.grid, card, predict, tiling)
                continue
            reporter.info(
                f"Detecting roads in {_described(task.grid.scene)}, "
                f"with {card.network.architecture}/{card.network.encoder} on {runtime.description}."
            )
            try:
                make_road_map(
                    task.grid, card, predict, tiling, settings, task.files, part, task.crs, team, runtime.release
                )
            except RasterError as error:
                # Other processes would wait for the rest of it.
                if len(tasks) == 1 or team.size > 1:
                    raise
                reporter.warning(str(error))
                damaged.append(task.grid.scene.raster.path)
    if damaged:
        raise RasterError(
            f"{len(damaged)} of {len(tasks)} rasters could not be read: {', '.join(damaged)}. "
            f"The results of the others are in {job.folder}."
        )
    return _outputs(files[0]) if job.folder is None else _outputs_of_several([task.files for task in tasks])


@contextmanager
def _team() -> Iterator[Team]:
    """The processes that `torchrun` started, or this one alone."""
    if "RANK" not in os.environ:
        yield Alone()
        return
    # PyTorch's, which a single process on a CPU can do without.
    from ...core.team import process_team

    with process_team() as team:
        yield team


def _help(team: Team, grid: Grid, card: ModelCard, predict: Predictor, tiling: Tiling) -> None:
    """Computes this process's share for the first process, which writes the results."""
    for _ in slide(grid, card.normalisation, predict, tiling, Silent(), team):
        pass


def _files(job: DetectJob, reporter: Reporter) -> list[RoadMapFiles]:
    """Where the results of each raster go.

    Raises:
        SettingError: if the job does not say so, or a file cannot be written.
    """
    named = (job.surface, job.probability, job.outlines, job.centre_lines)
    if job.folder is not None:
        if any(named):
            raise SettingError("Name either the files to write or a folder for them, not both.")
        files = [_files_in(job.folder, name, job) for name in _names(job.raster)]
    elif len(job.raster) > 1:
        raise SettingError("Of several rasters the results need a folder; name one, and no files.")
    elif job.products:
        raise SettingError("Products are written to a folder; name one, or a file for each result.")
    else:
        vectors = VectorFiles(job.outlines, job.centre_lines)
        files = [RoadMapFiles(job.surface, job.probability, vectors, job.cog)]
    check_inputs_stay(
        [*job.raster, str(job.model), *job.area], reporter, *(path for each in files for path in each.paths)
    )
    return files


def _names(rasters: Sequence[str]) -> list[str]:
    names = [Path(raster).stem for raster in rasters]
    first: dict[str, str] = {}
    for name, raster in zip(names, rasters, strict=True):
        # Some file systems take upper and lower case for the same.
        if (other := first.setdefault(name.casefold(), raster)) is not raster:
            raise SettingError(
                f"The rasters {other} and {raster} have the same name, which their results would share; "
                "detect in one after the other, each with a folder of its own."
            )
    return names


def _files_in(folder: Path, name: str, job: DetectJob) -> RoadMapFiles:
    suffixes = {"probability": ".tif", "outlines": ".gpkg", "centre-lines": ".gpkg"}
    paths = {product: folder / f"{name}-{product}{suffixes[product]}" for product in job.products}
    vectors = VectorFiles(paths.get("outlines"), paths.get("centre-lines"))
    return RoadMapFiles(folder / f"{name}-surface.tif", paths.get("probability"), vectors, job.cog)


def _tasks(
    job: DetectJob, files: Sequence[RoadMapFiles], card: ModelCard, area: Sequence[VectorLayer], reporter: Reporter
) -> list[_Task]:
    """A task for each raster; of several, those go without that lie outside of the area or the extent."""
    tasks: list[_Task] = []
    outside: dict[str, OutsideError] = {}
    for path, each in zip(told(job.raster, "looking at raster", reporter), files, strict=True):
        try:
            tasks.append(_task(job, path, each, card, area, reporter))
        except OutsideError as error:
            outside[path] = error
    if not tasks:
        raise next(iter(outside.values()))
    if outside:
        reporter.warning(f"Left out, as nothing of them lies in the area or the extent: {', '.join(outside)}.")
    return tasks


def _task(
    job: DetectJob, path: str, files: RoadMapFiles, card: ModelCard, area: Sequence[VectorLayer], reporter: Reporter
) -> _Task:
    raster = inspect_raster(path, job.bands, job.nodata)
    # First, as nothing is to be told of a raster that lies outside.
    window = window_of_extent(raster, job.extent) if job.extent else raster.window
    interest = area_of_interest(raster, window, area) if area else None
    if not job.bands:
        raster = match_colours(raster, card.colours, reporter)
    for warning in check_model_fits(card, raster, job.resample):
        reporter.warning(warning)
    scene = Scene(raster, window, interest)
    grid = grid_for(scene, card.gsd) if job.resample else OwnGrid(scene)
    return _Task(grid, files, None if job.crs is None else find_crs(job.crs, raster))


def _parts(tasks: Sequence[_Task], reporter: Reporter) -> list[PartOfJob]:
    """Each task's part of the progress, by what the network has to see."""
    pixels = [task.grid.shape[0] * task.grid.shape[1] for task in tasks]
    ends = [end / sum(pixels) for end in accumulate(pixels)]
    return [PartOfJob(reporter, start, end) for start, end in zip([0.0, *ends], ends, strict=False)]


def _described(scene: Scene) -> str:
    return f"{scene.raster.name}, {scene.window.width} x {scene.window.height} pixels of {scene.raster.gsd:.2f} m"


def _outputs(files: RoadMapFiles) -> Outputs:
    return files_made(
        surface=files.surface,
        probability=files.probability,
        outlines=files.vectors.outlines,
        centre_lines=files.vectors.centre_lines,
    )


def _outputs_of_several(files: Sequence[RoadMapFiles]) -> Outputs:
    """Lists of the files by what they are, in the order of the rasters."""
    outputs = [_outputs(each) for each in files]
    return {name: [each[name] for each in outputs] for name in outputs[0]}
