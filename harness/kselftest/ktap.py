"""Read (K)TAP, as kernel tests really print it.

Text in, plain data out; the reader never raises.  What it copes with:

* nesting by indentation (the KTAP specification, KUnit) and by `# ` prefixes
  (run_kselftest.sh, run_vmtests.sh), to any depth, also mixed;
* plans before or after the results, short plans, no plan, `1..0 # SKIP why`;
* SKIP, XFAIL, XPASS, TODO, TIMEOUT, ERROR, also where ksft_test_result_skip()
  puts the directive in front of the name;
* `Bail out!`, CRLF, ANSI colours, kernel lines between or glued to results;
* lines repeated by forked stdio buffers: reported in `notes`, not counted.

Nothing that is cut off may look better than the whole: results are only ever
added while reading on, a last line without a newline is not believed when it
says `ok`, and a level whose plan is not reached is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from harness.kselftest.ktap_lines import (
    ANSI,
    BAD,
    END_CASE,
    KSFT_SKIP,
    LINE,
    PLAN_CASE,
    TIMED_OUT,
    TOTALS,
    KtapCase,
    KtapResult,
    clean_lines,
    clean_name,
    is_whole,
    last_words,
    read_result,
)
from harness.results.model import Status

__all__ = ["KtapCase", "KtapResult", "is_whole", "parse_ktap"]


@dataclass
class _Level:
    """One nesting level: one or more documents with the same prefix."""

    prefix: str
    planned: int | None = None
    version: bool = False
    seen: dict[int, str] = field(default_factory=dict)  # number -> name
    count: int = 0  # results of this document
    expected: int = 1  # the next number
    cases: list[KtapCase] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    diagnostics: list[str] = field(default_factory=list)
    children: list[KtapCase] = field(default_factory=list)
    child_problems: list[str] = field(default_factory=list)
    skipped: str | None = None  # reason of `1..0 # SKIP`
    line: int = 0

    def close_document(self, require_plan: bool) -> None:
        """Hold the results since the last header against their plan."""
        if self.planned is None:
            if require_plan and (self.count or self.version):
                self.problems.append(f"no plan line for {self.count} results")
        elif self.count < self.planned:
            missing = [n for n in range(1, min(self.planned, 9999) + 1) if n not in self.seen]
            self.problems.append(
                f"{self.planned} results were planned, {self.count} came"
                + (f" (missing: {_span(missing)})" if missing else "")
            )
        elif self.count > self.planned:
            self.problems.append(f"{self.planned} results were planned, {self.count} came")
        if self.planned is None and self.seen:
            gaps = [n for n in range(1, min(max(self.seen), 9999)) if n not in self.seen]
            if gaps:
                self.problems.append(f"no result with number {_span(gaps)}")
        self.planned, self.version, self.count, self.expected = None, False, 0, 1
        self.seen = {}


def _span(numbers: list[int]) -> str:
    """Return a few numbers as text: `3`, `2, 5`, `2, 3, 4 and 6 more`."""
    head = ", ".join(str(n) for n in numbers[:3])
    return head + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")


class _Reader:
    """The state while reading: the open levels, outermost first."""

    def __init__(self, require_plan: bool) -> None:
        self.require_plan = require_plan
        self.levels: list[_Level] = []
        self.notes: list[str] = []
        self.bails: list[str] = []
        self.totals: int | None = None
        self.loose: list[str] = []  # diagnostics before the first level
        self.cut = ""

    def feed(self, number: int, line: str, complete: bool) -> None:
        """Read one line."""
        match = LINE.match(line)
        if match is None or not self._believable(match):
            self._diagnostic(line)
            return
        if not complete and match["result"] != "not ok":
            self.cut = f"line {number} is cut off: {line.strip()[:60]!r}"
            return
        level = self._level(match["prefix"], number)
        if match["version"]:
            self._version(level, number)
        elif match["plan"] is not None:
            self._plan(level, int(match["plan"]), match["why"] or "", number)
        elif match["result"]:
            self._result(level, match, number)
        else:
            self.bails.append(match["bail"].strip() or "Bail out!")

    def finish(self) -> list[KtapCase]:
        """Close all levels and return the outermost one's cases."""
        while len(self.levels) > 1:
            self._pop(orphan=True)
        if not self.levels:
            return []
        top = self.levels[0]
        top.close_document(self.require_plan)
        if top.children or top.child_problems:
            self._unfinished(top)
        return top.cases

    def _believable(self, match: re.Match[str]) -> bool:
        """Whether a deeper line is a result and not a remark that looks like one.

        `# ok` inside a diagnostic counts only after a version or plan line of
        that depth, or with the number that must come next there.
        """
        prefix = match["prefix"]
        if not prefix or match["version"] or match["plan"] is not None:
            return True
        if match["result"] is None:
            return "#" in prefix
        if any(level.prefix == prefix for level in self.levels):
            return match["number"] is not None
        return match["number"] == "1"

    def _level(self, prefix: str, number: int) -> _Level:
        while self.levels and len(self.levels[-1].prefix) > len(prefix):
            if len(self.levels) == 1 or len(self.levels[-2].prefix) < len(prefix):
                # A nested test came before any line of the test around it.
                self.levels.insert(-1, _Level(prefix, line=number))
            self._pop(orphan=False)
        if not self.levels or self.levels[-1].prefix != prefix:
            if self.levels and len(self.levels[-1].prefix) == len(prefix):
                return self.levels[-1]  # same depth, other style of prefix
            self.levels.append(_Level(prefix, line=number))
            self.levels[-1].diagnostics, self.loose = self.loose, []
        return self.levels[-1]

    def _pop(self, orphan: bool) -> None:
        """Close the deepest level and hand its cases to the one around it."""
        level = self.levels.pop()
        level.close_document(False)
        if level.children or level.child_problems:
            self._unfinished(level)
        parent = self.levels[-1]
        parent.children += level.cases
        parent.child_problems += level.problems
        if level.skipped is not None and not level.cases:
            parent.diagnostics.append(f"skipped: {level.skipped}")
        if orphan:
            parent.child_problems.append("the test around them has no result line")

    def _unfinished(self, level: _Level) -> None:
        level.cases += [replace(c, name=f"(unfinished) / {c.name}") for c in level.children]
        level.problems += level.child_problems or ["nested results without a result line"]
        level.children, level.child_problems = [], []

    def _diagnostic(self, line: str) -> None:
        if not self.levels:
            if line.strip():
                self.loose.append(line)
            return
        totals = TOTALS.match(line)
        if totals and not self.levels[-1].prefix:
            self.totals = (self.totals or 0) + sum(int(n) for n in totals.groups())
        if line.strip(" #\t"):
            self.levels[-1].diagnostics.append(line)

    def _version(self, level: _Level, number: int) -> None:
        if level.version and not level.count:
            self.notes.append(f"line {number}: the version line is repeated")
            return
        if level.count or level.planned is not None:
            level.close_document(self.require_plan and not level.prefix)
        level.version = True

    def _plan(self, level: _Level, planned: int, why: str, number: int) -> None:
        if level.planned is not None:
            if level.planned == planned:
                self.notes.append(f"line {number}: the plan is repeated")
                return
            if level.count < level.planned:
                level.problems.append(f"two plans: 1..{level.planned} and 1..{planned}")
            level.close_document(False)
        level.planned = planned
        skip = re.match(r"SKIP\b:?\s*(.*)", why, re.IGNORECASE)
        if planned == 0 and skip:
            level.skipped = skip[1].strip() or "no reason given"

    def _result(self, level: _Level, match: re.Match[str], line: int) -> None:
        ok = match["result"] == "ok"
        name, status, reason = read_result(ok, match["rest"])
        diagnostics, level.diagnostics = tuple(level.diagnostics), []
        if status is Status.FAIL and any(TIMED_OUT.search(line) for line in diagnostics):
            status = Status.TIMEOUT
        number = int(match["number"]) if match["number"] else None
        place = number if number is not None else level.expected
        children, level.children = level.children, []
        problems, level.child_problems = level.child_problems, []
        if place in level.seen:
            self.notes.append(f"line {line}: number {place} is repeated ({name or 'no name'})")
            if status not in BAD:
                # What is nested in it counts: a failure there must not be lost.
                level.cases += [replace(c, name=f"{name} / {c.name}") for c in children]
                level.problems += problems
                return  # a forked buffer's second copy
        else:
            level.count += 1
        level.seen.setdefault(place, name)
        level.expected = place + 1
        name = name or f"#{place}"
        if not children and not problems:
            if diagnostics and status is Status.SKIP and clean_name(reason) in {name, "SKIP"}:
                reason = diagnostics[-1].strip("# \t")
            level.cases.append(KtapCase(name, status, number, reason, diagnostics, line))
            return
        level.cases += [replace(child, name=f"{name} / {child.name}") for child in children]
        for problem in problems:
            level.cases.append(
                KtapCase(f"{name} / {PLAN_CASE}", Status.MISSING, None, problem, (), line)
            )
        explained = bool(problems) or any(child.status in BAD for child in children)
        if status is Status.TIMEOUT or (status in BAD and not explained):
            level.cases.append(KtapCase(name, status, number, reason, diagnostics, line))


def _number_twins(cases: Iterable[KtapCase]) -> list[KtapCase]:
    """Tell cases of one name apart by their numbers, which are stable."""
    listed = list(cases)
    total: dict[str, int] = {}
    for case in listed:
        total[case.name] = total.get(case.name, 0) + 1
    used: set[str] = set()
    result = []
    for case in listed:
        name = case.name
        if total[name] > 1:
            name = f"{name} #{case.number}" if case.number is not None else f"{name} #?"
        base, copy = name, 1
        while name in used:
            copy += 1
            name = f"{base} ({copy})"
        used.add(name)
        result.append(replace(case, name=name))
    return result


def parse_ktap(text: str, exit_status: int | None, *, require_plan: bool = True) -> KtapResult:
    """Read a program's output.

    text: stdout and stderr as they came; exit_status: the program's own
    status, None if it never ended by itself; require_plan: False for the few
    programs that are known to print none.  A program without any KTAP is
    judged by its exit status (0 pass, 4 skip), yet never passes when it says
    `not ok`.
    """
    reader = _Reader(require_plan)
    total = 0
    for number, line, complete in clean_lines(text):
        total = number
        reader.feed(number, line, complete)
    cases = reader.finish()
    top = reader.levels[0] if reader.levels else None
    is_ktap = bool(top) or bool(reader.bails)
    problems = list(top.problems) if top else []
    if exit_status == KSFT_SKIP and cases and cases[-1].status is Status.SKIP:
        # ksft_exit_skip() in the middle: one SKIP stands for all that follow.
        reader.notes += problems
        problems = []
    ends = [f"Bail out! {text}" for text in reader.bails] + ([reader.cut] if reader.cut else [])
    counted = len([case for case in cases if " / " not in case.name])
    if reader.totals is not None and reader.totals > counted and not problems:
        problems.append(f"its totals say {reader.totals} results, {counted} were seen")
    bad = [case for case in cases if case.status in BAD]
    if exit_status is None:
        ends.append("the output ends without an exit status")
    elif exit_status not in {0, KSFT_SKIP} and not bad and not problems and not ends and is_ktap:
        ends.append(f"exit status {exit_status} although no case failed")
    if is_ktap and top and not cases and top.skipped is None and exit_status != KSFT_SKIP:
        problems = problems or ["no result at all"]
    extra = [KtapCase(PLAN_CASE, Status.MISSING, None, p, (), total) for p in problems]
    extra += [KtapCase(END_CASE, Status.FAIL, None, e, (), total) for e in ends]
    named = tuple(_number_twins([*cases, *extra]))
    status, reason = _overall(named, top, text, exit_status, is_ktap)
    return KtapResult(named, status, reason, tuple(reader.notes), is_ktap)


def _overall(
    cases: tuple[KtapCase, ...],
    top: _Level | None,
    text: str,
    exit_status: int | None,
    is_ktap: bool,
) -> tuple[Status, str]:
    """Return the status of the whole, and why it is not a pass."""
    for status in (Status.TIMEOUT, Status.FAIL, Status.MISSING):
        hits = [case for case in cases if case.status is status]
        if hits:
            more = f" and {len(hits) - 1} more" if len(hits) > 1 else ""
            what = f": {hits[0].reason}" if hits[0].reason else ""
            return status, f"{hits[0].name}{what}{more}"
    result = Status.PASS, ""
    if top is not None and top.skipped is not None and not cases:
        result = Status.SKIP, top.skipped
    elif not is_ktap and re.search(r"^[\s#]*not ok\b", ANSI.sub("", text), re.MULTILINE):
        result = Status.FAIL, "the output says `not ok`"
    elif exit_status not in {0, KSFT_SKIP}:
        result = Status.FAIL, f"exit status {exit_status}: {last_words(text)}"
    elif exit_status == KSFT_SKIP and not any(case.status is Status.PASS for case in cases):
        result = Status.SKIP, last_words(text)
    elif cases and all(case.status is Status.SKIP for case in cases):
        result = Status.SKIP, cases[0].reason
    return result
