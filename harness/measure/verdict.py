"""What a command's end means: usable output, a skip, or a failure with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.guest.job import BootResult, CommandResult, Fate, Lane
from harness.measure.planner import SETUP_FAILED, SKIP
from harness.measure.protocol import Output, parse_output
from harness.results.model import Benchmark, Status, TestResult


@dataclass(frozen=True)
class Failure:
    """A run without usable figures.  case: `feature.case`, or `calibrate`."""

    case: str
    lane: str
    arm: str
    boot: str
    status: Status
    reason: str


def read_command(
    result: CommandResult | None, boot: BootResult, name: str
) -> tuple[Output, Status, str]:
    """Return a command's output, whether it can be used (PASS), and why not.

    A skip counts as PASS, with output.skip set.
    """
    nothing = Output(())
    if boot.topology_errors:
        return nothing, Status.FAIL, f"not the asked machine: {'; '.join(boot.topology_errors)}"
    if result is None or result.status is None:
        return nothing, *_lost(boot, name)
    if result.timed_out:
        return nothing, Status.TIMEOUT, f"over its limit after {result.seconds:.0f} guest seconds"
    text = result.log.read_text(encoding="utf-8", errors="replace") if result.log.exists() else ""
    output = parse_output(text)
    problem = _problem(result.status, output, text)
    return output, Status.FAIL if problem else Status.PASS, problem


def _lost(boot: BootResult, name: str) -> tuple[Status, str]:
    """Return status and reason of a command that never ended."""
    if boot.fate is Fate.OK:
        return Status.MISSING, "the guest has no result of this command"
    if boot.running in {"", name}:
        return Status.CRASH if boot.fate is Fate.DIED else Status.TIMEOUT, boot.cause
    return Status.MISSING, f"not reached: {boot.cause}"


def _problem(status: int, output: Output, text: str) -> str:
    """Return why a finished command's output cannot be used, or nothing."""
    if output.skip:
        return "" if status == SKIP else f"a skip line, but status {status}: {output.skip}"
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "nothing printed")
    if status == SETUP_FAILED:
        return f"a setup command failed: {last}"
    return output.problem if status == 0 else f"status {status}, last line: {last}"


def test_results(
    planned: Iterable[tuple[str, str, Lane, str]],
    skipped: Mapping[tuple[str, str, str, str], str],
    failures: Sequence[Failure],
    benchmarks: Sequence[Benchmark],
) -> tuple[TestResult, ...]:
    """Return one result per (feature, case, lane, arm) of planned, and one per target."""
    tests = []
    for feature, case, lane, arm in planned:
        name = f"{case} ({lane})"
        failed = [
            failure
            for failure in failures
            if (failure.case, failure.lane, failure.arm) == (f"{feature}.{case}", lane, arm)
        ]
        reason = skipped.get((feature, case, str(lane), arm), "")
        status = Status.SKIP if reason else Status.PASS
        if failed:
            status = failed[0].status
            reason = "; ".join(f"{failure.boot}: {failure.reason}" for failure in failed)
        verdict = "failed" if failed else "ok"
        tests.append(
            TestResult(f"bench/{feature}", name, arm, 1, status, verdict=verdict, reason=reason)
        )
    for failure in failures:
        if failure.case == "calibrate":
            tests.append(
                TestResult(
                    "bench/calibrate",
                    f"{failure.lane} {failure.boot}".strip(),
                    failure.arm,
                    1,
                    failure.status,
                    verdict="failed",
                    reason=failure.reason,
                )
            )
    for item in benchmarks:
        if item.target_met is None:
            continue
        where = "" if item.x is None else f" at {item.x:g}"
        tests.append(
            TestResult(
                f"bench/{item.feature}",
                f"{item.name} ({item.lane}): {item.target}{where}",
                item.arm,
                1,
                Status.PASS if item.target_met else Status.FAIL,
                verdict="ok" if item.target_met else "failed",
                reason="" if item.target_met else f"{item.value:.6g} {item.unit}",
            )
        )
    return tuple(tests)
