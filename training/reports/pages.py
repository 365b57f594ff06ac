"""HTML pages that need no other file: their look, numbers, tables and embedded figures."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from ...core.metrics import Scores

__all__ = ["decimals", "definitions", "embedded", "facts_table", "findings", "ground", "page", "png", "table"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { line-height: 1.2 } img { max-width: 100% } table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums } td.number { white-space: nowrap }
thead th { vertical-align: bottom } tbody th { min-width: 6rem }
.scrolled { overflow-x: auto } figure { margin: 1rem 0 } figcaption { color: #555; font-size: 90% }
dt { font-weight: bold } dd { margin: 0 0 .5rem 1.5rem }
p, td, dd, li { overflow-wrap: anywhere } .scrolled td { overflow-wrap: normal }
@media (max-width: 40rem) { table { font-size: 85% } td, th { padding: .3rem .4rem } dd { margin-left: .7rem } }
@media print {
  body { font-size: 11pt; margin: 0; max-width: none } h2 { break-after: avoid }
  figure, tr, dt, dd { break-inside: avoid } dt { break-after: avoid } .scrolled { overflow: visible }
}
"""


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole page from a title and the HTML below it; `style` adds rules of CSS."""
    title = html.escape(title)
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{_STYLE}{style}</style>"
    )
    return f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{title}</h1>{''.join(parts)}</body></html>"


def facts_table(facts: Mapping[str, str]) -> str:
    """A table of names and what is to say about them."""
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    return f"<table>{rows}</table>"


def definitions(meanings: Mapping[str, str]) -> str:
    """A list of words and what they mean."""
    told = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in meanings.items())
    return f"<dl>{told}</dl>"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table under titles, whose rows begin with their own heading.

    Args:
        titles: of the columns.
        rows: what the cells hold; markup in it is shown, not obeyed.
        texts: how many columns hold text; those at the right of them hold numbers.
    """
    head = "".join(f"<th scope='col'{_aligned(k, texts)}>{html.escape(title)}</th>" for k, title in enumerate(titles))
    body = "".join(f"<tr>{''.join(_cells(row, texts))}</tr>" for row in rows)
    return f"<div class='scrolled'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def findings(finder: str, scores: Scores) -> str:
    """What was found of the roads, and how much of that is road, in a clause; neither is a share of nothing."""
    if math.isnan(scores.precision):
        return f"{finder} calls nothing road"
    if math.isnan(scores.recall):
        return f"{finder} calls something road, though no road is drawn"
    found, right = _percent(scores.recall), _percent(scores.precision)
    return f"{finder} finds {found} of the road surface, and {right} of what it calls road is road"


def decimals(score: float) -> str:
    """A score, from 0 to 1; NaN where it is undefined."""
    return "undefined" if math.isnan(score) else f"{score:.3f}"


def ground(square_metres: float) -> str:
    """An area on the ground, in hectares from a tenth of one on."""
    return f"{square_metres / 1e4:,.2f} ha" if square_metres >= 1000 else f"{square_metres:,.0f} m²"


def embedded(figure: Figure, alt: str) -> str:
    """A figure inside of the page; `alt` tells what it shows to those who cannot see it."""
    encoded = base64.b64encode(png(figure)).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{encoded}">'


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    stream = io.BytesIO()
    with mpl.rc_context({"font.size": 9}):
        figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _percent(share: float) -> str:
    """A share, from 0 to 1, which is called none or all only where it is."""
    if 0 < share < 0.01:
        return "less than 1%"
    return "more than 99%" if 0.99 < share < 1 else f"{share:.0%}"


def _cells(row: Sequence[str], texts: int) -> Iterable[str]:
    yield f"<th scope='row'>{html.escape(row[0])}</th>"
    for number, text in enumerate(row[1:], start=1):
        yield f"<td{_aligned(number, texts)}>{html.escape(text)}</td>"


def _aligned(column: int, texts: int) -> str:
    return " class='number'" if column >= texts else ""
