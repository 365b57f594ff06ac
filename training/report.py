"""The report of a training: one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from matplotlib.figure import Figure
from torch import nn

from ..core.detection import Predictor
from ..core.devices import describe_device
from ..core.inference import predictor
from ..core.metrics import Scores
from ..core.model_card import ModelCard
from ..core.networks import count_parameters
from .data import LabelledWindow, read_window
from .figures import Picture, overlay, picture, show_pictures
from .fit import History, Run
from .methods import Method, Trained
from .pages import embedded, facts_table, page
from .results import SCORE_TITLES

__all__ = ["write_report"]

_SAMPLES = 4
_OVERLAYS = "Validation windows: the image, then what each network found and missed"
_CURVES = "Curves of the losses, the validation IoU and the learning rate"
_STYLE = ".hit { color: #21b859 } .false { color: #f29912 } .miss { color: #d91a33 }"


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
        _introduction(method, trained.scores[trained.kept]),
        "<h2>Scores on the validation area</h2>",
        f"<p>{_held_out_share(run):.0%} of the annotated area was held out: nothing was learned from it. Scores are of "
        "the road class unless said otherwise, from 0 to 1, higher is better.</p>",
        _score_table(trained.scores, trained.networks),
        "<h2>Found and missed on the validation area</h2>",
        '<p><b class="hit">Green</b>: roads that were found. <b class="false">Orange</b>: called road, but not '
        'drawn. <b class="miss">Red</b>: drawn, but missed.</p>',
        embedded(_sample_figure(run, trained.networks), _OVERLAYS),
        *(
            f"<h2>How it went: {stage.text}</h2>{embedded(_curve_figure(history), _CURVES)}"
            f"<p>{history.seconds / 60:.1f} minutes.</p>"
            for stage, history in trained.histories.items()
        ),
        "<h2>Imagery and settings</h2>",
        facts_table(_facts(card, run)),
    ]
    path.write_text(page("SSLKD training report", parts, _STYLE), encoding="utf-8")


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
    head = "".join(f"<th>{title}</th>" for title in ("Network", "Parameters", *SCORE_TITLES.values()))
    rows = "".join(
        f"<tr><td>{name}</td><td class='number'>{count_parameters(networks[name]) / 1e6:.1f} M</td>"
        + "".join(f"<td class='number'>{asdict(scores)[key]:.3f}</td>" for key in SCORE_TITLES)
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
    rows = [_sample_row(run, window, predictors.values()) for window in samples]
    show_pictures(figure.subplots(len(rows), 1 + len(predictors), squeeze=False), ("image", *predictors), rows)
    return figure


def _sample_row(run: Run, window: LabelledWindow, predictors: Iterable[Predictor]) -> list[Picture]:
    images, _ = read_window(window.source, window.window, run.data, run.reader)
    labels = window.source.annotation.labels(window.window, images.shape[-2:])
    colours = picture(images)
    return [colours, *(overlay(colours, predict(images[None])[0] >= 0.5, labels) for predict in predictors)]


def _with_roads(run: Run, windows: Iterable[LabelledWindow]) -> Iterable[LabelledWindow]:
    """Windows that show roads first, then the others."""
    shape = (run.data.tile, run.data.tile)
    return sorted(windows, key=lambda w: not (w.source.annotation.labels(w.window, shape) == 1).any())
