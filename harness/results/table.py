"""The tables a terminal shows: what changed first, details only where they matter."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.ui import Ui
from harness.results.lanes import figure_accel
from harness.results.model import Results
from harness.results.summary import (
    BASE,
    PATCHED,
    Case,
    Suite,
    figures_of,
    notable_cases,
    suites_of,
)
from harness.results.text import interval, number, one_line

_REASON = 90  # characters of a reason that a row shows


@dataclass(frozen=True)
class TextTable:
    """One table; columns from index `right` on hold numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: int = 99


def tables_of(results: Results) -> tuple[TextTable, ...]:
    """Return the tables of a run that have something to show."""
    made = (
        suite_table(results),
        case_table(results),
        benchmark_table(results),
        calibration_table(results),
        splat_table(results),
        skip_table(results),
    )
    return tuple(table for table in made if table.rows)


def print_tables(ui: Ui, results: Results) -> None:
    """Print the tables of a run on stdout."""
    for table in tables_of(results):
        ui.table(table.title, table.header, table.rows, table.right)


def suite_table(results: Results) -> TextTable:
    """Return base, patched and change, a row per test program."""
    rows = tuple(
        (suite.name, counts_text(suite, BASE), counts_text(suite, PATCHED), changes_text(suite))
        for suite in suites_of(results)
    )
    return TextTable("Tests", ("program", "base", "patched", "change"), rows)


def case_table(results: Results) -> TextTable:
    """Return the cases that failed, or that differ between the kernels."""
    rows = tuple(
        (
            f"{case.suite} {case.name}",
            attempts_text(case, BASE),
            attempts_text(case, PATCHED),
            case.change,
            _short(case.reason),
        )
        for case in notable_cases(results)
    )
    header = ("case", "base", "patched", "change", "reason")
    return TextTable("Cases that failed or changed", header, rows)


def benchmark_table(results: Results) -> TextTable:
    """Return every figure with its lane, accelerator, interval and target."""
    rows = []
    for figure in figures_of(results):
        for row in figure.rows:
            words, _ = figure.against_base(row)
            where = "" if row.x is None else f"{row.x_label or 'x'}={number(row.x)} "
            rows.append(
                (
                    f"{row.feature} {row.name}".strip(),
                    f"{row.metric} {row.statistic}",
                    f"{row.lane} ({figure_accel(results.run, row.lane)})",
                    f"{where}{row.arm}",
                    f"{interval(row.value, row.low, row.high)} {row.unit}",
                    number(row.n),
                    words,
                    target_text(row.target_met),
                )
            )
    header = (
        "benchmark",
        "metric",
        "lane",
        "arm",
        "value [low, high]",
        "n",
        "against base",
        "target",
    )
    return TextTable("Benchmarks", header, tuple(rows))


def calibration_table(results: Results) -> TextTable:
    """Return the calibrations with the margin that each sets."""
    rows = tuple(
        (item.lane, f"{item.margin * 100:.1f} %", item.qemu, one_line(item.text))
        for item in results.calibrations
    )
    return TextTable("Calibrations", ("lane", "margin", "QEMU", "finding"), rows)


def splat_table(results: Results) -> TextTable:
    """Return the kernel's complaints."""
    rows = tuple(
        (
            item.arm,
            item.boot,
            item.kind,
            _short(item.title),
            f"allowed: {item.allowed}" if item.allowed else "FAILS THE RUN",
        )
        for item in results.splats
    )
    return TextTable("Kernel complaints", ("arm", "boot", "kind", "first line", "verdict"), rows)


def skip_table(results: Results) -> TextTable:
    """Return what was not done, and why."""
    rows = tuple((item.what, one_line(item.reason)) for item in results.skips)
    return TextTable("Not done", ("what", "reason"), rows)


def counts_text(suite: Suite, arm: str) -> str:
    """Return `5 pass, 1 skip`, or `not run`."""
    found = suite.counts(arm)
    return ", ".join(f"{count} {name}" for name, count in found.items()) or "not run"


def changes_text(suite: Suite) -> str:
    """Return `none`, or what changed with counts."""
    found = suite.changes
    return ", ".join(f"{count} {name}" for name, count in found.items()) or "none"


def attempts_text(case: Case, arm: str) -> str:
    """Return a case's statuses on one kernel in order: `pass`, `fail pass pass`."""
    results = case.base if arm == BASE else case.patched
    statuses = [str(result.status) for result in results]
    if len(statuses) > 1 and len(set(statuses)) == 1:
        return f"{statuses[0]} x{len(statuses)}"
    return " ".join(statuses) or "-"


def target_text(met: bool | None) -> str:
    """Return met, MISSED or nothing."""
    return "" if met is None else "met" if met else "MISSED"


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _REASON else f"{line[: _REASON - 3]}..."
