"""Bar charts as SVG, by hand: one chart below the other, a bar for each client, with its ratio to pg_recvlogical."""

from html import escape

from wallaby_bench.report import BASE

WIDTH, LABELS, BAR, GAP, TITLE, MARGIN = 760, 140, 22, 8, 34, 16
NUMBERS = 150  # room right of the longest bar
STYLE = """<style>
  text { font: 13px sans-serif; fill: #24292f } .title { font-weight: bold }
  .ours { fill: #2f6fb0 } .other { fill: #9aa4ae } .line { stroke: #24292f; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .line { stroke: #d0d7de } }
</style>"""


def svg(charts):
    """`charts`: [(title, [(client, changes a second, ratio or None)])]."""
    parts, y = [], MARGIN
    for title, bars in charts:
        drawn, y = _chart(title, bars, y)
        parts += drawn
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">', STYLE,
                      *parts, "</svg>"]) + "\n"


def _chart(title, bars, y):
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
