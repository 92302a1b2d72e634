"""The pictures: SVG, written by hand since a chart here is a few rectangles,
lines and words. Each function takes plain numbers and returns the text of a
file; page.py knows where the numbers come from."""
from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

COLOURS = {"plain": "#7a7a7a", "kernel": "#c4562f", "spillway": "#1f6fb4"}
DASHES = {"plain": "2 3", "kernel": "7 3", "spillway": ""}  # for print
BETTER, WORSE = "#1f6fb4", "#c4562f"
FONT = 'font-family="sans-serif" font-size="12"'


class Svg:
    def __init__(self, width: float, height: float, title: str):
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
            f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" {FONT} '
            'role="img">', f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="white"/>']

    def line(self, x1: float, y1: float, x2: float, y2: float,
             colour: str = "#ddd", width: float = 1, dash: str = "") -> None:
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width:g}"{_dash(dash)}/>')

    def rect(self, x: float, y: float, width: float, height: float,
             colour: str) -> None:
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" fill="{colour}"/>')

    def text(self, x: float, y: float, words: str, anchor: str = "start",
             colour: str = "#222", bold: bool = False) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'fill="{colour}"{weight}>{escape(words)}</text>')

    def curve(self, points: Sequence[tuple[float, float]], colour: str,
              dash: str) -> None:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" '
            f'stroke-width="2"{_dash(dash)}/>')

    def dot(self, x: float, y: float, colour: str) -> None:
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')

    def finish(self) -> str:
        return "\n".join([*self._parts, "</svg>"]) + "\n"


def _dash(pattern: str) -> str:
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def _short(value: float) -> str:
    """For an axis, which has room for few signs."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


# ---- bars of ratios ----

Bar = tuple[str, float, float, float]  # label, median, lowest, highest


def ratio_bars(title: str, bars: Sequence[Bar]) -> str:
    """To the right of 1 spillway was better, to the left the kernel was. The
    scale is logarithmic: twice as good and half as good are equally long."""
    left, right, top, row = 250, 70, 44, 20
    width, height = 820, top + row * len(bars) + 34
    svg = Svg(width, height, title)
    svg.text(10, 18, title, bold=True)
    reach = max([2.0] + [max(high, 1 / low) for _, _, low, high in bars])
    span = math.log2(reach)

    def x_of(ratio: float) -> float:
        share = (math.log2(ratio) / span + 1) / 2
        return left + share * (width - left - right)

    bottom = top + row * len(bars)
    step = max(1, math.ceil(span / 4))
    for power in range(-int(span), int(span) + 1):
        if power % step == 0:
            x = x_of(2.0 ** power)
            svg.line(x, top - 4, x, bottom, "#888" if power == 0 else "#ddd")
            svg.text(x, bottom + 16, f"{2.0 ** power:g}", "middle", "#555")
    svg.text(x_of(1) - 8, 36, "kernel better", "end", WORSE)
    svg.text(x_of(1) + 8, 36, "spillway better", "start", BETTER)
    for i, (label, median, low, high) in enumerate(bars):
        y = top + i * row
        start, end = sorted((x_of(1), x_of(median)))
        words = label.lstrip()
        svg.text(10 + 7 * (len(label) - len(words)), y + 14, words)
        svg.rect(start, y + 4, end - start, row - 8,
                 BETTER if median >= 1 else WORSE)
        svg.line(x_of(low), y + row / 2, x_of(high), y + row / 2, "#222")
        svg.text(width - right + 12, y + 14, f"{median:.2f}")
    return svg.finish()


# ---- what the two charts with axes share ----

class Axes:
    """A frame of 400 by 240 with room for a legend above it."""

    LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT = 56, 14, 50, 36, 400, 250

    def __init__(self, title: str, kinds: Sequence[str]):
        self.svg = Svg(self.WIDTH, self.HEIGHT, title)
        self.svg.text(10, 18, title, bold=True)
        at = float(self.LEFT)
        for kind in kinds:
            self.svg.line(at, 34, at + 22, 34, COLOURS.get(kind, "#222"), 2,
                          DASHES.get(kind, ""))
            self.svg.text(at + 27, 38, kind)
            at += 100

    def x(self, share: float) -> float:
        return self.LEFT + share * (self.WIDTH - self.LEFT - self.RIGHT)

    def y(self, share: float) -> float:
        return (self.HEIGHT - self.BOTTOM
                - share * (self.HEIGHT - self.TOP - self.BOTTOM))

    def x_tick(self, share: float, words: str) -> None:
        self.svg.line(self.x(share), self.y(0), self.x(share), self.y(1))
        self.svg.text(self.x(share), self.y(0) + 16, words, "middle", "#555")

    def y_tick(self, share: float, words: str) -> None:
        self.svg.line(self.x(0), self.y(share), self.x(1), self.y(share))
        self.svg.text(self.x(0) - 6, self.y(share) + 4, words, "end", "#555")

    def curve(self, kind: str, points: Sequence[tuple[float, float]],
              dots: bool) -> None:
        """Points as shares of the axes."""
        places = [(self.x(a), self.y(b)) for a, b in points]
        colour = COLOURS.get(kind, "#222")
        self.svg.curve(places, colour, DASHES.get(kind, ""))
        for place in places if dots else []:
            self.svg.dot(*place, colour)


# ---- latency distributions ----

TAILS = ["p50", "p90", "p99", "p999", "max"]


def latency_curves(title: str, unit: str,
                   curves: dict[str, dict[str, float]]) -> str:
    """{kind: {tail: value}}. The steps of the lower axis are of equal width,
    each about ten times rarer than the one before."""
    axes = Axes(f"{title}, {unit}", list(curves))
    values = [v for curve in curves.values() for v in curve.values() if v > 0]
    low = math.floor(math.log10(min(values)))
    high = max(math.ceil(math.log10(max(values))), low + 1)
    for power in range(low, high + 1):
        axes.y_tick((power - low) / (high - low), _short(10.0 ** power))
    for i, tail in enumerate(TAILS):
        axes.x_tick(i / (len(TAILS) - 1), tail.replace("p999", "p99.9"))
    for kind, curve in curves.items():
        axes.curve(kind, [
            (i / (len(TAILS) - 1),
             (math.log10(curve[tail]) - low) / (high - low))
            for i, tail in enumerate(TAILS) if curve.get(tail, 0) > 0], True)
    return axes.svg.finish()


# ---- memory over time ----

def _round_up(value: float) -> float:
    """To a number that is easily divided by four."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 4, 6, 8, 10) if m * power >= value)


def memory_curves(title: str, budget: int,
                  curves: dict[str, Sequence[tuple[float, int]]]) -> str:
    """{kind: [(seconds, bytes)]}, and the budget as a line across."""
    axes = Axes(f"{title}, MiB by seconds", list(curves))
    points = [p for curve in curves.values() for p in curve]
    end = _round_up(max([t for t, _ in points] + [0.1]))
    most = _round_up(max([b for _, b in points] + [budget]) / (1 << 20))
    for i in range(5):
        axes.x_tick(i / 4, f"{end * i / 4:g}")
        axes.y_tick(i / 4, f"{most * i / 4:g}")
    limit = budget / (1 << 20) / most
    axes.svg.line(axes.x(0), axes.y(limit), axes.x(1), axes.y(limit),
                  "#222", 1, "1 2")
    axes.svg.text(axes.x(1), axes.y(limit) - 4, "budget", "end")
    for kind, curve in curves.items():
        axes.curve(kind, [(t / end, b / (1 << 20) / most)
                          for t, b in curve], False)
    return axes.svg.finish()
