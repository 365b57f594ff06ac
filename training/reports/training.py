"""The report of a training: one self-contained HTML file."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from torch import nn

from ...core.labels import ROAD
from ...core.machine import describe_machine, describe_versions
from ...core.metrics import Confusion
from ...core.models.devices import describe_device
from ...core.models.inference import predictor
from ...core.models.model_card import ModelCard
from ...core.models.networks import count_parameters
from ...core.reporting import duration
from ..data import read_labelled
from ..fit import History, Run
from ..methods import Method, Trained
from .advice import Outcome, advice, verdict
from .area_map import Place, area_map, places
from .explained import explained
from .figures import picture, side_by_side
from .glossary import TERMS, loss_terms
from .pages import decimals, definitions, embedded, facts_table, findings, ground, page, table
from .palette import KINDS
from .results import SCORE_TITLES

__all__ = ["write_report"]

_SAMPLES = 4
_LINES = (("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", "-."), ("#cc79a7", ":"), ("#e69f00", "-"), ("#000000", "--"))
_MAP = "Map of the labelled area, of what was held out of it and of the imagery without labels"
_OVERLAYS = "Validation windows: the image, the drawn roads, then what each network found and missed"
_CURVES = "Curves of the losses, the validation IoU and the learning rate"
_STYLE = """
.verdict {{ border-left: .4rem solid #0072b2; padding: .2rem 1rem; background: #f3f7fa }}
.hit {{ border-bottom: .25rem solid {} }} .miss {{ border-bottom: .25rem solid {} }}
.false {{ border-bottom: .25rem solid {} }}
""".format(*(colour for colour, _ in KINDS.values()))


def write_report(
    path: Path, method: Method, card: ModelCard, run: Run, trained: Trained, facts: Mapping[str, str]
) -> None:
    """Writes what a training learned from, how it went and what came out, for people who do not know the method.

    Args:
        path: HTML file to write.
        method: how it was trained.
        card: of the model file.
        run: the run.
        trained: what came out.
        facts: what else to tell of the inputs, by name.
    """
    parts = [
        *_introduction(method, run, trained),
        *_learned_from(run),
        *_scores(run, trained),
        *_samples(run, trained.networks),
        *(part for stage, history in trained.histories.items() for part in _course(stage.text, history)),
        *_timings(trained),
        "<h2>Imagery and labels</h2>",
        facts_table({**_inputs(card, run), **facts}),
        *_settings(run),
        "<h2>Machine and versions</h2>",
        facts_table({"Device": describe_device(run.device), **describe_machine(), **describe_versions()}),
        *_glossary(trained.histories.values()),
    ]
    path.write_text(page("SSLKD training report", parts, _STYLE), encoding="utf-8")


def _introduction(method: Method, run: Run, trained: Trained) -> Iterator[str]:
    came_to = Outcome.of(run, trained)
    yield (
        "<p>SSLKD learns in two steps: two large networks, the teachers, learn roads from the drawn labels and from "
        "each other's results on imagery without labels; a light network, the student, then learns from the labels "
        f"and from the teachers. This training was of <b>{html.escape(method.title)}</b>. "
        "The words are explained <a href='#words'>at the end</a>.</p>"
    )
    yield (
        f"<div class='verdict'><p><b>{verdict(came_to)}</b> There, on imagery that it has not seen, "
        f"{findings('the network that was kept', came_to.scores)}.</p><p>What to do next:</p><ul>"
    )
    yield from (f"<li>{html.escape(sentence)}</li>" for sentence in advice(came_to))
    yield "</ul></div>"


def _learned_from(run: Run) -> Iterator[str]:
    shown = places(run.data)
    yield "<h2>What was learned from</h2>"
    yield f"<figure>{embedded(area_map(shown), _MAP)}<figcaption>{_MAP}.</figcaption></figure>"
    titles = ("Raster", "Labelled, learned from", "Labelled, held out", "Without labels, learned from")
    yield table(titles, [_areas(number, place) for number, place in enumerate(shown, start=1)])


def _areas(number: int, place: Place) -> tuple[str, ...]:
    areas = (place.square_metres(part) for part in ("labelled", "held_out", "unlabelled"))
    return f"{number}: {place.raster.name}", *(ground(area) if area else "none" for area in areas)


def _scores(run: Run, trained: Trained) -> Iterator[str]:
    held_out = run.data.held_out_area / (run.data.held_out_area + run.data.labelled_area)
    yield (
        "<h2>Scores on the validation area</h2>"
        f"<p>{held_out:.0%} of the annotated area was held out: nothing was learned from it. Scores are of "
        "the road class unless said otherwise, from 0 to 1, higher is better.</p>"
    )
    rows = [
        (
            name + (" (kept)" if name == trained.kept else ""),
            f"{count_parameters(trained.networks[name]) / 1e6:.1f} M",
            *(decimals(getattr(scores, key)) for key in SCORE_TITLES),
        )
        for name, scores in trained.scores.items()
    ]
    yield table(("Network", "Parameters", *SCORE_TITLES.values()), rows)
    yield f"<h3>Confusion matrix of the {html.escape(trained.kept)}</h3>"
    yield f"<p>Pixels of {run.data.gsd:.2f} m on the validation area, and their share of all of these.</p>"
    yield _confusion_table(trained.counts[trained.kept])


def _confusion_table(counts: Confusion) -> str:
    """What was drawn in rows, what was called road in columns, and their sums."""
    table_of_counts = (("road", counts.hits, counts.misses), ("background", counts.false_alarms, counts.rejections))
    words = {"road": ("found", "missed"), "background": ("called road by mistake", "rightly left alone")}
    rows = []
    for name, called, left in table_of_counts:
        cells = (_share(n, counts.pixels, word) for n, word in zip((called, left), words[name], strict=True))
        rows.append((f"drawn as {name}", *cells, _share(called + left, counts.pixels)))
    called, left = counts.hits + counts.false_alarms, counts.misses + counts.rejections
    rows.append(("both", *(_share(number, counts.pixels) for number in (called, left, counts.pixels))))
    return table(("", "called road", "called background", "both"), rows)


def _share(count: int, pixels: int, word: str = "") -> str:
    share = f"{count / pixels:.1%}" if pixels else "no share"
    return f"{count:,} ({share})" + (f": {word}" if word else "")


def _samples(run: Run, networks: Mapping[str, nn.Module]) -> Iterator[str]:
    yield (
        "<h2>Found and missed on the validation area</h2>"
        '<p><b class="hit">Blue</b>: roads that were found. <b class="false">Yellow</b>: called road, but not '
        'drawn. <b class="miss">Orange</b>: drawn, but missed. Dark: not scored there.</p>'
    )
    yield f"<figure>{embedded(_sample_figure(run, networks), _OVERLAYS)}<figcaption>{_OVERLAYS}.</figcaption></figure>"


def _sample_figure(run: Run, networks: Mapping[str, nn.Module]) -> Figure:
    """The validation windows with the most road."""
    windows = sorted(run.data.validation, key=lambda window: -int((window.labels(run.data.tile) == ROAD).sum()))
    shown = [read_labelled(window, run.data, run.reader) for window in windows[:_SAMPLES]]
    predictors = [predictor(network, run.device) for network in networks.values()]
    found = [[predict(images[None])[0] >= 0.5 for predict in predictors] for images, _ in shown]
    return side_by_side(list(networks), [picture(images) for images, _ in shown], [drawn for _, drawn in shown], found)


def _course(name: str, history: History) -> Iterator[str]:
    yield f"<h2>How it went: {html.escape(name)}</h2>"
    yield f"<figure>{embedded(_curve_figure(history), _CURVES)}<figcaption>{_CURVES}.</figcaption></figure>"


def _curve_figure(history: History) -> Figure:
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    losses, scores, rates = figure.subplots(1, 3)
    for (name, values), (colour, line) in zip(history.losses.items(), _lines(len(history.losses)), strict=True):
        losses.plot(history.steps, values, label=name, color=colour, linestyle=line)
    for (name, validated), (colour, line) in zip(history.scores.items(), _lines(len(history.scores)), strict=True):
        ious = [score.iou for score in validated]
        scores.plot(history.validated, ious, marker="o", label=name, color=colour, linestyle=line)
    rates.plot(history.steps, history.learning_rates, color=_LINES[0][0])
    for axes, title in ((losses, "Loss"), (scores, "Validation IoU"), (rates, "Learning rate")):
        axes.set(title=title, xlabel="step", ylim=(0, None))
        axes.grid(alpha=0.3)
    for axes in (losses, scores):
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    return figure


def _lines(count: int) -> Sequence[tuple[str, str]]:
    """Colours and strokes that are told apart in grey and by the colour-blind, too."""
    return [_LINES[number % len(_LINES)] for number in range(count)]


def _timings(trained: Trained) -> Iterator[str]:
    titles = ("Part", "Steps", "Time", "Steps a second", "of it validating", "of it waiting for imagery")
    rows = [(stage.text, *_pace(history)) for stage, history in trained.histories.items()]
    yield "<h2>Time it took</h2>"
    yield table(titles, [*rows, ("all", "", duration(trained.seconds), "", "", "")])
    yield "<p>Where waiting takes a large part, a faster disk or tiled rasters would make training faster.</p>"


def _pace(history: History) -> Iterator[str]:
    """Of the steps alone: how many there were, their pace, and what else took time."""
    steps = history.validated[-1]
    yield f"{steps:,}"
    yield duration(history.seconds)
    stepping = history.seconds - history.validating
    yield f"{steps / stepping:.2g}" if stepping > 0 else ""
    for part in (history.validating, history.waiting):
        yield f"{duration(part)} ({part / history.seconds:.0%})" if history.seconds > 0 else ""


def _inputs(card: ModelCard, run: Run) -> dict[str, str]:
    normalisation = ", ".join(
        f"{mean:.4g} ± {std:.4g}" for mean, std in zip(card.normalisation.mean, card.normalisation.std, strict=True)
    )
    return {
        "Rasters": ", ".join(raster.path for raster in run.data.rasters),
        "Bands": f"{card.network.in_channels} of {card.dtype}",
        "Values that become 0 ± 1": normalisation,
        "Ground sampling distance": f"{card.gsd:.3f} m, of imagery of {card.imagery_gsd:.3f} m",
        "Validation windows": str(len(run.data.validation)),
    }


def _settings(run: Run) -> Iterator[str]:
    rows = [(each.name, each.value, each.meaning.replace("`", "")) for each in explained(run.settings)]
    yield "<h2>Settings</h2><p>All of them, by their names in a settings file.</p>"
    yield table(("Setting", "Value", "What it is"), rows, texts=3)


def _glossary(histories: Iterable[History]) -> Iterator[str]:
    terms = loss_terms([name for history in histories for name in history.losses])
    told = {**TERMS, **{f"Loss term “{name}”": f"{text[0].upper()}{text[1:]}." for name, text in terms.items()}}
    yield f"<h2 id='words'>What the words mean</h2>{definitions(told)}"
