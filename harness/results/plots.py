"""One plot per figure: a dot and an interval per arm, or lines along a sweep.

Everything is drawn twice, for a wide and a narrow page: a plot that is scaled
down to a telephone has text that nobody can read.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from harness.results import svg
from harness.results.lanes import figure_accel, lane_text
from harness.results.model import Benchmark, RunInfo
from harness.results.summary import Figure
from harness.results.text import interval, number, one_line

LOG_RANGE = 30  # largest over smallest value that a linear axis still shows well
MANY = 60  # samples from which their distribution is drawn
BINS = 72
WIDTHS = {"wide": 9.6, "narrow": 3.7}  # inches at 100 CSS pixels each

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kseries",
    "text.parse_math": False,  # an arm may be called `sub $imm, $rsp`
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.edgecolor": svg.GRID,
    "axes.labelcolor": svg.MUTED,
    "axes.linewidth": 0.8,
    "text.color": svg.INK,
    "xtick.color": svg.MUTED,
    "ytick.color": svg.MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "figure.dpi": 72,
}
_MARKERS = {"p50": "o", "mean": "o", "sum": "o", "count": "o", "p99": "D", "max": "^", "p90": "s"}
_LINES = ("s", "^", "D", "v", "P")
_DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), "-")


def plots_of(figure: Figure, run: RunInfo, prefix: str) -> dict[str, str]:
    """Return the figure's inline SVG for a wide and a narrow page, by width name."""
    label = description(figure, run)
    draw = _sweep if figure.sweep else _dots
    made = {}
    for name, width in WIDTHS.items():
        with mpl.rc_context(_STYLE):
            plot = draw(figure, width)
            out = io.StringIO()
            plot.savefig(out, format="svg", transparent=True, metadata={"Date": None})
            plt.close(plot)
        made[name] = svg.inline_svg(out.getvalue(), f"{prefix}-{name}", label, name)
    return made


def caption(figure: Figure, run: RunInfo) -> str:
    """Return the lane and the accelerator that stand beside every figure."""
    lane = lane_text(figure.lane)
    return f"lane {lane.lane} ({lane.title}), accelerator {figure_accel(run, figure.lane)}"


def description(figure: Figure, run: RunInfo) -> str:
    """Return the plot in words, for a reader who cannot see it."""
    rows = []
    for row in figure.rows:
        where = "" if row.x is None else f" at {number(row.x)} {row.x_label}"
        value = interval(row.value, row.low, row.high)
        rows.append(f"{row.arm}{where} {row.statistic} {value} {row.unit}")
    return f"{figure.feature} {figure.name}, {caption(figure, run)}: {'; '.join(rows)}"


def log_scale(values: Sequence[float]) -> bool:
    """Whether these values need a logarithmic axis."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOG_RANGE


def _color(figure: Figure, arm: str) -> str:
    roles = {row.arm: row.role for row in figure.rows}
    if roles[arm] in {"base", "patched"}:
        return svg.BASE if roles[arm] == "base" else svg.PATCHED
    rivals = [name for name in figure.arms if roles[name] not in {"base", "patched"}]
    return svg.RIVALS[rivals.index(arm) % len(svg.RIVALS)]


def _span(figure: Figure) -> list[float]:
    """Return every value that the axis must reach."""
    values = [edge for row in figure.rows for edge in (row.low, row.value, row.high)]
    values += [row.limit for row in figure.rows if row.limit is not None]
    values += [sample for row in figure.rows if len(_flat(row)) >= MANY for sample in _flat(row)]
    return values


def _flat(row: Benchmark) -> list[float]:
    return [sample for boot in row.samples for sample in boot]


def _dots(figure: Figure, width: float) -> Any:
    """Draw an arm a row: its distribution where there are many samples, dots, intervals."""
    arms = figure.arms
    narrow = width < 5
    strips = any(len(_flat(row)) >= MANY for row in figure.rows)
    step = 0.62 if strips else 0.42
    names = [textwrap.fill(one_line(arm), 14 if narrow else 24) for arm in arms]
    left = min(1.25, 0.25 + max(len(line) for n in names for line in n.splitlines()) * 0.078)
    if not narrow:
        left = max(left, 1.1)
    plot, axes = _axes(width, step * len(arms), left, foot=0.66 if narrow else 0.5)
    values = _span(figure)
    _scale(axes, values, width)
    for index, arm in enumerate(arms):
        y = len(arms) - 1 - index
        color = _color(figure, arm)
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
        own = _color(figure, arm) == svg.PATCHED
        text.set_color(svg.INK)
        text.set_fontweight("bold" if own else "normal")
    axes.set_ylim(-0.5, len(arms) - (0.15 if strips else 0.4))
    _limits(axes, figure, vertical=True)
    axes.set_xlabel(_axis_title(figure, narrow=narrow), labelpad=4)
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
    marker = _MARKERS.get(row.statistic, "s")
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


def _sweep(figure: Figure, width: float) -> Any:
    """Draw an arm a line along x, with intervals, named at its end."""
    narrow = width < 5
    plot, axes = _axes(width, 2.5, 0.62, right=0.95 if narrow else 1.3, head=0.5)
    xs = sorted({row.x for row in figure.rows if row.x is not None})
    if log_scale([row.value for row in figure.rows]):
        axes.set_yscale("log")
    powers = min(xs) > 0 and max(xs) / min(xs) >= 8 and len(xs) > 2
    if powers:
        axes.set_xscale("log", base=2)
    ends = []
    for arm, statistic, rows in _lines_of(figure):
        color = _color(figure, arm)
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
        axes.plot(
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
        name = one_line(f"{arm} {statistic}")
        ends.append((rows[-1].x or 0.0, rows[-1].value, name, color))
    axes.xaxis.set_major_locator(FixedLocator(xs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(f"{value:.6g}"))))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=min(0, *(row.low for row in figure.rows)))
    _limits(axes, figure, vertical=False)
    labels = [one_line(row.x_label) for row in figure.rows if row.x_label]
    axes.set_xlabel(labels[0] if labels else "x", labelpad=4)
    axes.set_title(
        _axis_title(figure, narrow=narrow), loc="left", fontsize=9, color=svg.MUTED, pad=8
    )
    axes.grid(axis="y", color=svg.GRID, linewidth=0.7)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    _end_labels(plot, axes, ends, 12 if narrow else 18)
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


def _end_labels(plot: Any, axes: Any, ends: list[tuple[float, float, str, str]], wrap: int) -> None:
    """Name each line at its end, pushed apart so that no two names meet."""
    plot.canvas.draw()
    # Points above the axes' floor, lowest line first.
    floor = axes.transAxes.transform((0, 0))[1]
    placed: list[tuple[float, float, float, float, float, str, str]] = []
    for x, y, name, color in sorted(ends, key=lambda end: end[1]):
        text = textwrap.fill(name, wrap)
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


def _axes(
    width: float,
    inner: float,
    left: float,
    *,
    right: float = 0.3,
    head: float = 0.28,
    foot: float = 0.5,
) -> tuple[Any, Any]:
    """Return a figure of this width whose plotting area is inner high; all in inches."""
    height = inner + head + foot
    plot = plt.figure(figsize=(width, height))
    area = (left / width, foot / height, 1 - (left + right) / width, inner / height)
    axes = plot.add_axes(area)
    axes.set_facecolor("none")
    return plot, axes


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
        axes.locator_params(axis="x", nbins=4 if width < 5 else 7)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(f"{value:.6g}"))))


def _limits(axes: Any, figure: Figure, *, vertical: bool) -> None:
    """Draw the plan's target as a dashed line."""
    for limit in {row.limit for row in figure.rows if row.limit is not None}:
        line = axes.axvline if vertical else axes.axhline
        line(limit, color=svg.TARGET, linewidth=1.3, linestyle=(0, (4, 3)), zorder=2)
        place = (limit, 1.0) if vertical else (0.0, limit)
        frame = axes.get_xaxis_transform() if vertical else axes.get_yaxis_transform()
        axes.annotate(
            f"target {number(float(f'{limit:.4g}'))}",
            place,
            xycoords=frame,
            xytext=(0, 4) if vertical else (2, 4),
            textcoords="offset points",
            ha="center" if vertical else "left",
            fontsize=8,
            color=svg.TARGET,
        )


def _axis_title(figure: Figure, *, narrow: bool) -> str:
    unit = "" if figure.unit in figure.metric else f" ({figure.unit})"
    names = list(dict.fromkeys(row.statistic for row in figure.rows))
    shown = ", ".join(one_line(f"{_SHAPES[_MARKERS.get(n, 's')]} {n}") for n in names)
    gap = "\n" if narrow else "   "
    return f"{one_line(figure.metric + unit)}, {one_line(figure.better)} is better{gap}{shown}"


_SHAPES = {"o": "\u25cf", "D": "\u25c6", "^": "\u25b2", "s": "\u25a0"}
