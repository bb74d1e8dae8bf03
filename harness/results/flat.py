"""The flat view that JUnit and TAP share: each result, check and splat in one list.

JUnit and TAP know passed, failed and skipped.  A failure that the judge
excuses (expected on the base, flaky, the same on both kernels) must not turn a
CI red, and must not look like a pass either: it is `excused`.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.lanes import figure_accel
from harness.results.model import Results, Status, TestResult
from harness.results.summary import GOOD, cases_of, figures_of
from harness.results.text import interval, one_line


@dataclass(frozen=True)
class Item:
    """One line of a flat report.

    outcome: pass, fail, error (no proper end: crash, timeout, missing), skip,
    excused; kind: the judge's word or the status; text: reason or detail.
    """

    group: str
    name: str
    outcome: str
    kind: str
    text: str
    seconds: float = 0.0


def items_of(results: Results) -> tuple[Item, ...]:
    """Return everything that passed, failed or was skipped, grouped, in order."""
    return (*_tests(results), *_targets(results), *_splats(results), *_skips(results))


def _tests(results: Results) -> list[Item]:
    verdicts = {(case.suite, case.name): case for case in cases_of(results)}
    grouped: dict[str, list[Item]] = {}
    for result in results.tests:
        case = verdicts[(result.suite, result.name)]
        item = _test(result, fails=case.failed, verdict=case.verdict)
        grouped.setdefault(item.group, []).append(item)
    return [item for items in grouped.values() for item in items]


def _test(result: TestResult, *, fails: bool, verdict: str) -> Item:
    name = result.name if result.attempt <= 1 else f"{result.name} (attempt {result.attempt})"
    group = f"{result.suite} [{result.arm}]"
    reason = one_line(result.reason)
    # The verdict is the case's: blame the attempt that shows it, so that a
    # regression is red on the patched kernel and not on the base that passed.
    own = fails and result.verdict == verdict
    if own and verdict == "unexpected-pass":
        outcome = "fail"
    elif result.status is Status.SKIP:
        outcome = "fail" if own else "skip"
    elif result.status in GOOD:
        outcome = "excused" if result.status is Status.XFAIL else "pass"
    elif own:
        outcome = "fail" if result.status is Status.FAIL else "error"
    else:
        outcome = "excused"
    if outcome in {"fail", "error"}:
        kind = verdict if result.status in {*GOOD, Status.FAIL} else str(result.status)
        reason = reason or f"{result.status}, expected {result.expected}"
    elif outcome == "excused":
        kind = verdict if verdict == "flaky" else "xfail"
        reason = reason or f"{result.status}, expected {result.expected}"
    else:
        kind = str(result.status)
    return Item(group, name, outcome, kind, reason, result.seconds)


def _targets(results: Results) -> list[Item]:
    found = []
    for figure in figures_of(results):
        for row in figure.rows:
            if row.target_met is None:
                continue
            where = "" if row.x is None else f" {row.x_label or 'x'}={row.x:g}"
            name = f"{row.feature} {row.name}: {row.metric} {row.statistic} {row.arm}{where}"
            accel = figure_accel(results.run, row.lane)
            value = f"{interval(row.value, row.low, row.high)} {row.unit}"
            text = f"{value} in lane {row.lane} ({accel}), target {row.target}"
            outcome = "pass" if row.target_met else "fail"
            found.append(Item("targets", one_line(name), outcome, "target", one_line(text)))
    return found


def _splats(results: Results) -> list[Item]:
    found = []
    for splat in results.splats:
        name = one_line(f"{splat.arm} {splat.boot}: {splat.kind}")
        text = f"{splat.title} (allowed: {splat.allowed})" if splat.allowed else splat.title
        outcome = "excused" if splat.allowed else "fail"
        found.append(Item("kernel log", name, outcome, "splat", one_line(text)))
    return found


def _skips(results: Results) -> list[Item]:
    return [
        Item("not done", one_line(skip.what), "skip", "skip", one_line(skip.reason))
        for skip in results.skips
    ]
