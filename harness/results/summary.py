"""What a run says: cases across both kernels, suites, figures, and the verdict.

Pure: from Results alone.  Tables, the HTML report and comparisons share it, so
that they cannot disagree about what failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.core.errors import Exit, worst
from harness.results.model import Benchmark, Results, SplatRecord, Status, TestResult
from harness.results.text import overlap, plural, relation

BASE = "base"
PATCHED = "patched"
MIXED = "mixed"  # attempts of one kernel disagree
ALIKE = "failing on both"
GONE = "-"  # no result on this kernel

GOOD = frozenset({Status.PASS, Status.XFAIL, Status.SKIP})
# Worst first.  A verdict that is not listed counts as a failure.
_VERDICTS = ("regression", "failed", "unexpected-pass", "flaky", "fixed", "ok")
_HARMLESS = frozenset({"ok", "fixed", "flaky"})


@dataclass(frozen=True)
class Case:
    """One case on both kernels; attempts are in order."""

    suite: str
    name: str
    base: tuple[TestResult, ...]
    patched: tuple[TestResult, ...]

    @property
    def results(self) -> tuple[TestResult, ...]:
        """All attempts, base first."""
        return self.base + self.patched

    @property
    def verdict(self) -> str:
        """The worst verdict that the judge gave to an attempt."""
        given = {result.verdict for result in self.results}
        strange = sorted(given - set(_VERDICTS))
        return strange[0] if strange else min(given, key=_VERDICTS.index)

    @property
    def failed(self) -> bool:
        """Whether this case fails the run."""
        return self.verdict not in _HARMLESS

    @property
    def base_state(self) -> str:
        """The status on the base, `mixed`, or `-`."""
        return state(self.base)

    @property
    def patched_state(self) -> str:
        """The status on the patched kernel, `mixed`, or `-`."""
        return state(self.patched)

    @property
    def one_sided(self) -> bool:
        """Whether it ran on one kernel only."""
        return not self.base or not self.patched

    @property
    def change(self) -> str:
        """What differs between the kernels, in words for a table."""
        if self.verdict not in {"ok", "fixed"}:
            return self.verdict
        if self.one_sided:
            return "only base" if self.base else "only patched"
        if self.base_state == self.patched_state:
            return "same" if self.base_state in GOOD else ALIKE
        if self.patched_state == Status.PASS:
            return "now passing"
        return "changed"

    @property
    def notable(self) -> bool:
        """Whether a reader should see it without unfolding anything."""
        states = {self.base_state, self.patched_state}
        bad = any(r.status not in GOOD for r in self.results)
        return self.verdict != "ok" or bad or (not self.one_sided and len(states) > 1)

    @property
    def rank(self) -> int:
        """Where it stands in a list: what fails the run first, gains last."""
        if self.failed:
            return 0
        order = ("flaky", "changed", ALIKE)
        return 1 + order.index(self.change) if self.change in order else 9

    @property
    def reason(self) -> str:
        """The reasons given, patched kernel first, each once."""
        given = [result.reason for result in self.patched + self.base if result.reason]
        return "; ".join(dict.fromkeys(given))

    @property
    def seconds(self) -> float:
        """Guest seconds over all attempts."""
        return sum(result.seconds for result in self.results)


@dataclass(frozen=True)
class Suite:
    """One test program (or own area) and its cases in the order they ran."""

    name: str
    cases: tuple[Case, ...]

    def counts(self, arm: str) -> dict[str, int]:
        """Return how many cases have each state on this arm, `-` left out."""
        found: dict[str, int] = {}
        for case in self.cases:
            key = case.base_state if arm == BASE else case.patched_state
            if key != GONE:
                found[key] = found.get(key, 0) + 1
        order = [*Status, MIXED]
        return {str(key): found[key] for key in order if key in found}

    @property
    def changes(self) -> dict[str, int]:
        """How many cases have each kind of change, `same` left out."""
        found: dict[str, int] = {}
        for case in self.cases:
            if case.change != "same":
                found[case.change] = found.get(case.change, 0) + 1
        return found

    @property
    def failed(self) -> bool:
        """Whether a case of it fails the run."""
        return any(case.failed for case in self.cases)


@dataclass(frozen=True)
class Figure:
    """What one plot shows: one metric of one benchmark in one lane, all arms."""

    feature: str
    name: str
    lane: str
    metric: str
    unit: str
    better: str
    rows: tuple[Benchmark, ...]

    @property
    def sweep(self) -> bool:
        """Whether the rows lie along an x axis."""
        return any(row.x is not None for row in self.rows)

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms: base, patched, then rivals as the plan lists them."""
        order = {"base": 0, "patched": 1}
        rows = sorted(self.rows, key=lambda row: order.get(row.role, 2))
        return tuple(dict.fromkeys(row.arm for row in rows))

    def base_of(self, row: Benchmark) -> Benchmark | None:
        """Return the base's figure that row is measured against."""
        for other in self.rows:
            if other.role == "base" and (other.statistic, other.x) == (row.statistic, row.x):
                return None if other is row else other
        return None

    def against_base(self, row: Benchmark) -> tuple[str, str]:
        """Return words and class of row against the base.

        The class is better, worse, or even (the intervals meet); empty for
        the base itself and where there is no base.
        """
        base = self.base_of(row)
        if base is None:
            return "", ""
        words = relation(row.value, base.value)
        if overlap((row.low, row.high), (base.low, base.high)):
            apart = "" if words == "the same" else ", intervals meet"
            return f"{words}{apart}", "even"
        lower = row.value < base.value
        return words, "better" if lower == (self.better == "lower") else "worse"

    @property
    def targets(self) -> tuple[tuple[str, bool], ...]:
        """The plan's sentences with whether each was met, each once; False wins."""
        found: dict[str, bool] = {}
        for row in self.rows:
            if row.target and row.target_met is not None:
                found[row.target] = found.get(row.target, True) and row.target_met
        return tuple(found.items())


@dataclass(frozen=True)
class Verdict:
    """The run in one line: the exit code it stands for, and why."""

    code: Exit
    points: tuple[str, ...]  # what speaks against it; empty when it passed
    facts: tuple[str, ...]  # what was done

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return self.code == Exit.OK

    @property
    def line(self) -> str:
        """The sentence for a person."""
        word = "PASS" if self.passed else "FAIL"
        return f"{word}: {', '.join(self.points or self.facts)}"


def state(results: Iterable[TestResult]) -> str:
    """Return the status that all attempts share, `mixed`, or `-` for none."""
    seen = {result.status for result in results}
    if not seen:
        return GONE
    return str(seen.pop()) if len(seen) == 1 else MIXED


def cases_of(results: Results) -> tuple[Case, ...]:
    """Return the cases in the order of their first result."""
    found: dict[tuple[str, str], list[TestResult]] = {}
    for result in results.tests:
        found.setdefault((result.suite, result.name), []).append(result)
    return tuple(
        Case(
            suite,
            name,
            tuple(sorted((r for r in items if r.arm == BASE), key=lambda r: r.attempt)),
            tuple(sorted((r for r in items if r.arm != BASE), key=lambda r: r.attempt)),
        )
        for (suite, name), items in found.items()
    )


def suites_of(results: Results) -> tuple[Suite, ...]:
    """Return the suites in the order of their first result."""
    found: dict[str, list[Case]] = {}
    for case in cases_of(results):
        found.setdefault(case.suite, []).append(case)
    return tuple(Suite(name, tuple(cases)) for name, cases in found.items())


def notable_cases(results: Results) -> tuple[Case, ...]:
    """Return the cases that failed or changed, the worst first."""
    return tuple(sorted((c for c in cases_of(results) if c.notable), key=lambda c: c.rank))


def figures_of(results: Results) -> tuple[Figure, ...]:
    """Return the benchmarks grouped into figures, in plan order."""
    found: dict[tuple[str, str, str, str, str, str], list[Benchmark]] = {}
    for item in results.benchmarks:
        key = (item.feature, item.name, item.lane, item.metric, item.unit, item.better)
        found.setdefault(key, []).append(item)
    return tuple(Figure(*key, tuple(rows)) for key, rows in found.items())


def bad_splats(results: Results) -> tuple[SplatRecord, ...]:
    """Return the kernel complaints that no allowlist entry covers."""
    return tuple(splat for splat in results.splats if not splat.allowed)


def verdict_of(results: Results) -> Verdict:
    """Return what the run came to."""
    cases = cases_of(results)
    failing = [case for case in cases if case.failed]
    splats = bad_splats(results)
    targets = [target for figure in figures_of(results) for target in figure.targets]
    missed = sum(1 for _, met in targets if not met)
    points, codes = [], []
    for name, one, many in (
        ("regression", "regression", "regressions"),
        ("failed", "failed case", "failed cases"),
        ("unexpected-pass", "case that passes on the base", "cases that pass on the base"),
    ):
        count = sum(1 for case in failing if case.verdict == name)
        if count:
            points.append(plural(count, one, many))
    strange = sum(1 for case in failing if case.verdict not in _VERDICTS)
    if strange:
        points.append(plural(strange, "case with an unknown verdict", "with unknown verdicts"))
    for case in failing:
        ends = {result.status for result in case.patched or case.base}
        codes.append(
            Exit.DIED
            if Status.CRASH in ends
            else Exit.HANG
            if Status.TIMEOUT in ends
            else Exit.TEST
        )
    if splats:
        points.append(plural(len(splats), "kernel complaint"))
        codes.append(Exit.SPLAT)
    if missed:
        points.append(f"{missed} of {plural(len(targets), 'target')} missed")
        codes.append(Exit.TEST)
    if not results.tests and not results.benchmarks:
        # No result is a failure, not a pass.
        points.append("no test and no benchmark gave a result")
        codes.append(Exit.TEST)
    return Verdict(worst(codes), tuple(points), _facts(results, cases, targets))


def _facts(
    results: Results, cases: tuple[Case, ...], targets: list[tuple[str, bool]]
) -> tuple[str, ...]:
    facts = []
    if cases:
        facts.append(f"{plural(len(cases), 'case')}, no regression")
        flaky = sum(1 for case in cases if case.verdict == "flaky")
        if flaky:
            facts.append(f"{flaky} flaky")
    if results.benchmarks:
        facts.append(plural(len(figures_of(results)), "benchmark"))
    if targets:
        facts.append(f"{plural(len(targets), 'target')} met")
    facts.append("kernel log clean" if not results.splats else "only allowed kernel complaints")
    return tuple(facts)
