"""Areas of tests, ours and upstream's, as their TOML files describe them.

selftests/<area>/plan.toml says what our own programs must do on the base;
upstream.toml (beside this file) which of the kernel's programs run in which
lane.  Parsing is pure; read_own() and read_upstream() read the files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError

UPSTREAM_FILE = Path(__file__).with_name("upstream.toml")
# look: a demonstration, too; check: every check; full: on request.
LANES = ("look", "check", "full")
EXPECTATIONS = ("pass", "fail", "skip")
TREES = ("base", "patched")
BESIDE = ("stays", "ends", "none")
OWN = "agent"


@dataclass(frozen=True)
class Expect:
    """What a case must do on the base ("pass", "fail", "skip"), and why."""

    base: str
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """One run of a program: its arguments, lane, limit and expectations.

    limit: guest seconds, None to derive it from the program's settings;
    plan: False if the program is known to print no plan line; base: what its
    cases must do on the base unless `cases` says otherwise, None where the
    base itself is the yardstick (upstream); measured: what of a case's name is
    a measurement (regular expressions), and differs from run to run; scheduler:
    where a BPF scheduler is when it ends (harness.kselftest.beside).
    """

    name: str
    program: str
    args: str = ""
    lane: str = "check"
    limit: float | None = None
    plan: bool = True
    base: Expect | None = None
    cases: Mapping[str, Expect] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    scheduler: str = "stays"

    def stable_name(self, case: str) -> str:
        """Return the name of a case with its measurements taken out."""
        for pattern in self.measured:
            case = re.sub(pattern, "#", case)
        return case


@dataclass(frozen=True)
class Area:
    """A folder of tests: ours ("agent/<area>") or upstream's.

    rest: lane of programs without an entry ("check", "full" or "none"); tree:
    the sources that its programs are built from, "patched" where they use what
    the series adds to tools/; both kernels run the same files all the same.
    """

    name: str
    collection: str
    own: bool
    entries: tuple[Entry, ...]
    rest: str = "full"
    plan: bool = True
    tree: str = "base"
    scheduler: str = "stays"


def bad_plan(where: str, what: str, hint: str = "see docs/guide.md, `plan.toml`") -> KseriesError:
    """Return the error of a plan that cannot be used."""
    return KseriesError(Exit.USAGE, what, where=where, hint=hint)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise bad_plan(str(path), f"not TOML: {error}", "mend the file") from None


def _take(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    extra = set(table) - set(known)
    if extra:
        raise bad_plan(where, f"unknown keys: {', '.join(sorted(extra))}")


def _expect(table: Mapping[str, Any], where: str) -> Expect:
    base, reason = table.get("base"), str(table.get("reason", ""))
    if base not in EXPECTATIONS:
        raise bad_plan(where, f"base = {base!r}: a test says pass, fail or skip of the base")
    if base != "pass" and not reason:
        raise bad_plan(where, f"base = {base!r} without a reason")
    return Expect(base, reason)


def parse_own(area: str, data: Mapping[str, Any], where: str) -> Area:
    """Return an own area from the body of its plan.toml."""
    _take(data, ("program", "tree"), where)
    tree = data.get("tree", "base")
    if tree not in TREES:
        raise bad_plan(where, f"tree = {tree!r}: an area is built from base or patched")
    entries = []
    for name, table in data.get("program", {}).items():
        _take(table, ("program", "args", "lane", "limit", "base", "reason", "case"), where)
        here = f"{where}: {name}"
        cases = {}
        for case, body in table.get("case", {}).items():
            _take(body, ("base", "reason"), f"{here}: {case}")
            cases[case] = _expect(body, f"{here}: {case}")
        entries.append(
            _entry(name, table, here, lane="look", base=_expect(table, here), cases=cases)
        )
    if not entries:
        raise bad_plan(where, "the plan names no program")
    return Area(area, f"{OWN}/{area}", True, tuple(entries), rest="check", tree=tree)


def _scheduler(table: Mapping[str, Any], otherwise: str, where: str) -> str:
    scheduler = str(table.get("scheduler", otherwise))
    if scheduler not in BESIDE:
        raise bad_plan(where, f"scheduler = {scheduler!r}: it is one of {', '.join(BESIDE)}")
    return scheduler


def _entry(
    name: str,
    table: Mapping[str, Any],
    where: str,
    *,
    lane: str = "check",
    plan: bool = True,
    base: Expect | None = None,
    cases: Mapping[str, Expect] | None = None,
    scheduler: str = "stays",
) -> Entry:
    lane = table.get("lane", lane)
    if lane not in LANES:
        raise bad_plan(where, f"lane = {lane!r}: it is look, check or full")
    scheduler = _scheduler(table, scheduler, where)
    limit = table.get("limit")
    return Entry(
        name=name,
        program=table.get("program", name),
        args=table.get("args", ""),
        lane=lane,
        limit=None if limit is None else float(limit),
        plan=bool(table.get("plan", plan)),
        base=base,
        cases=cases or {},
        measured=tuple(table.get("measured", ())),
        scheduler=scheduler,
    )


def read_own(repo: Path) -> tuple[Area, ...]:
    """Return our areas: each folder of selftests/ must have a plan.toml."""
    areas = []
    for folder in sorted((repo / "selftests").glob("*/Makefile")):
        path = folder.with_name("plan.toml")
        if not path.exists():
            raise bad_plan(str(path), "a selftest area without a plan", "say what the base must do")
        areas.append(parse_own(folder.parent.name, _toml(path), str(path)))
    return tuple(areas)


def parse_upstream(data: Mapping[str, Any], where: str) -> tuple[Area, ...]:
    """Return the upstream areas from the body of upstream.toml."""
    _take(data, ("area",), where)
    areas = []
    for name, table in data.get("area", {}).items():
        here = f"{where}: {name}"
        _take(table, ("collection", "rest", "reason", "plan", "scheduler", "run"), here)
        if not table.get("reason"):
            raise bad_plan(here, "an area without a reason for its lane")
        rest = table.get("rest", "full")
        if rest not in (*LANES, "none"):
            raise bad_plan(here, f"rest = {rest!r}: it is look, check, full or none")
        plan = bool(table.get("plan", True))
        scheduler = _scheduler(table, "stays", here)
        entries = []
        for run, body in table.get("run", {}).items():
            known = ("program", "args", "lane", "limit", "plan", "reason", "measured", "scheduler")
            _take(body, known, f"{here}: {run}")
            entry = _entry(run, body, f"{here}: {run}", plan=plan, scheduler=scheduler)
            entries.append(entry)
        collection = table.get("collection", name)
        area = Area(name, collection, False, tuple(entries), rest, plan, scheduler=scheduler)
        areas.append(area)
    return tuple(areas)


def read_upstream(path: Path = UPSTREAM_FILE) -> tuple[Area, ...]:
    """Return the upstream areas that the harness knows."""
    return parse_upstream(_toml(path), str(path))
