"""An arm a row: its distribution where there are many samples, dots, intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.results import svg
from harness.results.canvas import (
    MARKERS,
    NARROW,
    arm_color,
    axis_title,
    draw_limits,
    log_scale,
    new_axes,
)
from harness.results.model import Benchmark
from harness.results.summary import Figure
from harness.results.text import number, one_line

MANY = 60  # samples from which their distribution is drawn
BINS = 72


def draw_dots(figure: Figure, width: float) -> Any:
    """Draw an arm a row: its distribution where there are many samples, dots, intervals."""
    arms = figure.arms
    narrow = width < NARROW
    strips = any(len(_flat(row)) >= MANY for row in figure.rows)
    step = 0.62 if strips else 0.42
    names = [textwrap.fill(one_line(arm), 14 if narrow else 24) for arm in arms]
    deepest = max(name.count("\n") + 1 for name in names)
    step = max(step, 0.15 * deepest + 0.08)
    longest = max(len(line) for name in names for line in name.splitlines())
    left = max(0.2 + 0.076 * longest, 0.3 if narrow else 1.1)
    plot, axes = new_axes(width, step * len(arms), left, foot=0.66 if narrow else 0.5)
    values = _span(figure)
    _scale(axes, values, width)
    for index, arm in enumerate(arms):
        y = len(arms) - 1 - index
        color = arm_color(figure, arm)
        axes.axhline(y, color=svg.GRID, linewidth=0.7, zorder=0)
        rows = [row for row in figure.rows if row.arm == arm]
        # All statistics of an arm come from the same samples: one hill.
        many = next((s for s in map(_flat, rows) if len(s) >= MANY), None)
        if many:
            _ridge(axes, many, y, color)
        for row in rows:
            _dot(axes, row, y, color)
        _values(axes, rows, y)
    axes.set_yticks([len(arms) - 1 - i for i in range(len(arms))], names)
    for text, arm in zip(axes.get_yticklabels(), arms, strict=True):
        own = arm_color(figure, arm) == svg.PATCHED
        text.set_color(svg.INK)
        text.set_fontweight("bold" if own else "normal")
    axes.set_ylim(-0.27 / step, len(arms) - (0.15 if strips else 0.4))
    draw_limits(axes, figure, vertical=True)
    axes.set_xlabel(axis_title(figure, narrow=narrow), labelpad=4)
    axes.grid(axis="x", color=svg.GRID, linewidth=0.7, zorder=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    return plot


def _ridge(axes: Any, samples: list[float], y: float, color: str) -> None:
    """Draw how samples are distributed, as a low hill on the row's line."""
    low, high = axes.get_xlim()
    log = axes.get_xscale() == "log"
    edges = [
        low * (high / low) ** (i / BINS) if log else low + (high - low) * i / BINS
        for i in range(BINS + 1)
    ]
    counts = [0] * BINS
    for sample in samples:
        index = next((i for i in range(BINS) if sample < edges[i + 1]), BINS - 1)
        counts[index] += 1
    filled = [i for i, count in enumerate(counts) if count]
    first, last = filled[0], filled[-1] + 1
    if last - first < 3:
        return  # narrower than the dot: nothing to see
    xs, tops = [edges[first]], [y]
    for i in range(first, last):
        top = y + 0.62 * counts[i] / max(counts)
        xs += [edges[i], edges[i + 1]]
        tops += [top, top]
    axes.fill_between(xs, tops, y, color=color, alpha=0.28, linewidth=0, zorder=1)


def _dot(axes: Any, row: Benchmark, y: float, color: str) -> None:
    axes.plot([row.low, row.high], [y, y], color=color, linewidth=2.4, zorder=3)
    for edge in (row.low, row.high):
        axes.plot([edge, edge], [y - 0.09, y + 0.09], color=color, linewidth=1.4, zorder=3)
    marker = MARKERS.get(row.statistic, "s")
    size = 7.5 if marker == "o" else 6.5
    axes.plot(
        [row.value],
        [y],
        linestyle="none",
        marker=marker,
        markersize=size,
        markerfacecolor=color,
        markeredgecolor=svg.SURFACE,
        markeredgewidth=1.1,
        zorder=4,
    )


def _values(axes: Any, rows: Sequence[Benchmark], y: float) -> None:
    """Print the values below a row's dots, pushed apart where dots are close."""
    edge = -1e9
    for row in sorted(rows, key=lambda row: row.value):
        text = number(row.value)
        half = 2.7 * len(text)
        place = axes.transData.transform((row.value, y))[0]
        middle = max(place, edge + half)
        edge = middle + half + 4
        axes.annotate(
            text,
            (row.value, y),
            xytext=(middle - place, -13),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color=svg.INK,
            bbox={"facecolor": svg.SURFACE, "edgecolor": "none", "pad": 0.4},
            zorder=5,
        )


def _scale(axes: Any, values: list[float], width: float) -> None:
    """Set the value axis: logarithmic over 30x, from zero when that costs no detail."""
    low, high = min(values), max(values)
    if log_scale(values):
        axes.set_xscale("log")
        axes.set_xlim(low / 1.35, high * 1.35)
        fine = high / low < 200
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if fine else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        start = 0.0 if low >= 0 else low * 1.1
        axes.set_xlim(start, high * 1.08 if high > 0 else high + abs(low) * 0.08 + 1)
        axes.locator_params(axis="x", nbins=4 if width < NARROW else 7)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(f"{value:.6g}"))))


def _span(figure: Figure) -> list[float]:
    """Return every value that the axis must reach."""
    values = [edge for row in figure.rows for edge in (row.low, row.value, row.high)]
    values += [row.limit for row in figure.rows if row.limit is not None]
    values += [sample for row in figure.rows if len(_flat(row)) >= MANY for sample in _flat(row)]
    return values


def _flat(row: Benchmark) -> list[float]:
    return [sample for boot in row.samples for sample in boot]
