"""kseries demo: everything once, from nothing to a report."""

from __future__ import annotations

import argparse
import shlex

from harness.core.context import Context, Outcome
from harness.core.errors import worst

DESCRIPTION = """\
Get the pinned kernel, apply the series, build base and patched, boot four NUMA
nodes, run our selftests on both, take one figure of each benchmark, and write
out/latest/report.html. A second run reuses every stage whose inputs have not
changed; what is left is guests. The figures are a first look with fewer
samples than the plans have, and say so: `kseries bench` takes them in full."""
EXAMPLE = """\
  ./kseries demo
  ./kseries demo --runs 3      three boots an arm"""

FIRST_LOOK = 0.1  # share of the plans' samples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="boots per kernel (1)")
    parser.add_argument("--source", metavar="FILE|DIR|GIT", help="where to take the kernel from")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Run all stages and write the report."""
    from harness.kselftest.plan import Selection
    from harness.pipeline import prepare, start_run
    from harness.pipeline.evidence import add_figures, add_tests
    from harness.pipeline.timing import own_seconds, spent
    from harness.results.outputs import write_outputs
    from harness.results.summary import verdict_of
    from harness.results.table import print_tables

    folder = start_run(context)
    prepared = prepare(context, source=args.source)
    folder.prepared = prepared
    tests = add_tests(folder, prepared, Selection(look=True))
    figures = add_figures(folder, prepared, boots=args.runs, share=FIRST_LOOK)
    words = ["./kseries", "demo", "--runs", str(args.runs)]
    results = folder.finish(commands=[shlex.join(words), "./kseries bench", "./kseries test"])
    files = write_outputs(results, folder.path)
    verdict = verdict_of(results)
    if not context.json:
        print_tables(context.ui, results)
    total = spent(folder)
    latest = context.paths.out / "latest" / "report.html"
    text = "\n".join(
        [
            verdict.line,
            f"{total:.0f} s, of which the harness itself {own_seconds(total):.0f} s",
            f"report: {latest}",
        ]
    )
    data = {
        "run": folder.id,
        "report": str(files["html"]),
        "seconds": round(total, 1),
        "own_seconds": round(own_seconds(total), 1),
        "stages": dict(results.run.stages),
        "verdict": verdict.line,
    }
    return Outcome(worst([tests.code, *figures.codes, verdict.code]), data, text)
