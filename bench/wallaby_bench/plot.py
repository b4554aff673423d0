"""Charts as SVG, by hand, one below the other: bars for each client with its ratio to pg_recvlogical, and lines over time."""

from functools import partial
from html import escape

from wallaby_bench.report import BASE

WIDTH, LABELS, BAR, GAP, TITLE, MARGIN = 760, 140, 22, 8, 34, 16
NUMBERS = 150  # room right of the longest bar
STYLE = """<style>
  text { font: 13px sans-serif; fill: #24292f } .title { font-weight: bold }
  .ours { fill: #2f6fb0 } .other { fill: #9aa4ae } .line { stroke: #24292f; stroke-dasharray: 3 3 }
  .ours-line { stroke: #2f6fb0; stroke-width: 2; fill: none } .other-line { stroke: #9aa4ae; stroke-width: 2; fill: none }
  .span { fill: #9aa4ae; opacity: 0.18 }
  @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .line { stroke: #d0d7de } }
</style>"""


def svg(charts):
    """`charts`: [(title, [(client, changes a second, ratio or None)])]."""
    return _document(partial(_bars, title, bars) for title, bars in charts)


def lines(charts):
    """`charts`: [(title, (from, to) of the span that is marked, [(name, "ours" or "other", [(seconds, value)])])]."""
    return _document(partial(_lines, *chart) for chart in charts)


def _document(drawings):
    """`drawings`: functions from the y at which they begin to (elements, the y behind them)."""
    parts, y = [], MARGIN
    for draw in drawings:
        drawn, y = draw(y)
        parts += drawn
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">', STYLE,
                      *parts, "</svg>"]) + "\n"


def _lines(title, span, series, y):
    height, left = 180, MARGIN + 50
    end = max(at for _, _, points in series for at, _ in points)
    top = max(value for _, _, points in series for _, value in points) or 1
    x_of = lambda at: left + at / end * (WIDTH - left - MARGIN)
    parts = [f'<text class="title" x="{MARGIN}" y="{y + 14}">{escape(title)}</text>']
    y += TITLE
    y_of = lambda value: y + height - value / top * height
    parts.append(f'<rect class="span" x="{x_of(span[0]):.1f}" y="{y}" width="{x_of(span[1]) - x_of(span[0]):.1f}" height="{height}"/>')
    for value in (0, top / 2, top):
        parts.append(f'<text x="{left - 8}" y="{y_of(value) + 5:.1f}" text-anchor="end">{value:,.0f}</text>')
    for i, (name, kind, points) in enumerate(series):
        path = " ".join(f"{x_of(at):.1f},{y_of(value):.1f}" for at, value in points)
        parts += [f'<polyline class="{kind}-line" points="{path}"/>',
                  f'<line class="{kind}-line" x1="{left + 8}" y1="{y + 14 + 18 * i}" x2="{left + 28}" y2="{y + 14 + 18 * i}"/>',
                  f'<text x="{left + 34}" y="{y + 18 + 18 * i}">{escape(name)}</text>']
    for at in (0, span[0], span[1], end):
        anchor = "end" if at == end else "middle"
        parts.append(f'<text x="{x_of(at):.1f}" y="{y + height + 16}" text-anchor="{anchor}">{at:.0f} s</text>')
    return parts, y + height + 20 + MARGIN


def _bars(title, bars, y):
    longest = max(value for _, value, _ in bars)
    scale = (WIDTH - LABELS - NUMBERS - 2 * MARGIN) / longest
    left = MARGIN + LABELS
    parts = [f'<text class="title" x="{MARGIN}" y="{y + 14}">{escape(title)}</text>']
    y += TITLE
    top = y
    for name, value, ratio in bars:
        kind = "other" if name in (BASE, "subscription") else "ours"
        middle = y + BAR / 2 + 5
        text = f"{value / 1000:,.0f} k/s" + (f", {ratio:.2f} x" if ratio else "")
        parts += [f'<text x="{left - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>',
                  f'<rect class="{kind}" x="{left}" y="{y}" width="{value * scale:.1f}" height="{BAR}"/>',
                  f'<text x="{left + value * scale + 8:.1f}" y="{middle}">{text}</text>']
        y += BAR + GAP
    base = [value for name, value, _ in bars if name == BASE]
    if base:
        x = left + base[0] * scale
        parts.append(f'<line class="line" x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{y - GAP + 4}"/>')
    return parts, y + MARGIN
