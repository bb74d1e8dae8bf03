"""Several runs of the same kernels, made on several machines, as one.  Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.core.errors import Exit, KseriesError
from harness.results.model import Results, Skip, TestResult

# What must agree, or the rows of one table are about different things.
_SAME = ("pin", "base_tree", "patched_tree", "config")


def merge_results(runs: Sequence[Results], run_id: str, command: str) -> Results:
    """Return one run with everything that the runs hold, in their order.

    A case that several ran keeps all its results, as further attempts; a
    figure that several took stays apart by a note that names its run.  Raises
    KseriesError(USAGE) for runs of other kernels.
    """
    first = runs[0].run
    for other in runs[1:]:
        for name in _SAME:
            mine, theirs = getattr(first, name), getattr(other.run, name)
            if mine != theirs:
                raise KseriesError(
                    Exit.USAGE,
                    f"{first.id} and {other.run.id} are not about the same kernels: "
                    f"{name} is {mine} and {theirs}",
                    hint="merge runs of one commit and one configuration",
                )
    hosts = {tuple(sorted(item.run.host.items())) for item in runs}
    skips = [skip for item in runs for skip in item.skips]
    if len(hosts) > 1:
        names = ", ".join(f"{item.run.id} on {item.run.host.get('cpu', '?')}" for item in runs)
        skips.append(Skip("one host", f"the figures are of several machines: {names}"))
    stages: dict[str, float] = {}
    for item in runs:
        for name, seconds in item.run.stages.items():
            stages[name] = stages.get(name, 0.0) + seconds
    info = dataclasses.replace(
        first,
        id=run_id,
        started=min(item.run.started for item in runs),
        seconds=sum(item.run.seconds for item in runs),
        command=command,
        commands=tuple(dict.fromkeys(line for item in runs for line in item.run.commands)),
        stages=stages,
    )
    return Results(
        info,
        _attempts(runs),
        tuple(
            dataclasses.replace(row, note=f"{row.note}; {item.run.id}".removeprefix("; "))
            for item in runs
            for row in item.benchmarks
        ),
        tuple(row for item in runs for row in item.calibrations),
        tuple(row for item in runs for row in item.splats),
        tuple(dict.fromkeys(skips)),
    )


def _attempts(runs: Sequence[Results]) -> tuple[TestResult, ...]:
    """Return the tests of all runs; a case that ran again gets the next attempts."""
    last: dict[tuple[str, str, str], int] = {}
    found = []
    for item in runs:
        before = dict(last)
        for row in item.tests:
            key = (row.suite, row.name, row.arm)
            attempt = before.get(key, 0) + row.attempt
            last[key] = max(last.get(key, 0), attempt)
            found.append(dataclasses.replace(row, attempt=attempt))
    return tuple(found)
