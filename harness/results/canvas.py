"""What both kinds of plot share: style, sizes, colours, targets, axis titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt

from harness.results import svg
from harness.results.summary import Figure
from harness.results.text import number, one_line

LOG_RANGE = 30  # largest over smallest value that a linear axis still shows well
NARROW = 5.0  # inches below which a plot is one for a narrow page

STYLE: Any = {
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
MARKERS = {"p50": "o", "mean": "o", "sum": "o", "count": "o", "p99": "D", "max": "^", "p90": "s"}
_SHAPES = {"o": "\u25cf", "D": "\u25c6", "^": "\u25b2", "s": "\u25a0"}


def log_scale(values: Sequence[float]) -> bool:
    """Whether these values need a logarithmic axis."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOG_RANGE


def arm_color(figure: Figure, arm: str) -> str:
    """Return the arm's colour (one of svg.py's): by role, rivals in plan order."""
    roles = {row.arm: row.role for row in figure.rows}
    if roles[arm] in {"base", "patched"}:
        return svg.BASE if roles[arm] == "base" else svg.PATCHED
    rivals = [name for name in figure.arms if roles[name] not in {"base", "patched"}]
    return svg.RIVALS[rivals.index(arm) % len(svg.RIVALS)]


def new_axes(
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


def draw_limits(axes: Any, figure: Figure, *, vertical: bool) -> None:
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


def axis_title(figure: Figure, *, narrow: bool) -> str:
    """Return metric, unit, direction, and which shape is which statistic."""
    unit = "" if figure.unit in figure.metric else f" ({figure.unit})"
    names = list(dict.fromkeys(row.statistic for row in figure.rows))
    shown = ", ".join(one_line(f"{_SHAPES[MARKERS.get(n, 's')]} {n}") for n in names)
    gap = "\n" if narrow else "   "
    return f"{one_line(figure.metric + unit)}, {one_line(figure.better)} is better{gap}{shown}"
