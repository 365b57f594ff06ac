"""The command line `sslkd`."""

from __future__ import annotations

import os
import sys
import threading
from glob import glob
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from ..core.errors import TOO_LITTLE_MEMORY, CancelledError, SettingError, SslkdError, lacks_memory
from ..core.reporting import Reporter
from ..core.validation import explain
from ..core.version import own_version
from .ending import CANCELLED, end_at_signals
from .jobs import (
    AnyJob,
    CompareJob,
    DetectJob,
    DiagnoseJob,
    EvaluateJob,
    ExportJob,
    Outputs,
    TrainJob,
    VectoriseJob,
    parse_job,
)
from .protocol import JsonReporter, claim_stdout, listen_for_cancel
from .terminal import TerminalReporter

__all__ = ["app"]

_FAILED = 1

app = typer.Typer(
    name="sslkd",
    help="Finds roads in aerial imagery from few labels (SSLKD: Ma, Karakuş and Rosin, IGARSS 2024).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"sslkd {own_version()}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Tell the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that come before a command."""


def _matching(given: list[str]) -> list[str]:
    """Files and what is no file, such as addresses, as they are; for patterns the files that match, by their names."""
    # Not by pathlib, which takes no absolute patterns and raises errors of long addresses.
    found = {each: [] if os.path.exists(each) else sorted(glob(each)) for each in given}  # noqa: PTH110, PTH207
    return [path for each in given for path in found[each] or [each]]


_FORMATS = ".gpkg, .shp, .geojson or .fgb"
_SEVERAL = "May be given again, or be a quoted pattern such as 'tiles/*.tif'"

Roads = Annotated[
    list[str],
    typer.Option(help="Vector file of roads: polygons, or lines with --road-width. May be given again."),
]
RoadWidth = Annotated[float, typer.Option(min=0.1, help="Full width of roads drawn as lines, in metres.")]
Area = Annotated[
    list[str],
    typer.Option(help="Vector file of polygons inside which all roads were drawn; without it, the whole rasters."),
]
Outlines = Annotated[Path | None, typer.Option(help=f"Vector file of the roads' outlines to write ({_FORMATS}).")]
CentreLines = Annotated[
    Path | None, typer.Option(help=f"Vector file of the roads' centre lines to write ({_FORMATS}).")
]
VectorCrs = Annotated[
    str | None, typer.Option(help="CRS of the vectors, such as EPSG:25832; without it, the raster's.")
]
Threshold = Annotated[float, typer.Option(help="From this probability on a pixel is road.")]
LeastArea = Annotated[float, typer.Option(help="Smaller roads are left out, in square metres.")]
FillHoles = Annotated[float, typer.Option(help="Smaller holes are filled, in square metres.")]
Simplify = Annotated[
    float, typer.Option(help="Tolerance of the vectors in metres; 0 keeps pixel edges, with --smooth 0.")
]
Smooth = Annotated[float, typer.Option(help="So far from a corner, in metres, it is rounded off; 0 keeps corners.")]
Bridge = Annotated[float, typer.Option(help="Gaps of centre lines up to so many metres are bridged.")]
Bands = Annotated[
    list[int],
    typer.Option(
        help="Number of a band to read, from 1; given once for each. Without it, all bands but alpha, "
        "by their colours where files declare them."
    ),
]
Nodata = Annotated[float | None, typer.Option(help="A value that counts as nodata besides what the rasters declare.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


@app.command()
def train(
    labelled: Annotated[
        list[str], typer.Option(help=f"Raster that roads were drawn on. {_SEVERAL}.", callback=_matching)
    ],
    roads: Roads,
    model: Annotated[Path, typer.Option(help="The student's model file to write (.safetensors).")],
    report: Annotated[Path, typer.Option(help="HTML report to write.")],
    road_width: RoadWidth = 6.0,
    area: Area = [],  # noqa: B006 (typer copies it)
    unlabelled: Annotated[
        list[str],
        typer.Option(
            help=f"Raster without labels. {_SEVERAL}; without it, what lies outside of the area.", callback=_matching
        ),
    ] = [],  # noqa: B006
    bands: Bands = [],  # noqa: B006
    nodata: Nodata = None,
    gsd: Annotated[
        float | None,
        typer.Option(
            help="Pixel size to learn at in metres; unless said the labelled rasters', "
            "with quick 0.6 m where theirs is finer."
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="sslkd, or one of those that it is compared with: sslkd-structural, supervised, supervised-t1, "
            "supervised-t2, cms, cms-t1, cms-t2, cps, cct, unimatch."
        ),
    ] = "sslkd",
    preset: Annotated[str, typer.Option(help="paper, balanced, or quick (minutes without a GPU).")] = "balanced",
    student: Annotated[
        str | None, typer.Option(help="The student's network as architecture/encoder, e.g. deeplabv3plus/resnet18.")
    ] = None,
    teachers: Annotated[
        list[str],
        typer.Option("--teacher", help="A teacher's network as architecture/encoder; given twice or more often."),
    ] = [],  # noqa: B006
    steps: Annotated[int | None, typer.Option(help="Training steps of teachers and of student each.")] = None,
    batch: Annotated[int | None, typer.Option(help="Labelled windows a step, and as many unlabelled ones.")] = None,
    tile: Annotated[int | None, typer.Option(help="Side of a window in pixels, a multiple of 32.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate at the start.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is random; 0 unless said.")] = None,
    device: Device = "auto",
    weights: Annotated[
        str | None, typer.Option(help="What the encoders start from: none or imagenet; none unless said.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="TOML file of further settings, see docs/training.md; the options given here win."),
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Folder to note in how far the training is; the same command then goes on after a stop."),
    ] = None,
) -> None:
    """Train two teachers and a light student from a few labels and much imagery.

    The options that are not given keep the values of the settings file, or else the preset's.
    """
    _run(TrainJob, locals())


@app.command()
def detect(
    raster: Annotated[
        list[str], typer.Option(help=f"Raster to find roads in. {_SEVERAL}, with --folder.", callback=_matching)
    ],
    model: Annotated[Path, typer.Option(help="Model file that `sslkd train` wrote.")],
    surface: Annotated[
        Path | None, typer.Option(help="Raster to write: 1 road, 0 background, 255 nodata (.tif).")
    ] = None,
    probability: Annotated[
        Path | None, typer.Option(help="Raster of the probability of road to write, to 16 bits, -1 nodata (.tif).")
    ] = None,
    outlines: Outlines = None,
    centre_lines: CentreLines = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to instead: RASTER-surface.tif and, by --product, RASTER-outlines.gpkg, ..."
        ),
    ] = None,
    products: Annotated[
        list[str],
        typer.Option(
            "--product",
            help="What else to write to the folder: probability, outlines or centre-lines. May be given again.",
        ),
    ] = [],  # noqa: B006
    cog: Annotated[bool, typer.Option(help="Write rasters as Cloud Optimised GeoTIFFs.")] = False,
    crs: VectorCrs = None,
    bands: Bands = [],  # noqa: B006
    nodata: Nodata = None,
    area: Annotated[
        list[str],
        typer.Option(
            help="Vector file of polygons to find roads in; outside is nodata. Of several rasters, those outside are "
            "left out. May be given again."
        ),
    ] = [],  # noqa: B006
    extent: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(help="Least x, least y, largest x, largest y in the raster's CRS; without it, all of it."),
    ] = None,
    resample: Annotated[
        bool, typer.Option(help="Show the raster to the model at the pixel size that it learned from.")
    ] = True,
    flips: Annotated[
        bool, typer.Option(help="Take the mean over the eight flips and turns: better, in eight times the time.")
    ] = False,
    threshold: Threshold = 0.5,
    least_area: LeastArea = 20.0,
    fill_holes: FillHoles = 30.0,
    simplify: Simplify = 0.5,
    smooth: Smooth = 2.0,
    bridge: Bridge = 15.0,
    tile: Annotated[int | None, typer.Option(help="Side of a tile in pixels, a multiple of 32; usually 512.")] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels that neighbouring tiles share; usually a quarter of the tile.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Tiles in one forward pass; usually 1, on a GPU 8.")] = None,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, float32 or bfloat16; auto is bfloat16 where the device multiplies it.")
    ] = "auto",
) -> None:
    """Find the roads in a raster, or in several, with a trained student."""
    _run(DetectJob, locals())


@app.command()
def vectorise(
    raster: Annotated[
        str, typer.Option(help="Raster of 1 road and 0 background, of the probability of road, or of classes.")
    ],
    road_class: Annotated[int | None, typer.Option(help="The class that is road, in a raster of classes.")] = None,
    threshold: Threshold = 0.5,
    outlines: Outlines = None,
    centre_lines: CentreLines = None,
    least_area: LeastArea = 20.0,
    fill_holes: FillHoles = 30.0,
    simplify: Simplify = 0.5,
    smooth: Smooth = 2.0,
    bridge: Bridge = 15.0,
    crs: VectorCrs = None,
) -> None:
    """Make outlines and centre lines for a map from a raster of roads; no model is needed."""
    _run(VectoriseJob, locals())


@app.command()
def evaluate(
    surface: Annotated[str, typer.Option(help="Raster of 1 road and 0 background, as `sslkd detect` writes it.")],
    roads: Roads,
    road_width: RoadWidth = 6.0,
    area: Area = [],  # noqa: B006 (typer copies it)
    buffer: Annotated[float, typer.Option(help="Relaxed scores forgive roads that are off by so many metres.")] = 3.0,
    json: Annotated[
        Path | None, typer.Option(help="File to write the scores to, as JSON, with those of each polygon of the area.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML report to write.")] = None,
    map: Annotated[
        Path | None,
        typer.Option(help="Raster to write: 1 hit, 2 miss, 3 false alarm, 0 rightly no road, 255 not compared (.tif)."),
    ] = None,
) -> None:
    """Compare a surface raster with drawn roads: accuracy, precision, recall, IoU and F1, exact and within a buffer."""
    _run(EvaluateJob, locals())


@app.command()
def compare(
    configuration: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or one that comes with SSLKD: "
            "paper, epfl, epfl-quick, epfl-quick-long or epfl-quick-switches."
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for tables, pictures and models; the same one again goes on after a stop.")
    ],
    data: Annotated[
        Path | None, typer.Option(envvar="SSLKD_DATA", help="Folder of the data that the configuration names.")
    ] = None,
    rows: Annotated[list[str], typer.Option("--row", help="Name of a row to do; may be given again.")] = [],  # noqa: B006
    seeds: Annotated[list[int], typer.Option("--seed", help="Seed to train with; may be given again.")] = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Train and test methods on the same data: a table, a page and pictures.

    Under torchrun, several GPUs or machines train each row together.
    """
    _run(CompareJob, locals())


@app.command()
def export(
    model: Annotated[Path, typer.Option(help="Model file that `sslkd train` wrote.")],
    onnx: Annotated[Path, typer.Option(help="ONNX file to write (.onnx).")],
    tile: Annotated[int, typer.Option(help="Side of the images that it takes in pixels, a multiple of 32.")] = 512,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels that Deepness has tiles share; usually a quarter of the tile.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="From this probability on a pixel is road in Deepness.")] = 0.5,
    least_area: Annotated[
        float, typer.Option(help="Smaller patches are smoothed away in Deepness, in square metres.")
    ] = 5.0,
) -> None:
    """Write a model as an ONNX file, which the QGIS plugin Deepness and other programs run."""
    _run(ExportJob, locals())


@app.command()
def diagnose(device: Device = "auto") -> None:
    """Tell what SSLKD runs on, whether it works, how fast, and what mends it if not."""
    _run(DiagnoseJob, locals())


@app.command(hidden=True)
def job(file: Path) -> None:
    """Do a job that is written as JSON; answer in JSON lines, and stop at the line `cancel` on standard input."""
    if hasattr(os, "setpgid"):
        # A group of its own: whoever started the worker can end it with all that it started.
        os.setpgid(0, 0)
    stop = listen_for_cancel()
    reporter = JsonReporter(claim_stdout(), stop)
    end_at_signals(stop)
    try:
        outputs = _outputs(_read(file), reporter)
    except CancelledError:
        reporter.send("cancelled")
        sys.exit(CANCELLED)
    except SslkdError as error:
        reporter.send("error", text=str(error))
        sys.exit(_FAILED)
    reporter.send("result", outputs=outputs)


def _read(file: Path) -> AnyJob:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"The job {file} cannot be read: {error.strerror}.") from error
    return parse_job(text)


def _run(kind: type[AnyJob], options: dict[str, Any]) -> None:
    """Does a job of the command line: a progress bar, then the outputs, or one sentence."""
    # Of the processes that torchrun starts, the first one talks.
    talks = os.environ.get("RANK", "0") == "0"
    # Names of files may hold what Rich takes for an emoji: `:car:`.
    console = Console(stderr=True, quiet=not talks, emoji=False)
    stop = threading.Event()
    reporter = TerminalReporter(console, stop)

    def say_cancelled() -> None:
        reporter.stop()
        console.print("sslkd: cancelled; what was not whole was removed.", markup=False)

    end_at_signals(stop, say_cancelled)
    try:
        with reporter:
            outputs = _outputs(_parsed(kind, options), reporter)
    except CancelledError:
        say_cancelled()
        sys.exit(CANCELLED)
    except SslkdError as error:
        console.print(f"sslkd: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(_FAILED)
    for name, value in outputs.items() if talks else ():
        for each in value if isinstance(value, list) else [value]:
            print(f"{name}: {_told(each)}")


def _told(value: Any) -> str:  # noqa: ANN401 (an output)
    if value is None:
        return "undefined"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _parsed(kind: type[AnyJob], options: dict[str, Any]) -> AnyJob:
    try:
        return kind(**options)
    except ValidationError as error:
        raise SettingError(f"{explain(error)}.") from error


def _outputs(wanted: AnyJob, reporter: Reporter) -> Outputs:
    """Does the job; what goes wrong beyond the user's inputs is told in a sentence, too."""
    reporter.progress(0, "starting")
    # `--help` and a wrong option need not wait for what the work imports.
    from .work import do

    try:
        return do(wanted, reporter)
    except SslkdError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise SettingError(TOO_LITTLE_MEMORY) from error
        if isinstance(error, UnicodeEncodeError):
            # Of a file from a system of another encoding, which Python alone can name.
            sentence = f"The name {error.object!r} is no text in {error.encoding}; give the file another."
            raise SettingError(sentence) from error
        if not isinstance(error, OSError):
            raise
        # GDAL's own words, which rasterio only refers to.
        reason = str(error.__cause__ or error).rstrip(".")
        raise SettingError(f"A file could not be read or written: {reason}.") from error
