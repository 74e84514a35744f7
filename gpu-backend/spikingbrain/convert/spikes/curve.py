"""Quality against activity as an SVG: perplexity over the share of multiply-accumulates that stay active, a line a trunk."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 720, 360, 56
COLOURS = ("#c2571a", "#1f6fb2", "#2f8f4e")
PERPLEXITIES = (10, 12, 15, 20, 30, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
SHARES = tuple(tenth / 10 for tenth in range(11))

Point = tuple[float, float]
"""Active share, and perplexity."""


def draw_spike_curve(lines: Mapping[str, Sequence[Point]], plain: float, out: Path) -> None:
    """`plain` is the perplexity without spikes, a dashed line. Perplexity is on a logarithmic axis."""
    points = [point for line in lines.values() for point in line]
    left, right = min(share for share, _ in points) - 0.02, 1.0
    low, high = math.log(plain * 0.98), math.log(max(value for _, value in points) * 1.02)

    def at(share: float, value: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * (share - left) / (right - left)
        return round(x, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (math.log(value) - low) / (high - low), 1)

    parts = [f'<path d="M{MARGIN},{MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="black"/>']
    parts += [_text(MARGIN - 6, at(left, value)[1] + 4, f"{value:,}", "end") for value in PERPLEXITIES if low < math.log(value) < high]
    parts += [_text(at(share, plain)[0], HEIGHT - MARGIN + 18, f"{share:.0%}", "middle") for share in SHARES if share >= left]
    parts.append(_text(WIDTH / 2, HEIGHT - MARGIN + 38, "active multiply-accumulates", "middle"))
    parts.append(_text(MARGIN, MARGIN - 14, "perplexity", "start"))
    edge, level = at(right, plain)
    parts.append(f'<path d="M{MARGIN},{level}H{edge}" stroke="#888888" stroke-dasharray="4"/>')
    for index, (name, line) in enumerate(lines.items()):
        colour, places = COLOURS[index % len(COLOURS)], [at(*point) for point in sorted(line)]
        joined = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(WIDTH - MARGIN, MARGIN + 16 * index, escape(name), "end", colour))
    size, font = f'width="{WIDTH}" height="{HEIGHT}"', 'font-family="sans-serif" font-size="12"'
    whole = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', f'<rect {size} fill="white"/>', *parts, "</svg>"]
    out.write_text("\n".join(whole) + "\n", encoding="utf-8")


def _text(x: float, y: float, content: str, anchor: str, colour: str = "black") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{content}</text>'
