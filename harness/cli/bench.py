"""kseries bench: benchmarks, base against patched and rivals."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from typing import TYPE_CHECKING

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError, worst

if TYPE_CHECKING:
    from harness.measure.runner import MeasureResult

DESCRIPTION = """\
Run the benchmarks of benchmarks/TOPIC/plan.toml in guests, base against
patched and against what a user would pick instead, and store the figures.

Every figure belongs to a lane, which says what may be compared: L1 counts
instructions on one CPU, L2 counts events on several, L3 is virtual time on
several (QEMU 10 or newer). A figure is the pool of all boots with a 95 %
bootstrap interval over boots. Exits 1 when a plan's target is missed. Cases and
rivals that a plan keeps for long runs need --full, or the case its name."""
EXAMPLE = """\
  ./kseries bench                        every topic, as its plan says
  ./kseries bench freeze --runs 3
  ./kseries bench munmap --lane L2 --lane L3 --seed 7
  ./kseries bench --full                 also what takes hours"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("topics", metavar="TOPIC", nargs="*", help="topics; all without one")
    parser.add_argument("--runs", type=int, metavar="N", help="boots per kernel (the plan's: 3)")
    parser.add_argument(
        "--lane", action="append", choices=("L1", "L2", "L3"), help="only this lane (repeatable)"
    )
    parser.add_argument("--case", default="", metavar="NAME", help="only this case of the plans")
    parser.add_argument("--full", action="store_true", help="also what takes very long")
    parser.add_argument("--seed", type=int, default=1, help="where all random choices start (1)")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Measure, store the results, and print the figures."""
    from harness.guest.job import Lane
    from harness.measure.campaign import kernels_of, measure, plans_of
    from harness.measure.planner import Selection
    from harness.measure.thin import at_level
    from harness.pipeline import prepare, start_run
    from harness.results.outputs import write_outputs

    if args.runs is not None and args.runs < 1:
        raise KseriesError(
            Exit.USAGE, f"--runs {args.runs}: at least one boot", hint="for instance --runs 3"
        )
    lanes = tuple(Lane(name) for name in dict.fromkeys(args.lane or ("L1", "L2", "L3")))
    selection = Selection(lanes, case=args.case, boots=args.runs, seed=args.seed)
    # Mistakes in plans and names come out before a kernel is built for them.
    level = "full" if args.full or args.case else "bench"
    plans = [at_level(plan, level) for plan in plans_of(context.paths, args.topics)]
    wanted = kernels_of(plans, selection)
    folder = start_run(context)
    prepared = prepare(context, want=wanted)
    folder.prepared = prepared
    result = measure(prepared, folder, plans, selection)
    words = ["./kseries", "bench", *args.topics, "--seed", str(args.seed)]
    words += [word for name in args.lane or () for word in ("--lane", name)]
    words += ["--case", args.case] if args.case else []
    words += ["--full"] if args.full else []
    words += ["--runs", str(args.runs)] if args.runs else []
    results = folder.finish(commands=[shlex.join(words)])
    write_outputs(results, folder.path)
    if not context.json:
        _show(context, result)
    data = {
        "run": folder.id,
        "path": str(folder.path),
        "benchmarks": [
            {k: v for k, v in dataclasses.asdict(item).items() if k != "samples"}
            for item in result.benchmarks
        ],
        "calibrations": [dataclasses.asdict(item) for item in result.calibrations],
        "failures": [dataclasses.asdict(item) for item in result.failures],
        "skips": [dataclasses.asdict(item) for item in result.skips],
        "splats": [dataclasses.asdict(item) for item in result.splats],
    }
    missed = sum(1 for item in result.benchmarks if item.target_met is False)
    text = (
        f"{len(result.benchmarks)} figures, {missed} targets missed, "
        f"{len(result.failures)} failures, {len(result.skips)} skipped: {folder.path}"
    )
    return Outcome(worst(result.codes), data, text)


def _show(context: Context, result: MeasureResult) -> None:
    rows = []
    for item in result.benchmarks:
        verdict = {True: "met", False: "MISSED", None: ""}[item.target_met]
        rows.append(
            (
                f"{item.feature} {item.name}",
                item.lane,
                item.arm,
                "" if item.x is None else f"{item.x:g} {item.x_label}",
                f"{item.metric} {item.statistic}",
                f"{item.target} {verdict}".strip(),
                f"{item.value:.5g}",
                f"{item.low:.5g}..{item.high:.5g}",
                item.unit,
                str(item.n),
            )
        )
    header = ("case", "lane", "arm", "at", "figure", "target", "value", "95 %", "unit", "n")
    if rows:
        context.ui.table("Figures", header, rows, right=6)
    for calibration in result.calibrations:
        context.ui.line(f"calibration {calibration.lane}: {calibration.text}")
    for failure in result.failures:
        context.ui.warn(
            f"{failure.case} ({failure.lane}, {failure.arm}, {failure.boot}): "
            f"{failure.status}: {failure.reason}"
        )
    for skip in result.skips:
        context.ui.warn(f"skipped {skip.what}: {skip.reason}")
    for splat in result.splats:
        if not splat.allowed:
            context.ui.warn(f"the kernel complained in {splat.boot}: {splat.title}")
