"""The picture of a group: for each row its rounds, their median, and the goal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from .table import Row, number

# The colours of the other pictures: efa-core/src/svg.rs.
STYLE = (
    ".page{fill:#fff;stroke:#d0d7de}text{font:12px Helvetica,Arial,sans-serif;fill:#24292f}"
    ".title{font-size:14px;font-weight:bold}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".frame{stroke:#8c959f;stroke-dasharray:4 3}.met{fill:#aff5b4;stroke:#116329}"
    ".missed{fill:#ffdfb6;stroke:#953800}.undecided{fill:#d0d7de;stroke:#6e7681}"
    ".median{stroke:#24292f;stroke-width:2}.goal{stroke:#0550ae;stroke-width:2}"
    "@media(prefers-color-scheme:dark){.page{fill:#0d1117;stroke:#30363d}text{fill:#e6edf3}"
    ".frame{stroke:#6e7681}.median{stroke:#e6edf3}.goal{stroke:#79c0ff}}"
)
MARGIN, ROW_HEIGHT, NAMES, PLOT, NUMBERS = 16, 26, 330, 320, 130
WIDTH = 2 * MARGIN + NAMES + PLOT + NUMBERS


def svg(title: str, rows: Sequence[Row]) -> str:
    """Ratios on a logarithmic axis; a row without a peer is drawn as a share of its goal."""
    shown = [(row, _scaled(row)) for row in rows]
    values = [value for row, values in shown for value in [*values, _goal(row)] if value]
    low, high = (min(values, default=1.0) / 1.2, max(values, default=1.0) * 1.2)
    low, high = min(low, 0.8), max(high, 1.25)

    def x(value: float) -> float:
        share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return MARGIN + NAMES + PLOT * share

    top = 62
    height = top + ROW_HEIGHT * len(rows) + 36
    bottom = top + ROW_HEIGHT * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="30">{escape(title)}</text>',
    ]
    for tick in _ticks(low, high):
        parts.append(
            f'<line class="frame" x1="{x(tick):.1f}" y1="{top - 8}" x2="{x(tick):.1f}" '
            f'y2="{bottom}"/><text class="middle" x="{x(tick):.1f}" y="{bottom + 16}">'
            f"{tick:g}</text>"
        )
    for index, (row, scaled) in enumerate(shown):
        parts += _row(row, scaled, top + ROW_HEIGHT * index + ROW_HEIGHT // 2, x)
    parts.append(
        f'<text x="{MARGIN}" y="{bottom + 16}">dot: a round; bar: median; blue: goal</text></svg>'
    )
    return "\n".join(parts) + "\n"


def _scaled(row: Row) -> list[float]:
    """What the axis can show of a row: nothing where there is neither a peer nor a goal."""
    unit = 1.0 if row.peers else row.goal
    return [value / unit for value in row.judged if value > 0] if unit else []


def _goal(row: Row) -> float | None:
    return row.goal if row.peers else 1.0


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten where they fit, else 1 alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = high / low > 100
    steps = (1,) if wide else (1, 2, 5)
    return [
        step * 10.0**power
        for power in powers
        for step in steps
        if low <= step * 10.0**power <= high
    ]


def _row(row: Row, scaled: Sequence[float], y: int, place: Callable[[float], float]) -> list[str]:
    parts = [f'<text x="{MARGIN}" y="{y + 4}">{escape(row.name)}</text>']
    kind = row.verdict if row.verdict in ("met", "missed") else "undecided"
    goal = _goal(row)
    if goal is not None and scaled:
        at = f"{place(goal):.1f}"
        parts.append(f'<line class="goal" x1="{at}" y1="{y - 11}" x2="{at}" y2="{y + 11}"/>')
    parts += [f'<circle class="{kind}" cx="{place(v):.1f}" cy="{y}" r="4"/>' for v in scaled]
    if scaled:
        at = f"{place(sorted(scaled)[len(scaled) // 2]):.1f}"
        parts.append(f'<line class="median" x1="{at}" y1="{y - 8}" x2="{at}" y2="{y + 8}"/>')
    said = f"{number(row.median)} {'' if row.peers else row.unit}".strip()
    right = WIDTH - MARGIN
    parts.append(f'<text class="end" x="{right}" y="{y + 4}">{escape(said)}, {row.verdict}</text>')
    return parts
