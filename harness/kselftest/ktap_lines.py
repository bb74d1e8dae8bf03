"""The lines of (K)TAP: what each says, and the data that reading yields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.results.model import Status

# Cases that stand for the program as a whole rather than for one of its tests.
PLAN_CASE = "(plan)"  # fewer or more results than planned, or no plan
END_CASE = "(end)"  # cut off, bailed out, or ended with a status of its own
PROGRAM_CASE = "(program)"  # a program without cases, judged by its exit status
WHOLE_CASES = frozenset({PLAN_CASE, END_CASE, PROGRAM_CASE})

KSFT_SKIP = 4

BAD = frozenset({Status.FAIL, Status.TIMEOUT, Status.CRASH, Status.MISSING})


def is_whole(name: str) -> bool:
    """Whether a case stands for a defect of a program and not for a test."""
    return name.rpartition(" / ")[2].partition(" #")[0] in WHOLE_CASES


ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])")
_STAMP = re.compile(r"(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?")
LINE = re.compile(
    r"""^(?P<prefix>(?:\#\ |\ \ |\t)*)
    (?:(?P<version>K?TAP\ version\ \d+)\s*$
    |1\.\.(?P<plan>\d{1,9})(?!\S)\s*(?:\#\s*(?P<why>.*))?
    |(?P<result>not\ ok|ok)(?=\s|$)(?:\s+(?P<number>\d{1,9})(?=\s|$))?\s*(?P<rest>.*)
    |Bail\ out!\s*(?P<bail>.*))$""",
    re.VERBOSE,
)
_DIRECTIVE = re.compile(
    r"(?:^|\s)#\s*(SKIP|XFAIL|XPASS|TODO|TIMEOUT|ERROR|UNRESOLVED)\b:?\s*(.*)$", re.IGNORECASE
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{5,}\b")
_PID = re.compile(r"\b(pid|tid)([ =:]+)\d+\b", re.IGNORECASE)
# How kselftest_harness.h and old runners say it, in a line of its own.
TIMED_OUT = re.compile(r"(: Test terminated by timeout|^[# \t]*TIMEOUT)$")
TOTALS = re.compile(
    r"^# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:(\d+) skip:(\d+) error:(\d+)\s*$"
)


@dataclass(frozen=True)
class KtapCase:
    """One result.

    name: of the case, with the names of the tests around it in front
    ("selftests: mm: cow / anon"); number: as printed, None where there was
    none; reason: the directive's or result's remark; diagnostics: the lines
    that came before it and belong to it; line: 1-based line in the text.
    """

    name: str
    status: Status
    number: int | None
    reason: str
    diagnostics: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class KtapResult:
    """What a program's output says.

    cases: leaves in order, and tests around them that failed by themselves;
    for each defect of the whole a case named as in WHOLE_CASES; status: of
    all of it; reason: why it is not a pass; notes: oddities that do not
    count; is_ktap: whether there was a version, plan or result line at all.
    """

    cases: tuple[KtapCase, ...]
    status: Status
    reason: str
    notes: tuple[str, ...]
    is_ktap: bool

    def count(self, status: Status) -> int:
        """Return how many cases have this status."""
        return sum(case.status is status for case in self.cases)


def clean_name(name: str) -> str:
    """Return a case's name without what differs from run to run.

    Only addresses and process ids are replaced: other numbers in names
    (sizes, flags) tell cases apart.
    """
    name = _ADDRESS.sub("0x..", name.strip().removeprefix("- ").strip())
    return _PID.sub(r"\1\2N", name)


def clean_lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield (line number, text, complete) without colours and kernel stamps."""
    lines = text.split("\n")
    for index, raw in enumerate(lines):
        last = index == len(lines) - 1
        if last and not raw:
            return
        line = ANSI.sub("", raw).rstrip("\r").split("\r")[-1]
        stamp = _STAMP.match(line)
        if stamp:
            line = line[stamp.end() :]  # KUnit speaks through printk
            if not LINE.match(line):
                line = f"kernel: {line}"
        else:
            glued = _STAMP.search(line)
            if glued:
                line = line[: glued.start()].rstrip()
        yield index + 1, line, not last


def read_result(ok: bool, rest: str) -> tuple[str, Status, str]:
    """Return (name, status, reason) of a result line's text."""
    status = Status.PASS if ok else Status.FAIL
    match = _DIRECTIVE.search(rest)
    if match is None:
        name, hash_, reason = rest.partition(" #")
        if rest.startswith("#"):
            name, hash_, reason = "", "#", rest[1:]
        return clean_name(name), status, reason.strip() if hash_ else ""
    name, word, reason = clean_name(rest[: match.start()]), match[1].upper(), match[2].strip()
    if word == "SKIP":
        status = Status.SKIP
    elif word == "XFAIL" or (word == "TODO" and not ok):
        status = Status.XFAIL
    elif word == "TIMEOUT":
        status = Status.TIMEOUT
    elif word in {"XPASS", "ERROR", "UNRESOLVED"}:
        # XPASS counts as a failure in ksft_finished() too.
        status = Status.FAIL
        reason = f"{word}: {reason}".rstrip(": ")
    if not name and reason:
        # ksft_test_result_skip("%s\n", name) prints "ok 3 # SKIP name".
        text = match[2].strip()
        name = clean_name(text.split("\t")[0])
    return name, status, reason or word


def last_words(text: str) -> str:
    """Return the last line with words in it, shortened."""
    lines = [line.strip("# \t\r") for line in ANSI.sub("", text).splitlines()]
    return next((line[:160] for line in reversed(lines) if line), "no output")
