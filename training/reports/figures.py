"""Figures: what networks found and missed, and how compared methods score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ...core.evaluation import FALSE_ALARM, HIT, MISS
from ...core.files import written_whole
from ...core.images import Images, Mask
from ...core.labels import IGNORE, Labels
from .pages import png
from .palette import KINDS
from .results import Summary

__all__ = [
    "Picture",
    "accuracy_against_cost",
    "bar_chart",
    "masks_side_by_side",
    "overlay",
    "picture",
    "save_png",
    "side_by_side",
]

Picture = npt.NDArray[np.float32]
"""RGB `(H, W, 3)` from 0 to 1."""

_UNKNOWN = 0.4
_IOU, _F1 = "#0072b2", "#88ccee"  # also told apart in grey
_PATCHES = [
    *(Patch(color=colour, label=label) for colour, label in KINDS.values()),
    Patch(color=(_UNKNOWN,) * 3, label="unknown: takes no part"),
]
_SIDE = 2.2
_PER_LINE = 8


def save_png(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_bytes(png(figure))


def bar_chart(summaries: Sequence[Summary]) -> Figure:
    """Road IoU and F1 of every method as bars, the first on top; lines and ± show the spread over several seeds."""
    figure = Figure(figsize=(9, 1.2 + 0.5 * len(summaries)), layout="constrained")
    axes = figure.subplots()
    for name, title, shift, colour in (("iou", "road IoU", -0.2, _IOU), ("f1", "road F1", 0.2, _F1)):
        means = np.array([getattr(summary.mean, name) for summary in summaries])
        spreads = np.array([getattr(summary.spread, name) for summary in summaries])
        places = np.arange(len(summaries)) + shift
        axes.barh(places, means, 0.4, xerr=spreads, color=colour, ecolor="black", label=title)
        for mean, spread, place in zip(means, spreads, places, strict=True):
            axes.text(1.01, place, _value(mean, spread), va="center", fontsize=8)
    axes.set_yticks(range(len(summaries)), [_wrapped(summary.method, 40) for summary in summaries])
    axes.set(xlim=(0, 1), ylim=(len(summaries) - 0.4, -0.6), xticks=np.linspace(0, 1, 11))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def accuracy_against_cost(summaries: Sequence[Summary]) -> Figure:
    """Road IoU of every method against the multiply-adds of its network; names stand in a column at the right."""
    shown = sorted((s for s in summaries if not math.isnan(s.mean.iou)), key=lambda summary: summary.mean.iou)
    costs, scores = [s.costs.gflops for s in shown], [s.mean.iou for s in shown]
    figure = Figure(figsize=(10, max(4.5, 1 + 0.36 * len(shown))), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(costs, scores, yerr=[s.spread.iou for s in shown], fmt="o", color=_IOU, ecolor=_F1, capsize=3)
    axes.set(xscale="log", xlabel=_cost_label(summaries), ylabel="road IoU")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.1)
    axes.grid(alpha=0.3)
    low, high = axes.get_ylim()
    places = _spread_out((np.array(scores) - low) / (high - low), 0.34 / (figure.get_figheight() - 1))
    for summary, place in zip(shown, places, strict=True):
        _label(axes, summary, place)
    return figure


def side_by_side(
    names: Sequence[str], pictures: Sequence[Picture], labels: Sequence[Labels], found: Sequence[Sequence[Mask]]
) -> Figure:
    """Tiles in rows: the image, the truth, then what each method found, missed and made up, over the greyed image.

    Where there are more than eight methods, all rows come again below for the next ones.

    Args:
        names: of the methods.
        pictures: of the tiles; at least one.
        labels: of the tiles `(H, W)`: 1 road, 0 background, 255 unknown.
        found: roads `(H, W)`, for each tile those of each method.
    """
    given = [(colours, _truth(truth)) for colours, truth in zip(pictures, labels, strict=True)]
    made = [
        [overlay(_greyed(colours), each, truth) for each in methods]
        for colours, truth, methods in zip(pictures, labels, found, strict=True)
    ]
    return _compared(("image", "truth"), given, names, made)


def masks_side_by_side(names: Sequence[str], labels: Sequence[Labels], found: Sequence[Sequence[Mask]]) -> Figure:
    """As `side_by_side`, on black and without a trace of the imagery, which may often not be passed on."""
    given = [(_truth(truth),) for truth in labels]
    made = [
        [_painted(_truth(truth), each, truth, 1) for each in methods]
        for truth, methods in zip(labels, found, strict=True)
    ]
    return _compared(("truth",), given, names, made)


def picture(images: Images) -> Picture:
    """Normalised images `(C, H, W)` as RGB; one or two bands as grey."""
    bands = images[:3] if len(images) >= 3 else images[:1].repeat(3, axis=0)
    colours: Picture = np.clip(bands.transpose(1, 2, 0) / 2 + 0.5, 0, 1)
    return colours


def overlay(picture: Picture, found: Mask, labels: Labels) -> Picture:
    """A picture with hits, false alarms and misses in colour, and dark where labels `(H, W)` are unknown (255)."""
    painted = _painted(picture, found, labels, 0.6)
    painted[labels == IGNORE] *= _UNKNOWN
    return painted


def _show_pictures(grid: npt.NDArray[Any], titles: Sequence[str], rows: Sequence[Sequence[Picture]]) -> None:
    """Shows rows of pictures in a grid of axes at least as large, under one title a column."""
    for axis in grid.flat:
        axis.set_axis_off()
    for axes, row in zip(grid, rows, strict=True):
        for axis, shown in zip(axes, row, strict=False):
            axis.imshow(shown)
    for axis, title in zip(grid[0], titles, strict=False):
        axis.set_title(_wrapped(title, 22))


def _painted(picture: Picture, found: Mask, labels: Labels, opacity: float) -> Picture:
    painted = picture.copy()
    road = labels == 1
    for kind, where in ((HIT, found & road), (FALSE_ALARM, found & (labels == 0)), (MISS, ~found & road)):
        colour, _ = KINDS[kind]
        painted[where] = (1 - opacity) * painted[where] + opacity * np.array(to_rgb(colour), dtype=np.float32)
    return painted


def _truth(labels: Labels) -> Picture:
    """Roads white on black, the unknown grey."""
    grey = np.where(labels == IGNORE, _UNKNOWN, labels == 1).astype(np.float32)
    return grey[..., None].repeat(3, axis=2)


def _greyed(picture: Picture) -> Picture:
    grey: Picture = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return grey


def _compared(
    titles: Sequence[str],
    given: Sequence[Sequence[Picture]],
    names: Sequence[str],
    made: Sequence[Sequence[Picture]],
) -> Figure:
    """What is given stands at the left of every line of methods; lines are as equally long as can be."""
    lines = math.ceil(len(names) / _PER_LINE)
    methods = math.ceil(len(names) / lines)
    shape = (lines * len(given), len(titles) + methods)
    figure = Figure(figsize=(_SIDE * shape[1], _SIDE * shape[0] + 0.8), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False)
    for line, axes in enumerate(np.split(grid, lines)):
        part = slice(line * methods, (line + 1) * methods)
        rows = [(*left, *right[part]) for left, right in zip(given, made, strict=True)]
        _show_pictures(axes, (*titles, *names[part]), rows)
    columns = min(len(_PATCHES), (shape[1] + 1) // 2)
    figure.legend(handles=_PATCHES, loc="outside lower center", ncols=columns, frameon=False, fontsize=12)
    return figure


def _wrapped(text: str, width: int) -> str:
    """Text in lines of at most so many letters; what stands between dollar signs is no mathematics."""
    return fill(text, width, break_on_hyphens=False).replace("$", r"\$")


def _value(mean: float, spread: float) -> str:
    if math.isnan(mean):
        return "undefined"
    return f"{mean:.3f}" if math.isnan(spread) else f"{mean:.3f} ± {spread:.3f}"


def _cost_label(summaries: Sequence[Summary]) -> str:
    label = "multiply-adds for an image of 512 x 512 pixels, in billions (GFLOPs)"
    undefined = ", ".join(summary.method for summary in summaries if math.isnan(summary.mean.iou))
    return f"{label}\n{_wrapped(f'not shown, as their IoU is undefined: {undefined}', 80)}" if undefined else label


def _label(axes: Axes, summary: Summary, place: float) -> None:
    axes.annotate(
        _wrapped(summary.method, 50),
        (summary.costs.gflops, summary.mean.iou),
        (1.06, place),
        textcoords="axes fraction",
        va="center",
        arrowprops={"arrowstyle": "-", "color": "0.7", "relpos": (0, 0.5), "shrinkB": 4},
    )


def _spread_out(places: npt.NDArray[np.float64], gap: float) -> npt.NDArray[np.float64]:
    """Ascending places from 0 to 1, moved apart to a least gap, halfway between pushing up and pushing down."""
    steps = gap * np.arange(len(places))
    up = np.maximum.accumulate(places - steps)
    down = np.minimum.accumulate((places - steps)[::-1])[::-1]
    return np.clip((up + down) / 2, 0, 1 - gap * (len(places) - 1)) + steps
