"""Training curves as an SVG, drawn from the runs' logs: a panel a stage, a line a variant."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 720, 300, 48
COLOURS = {"window": "#888888", "control": "#c2571a", "state": "#1f6fb2"}
OTHER_COLOUR = "#444444"


def draw_runs(folders: Sequence[Path], out: Path) -> None:
    """One picture of all runs that have a log. Values are means over layers, on a logarithmic axis."""
    logs = {folder.name: _curves(folder / "log.jsonl") for folder in folders if (folder / "log.jsonl").is_file()}
    panels = [_panel(name, curves, index * HEIGHT) for index, (name, curves) in enumerate(logs.items())]
    size = f'width="{WIDTH}" height="{HEIGHT * len(panels)}"'
    style = 'font-family="sans-serif" font-size="12"'
    body = "\n".join(panels)
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n<rect {size} fill="white"/>\n{body}\n</svg>\n', encoding="utf-8"
    )


def _curves(log: Path) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        for name, values in entry.items():
            if isinstance(values, list):
                curves.setdefault(name, []).append((entry["step"], sum(values) / len(values)))
    return curves


def _panel(title: str, curves: dict[str, list[tuple[int, float]]], top: int) -> str:
    points = [point for curve in curves.values() for point in curve]
    last = max(step for step, _ in points) or 1
    low, high = (math.log10(bound(value for _, value in points)) for bound in (min, max))
    high = max(high, low + 1e-6)

    def at(step: int, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * step / last
        y = top + HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (math.log10(value) - low) / (high - low)
        return f"{x:.1f},{y:.1f}"

    bottom, upper = top + HEIGHT - MARGIN, top + MARGIN
    parts = [
        f'<text x="{MARGIN}" y="{top + 24}" font-size="14">{escape(title)}</text>',
        f'<path d="M{MARGIN},{upper}V{bottom}H{WIDTH - MARGIN}" fill="none" stroke="black"/>',
        f'<text x="{MARGIN - 4}" y="{upper + 4}" text-anchor="end">{10**high:.3g}</text>',
        f'<text x="{MARGIN - 4}" y="{bottom}" text-anchor="end">{10**low:.3g}</text>',
        f'<text x="{WIDTH - MARGIN}" y="{bottom + 16}" text-anchor="end">step {last + 1}</text>',
    ]
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS.get(name, OTHER_COLOUR)
        line = " ".join(at(step, value) for step, value in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{WIDTH - MARGIN - 80 * index}" y="{top + 24}" text-anchor="end" fill="{colour}">{escape(name)}</text>')
    return "\n".join(parts)
