"""Flame graphs: where a program's CPU time goes, as SVG. Each box is a function, as wide as its share, on its caller.

`perf script` text in, SVG out; nothing else is needed to look at one than a browser (hover shows name and share).
"""

import re
from html import escape

WIDTH, ROW, LEAST = 1200, 17, 1.0  # pixels; narrower boxes are left out


def folded(perf_script):
    """{(outermost, ..., innermost): samples} from the text that `perf script -F comm,ip,sym` prints."""
    stacks, frames, name = {}, [], None
    for line in perf_script.splitlines() + [""]:
        if line.strip() and not line[0].isspace():
            name = line.split()[0].rstrip(":")
        elif line.strip():
            frames.append(_function(line))
        elif name is not None:
            if frames:
                stack = (name, *reversed(frames))
                stacks[stack] = stacks.get(stack, 0) + 1
            frames, name = [], None
    return stacks


def _function(line):
    symbol = line.strip().split(" ", 1)[-1]
    symbol = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
    symbol = re.sub(r"\(.*", "", re.sub(r"\(anonymous namespace\)::", "", symbol)) or symbol
    return re.sub(r"^(wallaby|absl::debian\d+)::", "", symbol)


def svg(stacks, title):
    total = sum(stacks.values())
    depth = max(len(stack) for stack in stacks)
    height = (depth + 3) * ROW
    boxes = []
    _boxes(sorted(stacks.items()), 0, len(stacks), 0, 0.0, WIDTH / total, total, boxes, height)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="100%" height="100%" fill="#fbfbf8"/><text x="8" y="14" font-size="13">{escape(title)}</text>', *boxes, "</svg>"]) + "\n"


def _boxes(stacks, begin, end, level, x, scale, total, out, height):
    """Draws the functions at `level` of stacks[begin:end], which share their callers, from pixel x on."""
    while begin < end:
        stack, samples = stacks[begin]
        if len(stack) <= level:
            x += samples * scale
            begin += 1
            continue
        last, count = begin, 0
        while last < end and len(stacks[last][0]) > level and stacks[last][0][level] == stack[level]:
            count += stacks[last][1]
            last += 1
        if count * scale >= LEAST:
            out.append(_box(stack[level], x, height - (level + 1) * ROW, count * scale, count / total))
            _boxes(stacks, begin, last, level + 1, x, scale, total, out, height)
        x += count * scale
        begin = last


def _box(name, x, y, width, share):
    kernel = name.startswith(("entry_", "do_", "__x64", "tcp_", "sock", "skb", "__", "ip_", "schedule", "asm_", "exc_"))
    colour = "#e8b04a" if kernel else f"hsl({20 + sum(map(ord, name)) % 40}, 75%, 68%)"
    text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(name[:int(width / 6.2)])}</text>' if width > 25 else ""
    return (f'<g><title>{escape(name)}: {share:.1%}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.3, 0.2):.1f}" '
            f'height="{ROW - 1}" fill="{colour}"/>{text}</g>')
