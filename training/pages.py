"""HTML pages that need no other file: their look, tables of facts and embedded figures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["embedded", "facts_table", "page", "png"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { line-height: 1.2 } img { max-width: 100% } table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
"""


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole page from a title and the HTML below it; `style` adds rules of CSS."""
    title = html.escape(title)
    head = f"<meta charset='utf-8'><title>{title}</title><style>{_STYLE}{style}</style>"
    return f"<!doctype html><html lang='en'>{head}<body><h1>{title}</h1>{''.join(parts)}</body></html>"


def facts_table(facts: Mapping[str, str]) -> str:
    """A table of names and what is to say about them."""
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    return f"<table>{rows}</table>"


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
