"""What several jobs share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...core.errors import SettingError
from ...core.geodata.annotations import VectorLayer, read_polygons
from ...core.geodata.bands import in_colours
from ...core.geodata.rasters import RasterInfo, files_of
from ...core.reporting import Reporter
from ..jobs import Outputs

__all__ = ["check_inputs_stay", "files_made", "match_colours", "number", "read_area", "told"]


def read_area(paths: Sequence[str], rasters: Sequence[RasterInfo] = ()) -> list[VectorLayer]:
    """The polygons of an area, all or those at some rasters; none for everywhere."""
    return [read_polygons(path, None, rasters) for path in paths]


def told(paths: Sequence[str], deed: str, reporter: Reporter) -> Iterator[str]:
    """The paths of what is to be opened; tells of each, as thousands take a while: `looking at raster 3 of 5000`."""
    for number, path in enumerate(paths, start=1):
        reporter.progress(0, f"{deed} {number} of {len(paths)}")
        yield path


def match_colours(raster: RasterInfo, colours: Sequence[str], reporter: Reporter) -> RasterInfo:
    """A raster with the bands of some colours, where its file tells which they are; says so if others come of it."""
    matched = in_colours(raster, colours)
    if matched.bands != raster.bands:
        bands = ", ".join(f"{band} ({colour})" for band, colour in zip(matched.bands, matched.colours, strict=True))
        reporter.info(f"By the colours that {raster.name} declares, its bands are looked at in this order: {bands}.")
    return matched


def check_inputs_stay(inputs: Sequence[str], reporter: Reporter, *outputs: Path | None) -> None:
    """Checks before any work that no output replaces an input, or a file that one lies in; tells of each input."""
    # Most are new, and then no raster of a thousand sources need be opened.
    replaced = [output for output in outputs if output is not None and output.exists()]
    opened = told(inputs if replaced else (), "checking input", reporter)
    taken = {Path(file).resolve() for path in opened for file in files_of(path.partition("|layername=")[0])}
    for output in replaced:
        if output.resolve() in taken:
            raise SettingError(f"The output {output} is one of the inputs; give it another name.")


def files_made(**files: Path | None) -> Outputs:
    """Those of the files that were asked for, by name, as JSON has them."""
    return {name: str(path) for name, path in files.items() if path is not None}


def number(score: float) -> float | None:
    """A score for JSON, which knows no NaN."""
    return None if math.isnan(score) else score
