"""A bar chart as inline SVG: for each arm a bar for its difference to `none`, whiskers for the interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from unirestore.evaluation.bootstrap import Interval

_RIGHT, _ROW, _TOP, _BOTTOM, _WIDTH = 168, 30, 6, 26, 580
_LETTER = 7.5
"""Width in pixels that a letter of a name takes at most, on average."""


def bars(values: Mapping[str, Interval], *, low: float, high: float, label: str, emphasis: str = "") -> str:
    """Draw horizontal bars from zero.

    Args:
        values: arm -> difference and interval, in points of the figure.
        low, high: ends of the axis, the same for all charts that are compared; `low <= 0 <= high`.
        label: what a screen reader says of the chart.
        emphasis: the arm in the accent colour.

    Returns:
        An `<svg>` element that takes its colours from the CSS classes `bar`, `accent`, `whisker`, `axis`.
    """
    height = _TOP + _ROW * len(values) + _BOTTOM
    span = (high - low) or 1.0
    left = min(20 + _LETTER * max((len(arm) for arm in values), default=0), (_WIDTH - _RIGHT) / 2)

    def x(value: float) -> float:
        return left + (min(max(value, low), high) - low) / span * (_WIDTH - left - _RIGHT)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label, quote=True)}">']
    floor = _TOP + _ROW * len(values)
    for tick in ticks(low, high):
        word = "0" if tick == 0 else f"{tick:+g}"
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{_TOP}" y2="{floor}"/>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{floor + 17}">{word}</text>')
    parts.append(f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{_TOP}" y2="{floor}"/>')
    for row, (arm, value) in enumerate(values.items()):
        middle = _TOP + _ROW * row + _ROW / 2
        parts.append(f'<text class="name" x="{left - 10:.1f}" y="{middle + 4.5:.1f}">{escape(arm)}</text>')
        if not math.isfinite(value.value):
            continue
        kind = "bar accent" if arm == emphasis else "bar"
        start, end = sorted((x(0), x(value.value)))
        parts.append(
            f'<rect class="{kind}" x="{start:.1f}" y="{middle - 9:.1f}" '
            f'width="{end - start:.1f}" height="18" rx="2"/>'
        )
        text = f"{value.value:+.1f}"
        if math.isfinite(value.low) and math.isfinite(value.high):
            a, b = x(value.low), x(value.high)
            caps = "".join(f"M{at:.1f} {middle - 4:.1f}v8" for at in (a, b))
            parts.append(f'<path class="whisker" d="M{a:.1f} {middle:.1f}H{b:.1f}{caps}"/>')
            text += f'<tspan class="range" dx="7">{value.low:+.1f} to {value.high:+.1f}</tspan>'
        parts.append(f'<text class="value" x="{_WIDTH - _RIGHT + 14}" y="{middle + 4.5:.1f}">{text}</text>')
    return "".join(parts) + "</svg>"


def axis_range(values: list[Interval]) -> tuple[float, float]:
    """Ends of an axis that holds zero and every finite interval, a little wider than them."""
    ends = [e for v in values for e in (v.value, v.low, v.high) if math.isfinite(e)] + [0.0]
    low, high = min(ends), max(ends)
    if high - low < 1:
        high = low + 1
    margin = 0.04 * (high - low)
    return (low - margin if low < 0 else 0.0), (high + margin if high > 0 else 0.0)


def ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between `low` and `high`."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return [round(i * step, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
