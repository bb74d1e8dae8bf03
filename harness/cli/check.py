"""kseries check: what this host can show, and one line that says it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time

from harness.core.context import Context, Outcome

DESCRIPTION = """\
Run every station this host can do: style and types, the harness's unit tests,
the pinned source and the lossless series, both kernels, our selftests, one
boot of each benchmark, the kernel's own selftests against the base, and the
trials that must go wrong. The last line is `N passed, N failed, N skipped`."""
EXAMPLE = """\
  ./kseries check                      skip, by name, what the host cannot do
  ./kseries check --strict             a station that cannot run is a failure
  ./kseries check --budget 80m         begin nothing that cannot end in time
  ./kseries check --only form,unit     some stations"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--strict", action="store_true", help="a skipped station is a failure")
    parser.add_argument("--budget", metavar="TIME", help="75m, 2h: begin nothing that ends later")
    parser.add_argument("--only", metavar="NAMES", help="stations by commas; * and ? match")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Run the stations and print the closing line."""
    from harness.check.choose import chosen
    from harness.check.station import closing_code, closing_line, parse_budget, run_stations
    from harness.check.stations import Bench, fast_stations

    started = time.monotonic()
    budget = parse_budget(args.budget) if args.budget else None
    words = " ".join(["./kseries", *sys.argv[1:]])
    bench = Bench(context, boots=1, commands=[words])
    stations = chosen(fast_stations(bench), args.only)
    results = run_stations(stations, context.ui, strict=args.strict, budget=budget, started=started)
    data = {
        "stations": [
            {
                "name": r.name,
                "state": r.state,
                "seconds": round(r.seconds, 1),
                **{k: v for k, v in dataclasses.asdict(r.tally).items() if k != "code"},
            }
            for r in results
        ],
        "summary": closing_line(results),
    }
    return Outcome(closing_code(results), data, closing_line(results))
