"""Bars, as SVG: drawn for what is told here and nothing else."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LEFT, BAR, GAP, TOP = 720, 190, 16, 14, 34  # pixels
COLOURS = ("#2452c9", "#8fa9e8", "#b8541d")


def bars(title: str, unit: str, series: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    """Return a chart with a group of bars for each of `rows`, one bar for each of `series`."""
    longest = max((value for values in rows.values() for value in values), default=0.0) or 1.0
    step = len(series) * BAR + GAP
    height = TOP + 24 + len(rows) * step
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
    )
    parts = [
        opening,
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="18" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for place, (colour, name) in enumerate(zip(COLOURS, series, strict=False)):
        x = LEFT + place * 170
        parts.append(f'<rect x="{x}" y="{TOP - 6}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="{TOP + 3}">{escape(name)}</text>')
    for number, (row, values) in enumerate(rows.items()):
        y = TOP + 20 + number * step
        middle = y + len(values) * BAR / 2 + 4
        parts.append(
            f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(row)}</text>'
        )
        for place, value in enumerate(values):
            width = (WIDTH - LEFT - 90) * value / longest
            above = y + place * BAR
            parts.append(
                f'<rect x="{LEFT}" y="{above}" width="{width:.1f}" height="{BAR - 2}" '
                f'fill="{COLOURS[place]}"/>'
            )
            told = f"{value:.1f} {escape(unit)}"
            parts.append(f'<text x="{LEFT + width + 5:.1f}" y="{above + BAR - 4}">{told}</text>')
    return "\n".join([*parts, "</svg>\n"])
