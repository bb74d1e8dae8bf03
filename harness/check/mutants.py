"""Positive controls: a patch broken in one way, which a named case must notice.

harness.series.mutants says what a mutant is.  A test that no mutant can fail
proves nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from harness.build.kernel import Kernel
from harness.check.station import Tally
from harness.check.stations import Bench
from harness.guest.job import Machine
from harness.guest.session import run_job
from harness.kselftest.campaign import TOPOLOGY_4X2
from harness.kselftest.plan import Selection
from harness.kselftest.runner import run_round
from harness.pipeline.evidence import plan_tests
from harness.pipeline.run import start_run
from harness.results.model import Status, TestResult
from harness.series.mutants import Mutant, load_mutants, mutated_tree

_FINE = {Status.PASS, Status.SKIP, Status.XFAIL}


def judge(mutant: Mutant, results: Sequence[TestResult]) -> str:
    """Return why the mutant counts as not caught, empty when a named case failed."""
    bad = [result for result in results if result.status not in _FINE]
    names = {result.name for result in bad}
    names |= {f"{result.suite.rpartition(':')[2]}:{result.name}" for result in bad}
    if any(case in names for case in mutant.fails):
        return ""
    found = ", ".join(sorted({result.name for result in bad})) or "none"
    return f"{', '.join(mutant.fails)} did not fail on it (failed: {found})"


def controls(bench: Bench, area: str) -> Callable[[Tally], None]:
    """Return the work of building each mutant of an area and looking whether it is caught."""

    def work(tally: Tally) -> None:
        mutants = load_mutants(bench.context.paths.repo / "selftests", area)
        prepared = bench.kernels()
        with bench.workshop() as kernel_of:
            for mutant in mutants:
                tree = mutated_tree(prepared.source.git, prepared.applied.top_tree, mutant)
                problem = judge(mutant, _results(bench, mutant, kernel_of(tree)))
                bench.context.ui.line(f"   {mutant.name}: {problem or 'caught'}")
                if problem:
                    tally.bad(f"{mutant.name}: {problem}")
                else:
                    tally.good()

    return work


def _results(bench: Bench, mutant: Mutant, kernel: Kernel) -> Sequence[TestResult]:
    """Run what the mutant is for once on its kernel.

    An area that is built from the patched tree is built from the mutant's:
    what is broken may be a tool.
    """
    run = start_run(bench.context)
    prepared = dataclasses.replace(bench.kernels(), patched=kernel)
    plan = plan_tests(run, prepared, Selection(mutant.patterns))
    done = run_round(
        plan.tests,
        Machine(kernel.image, TOPOLOGY_4X2),
        "patched",
        1,
        run.path / "boots",
        run_job=run_job,
        paths=bench.context.paths,
        ui=bench.context.ui,
    )
    return done.results
