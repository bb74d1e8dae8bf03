"""Running plans: boots in, figures out.

run_plans() is the edge: it boots what the planner says, reads what programs
printed, and hands samples to figures.py.  A guest that dies, a program that
fails and a log that stops short are failures of the case that they hit; the
other boots go on, and nothing is dropped without a word.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from harness.core.errors import Exit
from harness.core.paths import Paths
from harness.core.side import Check, side_by_side
from harness.core.ui import Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, CommandResult, Fate, Job, Lane
from harness.guest.runjob import RunJob
from harness.guest.session import run_job
from harness.measure.calibrate import Boot, by_metric, judge
from harness.measure.figures import Key, Samples, figures, sort_samples
from harness.measure.lanes import machine, topology_of, why_not
from harness.measure.model import Plan
from harness.measure.planner import BootPlan, MachineKey, Run, Selection, plan_boots
from harness.measure.verdict import Failure, read_command, test_results
from harness.results.model import Benchmark, Calibration, Skip, SplatRecord, Status, TestResult

# Host seconds of a boot: to get up, and for each guest second of its limits.  The
# guest ends its own commands; this ends a guest that cannot.
BOOT_LIMIT = 900.0
HOST_PER_GUEST = 3.0
MOST = 3600.0
AT_ONCE = len(os.sched_getaffinity(0))


class KernelLike(Protocol):
    """What the runner wants of a built kernel."""

    @property
    def image(self) -> Path:
        """Return the bzImage."""


@dataclass(frozen=True)
class BootNote:
    """One boot: its name, kernel arm, machine, folder, and what came of it."""

    name: str
    kernel: str
    topology: str
    folder: Path
    result: BootResult


@dataclass(frozen=True)
class MeasureResult:
    """What came of the plans.

    tests: one per case, lane and arm (did it run?) and one per target (was it
    met?), for the run's list of tests; codes: the exit codes that apply, of which
    a verb takes the worst.
    """

    benchmarks: tuple[Benchmark, ...]
    calibrations: tuple[Calibration, ...]
    skips: tuple[Skip, ...]
    splats: tuple[SplatRecord, ...]
    boots: tuple[BootNote, ...]
    failures: tuple[Failure, ...]
    tests: tuple[TestResult, ...]
    codes: tuple[Exit, ...]


@dataclass
class _Collected:
    """What the boots so far have given."""

    samples: Samples = field(default_factory=Samples)
    calibrations: dict[MachineKey, list[Boot]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    skipped: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    splats: list[SplatRecord] = field(default_factory=list)
    boots: list[BootNote] = field(default_factory=list)
    qemu: str = ""


def run_plans(
    plans: Sequence[Plan],
    kernels: Mapping[str, KernelLike],
    *,
    programs: Mapping[str, Path],
    selection: Selection,
    paths: Paths,
    ui: Ui,
    folder: Path,
    allow: Sequence[AllowEntry] = (),
    guest: RunJob = run_job,
    at_once: int = AT_ONCE,
    lane_problem: Callable[[Lane, Paths], str] = why_not,
) -> MeasureResult:
    """Boot, measure, and return figures with their verdicts.

    kernels: "base" and "patched" (or base alone); programs: the folder with
    each topic's built programs and that of `calibrate`; folder: gets one
    folder per boot; allow: kernel complaints that are excused; at_once: guests
    that are started side by side, as far as their lanes let them run.
    """
    skips: list[Skip] = []
    lanes = []
    for lane in selection.lanes:
        if not any(lane in case.lanes for plan in plans for case in plan.cases):
            continue
        problem = lane_problem(lane, paths)
        if problem:
            skips.append(Skip(f"lane {lane}", problem))
        else:
            lanes.append(lane)
    wanted = Selection(
        tuple(lanes),
        tuple(kernel for kernel in selection.kernels if kernel in kernels),
        selection.case,
        selection.boots,
        selection.seed,
    )
    boots = plan_boots(plans, programs, wanted)
    collected = _Collected()
    with ui.step("benchmarks", float(len(boots))) as step:
        ended = itertools.count(1)

        def run_one(boot: BootPlan, check: Check) -> BootResult:
            result = _run_boot(
                boot, kernels[boot.kernel], folder, guest, check, paths=paths, ui=ui, allow=allow
            )
            step.update(next(ended), boot.name)
            return result

        # Which guests may really run at once is the session's matter.
        jobs = [partial(run_one, boot) for boot in boots]
        for boot, result in zip(boots, side_by_side(jobs, at_once), strict=True):
            _sort(boot, result, folder / boot.name, collected)
        step.note = f"{len(boots)} boots"
    calibrations, margins = _calibrate(boots, collected)
    planned = _planned(boots)
    benchmarks = figures(
        plans,
        collected.samples,
        margins=_case_margins(plans, margins),
        planned=planned,
        seed=selection.seed,
    )
    skips += [
        Skip(f"benchmark {feature}.{case} ({lane}, {arm})", reason)
        for (feature, case, lane, arm), reason in collected.skipped.items()
    ]
    tests = test_results(planned, collected.skipped, collected.failures, benchmarks)
    return MeasureResult(
        benchmarks,
        tuple(calibrations),
        tuple(skips),
        tuple(collected.splats),
        tuple(collected.boots),
        tuple(collected.failures),
        tests,
        _codes(tests, collected),
    )


def _run_boot(
    boot: BootPlan,
    kernel: KernelLike,
    folder: Path,
    guest: RunJob,
    check: Check,
    *,
    paths: Paths,
    ui: Ui,
    allow: Sequence[AllowEntry],
) -> BootResult:
    """Run one boot."""
    commands = boot.commands
    limit = BOOT_LIMIT + HOST_PER_GUEST * sum(command.limit for command in commands)
    job = Job(commands, limit=min(limit, MOST))
    hardware = machine(
        boot.lane, kernel.image, boot.topology, append=boot.append, scratch=boot.scratch
    )
    return guest(hardware, job, folder / boot.name, paths=paths, ui=ui, on_tick=check, allow=allow)


def _sort(boot: BootPlan, result: BootResult, folder: Path, collected: _Collected) -> None:
    """Take over everything that one boot left."""
    collected.qemu = result.qemu
    collected.boots.append(BootNote(boot.name, boot.kernel, boot.topology, folder, result))
    collected.splats += [
        SplatRecord(boot.name, boot.kernel, splat.kind, splat.title, splat.text, splat.allowed)
        for splat in result.splats
    ]
    by_name = {item.name: item for item in result.results}
    if boot.calibration is not None:
        output, status, reason = read_command(
            by_name.get(boot.calibration.name), result, boot.calibration.name
        )
        if status is Status.PASS and not output.skip:
            collected.calibrations.setdefault(boot.machine, []).append(by_metric(output.samples))
        else:
            collected.failures.append(
                Failure(
                    "calibrate",
                    str(boot.lane),
                    boot.kernel,
                    boot.name,
                    Status.FAIL if output.skip else status,
                    output.skip or reason,
                )
            )
    runs: dict[tuple[str, str, str], list[Run]] = {}
    for run in boot.runs:
        runs.setdefault((run.plan.feature, run.case.name, run.arm), []).append(run)
    for same in runs.values():
        _collect(boot, same, by_name, result, collected)


def _collect(
    boot: BootPlan,
    runs: Sequence[Run],
    by_name: Mapping[str, CommandResult],
    result: BootResult,
    collected: _Collected,
) -> None:
    """Take over one arm of one case in one boot: all of its values of x, or none."""
    feature, case, arm = runs[0].plan.feature, runs[0].case, runs[0].arm
    found: dict[tuple[str, str, float | None], tuple[float, ...]] = {}
    for run in runs:
        output, status, reason = read_command(
            by_name.get(run.command.name), result, run.command.name
        )
        if status is Status.PASS and output.skip:
            collected.skipped.setdefault((feature, case.name, str(boot.lane), arm), output.skip)
            return
        if status is Status.PASS:
            sorted_samples, reason = sort_samples(case, boot.kernel, arm, run.x, output.samples)
            found.update(sorted_samples)
            status = Status.FAIL if reason else status
        if status is not Status.PASS:
            where = "" if run.x is None else f" at {run.x:g}"
            collected.failures.append(
                Failure(
                    f"{feature}.{case.name}", str(boot.lane), arm, boot.name, status, reason + where
                )
            )
            return
    for (metric, one, x), values in found.items():
        collected.samples.add(Key(feature, case.name, boot.lane, one, metric, x), values)


def _calibrate(
    boots: Sequence[BootPlan], collected: _Collected
) -> tuple[list[Calibration], dict[MachineKey, float]]:
    """Return the calibrations, and each machine's margin."""
    calibrations: list[Calibration] = []
    margins: dict[MachineKey, float] = {}
    for key in dict.fromkeys(boot.machine for boot in boots if boot.calibration is not None):
        lane, topology, append = key
        found = collected.calibrations.get(key, [])
        if len(found) < 2:
            collected.failures.append(
                Failure(
                    "calibrate",
                    str(lane),
                    "base",
                    "",
                    Status.MISSING,
                    f"{len(found)} boots were calibrated, two are needed",
                )
            )
            continue
        calibration = judge(lane, " ".join([topology, *append]), found, collected.qemu)
        calibrations.append(calibration)
        margins[key] = calibration.margin
    return calibrations, margins


def _case_margins(
    plans: Sequence[Plan], margins: Mapping[MachineKey, float]
) -> dict[tuple[str, str, Lane], float]:
    """Return the margin of each (feature, case, lane) whose machine was calibrated."""
    return {
        (plan.feature, case.name, lane): margins[key]
        for plan in plans
        for case in plan.cases
        for lane in case.lanes
        if (key := (lane, topology_of(lane, case.topology), case.append)) in margins
    }


def _planned(boots: Sequence[BootPlan]) -> dict[tuple[str, str, Lane, str], int]:
    """Return how many boots each (feature, case, lane, arm) has, inline rivals included."""
    seen: dict[tuple[str, str, Lane, str], set[str]] = {}
    for boot in boots:
        for run in boot.runs:
            arms = [run.arm]
            if run.arm == boot.kernel:
                arms += [r.name for r in run.case.rivals if r.inline and r.kernel == boot.kernel]
            for arm in arms:
                key = (run.plan.feature, run.case.name, boot.lane, arm)
                seen.setdefault(key, set()).add(boot.name)
    return {key: len(names) for key, names in seen.items()}


def _codes(tests: Sequence[TestResult], collected: _Collected) -> tuple[Exit, ...]:
    """Return the exit codes that apply; the verb takes the worst."""
    codes = []
    for status, code in (
        (Status.CRASH, Exit.DIED),
        (Status.TIMEOUT, Exit.HANG),
        (Status.FAIL, Exit.TEST),
        (Status.MISSING, Exit.TEST),
    ):
        if any(test.status is status for test in tests):
            codes.append(code)
    for note in collected.boots:
        if note.result.fate is Fate.DIED:
            codes.append(Exit.DIED)
        elif note.result.fate is not Fate.OK:
            codes.append(Exit.HANG)
    if any(not splat.allowed for splat in collected.splats):
        codes.append(Exit.SPLAT)
    return tuple(codes)
