"""Run planned tests in guests and turn what came back into results.

One round is one kernel running a plan once.  A guest that dies or hangs costs
the command that ran, by name; what was still to come runs in a fresh boot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, CommandResult, Fate, Job, Machine
from harness.guest.runjob import RunJob
from harness.guest.splat import console_problem
from harness.kselftest.beside import scheduler_case
from harness.kselftest.ktap import parse_ktap
from harness.kselftest.ktap_lines import END_CASE, PROGRAM_CASE
from harness.kselftest.plan import PlannedTest
from harness.results.model import SplatRecord, Status, TestResult

# Two boots in a row that end nothing: the kernel does not get that far.
BARREN_BOOTS = 2
# Seconds for boot and shutdown on top of the commands' own limits, and the
# most that one boot may take at all.
_BOOT_SHARE = 600.0
_BOOT_MOST = 4 * 3600.0
# guest.sh names commands on the console, so a splat has a place in the run.
_MARK = re.compile(r"kseries: (run|end) (\S+)")


@dataclass(frozen=True)
class Round:
    """One arm's run of a plan.

    results: in the order of the plan; problems: what is wrong with a boot as
    a whole (a console that cannot be trusted, a topology that is not as
    asked); boots: all of them, by their folder's name.
    """

    arm: str
    attempt: int
    results: tuple[TestResult, ...]
    splats: tuple[SplatRecord, ...]
    problems: tuple[str, ...]
    boots: Mapping[str, BootResult] = field(default_factory=dict)


def splat_place(console: str, line: int) -> str:
    """Return the name of the command that ran at a line (1-based) of a console."""
    place = ""
    for text in console.split("\n")[: max(line, 0)]:
        mark = _MARK.search(text)
        if mark:
            place = mark[2] if mark[1] == "run" else ""
    return place


def splat_records(boot: str, arm: str, result: BootResult, console: str) -> list[SplatRecord]:
    """Return a boot's splats for results.json; boot says which command ran, too."""
    records = []
    for splat in result.splats:
        place = splat_place(console, splat.line)
        name = f"{boot} ({place})" if place else boot
        records.append(SplatRecord(name, arm, splat.kind, splat.title, splat.text, splat.allowed))
    return records


def command_results(
    test: PlannedTest, arm: str, attempt: int, result: CommandResult, log: str
) -> list[TestResult]:
    """Return the results of a command that ended: its cases, or the whole program."""
    status = None if result.timed_out else result.status
    report = parse_ktap(log, status, require_plan=test.entry.plan)

    def make(name: str, status: Status, reason: str) -> TestResult:
        return TestResult(test.suite, name, arm, attempt, status, reason=reason)

    found = []
    for case in report.cases:
        if result.timed_out and case.name == END_CASE:
            continue
        found.append(make(test.entry.stable_name(case.name), case.status, case.reason))
    if result.timed_out:
        reason = f"over its limit of {test.command.limit:g} s"
        found.append(make(END_CASE if report.is_ktap else PROGRAM_CASE, Status.TIMEOUT, reason))
    elif not report.cases:
        found.append(make(PROGRAM_CASE, report.status, report.reason))
    beside = scheduler_case(test, log)
    if beside and not result.timed_out:
        found.append(make(*beside))
    # Programs do not time their cases: the program's time stands with its first.
    first = found[0]
    found[0] = TestResult(
        first.suite,
        first.name,
        arm,
        attempt,
        first.status,
        reason=first.reason,
        seconds=result.seconds,
    )
    return found


def lost_results(
    test: PlannedTest, arm: str, attempt: int, boot: BootResult, log: str
) -> list[TestResult]:
    """Return the results of the command under which the guest died or hung."""
    report = parse_ktap(log, None, require_plan=test.entry.plan)
    found = [
        TestResult(
            test.suite,
            test.entry.stable_name(case.name),
            arm,
            attempt,
            case.status,
            reason=case.reason,
        )
        for case in report.cases
        if case.name != END_CASE and not case.name.endswith("(plan)")
    ]
    status = Status.CRASH if boot.fate is Fate.DIED else Status.TIMEOUT
    reason = f"the guest {boot.fate.value} under it: {boot.cause}"
    name = END_CASE if report.is_ktap else PROGRAM_CASE
    return [*found, TestResult(test.suite, name, arm, attempt, status, reason=reason)]


def _missing(test: PlannedTest, arm: str, attempt: int, reason: str) -> TestResult:
    return TestResult(test.suite, PROGRAM_CASE, arm, attempt, Status.MISSING, reason=reason)


def run_round(
    tests: Sequence[PlannedTest],
    machine: Machine,
    arm: str,
    attempt: int,
    folder: Path,
    *,
    run_job: RunJob,
    paths: Paths,
    ui: Ui,
    allow: Sequence[AllowEntry] = (),
    on_result: Callable[[CommandResult], None] | None = None,
    on_tick: Callable[[], None] | None = None,
) -> Round:
    """Run a plan once on one kernel, in as many boots as that takes.

    folder: gets one folder a boot, `<arm>-<attempt>[-<boot>]`; on_tick: called
    while a guest runs, and may raise to end it.
    """
    waiting = list(tests)
    results: dict[str, list[TestResult]] = {}
    splats: list[SplatRecord] = []
    problems: list[str] = []
    boots: dict[str, BootResult] = {}
    barren = 0
    while waiting and barren < BARREN_BOOTS:
        name = f"{arm}-{attempt}" + (f"-{len(boots) + 1}" if boots else "")
        job = Job(
            tuple(test.command for test in waiting),
            limit=min(_BOOT_SHARE + sum(test.command.limit for test in waiting), _BOOT_MOST),
        )
        boot = run_job(
            machine,
            job,
            folder / name,
            paths=paths,
            ui=ui,
            on_result=on_result,
            on_tick=on_tick,
            allow=allow,
        )
        boots[name] = boot
        console = _read(boot.console)
        problem = console_problem(console)
        problems += [f"{name}: {problem}"] if problem else []
        problems += [f"{name}: {error}" for error in boot.topology_errors]
        splats += splat_records(name, arm, boot, console)
        done = {r.name: r for r in boot.results if r.status is not None or r.timed_out}
        for test in list(waiting):
            ended = done.get(test.command.name)
            if ended is not None:
                log = _read(ended.log)
                results[test.suite] = command_results(test, arm, attempt, ended, log)
            elif boot.fate is not Fate.OK and boot.running == test.command.name:
                partial = {r.name: r.log for r in boot.results}.get(test.command.name)
                log = _read(partial) if partial else ""
                results[test.suite] = lost_results(test, arm, attempt, boot, log)
            else:
                continue
            waiting.remove(test)
            barren = -1
        barren += 1
        if boot.fate is not Fate.OK:
            where = f" under {boot.running}" if boot.running else ""
            ui.warn(f"{name}: the guest {boot.fate.value}{where}: {boot.cause}")
        elif waiting:
            problems.append(f"{name}: ended well, but {len(waiting)} commands never ran")
    last = next(reversed(boots.values())).cause if boots else ""
    for test in waiting:
        reason = f"never ran: {last or 'the guest ended before it'}"
        results[test.suite] = [_missing(test, arm, attempt, reason)]
    ordered = tuple(result for test in tests for result in results[test.suite])
    return Round(arm, attempt, ordered, tuple(splats), tuple(problems), boots)


def _read(path: Path) -> str:
    """Return a log's text; a log that is not there is an empty one."""
    try:
        # No newline translation: a carriage return is part of what was said.
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
