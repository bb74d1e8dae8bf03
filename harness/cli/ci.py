"""kseries ci: what a CI runs; --full adds the slow stations and can be resumed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError

if TYPE_CHECKING:
    from harness.check.resume import Ledger
    from harness.check.station import StationResult

DESCRIPTION = """\
Run the stations of `check --strict`. With --full also the slow ones: every
patch alone, debug kernels, repeats, the mutants that must be caught, three
boots of each benchmark, all upstream areas, every trial, a made-up topic, and
the demo in a bare Debian. --full keeps what each station found: run again, it
goes on where it stopped. What shows the harness is shown again when anything
but prose has changed; what shows the series (debug kernels, repeats, mutants,
figures, upstream's tests) when patches, configurations, selftests or benchmarks
have. The summary names the commit at which each station ran.

--shard I/N runs the part of machine I of N: the parts are the same everywhere
at one commit, and together they are the whole. --merge takes the out/ci
folders that the machines left, runs nothing, and writes one summary: what no
machine has shown has failed. `kseries report RUN RUN...` makes one report of
their runs. .ci/workflows/shards.yml does both on a hosted CI."""
EXAMPLE = """\
  ./kseries ci
  ./kseries ci --full                                  hours; resumable
  ./kseries ci --full --only 'kasan,controls-*'
  ./kseries ci --full --shard 2/8
  ./kseries ci --full --merge shards/*/ci --summary summary.md
  ./kseries ci --full --summary docs/results/ci-full.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--full", action="store_true", help="the slow stations too")
    parser.add_argument("--only", metavar="NAMES", help="stations by commas; * and ? match")
    parser.add_argument("--shard", metavar="I/N", help="the part of machine I of N")
    parser.add_argument(
        "--merge", nargs="+", type=Path, metavar="DIR", help="run nothing: gather out/ci folders"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--budget", metavar="TIME", help="75m, 2h: begin nothing that ends later")
    parser.add_argument(
        "--summary",
        type=Path,
        metavar="FILE.md",
        help="write the summary there too, and beside it the results as JSON",
    )


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Run the stations, keep what they found, and write the summary."""
    from harness.check.choose import chosen, parse_shard, shard
    from harness.check.resume import Ledger
    from harness.check.slow import slow_stations
    from harness.check.station import parse_budget, report_station, run_stations
    from harness.check.stations import Bench, fast_stations

    started = time.monotonic()
    budget = parse_budget(args.budget) if args.budget else None
    words = " ".join(["./kseries", *sys.argv[1:]])
    bench = Bench(context, boots=1, commands=[words])
    stations = fast_stations(bench) + (slow_stations(bench) if args.full else [])
    picked = chosen(stations, args.only)
    if args.shard:
        picked = shard(picked, *parse_shard(args.shard))
    merging = bool(args.merge)
    ledger = Ledger.open(context.paths, stations, full=args.full, fresh=args.fresh or merging)
    if merging:
        ledger.gather(_ledgers(args.merge), picked)
        everything = ledger.results(picked)
        for result in everything:
            report_station(result, context.ui)
        return _answer(args, context, ledger, everything, words)
    left = [station for station in picked if station.name not in ledger.finished]
    for station in picked:
        if station.name in ledger.finished:
            commit = ledger.finished[station.name].commit
            context.ui.line(f"== {station.name}: already shown, at {commit}")
    run_stations(
        left,
        context.ui,
        strict=True,
        budget=budget,
        started=started,
        done=ledger.keep,
        before=ledger.finished,
    )
    everything = ledger.results(picked)
    return _answer(args, context, ledger, everything, words)


def _answer(
    args: argparse.Namespace,
    context: Context,
    ledger: Ledger,
    everything: Sequence[StationResult],
    words: str,
) -> Outcome:
    """Write the summary and return the answer."""
    from harness.check.station import closing_code, closing_line
    from harness.check.summary import summary_text

    text = summary_text(everything, context.paths, words)
    ledger.summary.write_text(text, encoding="utf-8")
    if args.summary:
        args.summary.parent.mkdir(parents=True, exist_ok=True)
        args.summary.write_text(text, encoding="utf-8")
        ledger.write_beside(args.summary)
    line = closing_line(everything)
    context.ui.line(f"summary: {ledger.summary}")
    data = {"summary": line, "stations": [r.name for r in everything], "file": str(ledger.summary)}
    return Outcome(closing_code(everything), data, line)


def _ledgers(folders: Sequence[Path]) -> list[Path]:
    """Return the stored results of the folders; one without any is an error."""
    files = [folder / "stations.json" if folder.is_dir() else folder for folder in folders]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise KseriesError(
            Exit.USAGE,
            "a machine left no results",
            where=missing[0],
            hint="name the folders that `ci --shard` wrote: out/ci of each machine",
        )
    return files
