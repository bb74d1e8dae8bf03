"""kseries report: the report, JUnit and TAP of a stored run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.results.merge import merge_results
from harness.results.model import Results
from harness.results.outputs import write_junit, write_outputs, write_report, write_tap
from harness.results.store import LATEST, RESULTS, load_run, new_run, set_latest
from harness.results.summary import verdict_of
from harness.results.table import print_tables

DESCRIPTION = """\
Make the report, JUnit and TAP of a stored run again, from its results.json
alone, and print its tables. Without options the files in the run's folder are
rewritten; with --html, --junit or --tap only the named files are written.

Several RUNs, of one kernel and series on several machines, become one new run
whose report shows them all.

RUN is a run id, a unique start of one, a path, or `latest`. Exits 0 when the
files were made, whatever the run's verdict: the verdict is in the answer."""
EXAMPLE = """\
  ./kseries report
  ./kseries report 20260131-14 --html /tmp/report.html
  ./kseries report shards/*/2026*                    one report of several machines
  ./kseries report latest --junit out.xml --tap out.tap"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("run", metavar="RUN", nargs="*", default=[LATEST], help="default: latest")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the HTML report there")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML there")
    parser.add_argument("--tap", metavar="FILE", type=Path, help="write TAP there")


def _read(context: Context, names: list[str]) -> tuple[Path, Results]:
    """Return the folder and results of a run; several become a new one."""
    if len(names) == 1:
        return load_run(context.paths, names[0])
    found = [load_run(context.paths, name)[1] for name in names]
    folder = new_run(context.paths)
    words = shlex.join(["./kseries", "report", *names])
    results = merge_results(found, folder.name, words)
    results.save(folder / RESULTS)
    set_latest(context.paths, folder)
    return folder, results


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Remake the files of one run."""
    folder, results = _read(context, args.run)
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
