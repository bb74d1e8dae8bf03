"""The flat view that JUnit and TAP share: each result, check and splat in one list.

JUnit and TAP know passed, failed and skipped.  A failure that the judge
excuses (expected on the base, flaky, the same on both kernels) must not turn a
CI red, and must not look like a pass either: it is `excused`.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.lanes import figure_accel
from harness.results.model import Results, Status, TestResult
from harness.results.summary import GOOD, Case, cases_of, figures_of
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
    items = (*_tests(results), *_targets(results), *_splats(results), *_skips(results))
    if results.tests or results.benchmarks:
        return items
    return (Item("run", "results", "fail", "missing", "no test and no benchmark gave one"), *items)


def _tests(results: Results) -> list[Item]:
    cases = {(case.suite, case.name): case for case in cases_of(results)}
    grouped: dict[str, list[Item]] = {}
    for result in results.tests:
        item = _test(result, cases[(result.suite, result.name)])
        grouped.setdefault(item.group, []).append(item)
    return [item for items in grouped.values() for item in items]


def _test(result: TestResult, case: Case) -> Item:
    name = result.name if result.attempt <= 1 else f"{result.name} (attempt {result.attempt})"
    outcome = _outcome(result, case)
    text = one_line(result.reason)
    kind = str(result.status)
    if outcome in {"fail", "error", "excused"}:
        text = text or f"{result.status}, expected {result.expected}"
    if outcome == "fail":
        kind = case.verdict
    elif outcome == "excused":
        kind = "flaky" if case.verdict == "flaky" else "xfail"
    return Item(f"{result.suite} [{result.arm}]", name, outcome, kind, text, result.seconds)


def _outcome(result: TestResult, case: Case) -> str:
    # The verdict is the case's: blame the attempts that show it, so that a
    # regression is red on the patched kernel and not on the base that passed.
    # Where all that carry it ended well (a pass on the base), that is the fault.
    bad = result.status not in GOOD
    if case.failed and result.verdict == case.verdict:
        carriers = [r for r in case.results if r.verdict == case.verdict]
        if bad or all(r.status in GOOD for r in carriers):
            return "error" if bad and result.status is not Status.FAIL else "fail"
    if bad or result.status is Status.XFAIL:
        return "excused"
    return "skip" if result.status is Status.SKIP else "pass"


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
