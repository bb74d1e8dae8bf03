"""A whole test campaign: base against patched, reruns, verdicts.

What `kseries test`, `check`, `demo` and `ci` have in common.  The parts are
pure (plan, judge) or run guests (runner); this module puts them in order and
writes the logs of a run folder.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from harness.core.errors import Exit, worst
from harness.core.paths import Paths
from harness.core.side import Check, side_by_side
from harness.core.ui import Step, Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, Fate, Machine
from harness.guest.runjob import RunJob
from harness.guest.topology import Node, Topology
from harness.kselftest.judge import (
    BASE,
    GUESTS,
    PATCHED,
    Run,
    code_of,
    judge,
    need_rerun,
    rerun_schedule,
    schedule,
)
from harness.kselftest.known import KnownFlaky
from harness.kselftest.ktap_lines import PROGRAM_CASE
from harness.kselftest.plan import Plan, PlannedTest
from harness.kselftest.runner import Round, run_round
from harness.results.model import Skip, SplatRecord, Status, TestResult

TOPOLOGY_4X2 = Topology(tuple(Node(2, 512) for _ in range(4)))


class Kernels(Protocol):
    """The two kernels under test."""

    @property
    def base(self) -> Path | None:
        """The base bzImage, None to run on the patched kernel alone."""

    @property
    def patched(self) -> Path | None:
        """The patched bzImage, None to run on the base alone."""


@dataclass(frozen=True)
class KernelPair:
    """Two bzImages as plain paths."""

    base: Path | None
    patched: Path | None = None


@dataclass(frozen=True)
class CampaignRequest:
    """What to run: the plan, how often, on which machine, what is excused.

    known: cases known to be flaky; allow: splats that do not count; append:
    words for the kernels' command line; guests: first rounds that run side by
    side (a test guest mostly sleeps); those that decide run one by one.
    """

    plan: Plan
    repeat: int = 1
    topology: Topology = TOPOLOGY_4X2
    known: tuple[KnownFlaky, ...] = ()
    allow: tuple[AllowEntry, ...] = ()
    append: tuple[str, ...] = ()
    guests: int = 1


@dataclass(frozen=True)
class CampaignResult:
    """What came of it.

    tests: judged, all attempts; splats of all boots, allowed ones included;
    skips: what was left out; problems: boots whose console or topology cannot
    be trusted; boots: by folder name; code: the exit status they lead to.
    """

    tests: tuple[TestResult, ...]
    splats: tuple[SplatRecord, ...]
    skips: tuple[Skip, ...]
    boots: dict[str, BootResult] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    code: Exit = Exit.OK

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cases that passed, failed and were skipped, each counted once.

        A case counts as failed when a verdict fails it, as skipped when the
        patched kernel (or the only one) skipped it, else as passed.
        """
        failed, skipped = set(), set()
        keys: dict[tuple[str, str], None] = {}
        arms = {result.arm for result in self.tests}
        for result in self.tests:
            key = (result.suite, result.name)
            keys[key] = None
            if result.verdict not in {"ok", "fixed", "flaky"}:
                failed.add(key)
            elif result.status is Status.SKIP and (result.arm == PATCHED or PATCHED not in arms):
                skipped.add(key)
        skipped -= failed
        return len(keys) - len(failed) - len(skipped), len(failed), len(skipped)


def guest_results(rounds: Sequence[Round]) -> tuple[TestResult, ...]:
    """Return a failure for each boot that died, hung or cannot be trusted.

    They belong to the results because a test's verdict may be excused (flaky,
    or as on the base) while a guest that died under it may not.  A boot
    without a whole console or with another topology proves nothing either.
    """
    found = []
    for done in rounds:
        for name, boot in done.boots.items():
            if boot.fate is Fate.OK:
                continue
            status = Status.CRASH if boot.fate is Fate.DIED else Status.TIMEOUT
            under = f" under {boot.running}" if boot.running else ""
            found.append((done, name, status, f"{boot.fate.value}{under}: {boot.cause}"))
        for problem in done.problems:
            name, _, reason = problem.partition(": ")
            found.append((done, name, Status.FAIL, reason))
    return tuple(
        TestResult(GUESTS, name, d.arm, d.attempt, status, verdict="failed", reason=reason)
        for d, name, status, reason in found
    )


def exit_code(tests: Sequence[TestResult], splats: Sequence[SplatRecord]) -> Exit:
    """Return a campaign's exit status: dead guests, hangs, splats, then tests."""
    codes = [code_of(result) for result in tests]
    if any(not splat.allowed for splat in splats):
        codes.append(Exit.SPLAT)
    return worst(codes)


def plan_skips(plan: Plan) -> tuple[Skip, ...]:
    """Return what a plan leaves out, with reasons, for results.json."""
    left = [Skip(suite, "belongs to the full lane: --full runs it") for suite in plan.left_out]
    return (*left, *(Skip(what, reason) for what, reason in plan.remarks))


def failed_starts(boots: Mapping[str, BootResult]) -> tuple[Skip, ...]:
    """Return the boots whose QEMU failed by itself and was started again, for results.json."""
    return tuple(
        Skip(f"the first start of {name}", f"QEMU itself failed: {boot.failed_start}")
        for name, boot in boots.items()
        if boot.failed_start
    )


def not_built_results(plan: Plan, arms: Sequence[str]) -> tuple[TestResult, ...]:
    """Return a failure for each planned suite that could not be built."""
    return tuple(
        TestResult(
            suite,
            PROGRAM_CASE,
            arm,
            1,
            Status.MISSING,
            expected="as-base",
            verdict="failed",
            reason=f"not built: {reason}",
        )
        for suite, reason in plan.not_built
        for arm in arms
    )


@dataclass
class _Campaign:
    """A campaign while it runs: its rounds so far."""

    request: CampaignRequest
    kernels: Kernels
    folder: Path
    paths: Paths
    ui: Ui
    run_job: RunJob
    rounds: list[Round] = field(default_factory=list)

    @property
    def results(self) -> list[TestResult]:
        return [result for done in self.rounds for result in done.results]

    def run(
        self,
        plan: Sequence[Run],
        tests: Sequence[PlannedTest],
        title: str,
        due: Callable[[PlannedTest, str, int], bool] = lambda test, arm, attempt: True,
        guests: int = 1,
    ) -> None:
        """Run the tests in these rounds as far as they are due; an empty round is not booted."""
        runs = [(arm, n, [t for t in tests if due(t, arm, n)]) for arm, n in plan]
        runs = [(arm, n, chosen) for arm, n, chosen in runs if chosen and self.kernel(arm)]
        total = sum(len(chosen) for _, _, chosen in runs)
        with self.ui.step(title, total) as step:
            bar = _Bar(step)
            jobs = [partial(self._round, arm, n, chosen, bar) for arm, n, chosen in runs]
            for done in side_by_side(jobs, guests):
                self.rounds.append(done)
                self._log(done)

    def _round(
        self, arm: str, attempt: int, chosen: Sequence[PlannedTest], bar: _Bar, check: Check
    ) -> Round:
        kernel = self.kernel(arm)
        assert kernel is not None
        return run_round(
            [test.on(arm) for test in chosen],
            Machine(kernel, self.request.topology, append=self.request.append),
            arm,
            attempt,
            self.folder / "boots",
            run_job=self.run_job,
            paths=self.paths,
            ui=self.ui,
            allow=self.request.allow,
            on_result=lambda result: bar.tick(f"{arm} {attempt}: {result.name}"),
            on_tick=check,
        )

    def kernel(self, arm: str) -> Path | None:
        """Return the image of an arm, None for one that does not take part."""
        return self.kernels.base if arm == BASE else self.kernels.patched

    def _log(self, done: Round) -> None:
        """Append a round's program outputs to the run's ktap.log."""
        path = self.folder / "ktap.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            for name, boot in done.boots.items():
                for result in boot.results:
                    if result.log.exists():
                        out.write(f"# {name} {result.name} status {result.status}\n".encode())
                        out.write(result.log.read_bytes().rstrip(b"\n") + b"\n")


@dataclass
class _Bar:
    """The bar that commands of all rounds move as they end."""

    step: Step
    ended: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def tick(self, text: str) -> None:
        self.step.update(next(self.ended), text)


def run_campaign(
    request: CampaignRequest,
    *,
    paths: Paths,
    ui: Ui,
    kernels: Kernels,
    folder: Path,
    run_job: RunJob | None = None,
    rerun: bool = True,
) -> CampaignResult:
    """Run a plan on base and patched, rerun what got worse, judge, and return all.

    folder: the run's folder; boots/ and ktap.log are made in it.  run_job:
    how guests are run (the real one unless a test says otherwise); rerun:
    False takes the first rounds as they are.
    """
    if run_job is None:
        # Loaded late: judging and planning need nothing of QEMU's side.
        run_job = cast(RunJob, importlib.import_module("harness.guest.session").run_job)
    plan = request.plan
    work = _Campaign(request, kernels, folder, paths, ui, run_job)
    tests = list(plan.tests)
    two_armed = kernels.base is not None and kernels.patched is not None
    if tests:

        def due(test: PlannedTest, arm: str, attempt: int) -> bool:
            # The base's extra round tells stable cases from flaky ones.  Our own
            # tests do not need it: they say what they must do on the base.
            return not (test.own and arm == BASE and attempt > request.repeat)

        title = "selftests, base and patched" if two_armed else "selftests on one kernel"
        work.run(schedule(request.repeat), tests, title, due, request.guests)
        suites = need_rerun(tests, work.results, request.repeat) if rerun and two_armed else ()
        again = [test for test in tests if test.suite in suites]
        if again:
            ui.line(f"worse on the patched kernel, so run again: {', '.join(suites)}")
            work.run(rerun_schedule(work.results), again, "selftests again, alternating")
    judgement = judge(tests, work.results, request.known, repeat=request.repeat)
    arms = [arm for arm in (BASE, PATCHED) if work.kernel(arm)]
    results = (*judgement.results, *guest_results(work.rounds), *not_built_results(plan, arms))
    splats = tuple(splat for done in work.rounds for splat in done.splats)
    boots = {name: boot for done in work.rounds for name, boot in done.boots.items()}
    return CampaignResult(
        tests=results,
        splats=splats,
        skips=(*plan_skips(plan), *failed_starts(boots)),
        boots=boots,
        problems=tuple(problem for done in work.rounds for problem in done.problems),
        code=exit_code(results, splats),
    )
