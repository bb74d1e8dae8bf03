"""Positive controls: a patch broken in one way, which a named case must notice.

selftests/<area>/mutants/<name>.patch is a plain diff on top of the series.
The text above it says what is broken, and a line `Fails: CASE[, CASE]` names
the cases of which at least one must fail on that kernel.  Where each CASE is
written as PROGRAM:CASE only these programs run, in whatever lane they are, else
the area's fast lane.  A test that no mutant can fail proves nothing.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.kernel import Kernel
from harness.check.station import Tally
from harness.check.stations import Bench
from harness.core.errors import Exit, KseriesError
from harness.guest.job import Machine
from harness.guest.session import run_job
from harness.kselftest.campaign import TOPOLOGY_4X2
from harness.kselftest.plan import Selection
from harness.kselftest.runner import run_round
from harness.pipeline.evidence import plan_tests
from harness.pipeline.run import start_run
from harness.results.model import Status, TestResult
from harness.source.gitrepo import git

_FAILS = re.compile(r"^Fails: (.+)$", re.M)
_FINE = {Status.PASS, Status.SKIP, Status.XFAIL}


@dataclass(frozen=True)
class Mutant:
    """One mutant: its area, its diff, and the cases of which one must fail."""

    area: str
    patch: Path
    fails: tuple[str, ...]

    @property
    def name(self) -> str:
        """How people call it: area/name."""
        return f"{self.area}/{self.patch.stem}"

    @property
    def patterns(self) -> tuple[str, ...]:
        """What of the area runs: the programs of the cases, or all of its fast lane."""
        programs = [case.rpartition(":")[0] for case in self.fails]
        if not all(programs):
            return (self.area,)
        return tuple(f"{self.area}:{program}" for program in dict.fromkeys(programs))


def areas_with_mutants(selftests: Path) -> list[str]:
    """Return the areas that have mutants."""
    return sorted({path.parents[1].name for path in selftests.glob("*/mutants/*.patch")})


def load_mutants(selftests: Path, area: str = "*") -> list[Mutant]:
    """Return the mutants of an area, or of all; one that names no case is an error."""
    found = []
    for path in sorted(selftests.glob(f"{area}/mutants/*.patch")):
        found.append(read_mutant(path, path.parents[1].name))
    return found


def read_mutant(path: Path, area: str) -> Mutant:
    """Return one mutant of an area; one that names no case is an error."""
    head = path.read_text(encoding="utf-8").partition("\n--- a/")[0]
    match = _FAILS.search(head)
    if not match:
        raise KseriesError(
            Exit.LINT,
            "a mutant that names no case",
            where=str(path),
            hint="add a line `Fails: CASE` above its diff",
        )
    return Mutant(area, path, tuple(case.strip() for case in match[1].split(",")))


def mutated_tree(store: Path, tree: str, mutant: Mutant) -> str:
    """Return the id of the tree with the mutant's diff applied."""
    with tempfile.TemporaryDirectory(prefix="kseries-mutant-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", tree, repo=store, env=env)
        file = mutant.patch.resolve()
        done = git("apply", "--cached", "--recount", file, repo=store, env=env, check=False)
        if not done.ok:
            raise KseriesError(
                Exit.APPLY,
                f"the mutant {mutant.name} does not apply to the series: {done.stderr.strip()}",
                where=str(mutant.patch),
                hint="refresh its diff against the patched tree",
            )
        return git("write-tree", repo=store, env=env).stdout.strip()


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
