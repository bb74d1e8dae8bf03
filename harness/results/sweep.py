"""An arm a line along x, with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from harness.results import svg
from harness.results.canvas import (
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

_LINES = ("s", "^", "D", "v", "P")
_DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), "-")


def draw_sweep(figure: Figure, width: float) -> Any:
    """Draw an arm a line along x, with intervals, named at its end."""
    narrow = width < NARROW
    lines = list(_lines_of(figure))
    names = [
        textwrap.fill(one_line(f"{arm} {statistic}"), 40 if narrow else 24)
        for arm, statistic, _ in lines
    ]
    deep = sum(name.count("\n") + 1 for name in names)
    longest = max(len(line) for name in names for line in name.splitlines())
    # A narrow page has no room beside the lines: the names go below.
    plot, axes = new_axes(
        width,
        2.5 if narrow else max(2.5, 0.17 * deep),
        0.62,
        right=0.2 if narrow else 0.4 + 0.076 * longest,
        head=0.6 if narrow else 0.5,
        foot=0.6 + 0.18 * deep if narrow else 0.5,
    )
    xs = sorted({row.x for row in figure.rows if row.x is not None})
    if log_scale([row.value for row in figure.rows]):
        axes.set_yscale("log")
    powers = min(xs) > 0 and max(xs) / min(xs) >= 8 and len(xs) > 2
    if powers:
        axes.set_xscale("log", base=2)
    ends = []
    for (arm, _, rows), name in zip(lines, names, strict=True):
        color = arm_color(figure, arm)
        index = figure.arms.index(arm)
        plain = color in {svg.BASE, svg.PATCHED}
        axes.fill_between(
            [row.x for row in rows],
            [row.low for row in rows],
            [row.high for row in rows],
            color=color,
            alpha=0.22,
            linewidth=0,
        )
        (drawn,) = axes.plot(
            [row.x for row in rows],
            [row.value for row in rows],
            color=color,
            linewidth=2 if color == svg.PATCHED else 1.6,
            linestyle="-" if plain else _DASHES[index % len(_DASHES)],
            marker="o" if plain else _LINES[index % len(_LINES)],
            markersize=5.5 if color != svg.BASE else 8,
            markerfacecolor=color if color != svg.BASE else svg.SURFACE,
            markeredgecolor=color,
            markeredgewidth=1.4 if color == svg.BASE else 0,
            clip_on=False,
            zorder=3 if color == svg.BASE else 4,
        )
        for row in rows:
            axes.plot([row.x, row.x], [row.low, row.high], color=color, linewidth=1.6, zorder=3)
        drawn.set_label(name)
        ends.append((rows[-1].x or 0.0, rows[-1].value, name, color))
    axes.xaxis.set_major_locator(FixedLocator(xs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(f"{value:.6g}"))))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=min(0, *(row.low for row in figure.rows)))
    draw_limits(axes, figure, vertical=False)
    labels = [one_line(row.x_label) for row in figure.rows if row.x_label]
    axes.set_xlabel(labels[0] if labels else "x", labelpad=4)
    axes.set_title(
        axis_title(figure, narrow=narrow), loc="left", fontsize=9, color=svg.MUTED, pad=8
    )
    axes.grid(axis="y", color=svg.GRID, linewidth=0.7)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.margins(x=0.03)
    if narrow:
        handles = [line for line in axes.get_lines() if line.get_label() in names]
        plot.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0.02, 0),
            frameon=False,
            fontsize=8.5,
            labelcolor=svg.INK,
            handlelength=2.6,
            labelspacing=0.35,
        )
    else:
        _end_labels(plot, axes, ends)
    return plot


def _lines_of(figure: Figure) -> Iterator[tuple[str, str, list[Benchmark]]]:
    """Yield arm, statistic (empty where the figure has one) and its rows along x."""
    several = len({row.statistic for row in figure.rows}) > 1
    for arm in figure.arms:
        for statistic in dict.fromkeys(row.statistic for row in figure.rows):
            rows = [
                row
                for row in figure.rows
                if row.arm == arm and row.statistic == statistic and row.x is not None
            ]
            if rows:
                yield arm, statistic if several else "", sorted(rows, key=lambda row: row.x or 0.0)


def _end_labels(plot: Any, axes: Any, ends: list[tuple[float, float, str, str]]) -> None:
    """Name each line at its end, pushed apart so that no two names meet."""
    plot.canvas.draw()
    # Points above the axes' floor, lowest line first.
    floor = axes.transAxes.transform((0, 0))[1]
    placed: list[tuple[float, float, float, float, float, str, str]] = []
    for x, y, text, color in sorted(ends, key=lambda end: end[1]):
        size = 11.5 * (text.count("\n") + 1)
        place = axes.transData.transform((x, y))[1] - floor
        low = placed[-1][1] + placed[-1][2] / 2 + size / 2 if placed else place
        placed.append((x, max(place, low), size, place, y, text, color))
    # What was pushed up moves the whole pile back down by half.
    shift = max(0.0, (placed[-1][1] - placed[-1][3]) / 2) if placed else 0.0
    for x, position, _, place, y, text, color in placed:
        axes.annotate(
            text,
            (x, y),
            xytext=(9, position - place - shift),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=svg.INK,
            fontweight="bold" if color == svg.PATCHED else "normal",
            annotation_clip=False,
        )
