"""Find what a kernel complained about on its console.

Pure: a console's text in, splats out.  Lines carry a time stamp and, with
CONFIG_PRINTK_CALLER, the task or CPU that spoke (`[T123]`, `[C0]`): splats of
several CPUs that are mixed on the console are told apart by it.

Not every OOM kill is a complaint.  A kill inside a memory cgroup that ran
into its own limit is what memcg tests provoke: it is listed with a reason in
`allowed`.  A kill because the whole machine (or a cpuset, or a memory policy)
ran out of memory is a splat like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.guest.allow import AllowEntry
from harness.guest.job import Splat

MEMCG_KILL = "a memory cgroup at its own limit: tests kill on purpose"

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_]|c)")
_STAMP = re.compile(r"(?:<\d+>)?\[ *(\d+\.\d{6})\](?:\[ *([TC]\d+)\])? ?")
_CUT = re.compile(r"^-+\[ cut here \]-+")
_END_TRACE = re.compile(r"^---\[ end trace ")
_RULE = re.compile(r"^(={20,}|-{40,})$")

_LOCKDEP = re.compile(
    r"possible (circular|recursive) locking|possible (irq lock inversion|deadlock)"
    r"|inconsistent lock state|-safe -> \S+-unsafe lock order|suspicious RCU usage"
    r"|bad unlock balance|held lock freed|lock held (at|when)|still has locks held"
    r"|Nested lock was not taken|Invalid wait context|nested and has no holder"
    r"|trying to register non-static key|workqueue leaked|MAX_LOCK\w+ too low"
    r"|DEBUG_LOCKS_WARN_ON"
)

# In the order they are tried: the first that matches names the kind.
_STARTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"^Kernel panic - not syncing\b"),
        ("kasan", r"^BUG: (KASAN|KFENCE|KMSAN): "),
        ("kcsan", r"^BUG: KCSAN: "),
        ("ubsan", r"^UBSAN: "),
        ("atomic-sleep", r"^BUG: (scheduling while atomic|sleeping function called from)\b"),
        ("rcu-stall", r"^(rcu: )?(INFO: )?\w+ (self-)?detected (expedited )?stalls?\b"),
        ("rcu-stall", r"^(rcu: )?\S+ kthread (starved|timer wakeup didn't happen) for \d+ jiffies"),
        ("soft-lockup", r"^(watchdog: )?BUG: (soft lockup|workqueue lockup)\b"),
        ("soft-lockup", r"^(NMI )?watchdog: (BUG: )?.*hard LOCKUP\b"),
        ("hung-task", r"^INFO: task .+ blocked (for more than|in I/O wait for more than) \d+ sec"),
        ("oom-kill", r"^.{1,40} invoked oom-killer: "),
        ("lockdep", r"^(WARNING|INFO|BUG): .*(" + _LOCKDEP.pattern + ")"),
        ("lockdep", r"^WARNING: (\S+-safe -> |inconsistent)"),
        ("lockdep", r"^\[ BUG: (" + _LOCKDEP.pattern + ")"),
        ("oops", r"^BUG: (kernel NULL pointer dereference|unable to handle )"),
        ("oops", r"^BUG: (TASK|IRQ|.*) ?stack guard page was hit"),
        ("oops", r"^(Oops|PANIC|traps: PANIC|Internal error)\b.*:"),
        ("oops", r"^(general protection fault|divide error|invalid opcode|stack segment|int3)\b"),
        ("oops", r"^(double fault|bounds|alignment check|Unable to handle kernel)\b"),
        ("bug", r"^kernel BUG at "),
        ("bug", r"^\[ BUG: "),
        ("bug", r"^BUG[: ]"),
        ("bug", r"^list_(add|del)( \w+)? corruption|^slab: .*corruption"),
        ("bug", r"^unregister_netdevice: waiting for "),
        ("bug", r"^VFS: Busy inodes after unmount"),
        ("bug", r"^kmemleak: \d+ new suspected memory leaks"),
        ("warn", r"^WARNING: "),
        ("warn", r"^refcount_t: "),
    )
)  # fmt: skip

# A later line of the same report that would start one by itself.
_PART_OF: dict[str, re.Pattern[str]] = {
    "oops": re.compile(r"^(Oops\b|general protection fault|double fault|KASAN: )"),
    "kasan": re.compile(r"^(WARNING: suspicious|Memory state around)"),
    "bug": re.compile(r"^(Oops\b|kernel BUG at |invalid opcode)"),
    "ubsan": re.compile(r"^(Oops\b|invalid opcode|kernel BUG at )"),
    "warn": re.compile(r"^refcount_t: "),
    "rcu-stall": re.compile(r"^(rcu: )?(\S+ kthread (starved|timer)|Unless \w+ kthread)"),
    "atomic-sleep": re.compile(r"^INFO: lockdep is turned off"),
    "oom-kill": re.compile(r"^(Out of memory|Memory cgroup out of memory)"),
}
_LAST_LINE: dict[str, re.Pattern[str]] = {
    "oom-kill": re.compile(r"(Killed process \d+|oom_reaper: reaped)"),
    "panic": re.compile(r"^(---\[ end Kernel panic|Rebooting in|Kernel Offset)"),
}
_GAP = 5.0  # seconds of silence of one caller that end its report
_LONGEST = 250  # lines


@dataclass
class _Line:
    number: int  # 1-based
    when: float | None
    caller: str
    text: str


@dataclass
class _Open:
    """A report that is still being read, of one caller."""

    kind: str
    title: str
    number: int
    last: float | None
    lines: list[str]
    rules: int = 0  # "=====" lines seen: KASAN and lockdep frame their reports

    def finish(self) -> Splat:
        text = "\n".join(self.lines).rstrip()
        splat = Splat(self.kind, self.title, text, self.number)
        if self.kind == "oom-kill" and re.search(
            r"constraint=CONSTRAINT_MEMCG\b|^Memory cgroup out of memory", text, re.MULTILINE
        ):
            return replace(splat, allowed=MEMCG_KILL)
        if self.kind == "warn" and _LOCKDEP.search(text.split("\nCPU:")[0]):
            return replace(splat, kind="lockdep")
        return splat


def _lines(console: str) -> Iterator[_Line]:
    """Yield the kernel's own lines, without colours, stamps and carriage returns.

    On a console with time stamps a line without one comes from firmware or a
    program; only a panic is believed there, for it may come through early.
    """
    raw = [_ANSI.sub("", line).rstrip("\r") for line in console.split("\n")]
    stamped = any(_STAMP.search(line) for line in raw)
    for index, line in enumerate(raw):
        match = _STAMP.search(line)  # a program's half line may stand before it
        if match:
            yield _Line(index + 1, float(match[1]), match[2] or "", line[match.end() :])
        elif not stamped or line.startswith("Kernel panic - not syncing"):
            yield _Line(index + 1, None, "", line.split("\r")[-1])


def _start(text: str) -> str:
    """Return the kind of the report that begins with this line, or empty."""
    for kind, pattern in _STARTS:
        if pattern.search(text):
            return kind
    return ""


def _continues(report: _Open, line: _Line, kind: str) -> bool:
    """Whether a line of the same caller still belongs to its open report."""
    if len(report.lines) >= _LONGEST or line.text.startswith("Linux version "):
        return False
    if report.last is not None and line.when is not None and line.when - report.last > _GAP:
        return False
    if not kind:
        return True
    part = _PART_OF.get(report.kind)
    return bool(part and part.search(line.text))


def _ends(report: _Open, line: _Line) -> bool:
    """Whether this line is the last of its report."""
    if _END_TRACE.match(line.text):
        return report.kind != "panic"
    last = _LAST_LINE.get(report.kind)
    if last and last.search(line.text):
        return True
    if _RULE.match(line.text) and report.kind in {"kasan", "kcsan"}:
        report.rules += 1
        return line.text.startswith("=")
    return False


def _scan(console: str) -> Iterator[Splat]:
    """Yield the splats in the order in which they end."""
    reports: dict[str, _Open] = {}
    cuts: dict[str, list[_Line]] = {}  # lines since "cut here", by caller
    for line in _lines(console):
        report = reports.get(line.caller)
        kind = _start(line.text)
        if report is not None:
            cut = bool(_CUT.match(line.text)) and report.kind not in {"ubsan"}
            if not cut and _continues(report, line, kind):
                report.lines.append(line.text)
                report.last = line.when
                if _ends(report, line):
                    yield reports.pop(line.caller).finish()
                continue
            yield reports.pop(line.caller).finish()
        if _CUT.match(line.text):
            cuts[line.caller] = [line]
            continue
        before = cuts.pop(line.caller, [])
        if not kind:
            if before and len(before) < 6:
                cuts[line.caller] = [*before, line]  # a WARN's message
            continue
        if before and kind == "bug" and not line.text.startswith("kernel BUG"):
            # "list_add corruption" and the like: the verdict line follows.
            cuts[line.caller] = [*before, line]
            continue
        if before and kind == "warn" and line.text.startswith("refcount_t"):
            cuts[line.caller] = [*before, line]
            continue
        first = before[0].number if before else line.number
        lines = [part.text for part in before] + [line.text]
        reports[line.caller] = _Open(kind, line.text.strip(), first, line.when, lines)
        if _ends(reports[line.caller], line):
            yield reports.pop(line.caller).finish()
    for report in reports.values():
        yield report.finish()
    for held in cuts.values():
        # "cut here", and then the console ends: something was being said.
        title = held[1].text if len(held) > 1 else held[0].text
        yield Splat("warn", title, "\n".join(part.text for part in held), held[0].number)


def find_splats(console: str, allow: Sequence[AllowEntry] = ()) -> tuple[Splat, ...]:
    """Return the kernel's complaints in a console, in the order they began.

    allow: entries of the allowlist; a splat that one covers is still
    returned, with the entry's reason in `allowed`.
    """
    found = []
    for splat in sorted(_scan(console), key=lambda splat: splat.line):
        entry = next((entry for entry in allow if entry.covers(splat)), None)
        found.append(replace(splat, allowed=entry.reason) if entry else splat)
    return tuple(found)


def panicked(console: str) -> str:
    """Return the panic's sentence, or empty if the kernel did not panic."""
    for line in _lines(console):
        if line.text.startswith("Kernel panic - not syncing"):
            return line.text.strip()
    return ""


def console_problem(console: str) -> str:
    """Return why a console cannot be trusted to be complete, or empty.

    A check that is not working must not look like a clean log: an empty
    console, one without the kernel's first line, one whose log level hides
    warnings, and one that lost lines are each reported.
    """
    if not console.strip():
        return "the console is empty: nothing can be said about this boot"
    if "Linux version " not in console:
        return "no kernel banner on the console: it is not complete, or no kernel ran"
    command_line = re.search(r"Command line: (.*)", console)
    words = command_line[1].split() if command_line else []
    level = re.findall(r"^loglevel=(\d+)$", "\n".join(words), re.MULTILINE)
    if level and int(level[-1]) < 5:
        return f"loglevel={level[-1]} hides warnings: a clean console means nothing"
    if "quiet" in words and not level and "ignore_loglevel" not in words:
        return "`quiet` hides warnings: a clean console means nothing"
    dropped = re.search(r"\*\* (\d+) printk messages dropped", console)
    if dropped:
        return f"{dropped[1]} printk messages were dropped: the console is not complete"
    return ""
