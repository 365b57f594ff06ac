"""The report of an evaluation: one self-contained HTML file."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rasterio.windows import Window

from ...core.evaluation import REJECTION, Comparison, Evaluation, Part
from ...core.geodata.rasters import RasterInfo
from ...core.labels import IGNORE
from ...core.metrics import Confusion
from .pages import decimals, embedded, facts_table, findings, ground, page, table
from .palette import KINDS

__all__ = ["write_evaluation_report"]

_SIDE = 1100
_ROWS_OF_CELLS = 64
_COLOURS = {
    **KINDS,
    REJECTION: ("#202020", "no road, rightly"),
    IGNORE: ("#909090", "not compared"),
}
_MAP = "The raster with roads that were found, roads that were missed and what was called road by mistake"
_MEANINGS = (
    ("precision", "Precision", "share of what is called road that is road"),
    ("recall", "Recall", "share of the roads that is found"),
    ("iou", "IoU", "what is both road and called road, over what is one of the two"),
    ("f1", "F1", "harmonic mean of precision and recall"),
    ("oa", "Overall accuracy", "share of all pixels that are right; high even if no road is found where roads are few"),
    ("macro_iou", "IoU, mean of both classes", "mean of the IoU of roads and that of everything else"),
    ("macro_f1", "F1, mean of both classes", "mean of the F1 of roads and that of everything else"),
)
_RELAXED = (
    ("precision", "Relaxed precision", "share of what is called road that lies within {} m of a road"),
    ("recall", "Relaxed recall", "share of the roads that lies within {} m of what is called road"),
    ("f1", "Relaxed F1", "harmonic mean of both"),
)

Picture = npt.NDArray[np.uint8]


def write_evaluation_report(
    path: Path, surface: RasterInfo, evaluation: Evaluation, buffer: float, map_file: Path, facts: Mapping[str, str]
) -> None:
    """Writes how a road surface compares with drawn roads, for people who do not know the scores.

    Args:
        path: HTML file to write.
        surface: what was compared.
        evaluation: what came out.
        buffer: in metres, of the relaxed scores.
        map_file: raster of hits, misses and false alarms.
        facts: what else to tell, by name.
    """
    whole = evaluation.whole
    parts = [
        _introduction(surface, whole.confusion),
        "<h2>Scores</h2><p>From 0 to 1, higher is better; of the road class unless said otherwise.</p>",
        _score_table(whole, buffer),
        "<h2>Hits, misses and false alarms</h2>",
        embedded(_map_figure(map_file, surface), _MAP),
        _confusion_table(whole.confusion, surface.gsd**2),
        *([_part_table(evaluation.parts, surface.gsd**2)] if evaluation.parts else []),
        "<h2>What was compared</h2>",
        facts_table(facts),
    ]
    path.write_text(page("SSLKD evaluation report", parts), encoding="utf-8")


def _introduction(surface: RasterInfo, counts: Confusion) -> str:
    return (
        f"<p>The roads of <b>{html.escape(surface.name)}</b> were compared with drawn roads on "
        f"{ground(counts.pixels * surface.gsd**2)}. {findings('It', counts.scores())}.</p>"
    )


def _score_table(whole: Comparison, buffer: float) -> str:
    exact, relaxed = whole.confusion.scores(), whole.matches.scores()
    rows = [(title, meaning, decimals(getattr(exact, key))) for key, title, meaning in _MEANINGS]
    rows += [
        (title, meaning.format(f"{buffer:g}"), decimals(getattr(relaxed, key))) for key, title, meaning in _RELAXED
    ]
    return table(("Score", "What it says", "Value"), rows, texts=2)


def _confusion_table(counts: Confusion, square_metres: float) -> str:
    rows = (
        ("called road", counts.hits, counts.false_alarms),
        ("not called road", counts.misses, counts.rejections),
    )
    return table(
        ("", "drawn as road", "not drawn as road"),
        [(name, *(ground(pixels * square_metres) for pixels in areas)) for name, *areas in rows],
    )


def _part_table(parts: Sequence[Part], square_metres: float) -> str:
    """Scores of each polygon of the area, with a place to find it by."""
    titles = (
        "Polygon",
        "Place in it (x, y)",
        "Area",
        "Precision",
        "Recall",
        "IoU",
        "F1",
        "Relaxed precision",
        "Relaxed recall",
    )
    rows = [
        (
            str(number),
            f"{part.place[0]:.10g}, {part.place[1]:.10g}",
            ground(part.comparison.confusion.pixels * square_metres),
            *(
                decimals(getattr(part.comparison.confusion.scores(), key))
                for key in ("precision", "recall", "iou", "f1")
            ),
            *(decimals(getattr(part.comparison.matches.scores(), key)) for key in ("precision", "recall")),
        )
        for number, part in enumerate(parts, 1)
    ]
    return f"<h2>Quality by area</h2>{table(titles, rows)}"


def _map_figure(map_file: Path, surface: RasterInfo) -> Figure:
    picture = _thumbnail(map_file)
    # Pixels of rasters in degrees are oblong on the ground.
    aspect = surface.pixel[1] / surface.pixel[0]
    height, width = picture.shape[:2]
    figure = Figure(figsize=(10, min(14, max(2, 10 * aspect * height / width)) + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, aspect=aspect)
    axes.set(xticks=[], yticks=[])
    patches = [Patch(facecolor=colour, edgecolor="grey", label=label) for colour, label in _COLOURS.values()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False)
    return figure


def _thumbnail(map_file: Path) -> Picture:
    """The map in colour `(h, w, 3)`, small: each cell has the mean colour of its pixels, so that thin roads stay."""
    palette = np.zeros((256, 3), dtype=np.float32)
    for value, (colour, _) in _COLOURS.items():
        palette[value] = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    with rasterio.open(map_file) as dataset:
        factor = math.ceil(max(dataset.width, dataset.height) / _SIDE)
        rows = factor * _ROWS_OF_CELLS
        windows = [
            Window(0, top, dataset.width, min(rows, dataset.height - top)) for top in range(0, dataset.height, rows)
        ]
        return np.concatenate([_means(palette[dataset.read(1, window=window)], factor) for window in windows])


def _means(colours: npt.NDArray[np.float32], factor: int) -> Picture:
    """Mean colours of cells of so many pixels a side; cells at the edges may hold fewer."""
    starts = [np.arange(0, size, factor) for size in colours.shape[:2]]
    sums = np.add.reduceat(np.add.reduceat(colours, starts[0], axis=0), starts[1], axis=1)
    rows, columns = (np.diff(start, append=size) for start, size in zip(starts, colours.shape[:2], strict=True))
    means: Picture = (sums / (rows[:, None] * columns)[..., None]).round().astype(np.uint8)
    return means
