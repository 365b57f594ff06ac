"""The report of a training: one self-contained HTML file."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import nn

from ..core.detection import predictor
from ..core.devices import describe_device
from ..core.losses import IGNORE
from ..core.metrics import Scores
from ..core.model_file import ModelCard
from ..core.networks import count_parameters
from .data import LabelledWindow, read_window
from .fit import History, Run
from .methods import Method, Trained

__all__ = ["write_report"]

_SAMPLES = 4
_SCORES = {
    "oa": "Overall accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "iou": "IoU",
    "f1": "F1",
    "macro_iou": "IoU, mean of both classes",
    "macro_f1": "F1, mean of both classes",
}
_HIT, _FALSE_ALARM, _MISS = (0.13, 0.72, 0.35), (0.95, 0.6, 0.07), (0.85, 0.1, 0.2)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { line-height: 1.2 } img { max-width: 100% } table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.hit { color: #21b859 } .false { color: #f29912 } .miss { color: #d91a33 }
"""


def write_report(path: Path, method: Method, card: ModelCard, run: Run, trained: Trained) -> None:
    """Writes what a training learned from, how it went and what came out, for people who do not know the method.

    Args:
        path: HTML file to write.
        method: how it was trained.
        card: of the model file.
        run: the run.
        trained: what came out.
    """
    parts = [
        "<h1>SSLKD training report</h1>",
        _introduction(method, trained.scores[trained.kept]),
        "<h2>Scores on the validation area</h2>",
        f"<p>{_held_out_share(run):.0%} of the annotated area was held out: nothing was learned from it. Scores are of "
        "the road class unless said otherwise, from 0 to 1, higher is better.</p>",
        _score_table(trained.scores, trained.networks),
        "<h2>Found and missed on the validation area</h2>",
        '<p><b class="hit">Green</b>: roads that were found. <b class="false">Orange</b>: called road, but not '
        'drawn. <b class="miss">Red</b>: drawn, but missed.</p>',
        _image(_sample_figure(run, trained.networks)),
        *(
            f"<h2>How it went: {stage.text}</h2>{_image(_curve_figure(history))}"
            f"<p>{history.seconds / 60:.1f} minutes.</p>"
            for stage, history in trained.histories.items()
        ),
        "<h2>Imagery and settings</h2>",
        _table(_facts(card, run)),
    ]
    head = f"<meta charset='utf-8'><title>SSLKD training report</title><style>{_STYLE}</style>"
    page = f"<!doctype html><html lang='en'>{head}<body>{''.join(parts)}</body></html>"
    path.write_text(page, encoding="utf-8")


def _introduction(method: Method, result: Scores) -> str:
    return (
        "<p>SSLKD learns in two steps: two large networks, the teachers, learn roads from the drawn labels and from "
        "each other's results on imagery without labels; a light network, the student, then learns from the labels "
        f"and from the teachers. This training was of <b>{method.title}</b>. The network that was kept finds "
        f"{_percent(result.recall)} of the road surface, and {_percent(result.precision)} of what it calls "
        "road is road.</p>"
    )


def _held_out_share(run: Run) -> float:
    return run.data.held_out_area / (run.data.held_out_area + run.data.labelled_area)


def _percent(share: float) -> str:
    return "an unknown part" if math.isnan(share) else f"{share:.0%}"


def _score_table(kept: Mapping[str, Scores], networks: Mapping[str, nn.Module]) -> str:
    head = "".join(f"<th>{title}</th>" for title in ("Network", "Parameters", *_SCORES.values()))
    rows = "".join(
        f"<tr><td>{name}</td><td class='number'>{count_parameters(networks[name]) / 1e6:.1f} M</td>"
        + "".join(f"<td class='number'>{asdict(scores)[key]:.3f}</td>" for key in _SCORES)
        + "</tr>"
        for name, scores in kept.items()
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _facts(card: ModelCard, run: Run) -> dict[str, str]:
    rasters = dict.fromkeys(source.raster.path for source in (*run.data.labelled, *run.data.unlabelled))
    return {
        "Rasters": ", ".join(rasters),
        "Bands": f"{card.network.in_channels} of {card.dtype}",
        "Ground sampling distance": f"{card.gsd:.3f} m",
        "Device": describe_device(run.device),
        **{name.replace("_", " ").capitalize(): _readable(value) for name, value in card.training.items()},
    }


def _readable(setting: object) -> str:
    """A setting as people write it; networks as `deeplabv3plus / resnet50`."""
    match setting:
        case {"architecture": architecture, "encoder": encoder, "width": width}:
            return f"{architecture} / {encoder}" + (f", {width:g} of its width" if width != 1 else "")
        case tuple():
            return "; ".join(map(_readable, setting))
        case _:
            return str(setting)


def _table(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    return f"<table>{rows}</table>"


def _curve_figure(history: History) -> Figure:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    losses, scores, rates = figure.subplots(1, 3)
    for name, values in history.losses.items():
        losses.plot(history.steps, values, label=name)
    for name, validated in history.scores.items():
        scores.plot(history.validated, [score.iou for score in validated], marker="o", label=name)
    rates.plot(history.steps, history.learning_rates)
    for axes, title in ((losses, "Loss"), (scores, "Validation IoU"), (rates, "Learning rate")):
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
    losses.legend(fontsize="small")
    scores.legend(fontsize="small")
    return figure


def _sample_figure(run: Run, networks: Mapping[str, nn.Module]) -> Figure:
    """Validation windows in rows: the image, then every network's hits, false alarms and misses over it."""
    samples = list(_with_roads(run, run.data.validation))[:_SAMPLES]
    predictors = {name: predictor(network, run.device) for name, network in networks.items()}
    figure = Figure(figsize=(3 * (1 + len(predictors)), 3 * len(samples)), layout="constrained")
    grid = figure.subplots(len(samples), 1 + len(predictors), squeeze=False)
    for axes, window in zip(grid, samples, strict=True):
        images, _ = read_window(window.source, window.window, run.data, run.reader)
        labels = window.source.annotation.labels(window.window, images.shape[-2:])
        picture = _picture(images)
        axes[0].imshow(picture)
        for axis, predict in zip(axes[1:], predictors.values(), strict=True):
            axis.imshow(_overlay(picture, predict(images[None])[0] >= 0.5, labels))
    for axis, name in zip(grid[0], ("image", *predictors), strict=True):
        axis.set_title(name)
    for axis in grid.flat:
        axis.set_axis_off()
    return figure


def _with_roads(run: Run, windows: Iterable[LabelledWindow]) -> Iterable[LabelledWindow]:
    """Windows that show roads first, then the others."""
    shape = (run.data.tile, run.data.tile)
    return sorted(windows, key=lambda w: not (w.source.annotation.labels(w.window, shape) == 1).any())


def _picture(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Normalised images `(C, H, W)` as RGB `(H, W, 3)` from 0 to 1; one or two bands as grey."""
    bands = images[:3] if len(images) >= 3 else images[:1].repeat(3, axis=0)
    return np.clip(bands.transpose(1, 2, 0) / 2 + 0.5, 0, 1)


def _overlay(
    picture: npt.NDArray[np.float32], found: npt.NDArray[np.bool_], labels: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    overlay = picture.copy()
    road, known = labels == 1, labels != IGNORE
    for colour, where in ((_HIT, found & road), (_FALSE_ALARM, found & ~road & known), (_MISS, ~found & road)):
        overlay[where] = 0.4 * overlay[where] + 0.6 * np.array(colour, dtype=np.float32)
    overlay[~known] *= 0.4
    return overlay


def _image(figure: Figure) -> str:
    stream = io.BytesIO()
    with mpl.rc_context({"font.size": 9}):
        figure.savefig(stream, format="png", dpi=110)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'
