"""One plot per figure: a dot and an interval per arm, or lines along a sweep.

Everything is drawn twice, for a wide and a narrow page: a plot that is scaled
down to a telephone has text that nobody can read.
"""

from __future__ import annotations

import io

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from harness.results import svg
from harness.results.canvas import STYLE
from harness.results.dots import draw_dots
from harness.results.lanes import figure_accel, lane_text
from harness.results.model import RunInfo
from harness.results.summary import Figure
from harness.results.sweep import draw_sweep
from harness.results.text import interval, number

WIDTHS = {"wide": 9.6, "narrow": 3.7}  # inches at 72 units each


def plots_of(figure: Figure, run: RunInfo, prefix: str) -> dict[str, str]:
    """Return the figure's inline SVG for a wide and a narrow page, by width name."""
    label = description(figure, run)
    draw = draw_sweep if figure.sweep else draw_dots
    made = {}
    for name, width in WIDTHS.items():
        with mpl.rc_context(STYLE):
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
