"""Judge results against the base, without luck.  Pure.

Upstream's tests: the base runs twice, the patched kernel once.  A case on which
both base runs agree and that got worse on the patched kernel runs again, three
times on each, alternating.  It is a regression when patched is worse all three
times and the base never is; anything less is flaky and listed with all its
results.  So is a case on which the base runs disagree: where a coin is tossed,
three and three agree by chance in too many runs.

Our own tests say what they must do on the base.  A pass where the base must
fail is a failure: such a test tests nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.errors import Exit, worst
from harness.kselftest.areas import Expect
from harness.kselftest.known import KnownFlaky
from harness.kselftest.ktap_lines import PROGRAM_CASE, is_whole
from harness.kselftest.plan import PlannedTest
from harness.results.model import Results, Status, TestResult

BASE, PATCHED = "base", "patched"
GUESTS = "guests"  # the suite of boots that went wrong as a whole
RERUNS = 3
FAILING = frozenset({"regression", "unexpected-pass", "failed"})

# How bad an outcome is: within a class there is no difference to judge.
_RANK = {
    Status.PASS: 0,
    Status.XFAIL: 0,
    Status.SKIP: 1,
    Status.FAIL: 2,
    Status.TIMEOUT: 3,
    Status.MISSING: 3,
    Status.CRASH: 4,
}

Key = tuple[str, str]  # suite, case
Run = tuple[str, int]  # arm, attempt


@dataclass(frozen=True)
class Judgement:
    """All results with their verdicts, and the exit code they lead to."""

    results: tuple[TestResult, ...]
    code: Exit

    @property
    def failing(self) -> tuple[TestResult, ...]:
        """Return the results that fail the run."""
        return tuple(result for result in self.results if result.verdict in FAILING)


def schedule(repeat: int = 1) -> tuple[Run, ...]:
    """Return the first rounds: the base twice at least, patched `repeat` times."""
    rounds: list[Run] = [(BASE, 1)]
    for turn in range(1, repeat + 1):
        rounds += [(PATCHED, turn), (BASE, turn + 1)]
    return tuple(rounds)


def rerun_schedule(results: Sequence[TestResult]) -> tuple[Run, ...]:
    """Return the rounds that decide: three of each, alternating."""
    last = {
        arm: max((r.attempt for r in results if r.arm == arm), default=0) for arm in (BASE, PATCHED)
    }
    return tuple(
        (arm, last[arm] + turn) for turn in range(1, RERUNS + 1) for arm in (BASE, PATCHED)
    )


def complete(results: Sequence[TestResult]) -> tuple[TestResult, ...]:
    """Add what did not come: a case seen in another run of the same suite.

    It is MISSING, or SKIP where the whole program skipped.  Cases that stand
    for a defect of the program are left alone: their absence is good.
    """
    names: dict[str, dict[str, None]] = {}
    runs: dict[tuple[str, str, int], dict[str, TestResult]] = {}
    for result in results:
        names.setdefault(result.suite, {})[result.name] = None
        runs.setdefault((result.suite, result.arm, result.attempt), {})[result.name] = result
    added = []
    for (suite, arm, attempt), seen in runs.items():
        whole = seen.get(PROGRAM_CASE)
        skipped = whole is not None and whole.status is Status.SKIP
        for name in names[suite]:
            if name in seen or is_whole(name):
                continue
            added.append(
                TestResult(
                    suite=suite,
                    name=name,
                    arm=arm,
                    attempt=attempt,
                    status=Status.SKIP if skipped else Status.MISSING,
                    reason=whole.reason if whole and skipped else "no result in this run",
                )
            )
    return (*results, *added)


def _statuses(
    results: Sequence[TestResult],
) -> tuple[dict[Key, dict[Run, Status]], dict[str, list[Run]]]:
    """Return the statuses by case and run, and the runs that each suite had."""
    table: dict[Key, dict[Run, Status]] = {}
    runs: dict[str, list[Run]] = {}
    for result in results:
        run = (result.arm, result.attempt)
        table.setdefault((result.suite, result.name), {})[run] = result.status
        if run not in runs.setdefault(result.suite, []):
            runs[result.suite].append(run)
    for (suite, name), row in table.items():
        if is_whole(name):
            for run in runs[suite]:
                row.setdefault(run, Status.PASS)
    return table, runs


def _ranks(row: Mapping[Run, Status], arm: str, attempts: Sequence[int]) -> list[int]:
    return [_RANK[row[(arm, n)]] for n in attempts if (arm, n) in row]


def _attempts(row: Mapping[Run, Status], arm: str) -> list[int]:
    return sorted(n for a, n in row if a == arm)


def _first(row: Mapping[Run, Status], repeat: int) -> tuple[list[int], list[int]]:
    """Return the ranks of the first rounds, base and patched."""
    plan = schedule(repeat)
    base = [n for arm, n in plan if arm == BASE]
    patched = [n for arm, n in plan if arm == PATCHED]
    return _ranks(row, BASE, base), _ranks(row, PATCHED, patched)


def need_rerun(
    planned: Sequence[PlannedTest], results: Sequence[TestResult], repeat: int = 1
) -> tuple[str, ...]:
    """Return the upstream suites with a stable case that got worse on the patched kernel."""
    own = {test.suite for test in planned if test.own}
    table, _ = _statuses(complete(results))
    suites: dict[str, None] = {}
    for (suite, _name), row in table.items():
        base, patched = _first(row, repeat)
        if suite not in own and patched and len(set(base)) == 1 and max(patched) > base[0]:
            suites[suite] = None
    return tuple(suites)


def _upstream_verdict(
    row: Mapping[Run, Status], repeat: int, known: KnownFlaky | None
) -> tuple[str, str]:
    """Return (verdict, reason) of one case of an upstream suite."""
    base, patched = _first(row, repeat)
    everything = _history(row)
    if not base or not patched:
        # One arm alone: nothing to compare with, so only the pass counts.
        alone = max(base or patched, default=3) < 2
        return ("ok", "") if alone else ("failed", f"no other arm: {everything}")
    stable = len(set(base)) == 1
    if not stable:
        return "flaky", everything
    if max(patched) > base[0]:
        return _worse_verdict(row, repeat, known)
    return ("fixed", everything) if max(patched) < base[0] else ("ok", "")


def _worse_verdict(
    row: Mapping[Run, Status], repeat: int, known: KnownFlaky | None
) -> tuple[str, str]:
    """Return (verdict, reason) of a stable case that got worse on the patched kernel."""
    base, patched = _first(row, repeat)
    base_again = _ranks(row, BASE, _attempts(row, BASE)[len(base) :])
    patched_again = _ranks(row, PATCHED, _attempts(row, PATCHED)[len(patched) :])
    reason = _history(row)
    if known is not None:
        lost = min(patched + patched_again) > base[0]
        reason += f"; known as flaky: {known.reason} ({known.owner})"
    elif len(base_again) < RERUNS or len(patched_again) < RERUNS:
        # Not repeated, for instance because guests died: the worse stands.
        lost = min(patched) > base[0]
        reason += "; not repeated"
    else:
        lost = min(patched_again) > base[0] and max(base_again) <= base[0]
    return "regression" if lost else "flaky", reason


def _history(row: Mapping[Run, Status]) -> str:
    """Return all results of a case: `base pass pass, patched fail`."""
    parts = []
    for arm in (BASE, PATCHED):
        words = [row[(arm, n)].value for n in _attempts(row, arm)]
        if words:
            parts.append(f"{arm} {' '.join(words)}")
    return ", ".join(parts)


def _own_verdict(result: TestResult, expect: Expect, real_failure: bool) -> tuple[str, str]:
    """Return (verdict, reason) of one result of our own tests."""
    status, whole = result.status, is_whole(result.name) and result.name != PROGRAM_CASE
    good = _RANK[status] == 0
    if result.arm != BASE:
        if status is Status.SKIP and expect.base != "pass":
            return "failed", f"skipped where it must show something: {result.reason}"
        return ("ok", result.reason) if _RANK[status] < 2 else ("failed", result.reason)
    if expect.base == "pass":
        return ("ok", result.reason) if _RANK[status] < 2 else ("failed", result.reason)
    if good and not whole:
        reason = f"passes on the base, where it must {expect.base}: it tests nothing"
        return "unexpected-pass", reason
    if expect.base == "skip":
        ok = status is Status.SKIP
    else:
        # What comes after the failing case may be missing, but only then.
        ok = status is Status.FAIL or (status is Status.MISSING and real_failure)
    if ok:
        return "ok", result.reason or expect.reason
    return "failed", f"must {expect.base} on the base, but: {status.value} {result.reason}".rstrip()


def judge(
    planned: Sequence[PlannedTest],
    results: Sequence[TestResult],
    known: Sequence[KnownFlaky] = (),
    *,
    repeat: int = 1,
) -> Judgement:
    """Return all results with what was expected and the verdict on each.

    planned: the tests that the results are of; results: all attempts of both
    arms, as the runner made them; repeat: the rounds that were asked for.
    """
    tests = {test.suite: test for test in planned}
    table, _ = _statuses(complete(results))
    judged = []
    for result in complete(results):
        test = tests.get(result.suite)
        row = table[(result.suite, result.name)]
        entry = next((k for k in known if k.covers(result.suite, result.name)), None)
        expect = test.expect(result.name) if test is not None and test.own else None
        if expect is not None:
            failed = any(
                status is Status.FAIL
                for (suite, name), other in table.items()
                if suite == result.suite and not is_whole(name)
                for (arm, n), status in other.items()
                if (arm, n) == (result.arm, result.attempt)
            )
            verdict, reason = _own_verdict(result, expect, failed)
            if entry is not None and verdict == "failed" and _passed_once(row, PATCHED):
                verdict = "flaky"
            expected = expect.base if result.arm == BASE else "pass"
        else:
            verdict, reason = _upstream_verdict(row, repeat, entry)
            reason = "; ".join(part for part in (result.reason, reason) if part)
            expected = "as-base"
            if verdict in {"regression", "failed"} and result.arm == BASE:
                verdict = "ok" if verdict == "regression" else verdict
        judged.append(replace(result, expected=expected, verdict=verdict, reason=reason))
    return Judgement(tuple(judged), worst(code_of(result) for result in judged))


def _passed_once(row: Mapping[Run, Status], arm: str) -> bool:
    return any(_RANK[status] == 0 for (a, _), status in row.items() if a == arm)


def code_of(result: TestResult) -> Exit:
    """Return what one result does to the exit status."""
    if result.verdict not in FAILING:
        return Exit.OK
    return {Status.CRASH: Exit.DIED, Status.TIMEOUT: Exit.HANG}.get(result.status, Exit.TEST)


def rerun_failed(stored: Results) -> tuple[str, ...]:
    """Return the patterns that select what failed or was flaky in a stored run."""
    suites: dict[str, None] = {}
    for result in stored.tests:
        if result.suite != GUESTS and (result.verdict in FAILING or result.verdict == "flaky"):
            suites[result.suite] = None
    return tuple(suites)
