"""The report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from harness.results.drawing import drawing_of
from harness.results.lanes import figure_accel, lane_text
from harness.results.model import Benchmark, Results
from harness.results.plots import plots_of
from harness.results.summary import (
    ALIKE,
    BASE,
    PATCHED,
    Figure,
    bad_splats,
    figures_of,
    notable_cases,
    suites_of,
    verdict_of,
)
from harness.results.table import attempts_text, target_text
from harness.results.text import clean, duration, interval, number, plural

_TEMPLATES = "templates"
_SPLAT_LINES = 120  # of one complaint; the console has the rest


@dataclass(frozen=True)
class FigureView:
    """One figure as the template shows it."""

    id: str
    figure: Figure
    wide: Markup
    narrow: Markup
    accel: str

    @property
    def rows(self) -> tuple[Benchmark, ...]:
        """The rows, arm by arm, along x."""
        order = {arm: index for index, arm in enumerate(self.figure.arms)}
        return tuple(sorted(self.figure.rows, key=lambda row: (order[row.arm], row.x or 0.0)))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the rows, each once."""
        return tuple(dict.fromkeys(row.note for row in self.figure.rows if row.note))


@dataclass(frozen=True)
class Headline:
    """One figure in a line: what the base does, what the patched kernel does."""

    id: str
    what: str
    base: str
    patched: str
    words: str
    kind: str  # better, worse, even or empty
    where: str
    target: str
    met: bool | None


def headline(view: FigureView) -> Headline | None:
    """Return the figure's line: its target, or its first statistic at the largest x."""
    own = [row for row in view.figure.rows if row.role == "patched"]
    if not own:
        return None
    row = next((row for row in own if row.target_met is not None), None)
    row = row or max(own, key=lambda row: row.x or 0.0)
    base = view.figure.base_of(row)
    words, kind = view.figure.against_base(row)
    at = "" if row.x is None else f" at {number(row.x)} {row.x_label}"
    return Headline(
        view.id,
        f"{row.feature}: {row.metric}, {row.statistic}{at}",
        number(base.value) if base else "",
        f"{number(row.value)} {row.unit}",
        words,
        kind,
        f"{row.lane}, {view.accel}",
        row.target,
        row.target_met,
    )


def report_html(results: Results) -> str:
    """Return the report of a run as one HTML document."""
    figures = []
    for index, figure in enumerate(figures_of(results), 1):
        name = f"figure-{index}"
        pictures = plots_of(figure, results.run, name)
        figures.append(
            FigureView(
                name,
                figure,
                # Made by us from escaped text: see svg.inline_svg().
                Markup(pictures["wide"]),
                Markup(pictures["narrow"]),
                figure_accel(results.run, figure.lane),
            )
        )
    suites = suites_of(results)
    notable = notable_cases(results)
    script, style = _template("report.js"), _template("report.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    lanes = list(dict.fromkeys(view.figure.lane for view in figures))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=results.run,
            verdict=verdict_of(results),
            suites=suites,
            changed=[case for case in notable if case.change != ALIKE],
            alike=[case for case in notable if case.change == ALIKE],
            headlines=[line for view in figures if (line := headline(view))],
            case_count=sum(len(suite.cases) for suite in suites),
            figures=figures,
            lanes=[lane_text(lane) for lane in lanes],
            results=results,
            bad_splats=bad_splats(results),
            topology=drawing_of(results.run.topology),
            script=Markup(script),
            style=Markup(style),
            script_hash=digest,
            BASE=BASE,
            PATCHED=PATCHED,
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters.update(
        number=number,
        duration=duration,
        moment=_moment,
        lines=_lines,
        slug=_slug,
    )
    environment.globals.update(
        attempts_text=attempts_text,
        interval=interval,
        lane_text=lane_text,
        plural=plural,
        target_text=target_text,
    )
    return environment


def _template(name: str) -> str:
    return resources.files(__package__).joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _printable(value: Any) -> Any:
    """Make what guests wrote printable; markup of our own stays."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _moment(started: str) -> str:
    """Return an ISO time as `2026-01-31 14:25 UTC`."""
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)", started)
    return f"{found.group(1)} {found.group(2)} UTC" if found else started


def _lines(text: str) -> str:
    """Return the first lines of a long text, and say what is left out."""
    lines = clean(text).splitlines()
    left = len(lines) - _SPLAT_LINES
    if left <= 0:
        return "\n".join(lines)
    return "\n".join([*lines[:_SPLAT_LINES], f"... {left} more lines in the console"])


def _slug(text: str) -> str:
    """Return text as part of an id or a class."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
