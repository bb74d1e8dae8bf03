"""kseries report: the report, JUnit and TAP of a stored run."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.results.outputs import write_junit, write_outputs, write_report, write_tap
from harness.results.store import LATEST, load_run
from harness.results.summary import verdict_of
from harness.results.table import print_tables

DESCRIPTION = """\
Make the report, JUnit and TAP of a stored run again, from its results.json
alone, and print its tables. Without options the files in the run's folder are
rewritten; with --html, --junit or --tap only the named files are written.

RUN is a run id, a unique start of one, a path, or `latest`. Exits 0 when the
files were made, whatever the run's verdict: the verdict is in the answer."""
EXAMPLE = """\
  ./kseries report
  ./kseries report 20260131-14 --html /tmp/report.html
  ./kseries report latest --junit out.xml --tap out.tap"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("run", metavar="RUN", nargs="?", default=LATEST, help="default: latest")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the HTML report there")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML there")
    parser.add_argument("--tap", metavar="FILE", type=Path, help="write TAP there")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Remake the files of one run."""
    folder, results = load_run(context.paths, args.run)
    files: dict[str, Path] = {}
    with context.ui.step("report"):
        if args.html:
            files["html"] = write_report(results, args.html)
        if args.junit:
            files["junit"] = write_junit(results, args.junit)
        if args.tap:
            files["tap"] = write_tap(results, args.tap)
        if not files:
            files = write_outputs(results, folder)
    verdict = verdict_of(results)
    if not context.json:
        print_tables(context.ui, results)
    data = {
        "run": results.run.id,
        "folder": str(folder),
        "files": {name: str(path) for name, path in files.items()},
        "verdict": {
            "exit": int(verdict.code),
            "line": verdict.line,
            "points": list(verdict.points),
        },
    }
    text = "\n".join([verdict.line, *(f"{name}: {path}" for name, path in files.items())])
    return Outcome(data=data, text=text)
