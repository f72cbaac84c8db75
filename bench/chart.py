"""A bar chart as SVG for light and dark pages: it brings its own background and follows the reader's scheme."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from html import escape

from bench.measures import Measure, Results, System

WIDTH = 880
MARGIN = 20
PANEL_WIDTH = 405
LABEL_WIDTH = 125
VALUE_WIDTH = 95
ROW_HEIGHT = 24
BAR_HEIGHT = 15
PANEL_HEAD = 46
TITLE_HEIGHT = 50
LINE_HEIGHT = 16
CAPTION_CHARS = 128

STYLE = """
text { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.panel { font-size: 13px; font-weight: 600 }
.quiet { fill: #59636e }
.ours { font-weight: 600 }
.page { fill: #ffffff; stroke: #d1d9e0 }
rect.bar { fill: #9aa4af }
rect.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .page { fill: #0d1117; stroke: #3d444d }
  rect.bar { fill: #656c76 }
  rect.ours { fill: #4493f8 }
}
"""


def draw(results: Results, caption: str) -> str:
    """One panel for each measure, two in a row; in each a bar for every system that was measured."""
    panel_height = PANEL_HEAD + ROW_HEIGHT * len(results.systems) + 14
    panels_end = TITLE_HEIGHT + panel_height * ((len(results.measures) + 1) // 2)
    lines = textwrap.wrap(caption, CAPTION_CHARS)
    height = panels_end + LINE_HEIGHT * len(lines) + MARGIN
    body = [
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        _text(MARGIN, 34, results.title, "title"),
    ]
    for index, measure in enumerate(results.measures):
        x = MARGIN + (index % 2) * (PANEL_WIDTH + WIDTH - 2 * MARGIN - 2 * PANEL_WIDTH)
        body += _panel(results, measure, x, TITLE_HEIGHT + (index // 2) * panel_height)
    body += [_text(MARGIN, panels_end + 14 + LINE_HEIGHT * i, line, "quiet") for i, line in enumerate(lines)]
    return _document(height, results.title, body)


def number(value: float) -> str:
    """For people: thousands apart, one decimal below a hundred, two below ten."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", " ")


def _document(height: int, title: str, body: list[str]) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    return "\n".join([opening, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *body, "</svg>"]) + "\n"


def _panel(results: Results, measure: Measure, x: int, y: int) -> Iterator[str]:
    medians = {s.key: median for s in results.systems if (median := results.median(s.key, measure.key)) is not None}
    yield _text(x, y + 20, measure.title, "panel")
    yield _text(x, y + 36, f"{measure.unit}, {'more' if measure.more_is_better else 'less'} is better", "quiet")
    longest = max(medians.values(), default=0) or 1
    for row, system in enumerate(results.systems):
        top = y + PANEL_HEAD + row * ROW_HEIGHT
        yield from _row(results, system, measure, x, top, medians.get(system.key), longest)


def _row(
    results: Results, system: System, measure: Measure, x: int, top: int, median: float | None, longest: float
) -> Iterator[str]:
    ours = " ours" if system.is_ours else ""
    yield _text(x, top + 12, system.label, f"label{ours}")
    left = x + LABEL_WIDTH
    if median is None:
        yield _text(left, top + 12, "–", "quiet")
        return
    width = max(1.0, (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) * median / longest)
    yield f'<rect class="bar{ours}" x="{left}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}" rx="2"/>'
    ratio = results.ratio(system.key, measure.key)
    behind = "" if ratio is None or system.key == results.baseline else f"  {ratio:.2f}×"
    yield _text(left + width + 6, top + 12, number(median) + behind, f"value{ours}")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" xml:space="preserve">{escape(text)}</text>'
