"""kseries compare: what changed between two stored runs."""

from __future__ import annotations

import argparse

from harness.core.context import Context, Outcome
from harness.core.errors import Exit
from harness.results.compare import Comparison, compare, figure_text
from harness.results.store import load_run
from harness.results.text import plural

DESCRIPTION = """\
Show what changed between two stored runs: tests that newly fail or pass,
figures whose intervals no longer meet, kernel complaints, and differences in
trees, configuration, toolchain, host and emulator.

A figure whose lane or accelerator differs is not compared, and the answer says
so. Exits 1 when something got worse: a case of the patched kernel fails or is
lost, a figure of the patched kernel is worse beyond its interval and the
lane's margin, a target is no longer met, or the kernel complains anew.
A run is a run id, a unique start of one, a path, or `latest`."""
EXAMPLE = """\
  ./kseries compare 20260131-14 latest
  ./kseries compare --all 20260131-142501-3f9c latest"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("old", metavar="RUN1", help="the run to compare with")
    parser.add_argument("new", metavar="RUN2", help="the run to judge")
    parser.add_argument("--all", action="store_true", help="also list figures that stayed the same")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Compare two runs."""
    _, old = load_run(context.paths, args.old)
    _, new = load_run(context.paths, args.new)
    found = compare(old, new)
    code = Exit.TEST if found.regressions else Exit.OK
    if not context.json:
        _show(found, context, everything=args.all)
    return Outcome(code, found.as_json(), _sentence(found))


def _show(found: Comparison, context: Context, *, everything: bool) -> None:
    table = context.ui.table
    if found.conditions:
        conditions = [(d.what, d.old, d.new) for d in found.conditions]
        table("Conditions that differ", ("what", "old", "new"), conditions)
    if found.tests:
        tests = [
            (f"{t.suite} {t.name}", t.arm, t.old, t.new, t.kind.upper() if t.worse else t.kind)
            for t in found.tests
        ]
        table("Tests that changed", ("case", "arm", "old", "new", "change"), tests)
    figures = [f for f in found.figures if everything or f.kind not in {"same", "refused"}]
    if figures:
        rows = [
            (
                f.figure,
                f.lane,
                f.arm,
                figure_text(f.old, f.unit),
                figure_text(f.new, f.unit),
                f"{f.kind.upper() if f.worse else f.kind}: {f.words}",
            )
            for f in figures
        ]
        header = ("figure", "lane", "arm", "old [low, high]", "new [low, high]", "change")
        table("Figures that changed" if not everything else "Figures", header, rows)
    complaints = [("new", s) for s in found.splats_new] + [("gone", s) for s in found.splats_gone]
    if complaints:
        table("Kernel complaints", ("change", "first line"), complaints)
    for sentence in found.refused:
        context.ui.warn(f"not compared: {sentence}")


def _sentence(found: Comparison) -> str:
    same = sum(1 for f in found.figures if f.kind == "same")
    if found.regressions:
        shown = "; ".join(found.regressions[:5])
        more = len(found.regressions) - 5
        rest = f"; and {more} more" if more > 0 else ""
        return f"{plural(len(found.regressions), 'regression')}: {shown}{rest}"
    parts = [f"no regression from {found.old} to {found.new}"]
    if same:
        parts.append(f"{plural(same, 'figure')} unchanged")
    refused = sum(1 for f in found.figures if f.kind == "refused")
    if refused:
        parts.append(f"{plural(refused, 'figure')} not comparable")
    return ", ".join(parts)
