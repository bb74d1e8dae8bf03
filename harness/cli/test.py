"""kseries test: run selftests, ours or upstream's, base against patched."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError, worst
from harness.kselftest.beside import checked, ran_beside
from harness.kselftest.judge import BASE, PATCHED, rerun_failed
from harness.kselftest.plan import Selection

ARMS = (BASE, PATCHED)

DESCRIPTION = """\
Run selftests on the base and the patched kernel in emulated guests (4 nodes of
2 CPUs) and judge them: the base twice, the patched kernel once, and whatever
got worse three more times on each, alternating. Without a PATTERN and without
--upstream our own areas run; each says what it must do on the base.

PATTERN is an area (cgroup), a program (test_core), or area:program
(cgroup:test_core); * and ? work. Programs of the slow lane run with --full, or
when a pattern names them. Exits 1 when a test failed, 5 when a guest died, 6 on
a timeout or hang, 7 when the kernel complained although the tests passed."""
EXAMPLE = """\
  ./kseries test
  ./kseries test cgroup --repeat 3 --junit out.xml
  ./kseries test 'cgroup:test_mem*'
  ./kseries test --upstream cgroup,seccomp,sched_ext,mm
  ./kseries test --upstream rseq,sched --with scx_agent
  ./kseries test --config kasan --arm patched
  ./kseries test --rerun-failed latest"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("patterns", metavar="PATTERN", nargs="*", help="what to run")
    parser.add_argument(
        "--upstream", metavar="AREAS", default="", help="the kernel's own areas, comma-separated"
    )
    parser.add_argument(
        "--with",
        dest="scheduler",
        metavar="SCHEDULER",
        default="",
        help="run them beside this BPF scheduler of the patched tree (scx_agent)",
    )
    parser.add_argument("--full", action="store_true", help="the slow lane too")
    parser.add_argument(
        "--config",
        "--set",
        metavar="SET",
        default="prod",
        help="a set of kconfig/sets.toml (default: prod)",
    )
    parser.add_argument(
        "--arm", choices=ARMS, help="one kernel alone; nothing to compare with, half the time"
    )
    parser.add_argument(
        "--repeat", metavar="N", type=int, default=1, help="runs on the patched kernel (default 1)"
    )
    parser.add_argument(
        "--rerun-failed", metavar="RUN", help="what failed or was flaky in a stored run"
    )
    parser.add_argument(
        "--append",
        metavar="WORDS",
        default="",
        help="more words for the kernels' command line",
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML there, too")
    parser.add_argument("--tap", metavar="FILE", type=Path, help="write TAP there, too")


def selection_of(args: argparse.Namespace, context: Context) -> Selection:
    """Return what the arguments select; --rerun-failed reads a stored run."""
    if args.repeat < 1:
        raise KseriesError(
            Exit.USAGE, f"--repeat {args.repeat}: at least one run", hint="leave it out, or say 3"
        )
    upstream = tuple(name.strip() for name in args.upstream.split(",") if name.strip())
    if not args.rerun_failed:
        arms = [args.arm] if args.arm else ARMS
        scheduler = checked(args.scheduler, upstream, arms)
        return Selection(tuple(args.patterns), upstream, args.full, scheduler)
    if args.patterns or upstream or args.scheduler:
        raise KseriesError(
            Exit.USAGE,
            "--rerun-failed takes its tests from the stored run",
            hint="leave out patterns, --upstream and --with, or --rerun-failed",
        )
    from harness.results.store import load_run

    folder, stored = load_run(context.paths, args.rerun_failed)
    patterns, scheduler = ran_beside(rerun_failed(stored))
    if not patterns:
        raise KseriesError(
            Exit.USAGE,
            "nothing failed and nothing was flaky in that run",
            where=str(folder),
            hint="`./kseries report` shows what it holds",
        )
    return Selection(patterns, (), args.full, scheduler)


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Build what is needed, run the tests, store and show the results."""
    selection = selection_of(args, context)

    from harness.pipeline import prepare, start_run
    from harness.pipeline.evidence import add_tests
    from harness.results.outputs import write_junit, write_outputs, write_tap
    from harness.results.summary import verdict_of
    from harness.results.table import print_tables

    prepared = prepare(context, set_name=args.config, want=[args.arm] if args.arm else ARMS)
    folder = start_run(context)
    folder.prepared = prepared
    outcome = add_tests(
        folder, prepared, selection, repeat=args.repeat, append=shlex.split(args.append)
    )
    results = folder.finish(commands=[shlex.join(["./kseries", *sys.argv[1:]])])
    files = write_outputs(results, folder.path)
    if args.junit:
        files["junit"] = write_junit(results, args.junit)
    if args.tap:
        files["tap"] = write_tap(results, args.tap)
    verdict = verdict_of(results)
    if not context.json:
        print_tables(context.ui, results)
    passed, failed, skipped = outcome.counts
    text = f"{passed} passed, {failed} failed, {skipped} skipped: {verdict.line}\n{folder.path}"
    data = {
        "run": folder.id,
        "path": str(folder.path),
        "passed": passed,
        "failed": failed,
        "skipped": skipped,
        "verdict": verdict.line,
        "files": {name: str(path) for name, path in files.items()},
        "tests": [
            {
                "suite": result.suite,
                "name": result.name,
                "arm": result.arm,
                "attempt": result.attempt,
                "status": str(result.status),
                "verdict": result.verdict,
                "reason": result.reason,
            }
            for result in outcome.tests
        ],
    }
    return Outcome(worst([outcome.code, verdict.code]), data, text)
