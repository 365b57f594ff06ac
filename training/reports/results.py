"""Results of compared methods: a table for programs, and a page for people."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from matplotlib.figure import Figure

from ...core.files import written_whole
from ...core.metrics import Scores
from ...core.models.costs import Costs
from .glossary import SCORE_TERMS
from .pages import definitions, embedded, facts_table, page

__all__ = ["SCORE_TITLES", "Result", "Split", "Summary", "summarise", "write_page", "write_table"]

Split = Literal["validation", "test"]

SCORE_TITLES = {
    "oa": "Overall accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "iou": "IoU",
    "f1": "F1",
    "macro_iou": "IoU, mean of both classes",
    "macro_f1": "F1, mean of both classes",
}
_COLUMNS = ("method", "seed", "split", *SCORE_TITLES, "params", "gflops", "images_per_s", "train_s", "device", "sslkd")
_COST_TITLES = ("Parameters", "GFLOPs", "Images per second", "Training time")
_STYLE = """
body { max-width: 80rem } p, dl { max-width: 62rem } figure { margin: 2rem 0 }
.wide { overflow-x: auto; font-size: 14px; line-height: 1.25 }
.wide td, .wide th { padding: .3rem .5rem }
.wide th:not(:first-child) { text-align: right } .wide th:first-child { min-width: 13rem }
.small { color: #666; font-size: 85% }
"""
_WORDS = {
    "Method": "A way to train a network. All were scored on the same areas.",
    "Scores": "From 0 to 1, higher is better; of the road class unless said otherwise. The best of each column is "
    "bold. A score is undefined where it is so for at least one seed, as precision is where no road was found.",
    "±": "Every method is trained once a seed, each time with other random choices. Scores are means over the seeds, "
    "and ± is their sample standard deviation; differences of that size may well be chance. Without ± there was one "
    "seed.",
    **SCORE_TERMS,
    "Parameters": "How many numbers the network learned, in millions (M).",
    "GFLOPs": "Billions of multiply-adds, each counted once, for an image of 512 x 512 pixels.",
    "Images per second": "Images of 512 x 512 pixels, one at a time, on the device that the method was trained on. "
    "Where several devices are told above, table.csv tells which: paces and times of different ones do not compare.",
    "Training time": "Of one seed; with several seeds, their mean.",
}


@dataclass(frozen=True)
class Result:
    """How one method did with one seed on one split.

    Attributes:
        method: its name for people.
        seed: of its training.
        split: what the scores are of.
        scores: on that split.
        costs: of the network.
        seconds: that the training took.
        device: that it was trained and measured on.
        version: of SSLKD that did so.
    """

    method: str
    seed: int
    split: Split
    scores: Scores
    costs: Costs
    seconds: float
    # Earlier versions did not note these.
    device: str = "unknown"
    version: str = "unknown"


@dataclass(frozen=True)
class Summary:
    """A method over its seeds.

    Attributes:
        method: its name for people.
        seeds: how many there are.
        mean: of each score; NaN where a score is undefined for any seed.
        spread: sample standard deviation of each score; NaN as above, and where there is but one seed.
        costs: of the network, the pace a mean.
        seconds: mean time of training.
    """

    method: str
    seeds: int
    mean: Scores
    spread: Scores
    costs: Costs
    seconds: float


def write_table(path: Path, results: Iterable[Result]) -> None:
    """Writes a CSV file: a row a result, in the order given, undefined scores empty."""
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(map(_row, results))


def summarise(results: Iterable[Result], split: Split) -> list[Summary]:
    """Mean and spread of each method over its seeds, methods in the order in which they first appear."""
    methods: dict[str, list[Result]] = {}
    for result in results:
        if result.split == split:
            methods.setdefault(result.method, []).append(result)
    return [_summary(method, runs) for method, runs in methods.items()]


def write_page(
    path: Path, title: str, facts: Mapping[str, str], results: Sequence[Result], figures: Mapping[str, Figure]
) -> None:
    """Writes an HTML page that needs no other file, for people who do not know the methods.

    Args:
        path: HTML file to write.
        title: of the page.
        facts: on the comparison, such as its settings, device, seeds and command, by name.
        results: of every method, seed and split.
        figures: by what they show, which becomes their captions.
    """
    parts = [
        facts_table(facts),
        *_section("Scores on the test area", summarise(results, "test")),
        *_section("Scores on the validation area", summarise(results, "validation")),
        "<h2>How to read this page</h2>",
        definitions(_WORDS),
        "<h2>Figures</h2>" if figures else "",
        *map(_captioned, figures.values(), figures),
    ]
    with written_whole(path) as partial:
        partial.write_text(page(title, parts, _STYLE), encoding="utf-8")


def _row(result: Result) -> list[str | int]:
    scores = [_number(getattr(result.scores, name), 4) for name in SCORE_TITLES]
    costs = result.costs
    paces = [_number(costs.gflops, 2), _number(costs.images_per_second, 2), _number(result.seconds, 0)]
    made_by = [result.device, result.version]
    return [result.method, result.seed, result.split, *scores, costs.parameters, *paces, *made_by]


def _number(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"


def _summary(method: str, runs: Sequence[Result]) -> Summary:
    costs = runs[0].costs
    pace = fmean(run.costs.images_per_second for run in runs)
    return Summary(
        method,
        len(runs),
        _over_seeds(fmean, runs),
        _over_seeds(_spread, runs),
        Costs(costs.parameters, costs.gflops, pace),
        fmean(run.seconds for run in runs),
    )


def _over_seeds(measure: Callable[[list[float]], float], runs: Sequence[Result]) -> Scores:
    return Scores(**{name: measure([getattr(run.scores, name) for run in runs]) for name in SCORE_TITLES})


def _spread(values: Sequence[float]) -> float:
    if len(values) < 2 or any(map(math.isnan, values)):
        return math.nan
    return stdev(values)


def _section(title: str, summaries: Sequence[Summary]) -> list[str]:
    if not summaries:
        return []
    head = "".join(f"<th>{name}</th>" for name in ("Method", "Seeds", *SCORE_TITLES.values(), *_COST_TITLES))
    best = {name: max(_shown(getattr(each.mean, name)) for each in summaries) for name in SCORE_TITLES}
    rows = "".join(f"<tr>{''.join(_cells(summary, best))}</tr>" for summary in summaries)
    content = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return [f"<h2>{title}</h2>", f"<div class='wide'><table>{content}</table></div>"]


def _cells(summary: Summary, best: Mapping[str, str]) -> Iterator[str]:
    yield f"<td>{html.escape(summary.method)}</td>"
    yield _cell(f"{summary.seeds}")
    for name in SCORE_TITLES:
        yield _cell(_score(getattr(summary.mean, name), getattr(summary.spread, name), best[name]))
    pace = summary.costs.images_per_second
    yield _cell(f"{summary.costs.parameters / 1e6:.1f} M")
    yield _cell(f"{summary.costs.gflops:.1f}")
    yield _cell(f"{pace:.0f}" if pace >= 100 else f"{pace:.2g}")
    yield _cell(f"{summary.seconds / 60:.1f} min")


def _cell(text: str) -> str:
    return f"<td class='number'>{text}</td>"


def _score(mean: float, spread: float, best: str) -> str:
    """Bold where readers see the best; a spread where there is one."""
    if math.isnan(mean):
        return "<span class='small'>undefined</span>"
    text = f"<b>{_shown(mean)}</b>" if _shown(mean) == best else _shown(mean)
    return text if math.isnan(spread) else f"{text} <br><span class='small'>± {spread:.3f}</span>"


def _shown(score: float) -> str:
    """Three decimals, whose order as text is that of the numbers; nothing where undefined."""
    return _number(score, 3)


def _captioned(figure: Figure, caption: str) -> str:
    return f"<figure>{embedded(figure, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"
