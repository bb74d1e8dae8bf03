"""What changed between two stored runs: tests, figures, kernel log, conditions.

Figures count as changed only when their intervals do not meet and they differ
by more than the lane's calibrated margin.  A figure whose lane or accelerator
differs between the runs is not compared at all: the difference would measure
the emulator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.results.lanes import figure_accel
from harness.results.model import Benchmark, Results, RunInfo, TestResult
from harness.results.summary import GONE, GOOD, MIXED, PATCHED, bad_splats, state
from harness.results.text import interval, overlap, relation

_Key = tuple[str, ...]


@dataclass(frozen=True)
class TestChange:
    """One case on one kernel that differs between the runs.

    kind: new failure, fixed, unsteady, appeared, disappeared, not run, changed;
    worse: whether it is a regression.
    """

    suite: str
    name: str
    arm: str
    old: str
    new: str
    kind: str
    worse: bool


@dataclass(frozen=True)
class FigureChange:
    """One figure in both runs, or in one.

    kind: better, worse, same, appeared, disappeared, target missed, refused;
    words: the change in words, or why it is refused.
    """

    figure: str
    lane: str
    arm: str
    unit: str
    old: tuple[float, float, float] | None
    new: tuple[float, float, float] | None
    kind: str
    words: str
    worse: bool


@dataclass(frozen=True)
class Difference:
    """One condition that differs: `run.qemu`, its old and its new value."""

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """The answer: old and new run ids, and what changed from one to the other."""

    old: str
    new: str
    conditions: tuple[Difference, ...]
    tests: tuple[TestChange, ...]
    figures: tuple[FigureChange, ...]
    splats_new: tuple[str, ...]
    splats_gone: tuple[str, ...]

    @property
    def regressions(self) -> tuple[str, ...]:
        """What got worse, one phrase each."""
        return (
            *(f"{t.kind}: {t.suite} {t.name} ({t.arm})" for t in self.tests if t.worse),
            *(f"{f.kind}: {f.figure} {f.arm} ({f.words})" for f in self.figures if f.worse),
            *(f"new kernel complaint: {title}" for title in self.splats_new),
        )

    @property
    def refused(self) -> tuple[str, ...]:
        """Why figures were not compared, each sentence once."""
        return tuple(dict.fromkeys(f.words for f in self.figures if f.kind == "refused"))

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {
            **dataclasses.asdict(self),
            "regressions": list(self.regressions),
            "refused": list(self.refused),
        }


def compare(old: Results, new: Results) -> Comparison:
    """Return what changed from old to new."""
    before = {(s.kind, s.title) for s in bad_splats(old)}
    after = {(s.kind, s.title) for s in bad_splats(new)}
    return Comparison(
        old.run.id,
        new.run.id,
        tuple(_conditions(old.run, new.run)),
        tuple(_tests(old, new)),
        tuple(_figures(old, new)),
        tuple(f"{kind}: {title}" for kind, title in sorted(after - before)),
        tuple(f"{kind}: {title}" for kind, title in sorted(before - after)),
    )


def _tests(old: Results, new: Results) -> list[TestChange]:
    before, after = _by_case(old), _by_case(new)
    suites = {(suite, arm) for suite, _, arm in after}
    changes = []
    for key in dict.fromkeys([*before, *after]):
        suite, name, arm = key
        was, now = state(before.get(key, ())), state(after.get(key, ()))
        if was == now:
            continue
        kind = _kind(was, now, suite_ran=(suite, arm) in suites)
        # The base is judged inside a run; here it is context.
        worse = arm == PATCHED and (
            kind in {"new failure", "disappeared"} or (kind == "appeared" and _bad(now))
        )
        excused = all(r.verdict in {"ok", "flaky", "fixed"} for r in after.get(key, ()))
        if kind in {"new failure", "appeared"} and excused:
            worse = False  # the run's own judge saw the base do the same, or luck
        changes.append(TestChange(suite, name, arm, was, now, kind, worse))
    return changes


def _kind(was: str, now: str, *, suite_ran: bool) -> str:
    if was == GONE:
        return "appeared"
    if now == GONE:
        # A case that a suite no longer reports is a lost result; a suite
        # that was not asked for is not.
        return "disappeared" if suite_ran else "not run"
    if now == MIXED:
        return "unsteady"
    if _bad(now) and not _bad(was):
        return "new failure"
    if _bad(was) and not _bad(now):
        return "fixed"
    return "changed"


def _bad(name: str) -> bool:
    return name not in {*map(str, GOOD), MIXED, GONE}


def _by_case(results: Results) -> dict[tuple[str, str, str], tuple[TestResult, ...]]:
    found: dict[tuple[str, str, str], tuple[TestResult, ...]] = {}
    for result in results.tests:
        key = (result.suite, result.name, result.arm)
        found[key] = (*found.get(key, ()), result)
    return found


def _figures(old: Results, new: Results) -> list[FigureChange]:
    before, after = _by_figure(old), _by_figure(new)
    margins = _margins(old, new)
    changes = []
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was is not None and now is not None:
            refusal = _refusal(old.run, was, new.run, now)
            changes.append(
                _change(key, was, now, "refused", refusal)
                if refusal
                else _moved(key, was, now, margins.get(now.lane, 0.0))
            )
        elif now is not None:
            changes.append(_change(key, None, now, "appeared", "not in the old run"))
        elif was is not None:
            changes.append(_change(key, was, None, "disappeared", "not in the new run"))
    return changes


def _refusal(old_run: RunInfo, was: Benchmark, new_run: RunInfo, now: Benchmark) -> str:
    """Return why two figures cannot be compared, or nothing."""
    name = f"{now.feature} {now.name} {now.metric}"
    if was.lane != now.lane:
        return (
            f"{name}: measured in lane {was.lane} in the old run and {now.lane} in the new one, "
            "and figures of different lanes measure different things"
        )
    accels = figure_accel(old_run, was.lane), figure_accel(new_run, now.lane)
    if accels[0] != accels[1]:
        return (
            f"{name}: measured under {accels[0]} in the old run and {accels[1]} in the new one, "
            "so a difference would show the accelerator, not the kernel"
        )
    if was.unit != now.unit or was.better != now.better:
        return f"{name}: the plan changed its unit or its direction between the runs"
    return ""


def _moved(key: _Key, was: Benchmark, now: Benchmark, margin: float) -> FigureChange:
    apart = not overlap((was.low, was.high), (now.low, now.high))
    size = abs(now.value - was.value) / abs(was.value) if was.value else float("inf")
    missed = bool(was.target_met) and now.target_met is False
    kind = "same"
    if apart and size > margin:
        kind = "better" if (now.value < was.value) == (now.better == "lower") else "worse"
    words = relation(now.value, was.value)
    if missed:
        return _change(key, was, now, "target missed", f"{words}; target {now.target}")
    return _change(key, was, now, kind, words)


def _change(
    key: _Key, was: Benchmark | None, now: Benchmark | None, kind: str, words: str
) -> FigureChange:
    row = now or was
    assert row is not None
    where = "" if row.x is None else f" {row.x_label or 'x'}={row.x:g}"
    # A rival or the base that moved says something about conditions, not
    # about the series; a missed target fails whoever holds it.
    worse = kind == "target missed" or (kind == "worse" and row.role == "patched")
    return FigureChange(
        f"{row.feature} {row.name} {row.metric} {row.statistic}{where}",
        row.lane if was is None or was.lane == row.lane else f"{was.lane} -> {row.lane}",
        row.arm,
        row.unit,
        (was.value, was.low, was.high) if was else None,
        (now.value, now.low, now.high) if now else None,
        kind,
        words,
        worse,
    )


def _by_figure(results: Results) -> dict[_Key, Benchmark]:
    """Return figures by what they measure; the lane is added where one has several."""
    lanes: dict[_Key, set[str]] = {}
    for row in results.benchmarks:
        lanes.setdefault(_key(row), set()).add(row.lane)
    return {
        (*_key(row), row.lane if len(lanes[_key(row)]) > 1 else ""): row
        for row in results.benchmarks
    }


def _key(row: Benchmark) -> _Key:
    where = "" if row.x is None else f"{row.x:g}"
    return (row.feature, row.name, row.metric, row.statistic, row.arm, where)


def _margins(old: Results, new: Results) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in (*old.calibrations, *new.calibrations):
        found[item.lane] = max(found.get(item.lane, 0.0), item.margin)
    return found


def _conditions(old: RunInfo, new: RunInfo) -> list[Difference]:
    found = []
    for name in ("pin", "base_tree", "patched_tree", "config", "accel", "qemu", "cpu"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            found.append(Difference(name, was, now))
    if old.topology != new.topology:
        found.append(
            Difference("topology", topology_text(old.topology), topology_text(new.topology))
        )
    for name in ("toolchain", "host"):
        was, now = getattr(old, name), getattr(new, name)
        for key in sorted({*was, *now}):
            if was.get(key) != now.get(key):
                found.append(Difference(f"{name}: {key}", was.get(key, "-"), now.get(key, "-")))
    before = [patch.get("file", "") for patch in old.patches]
    after = [patch.get("file", "") for patch in new.patches]
    found += [Difference("patch", name, "-") for name in before if name not in after]
    found += [Difference("patch", "-", name) for name in after if name not in before]
    return found


def topology_text(topology: Mapping[str, Any]) -> str:
    """Return a topology in a few words: `4 nodes: 2 CPUs 512M, ...`."""
    nodes = topology.get("nodes", [])
    each = [f"{node.get('cpus', 0)} CPUs {node.get('memory', 0)}M" for node in nodes]
    inner = each[0] if each and len(set(each)) == 1 else ", ".join(each)
    text = f"{len(nodes)} nodes: {inner}" if nodes else "none"
    return f"{text}, own distances" if topology.get("distances") else text


def figure_text(values: tuple[float, float, float] | None, unit: str) -> str:
    """Return `value [low, high] unit`, or `-`."""
    return f"{interval(*values)} {unit}" if values else "-"
