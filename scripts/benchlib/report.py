"""Writes what was measured as Markdown, for docs/performance.md, and the growth of costs as a drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from scripts.benchlib.figures import Figure, readable

_SIZE = re.compile(r"(.+), (\d+) releases$")
_COLOURS = (
    "#1b6ca8",
    "#c1440e",
    "#3a7d44",
    "#7b4b94",
    "#a67c00",
    "#008b8b",
    "#b0305c",
    "#555555",
    "#6b8e23",
    "#2f4f9f",
)
_WIDTH, _HEIGHT, _LEFT, _TOP, _LEGEND = 560, 360, 70, 20, 330


def markdown(figures: Sequence[Figure]) -> str:
    """Returns a table of all figures, and one of how costs grow."""
    lines = [
        "| name | what | rosefs | plain | ratio | budget | |",
        "| --- | --- | --: | --: | --: | --: | --- |",
    ]
    for figure in figures:
        if figure.name != "scale":
            ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
            cells = [
                f"`{figure.name}`", " ".join([figure.what, figure.binding and f"({figure.binding})"]).strip(),
                readable(figure.ours, figure.unit), readable(figure.plain, figure.unit), ratio, figure.allowed,
                figure.verdict,
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_growth_table(figures)]).rstrip() + "\n"


def plot(figures: Sequence[Figure]) -> str:
    """Returns an SVG drawing of how costs grow: seconds by releases, each scale by powers of ten."""
    curves = {
        what: points
        for what, points in _growth(figures).items()
        if all(f.unit == "s" for f in points.values())
    }
    values = [figure.ours for points in curves.values() for figure in points.values()]
    sizes = [size for points in curves.values() for size in points]
    x = _Scale(sizes, _LEFT, _LEFT + _WIDTH)
    y = _Scale(values, _TOP + _HEIGHT, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + _LEGEND}" height="{_TOP + _HEIGHT + 50}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for power in range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{readable(10.0**power, "s")}</text>'
        )
    for size in sorted(set(sizes)):
        parts.append(
            f'<text x="{x(size):.1f}" y="{_TOP + _HEIGHT + 25}" text-anchor="middle">{size:,}</text>'
        )
    parts.append(
        f'<text x="{_LEFT + _WIDTH / 2}" y="{_TOP + _HEIGHT + 44}" text-anchor="middle">releases</text>'
    )
    for number, (what, found) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        dashes = ' stroke-dasharray="5 3"' if number >= len(_COLOURS) else ""
        points = " ".join(f"{x(size):.1f},{y(figure.ours):.1f}" for size, figure in sorted(found.items()))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        row = _TOP + 18 * number + 10
        parts.append(f'<text x="{_LEFT + _WIDTH + 15}" y="{row}" fill="{colour}">{escape(what)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _growth_table(figures: Sequence[Figure]) -> list[str]:
    growth = _growth(figures)
    sizes = sorted({size for points in growth.values() for size in points})
    if not sizes:
        return []
    lines = [
        f"| {' | '.join(['releases', *(f'{size:,}' for size in sizes)])} |",
        "| --- |" + " --: |" * len(sizes),
    ]
    for what, points in growth.items():
        cells = [readable(points[size].ours, points[size].unit) if size in points else "" for size in sizes]
        lines.append(f"| {' | '.join([what, *cells])} |")
    return lines


def _growth(figures: Sequence[Figure]) -> Mapping[str, Mapping[int, Figure]]:
    found: dict[str, dict[int, Figure]] = {}
    for figure in figures:
        match = _SIZE.match(figure.what)
        if figure.name == "scale" and match is not None:
            what = f"{match[1]} ({figure.binding})" if figure.binding else match[1]
            found.setdefault(what, {})[int(match[2])] = figure
    return found


class _Scale:
    """Where a value goes between two ends of a drawing, by its logarithm."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._low, self._high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (math.log10(value) - self._low) / max(1, self._high - self._low)
        return self._start + share * (self._end - self._start)
