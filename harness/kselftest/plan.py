"""Plan which test programs run, how, and in which lane.

A plan is a list of commands for a guest with what is expected of them;
harness.kselftest.runner runs it.  All pure: the areas come from
harness.kselftest.areas, the programs from the build.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Command
from harness.kselftest.areas import OWN, Area, Entry, Expect, bad_plan

# kselftest limits are meant for real CPUs; an emulated one is slower.
SLOWNESS = 4.0
DEFAULT_LIMIT = 45.0  # kselftest's own default, seconds
NO_LIMIT = 900.0  # what `timeout=0` becomes: a guest must end


class ProgramLike(Protocol):
    """A built test program (harness.build.selftests.TestProgram)."""

    @property
    def collection(self) -> str:
        """Its folder below the install root: "cgroup", "agent/cgroup_freeze"."""

    @property
    def name(self) -> str:
        """Its file name."""

    @property
    def timeout(self) -> float | None:
        """The limit that its authors allow in seconds, None for none."""


class MissingLike(Protocol):
    """What could not be built (harness.build.selftests.Missing)."""

    @property
    def collection(self) -> str:
        """Its folder."""

    @property
    def name(self) -> str:
        """The program, empty for the folder or an unnamed part of it."""

    @property
    def reason(self) -> str:
        """Why, in a sentence."""


class InstallLike(Protocol):
    """Built selftests (harness.build.selftests.Install)."""

    @property
    def root(self) -> Path:
        """Where they are installed; the guest sees the same path."""

    @property
    def programs(self) -> Sequence[ProgramLike]:
        """All programs."""

    @property
    def missing(self) -> Sequence[MissingLike]:
        """What should be there and is not."""


@dataclass(frozen=True)
class PlannedTest:
    """One command of a plan with the suite its results belong to.

    patched: the command on the patched kernel where that is another one;
    scheduler: the BPF scheduler beside which it runs there.
    """

    suite: str
    area: str
    entry: Entry
    own: bool
    command: Command
    patched: Command | None = None
    scheduler: str = ""

    def on(self, arm: str) -> PlannedTest:
        """Return the test as it runs on a kernel."""
        return replace(self, command=self.patched) if arm == "patched" and self.patched else self

    def expect(self, case: str) -> Expect | None:
        """Return what a case must do on the base; None: as it does."""
        return self.entry.cases.get(case, self.entry.base)


@dataclass(frozen=True)
class Plan:
    """What runs, what was left out on purpose, and what could not be built.

    left_out: suites of the full lane; not_built: suites without a program and
    the reason (failures); remarks: unnamed parts of a collection that the
    host cannot build, with the reason (skips).
    """

    tests: tuple[PlannedTest, ...]
    left_out: tuple[str, ...] = ()
    not_built: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Selection:
    """What a person asked for.

    patterns: `area`, `program`, `area:program`, each may have * and ?;
    upstream: areas of the kernel's own selftests; full: the slow lane too;
    look: a demonstration, what only a check runs is left to that;
    scheduler: run them beside this BPF scheduler (harness.kselftest.beside).
    Nothing at all means our own areas.
    """

    patterns: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    full: bool = False
    scheduler: str = ""
    look: bool = False


def chosen_areas(areas: Sequence[Area], selection: Selection) -> tuple[Area, ...]:
    """Return the areas that a selection may touch; an unknown name is an error.

    A pattern without an area's name (a program's) may touch any area that is
    in question, so all of them are returned.
    """
    upstream = {area.name for area in areas if not area.own}
    for name in selection.upstream:
        if name not in upstream:
            raise _unknown(name, upstream, "upstream area")
    if selection.upstream:
        pool = [a for a in areas if not a.own and a.name in selection.upstream]
    elif selection.patterns:
        pool = list(areas)
    else:
        return tuple(area for area in areas if area.own)
    if not selection.patterns:
        return tuple(pool)
    hit: list[Area] = []
    for pattern in selection.patterns:
        found = [area for area in pool if _touches(area, pattern)]
        if not found:
            names = {area.name for area in pool}
            names |= {f"{area.name}:{e.name}" for area in pool for e in area.entries}
            raise _unknown(pattern, names, "test")
        hit += [area for area in found if area not in hit]
    return tuple(hit)


def _unknown(name: str, known: Iterable[str], what: str) -> KseriesError:
    near = difflib.get_close_matches(name, sorted(known), 3, 0.4) or sorted(known)[:12]
    return KseriesError(
        Exit.USAGE,
        f"no {what} matches {name!r}",
        hint=f"there are, for instance: {', '.join(near)}",
    )


def _area_names(area: Area) -> tuple[str, ...]:
    kind = OWN if area.own else "upstream"
    return (area.name, f"{kind}/{area.name}")


def _touches(area: Area, pattern: str) -> bool:
    """Whether a pattern can mean this area or one of its listed programs."""
    head, colon, _ = pattern.partition(":")
    if any(fnmatch.fnmatchcase(name, head) for name in _area_names(area)):
        return True
    return not colon and any(fnmatch.fnmatchcase(entry.name, head) for entry in area.entries)


def _wanted(area: Area, entry: Entry, selection: Selection) -> tuple[bool, bool]:
    """Return (chosen, named): a program named by itself runs in any lane."""
    if not selection.patterns:
        return True, False
    chosen = named = False
    for pattern in selection.patterns:
        head, colon, tail = pattern.partition(":")
        in_area = any(fnmatch.fnmatchcase(name, head) for name in _area_names(area))
        if in_area and (not colon or fnmatch.fnmatchcase(entry.name, tail)):
            chosen = True
            named = named or bool(colon)
        elif not colon and fnmatch.fnmatchcase(entry.name, pattern):
            chosen = named = True
    return chosen, named


def _all_entries(area: Area, programs: Sequence[str]) -> list[Entry]:
    """Return the listed entries and one for each other program."""
    used = {entry.program for entry in area.entries}
    entries = list(area.entries)
    for program in programs:
        if program in used or area.rest == "none":
            continue
        if area.own:
            raise bad_plan(
                f"selftests/{area.name}/plan.toml",
                f"the program {program} is built but has no entry",
                "say what the base must do with it: base = pass, fail or skip, and why",
            )
        entry = Entry(program, program, lane=area.rest, plan=area.plan, scheduler=area.scheduler)
        entries.append(entry)
    return entries


def _shell(root: Path, collection: str, entry: Entry) -> str:
    """Return the line that runs an entry on the guest's scratch disk.

    Tests write beside themselves and need real file systems under them, so
    their folder is copied from the 9p root to the scratch disk, once a boot.
    """
    lines = []
    for part in ("kselftest", collection):
        source, target = shlex.quote(str(root / part)), shlex.quote(f"kst/{part}")
        # Copied beside and renamed: a copy cut short is not taken for whole.
        lines.append(
            f"[ -d {target} ] || [ ! -d {source} ] || {{ mkdir -p {target} && rmdir {target} && "
            f"rm -rf kst/.new && cp -a {source}/. kst/.new && mv kst/.new {target}; }} || exit 126"
        )
    program = shlex.quote(f"./{entry.program}")
    lines.append(f"cd {shlex.quote(f'kst/{collection}')} || exit 126")
    lines.append(f"exec {program} {entry.args}".rstrip())
    return "\n".join(lines)


def _limit(entry: Entry, program: ProgramLike | None) -> float:
    if entry.limit is not None:
        return entry.limit
    if program is None:
        return SLOWNESS * DEFAULT_LIMIT
    return NO_LIMIT if program.timeout is None else SLOWNESS * program.timeout


def _why_missing(area: Area, entry: Entry, install: InstallLike) -> str:
    """Return why an entry's program is not there."""
    reasons = [m for m in install.missing if m.collection == area.collection]
    named = [m.reason for m in reasons if m.name == entry.program]
    return next(iter(named or [m.reason for m in reasons]), "the build did not make it")


def make_plan(areas: Sequence[Area], install: InstallLike, selection: Selection) -> Plan:
    """Return the plan for a selection of areas, ours first, as they are listed."""
    tests: list[PlannedTest] = []
    left_out: list[str] = []
    not_built: list[tuple[str, str]] = []
    remarks: list[tuple[str, str]] = []
    for area in sorted(chosen_areas(areas, selection), key=lambda area: not area.own):
        programs = [p for p in install.programs if p.collection == area.collection]
        lost = [m for m in install.missing if m.collection == area.collection]
        if programs:
            remarks += [(_area_names(area)[1], m.reason) for m in lost if not m.name]
        built = {program.name: program for program in programs}
        gone = [m.name for m in lost if m.name]
        for entry in _all_entries(area, [p.name for p in programs] + gone):
            chosen, named = _wanted(area, entry, selection)
            if not chosen:
                continue
            suite = f"{_area_names(area)[1]}:{entry.name}"
            if entry.lane == "full" and not (selection.full or named):
                left_out.append(suite)
            elif selection.look and entry.lane != "look" and not named:
                remarks.append((suite, "left to `kseries test` and `kseries check`"))
            elif not programs or (entry.program not in built and not entry.args):
                not_built.append((suite, _why_missing(area, entry, install)))
            else:
                command = Command(
                    name=re.sub(r"[^A-Za-z0-9_.:-]", ".", suite),
                    shell=_shell(install.root, area.collection, entry),
                    limit=_limit(entry, built.get(entry.program)),
                )
                tests.append(PlannedTest(suite, area.name, entry, area.own, command))
    if not tests and not left_out and not not_built:
        raise _unknown(
            " ".join(selection.patterns) or "(nothing)", [a.name for a in areas], "program"
        )
    return Plan(tuple(tests), tuple(left_out), tuple(not_built), tuple(remarks))
