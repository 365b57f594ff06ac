"""Training a student."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ...core.distributed import of_first, process_group
from ...core.errors import SettingError
from ...core.files import check_writable
from ...core.geodata.annotations import read_polygons
from ...core.geodata.bands import has_palette
from ...core.geodata.rasters import RasterInfo, inspect_raster
from ...core.models.devices import choose_device
from ...core.models.networks import parse_network
from ...core.reporting import Reporter
from ...training.data import TrainingInputs, coarsened_gsd
from ...training.methods import find_method
from ...training.presets import FINEST_GSD, TrainingSettings
from ...training.run import train
from ...training.settings import changed_settings, load_changes
from ..jobs import Outputs, TrainJob
from .common import check_inputs_stay, match_colours, number, read_area, told

__all__ = ["do_train", "training_settings"]


def do_train(job: TrainJob, reporter: Reporter) -> Outputs:
    """Trains a student."""
    check_writable(job.model, job.report)
    _check_model_output(job.model)
    files = [str(job.settings)] if isinstance(job.settings, Path) else []
    check_inputs_stay([*job.labelled, *job.roads, *job.area, *job.unlabelled, *files], reporter, job.model, job.report)
    device = choose_device(job.device, reporter.warning)
    method = find_method(job.method)
    settings = training_settings(job)
    labelled, unlabelled = _rasters(job, reporter)
    rasters = [*labelled, *unlabelled]
    inputs = TrainingInputs(
        labelled=labelled,
        roads=[read_polygons(path, job.road_width, rasters) for path in job.roads],
        area=read_area(job.area, rasters),
        unlabelled=unlabelled,
        gsd=job.gsd or coarsened_gsd(labelled, FINEST_GSD[job.preset], settings.tile),
    )
    facts = {"Width of roads drawn as lines": f"{job.road_width:g} m", "Preset": job.preset, "Method": job.method}
    if job.nodata is not None:
        facts["Nodata value"] = f"{job.nodata:g}, besides what the rasters declare"
    with process_group(device):
        scores = train(
            inputs, method, settings, device, job.model, job.report, of_first(reporter), job.checkpoints, facts
        )
    return {"model": str(job.model), "report": str(job.report), "iou": number(scores.iou), "f1": number(scores.f1)}


def _check_model_output(path: Path) -> None:
    # QGIS offers and takes model files of this extension alone.
    if path.suffix.lower() != ".safetensors":
        raise SettingError(f"A model cannot be written to {path.name}; give it a name that ends in .safetensors.")


def _rasters(job: TrainJob, reporter: Reporter) -> tuple[list[RasterInfo], list[RasterInfo]]:
    """The labelled and the unlabelled rasters, all with the bands of the first."""
    paths = told([*job.labelled, *job.unlabelled], "looking at raster", reporter)
    rasters = [inspect_raster(path, job.bands, job.nodata) for path in paths]
    labelled, unlabelled = rasters[: len(job.labelled)], rasters[len(job.labelled) :]
    if not job.bands:
        colours = labelled[0].colours
        labelled, unlabelled = (
            [match_colours(raster, colours, reporter) for raster in rasters] for rasters in (labelled, unlabelled)
        )
    for raster in filter(has_palette, dict.fromkeys((*labelled, *unlabelled))):
        reporter.warning(
            f"The raster {raster.name} holds numbers of a palette's colours, which are learned from as brightness; "
            "if that is not what they are, make bands of them first (in QGIS: Raster > Conversion > PCT to RGB)."
        )
    return labelled, unlabelled


def training_settings(job: TrainJob) -> TrainingSettings:
    """The preset, changed by the job's settings, changed by the job's own fields.

    Raises:
        SettingError: if there is no such setting or network, or a value is out of its range.
    """
    further = load_changes(job.settings) if isinstance(job.settings, Path) else job.settings or {}
    own = {
        **{name: getattr(job, name) for name in ("steps", "batch", "tile", "learning_rate", "seed", "weights")},
        "student": asdict(parse_network(job.student)) if job.student else None,
        "teachers": [asdict(parse_network(teacher)) for teacher in job.teachers] or None,
    }
    return changed_settings(job.preset, further, {name: value for name, value in own.items() if value is not None})
