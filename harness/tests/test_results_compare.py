"""Comparing two runs: what got worse, what may not be compared, and the exit status."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.results.compare import Comparison, compare
from harness.results.model import Calibration, Results, Status, TestResult
from harness.results.store import RESULTS
from harness.tests.synthetic_results import passing, run_info, synthetic


def run_with(*tests: TestResult) -> Results:
    return Results(run_info(), tests)


def case(status: Status, arm: str = "patched", name: str = "n", **more: Any) -> TestResult:
    more.setdefault("verdict", "ok" if status is Status.PASS else "regression")
    return TestResult("s", name, arm, more.pop("attempt", 1), status, **more)


def test_a_run_is_like_itself() -> None:
    found = compare(synthetic(), synthetic())
    assert not found.tests
    assert not found.conditions
    assert not found.regressions
    assert {figure.kind for figure in found.figures} == {"same"}


P, F = Status.PASS, Status.FAIL


@pytest.mark.parametrize(
    ("old", "new", "kind", "worse"),
    [
        ((case(P),), (case(F),), "new failure", True),
        ((case(P),), (case(Status.CRASH),), "new failure", True),
        ((case(P, "base"),), (case(F, "base"),), "new failure", False),
        ((case(P),), (case(F, verdict="ok"),), "new failure", False),
        ((case(F),), (case(P),), "fixed", False),
        ((case(P),), (case(P), case(F, attempt=2)), "unsteady", False),
        ((case(P),), (case(P, name="m"),), "disappeared", True),
        ((), (case(P),), "appeared", False),
        ((), (case(F),), "appeared", True),
        ((case(P),), (case(Status.SKIP, verdict="ok"),), "changed", False),
    ],
)
def test_kinds_of_test_changes(
    old: tuple[TestResult, ...], new: tuple[TestResult, ...], kind: str, worse: bool
) -> None:
    found = compare(run_with(*old), run_with(*new))
    assert [(t.kind, t.worse) for t in found.tests if t.name == "n"] == [(kind, worse)]
    assert bool([r for r in found.regressions if " n " in r]) == worse


def test_a_suite_that_was_not_asked_for_is_no_loss() -> None:
    found = compare(run_with(case(P)), run_with())
    assert [(t.kind, t.worse) for t in found.tests] == [("not run", False)]


def scaled(results: Results, arm: str, factor: float, margin: float = 0.0) -> Results:
    rows = tuple(
        dataclasses.replace(
            row, value=row.value * factor, low=row.low * factor, high=row.high * factor
        )
        if row.arm == arm
        else row
        for row in results.benchmarks
        if row.feature == "freeze"
    )
    calibrations = (Calibration("L1", margin, {}, "10.0.2", ""),)
    return dataclasses.replace(
        results, benchmarks=rows, tests=(), splats=(), calibrations=calibrations
    )


def kinds(found: Comparison, arm: str) -> list[tuple[str, bool]]:
    return [(f.kind, f.worse) for f in found.figures if f.arm == arm]


def test_figures_move_when_intervals_do_not_meet() -> None:
    old = scaled(synthetic(), "", 1)
    worse = compare(old, scaled(synthetic(), "patched", 2))
    assert kinds(worse, "patched") == [("worse", True)] * 2
    assert kinds(worse, "SIGSTOP") == [("same", False)] * 2
    assert worse.regressions[0].startswith("worse: freeze time to frozen latency p50 patched (2.0x")
    better = compare(old, scaled(synthetic(), "patched", 0.5))
    assert kinds(better, "patched") == [("better", False)] * 2
    assert not better.regressions
    rival = compare(old, scaled(synthetic(), "SIGSTOP", 3))
    assert kinds(rival, "SIGSTOP") == [("worse", False)] * 2
    assert not rival.regressions


def test_intervals_that_meet_and_margins_hold_a_figure_still() -> None:
    old = scaled(synthetic(), "", 1)
    assert kinds(compare(old, scaled(synthetic(), "patched", 1.01)), "patched")[0][0] == "same"
    moved = scaled(synthetic(), "patched", 1.5, margin=0.6)
    assert kinds(compare(old, moved), "patched") == [("same", False)] * 2
    assert kinds(compare(old, scaled(synthetic(), "patched", 1.5)), "patched")[0][1]


def test_a_target_that_is_no_longer_met() -> None:
    old = scaled(synthetic(), "", 1)
    rows = tuple(
        dataclasses.replace(row, target_met=False) if row.target else row for row in old.benchmarks
    )
    found = compare(old, dataclasses.replace(old, benchmarks=rows))
    assert [f.kind for f in found.figures if f.worse] == ["target missed"]


def test_lanes_are_not_mixed() -> None:
    old = scaled(synthetic(), "", 1)
    rows = tuple(dataclasses.replace(row, lane="L3") for row in old.benchmarks)
    found = compare(old, dataclasses.replace(old, benchmarks=rows))
    assert {f.kind for f in found.figures} == {"refused"}
    assert found.refused == (
        "freeze time to frozen latency: measured in lane L1 in the old run and L3 in the new "
        "one, and figures of different lanes measure different things",
    )


def test_accelerators_are_not_mixed_but_icount_is_always_tcg() -> None:
    kvm = dataclasses.replace(synthetic(), run=dataclasses.replace(run_info(), accel="kvm"))
    found = compare(synthetic(), kvm)
    refused = {f.lane for f in found.figures if f.kind == "refused"}
    assert refused == {"L2"}
    assert "under tcg in the old run and kvm in the new one" in found.refused[0]
    assert [(d.what, d.old, d.new) for d in found.conditions] == [("accel", "tcg", "kvm")]


def test_one_figure_in_two_lanes_is_compared_lane_by_lane() -> None:
    rows = synthetic().benchmarks[:1]
    both = (*rows, dataclasses.replace(rows[0], lane="L3"))
    results = dataclasses.replace(synthetic(), benchmarks=both)
    found = compare(results, results)
    assert [(f.lane, f.kind) for f in found.figures] == [("L1", "same"), ("L3", "same")]


def test_conditions_and_complaints() -> None:
    found = compare(synthetic(), passing())
    assert found.splats_gone == (
        "warn: WARNING: kernel/cgroup/freezer.c:211 at cgroup_do_freeze+0x1a4/0x1c0",
    )
    assert [d.what for d in found.conditions] == ["topology"]
    assert found.conditions[0].old == "4 nodes: 2 CPUs 512M"
    back = compare(passing(), synthetic())
    assert any(r.startswith("new kernel complaint: warn") for r in back.regressions)
    run = dataclasses.replace(
        run_info(), toolchain={"cc": "gcc 13"}, patches=run_info().patches[:1], pin="6.18.16"
    )
    found = compare(synthetic(), dataclasses.replace(synthetic(), run=run))
    assert [(d.what, d.old, d.new) for d in found.conditions] == [
        ("pin", "6.18.15", "6.18.16"),
        ("toolchain: cc", "gcc 12.2.0-14", "gcc 13"),
        ("toolchain: ld", "GNU ld 2.40", "-"),
        ("toolchain: pahole", "1.24", "-"),
        ("patch", "uprobes/emulate-sub-rsp.patch", "-"),
    ]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for results in (synthetic(), passing()):
        folder = tmp_path / results.run.id
        folder.mkdir()
        results.save(folder / RESULTS)
    monkeypatch.setenv("KSERIES_OUT", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def test_the_verb(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "20260131", "20260201"]) == 0
    good = capsys.readouterr().out
    assert "fixed" in good
    assert "no regression from 20260131-142501-3f9c to 20260201-080000-00aa" in good
    assert main(["compare", "20260201", "20260131"]) == 1
    bad = capsys.readouterr().out
    assert "NEW FAILURE" in bad
    assert "upstream/cgroup:test_freezer test_cgfreezer_stopped" in bad
    assert "TARGET MISSED" in bad
    assert main(["compare", "--json", "20260201", "20260131"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit"] == 1
    assert answer["new"] == "20260131-142501-3f9c"
    assert any("test_cgfreezer_stopped" in line for line in answer["regressions"])


def test_the_verb_says_what_it_refuses(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kvm = dataclasses.replace(
        synthetic(), run=dataclasses.replace(run_info("20260301-000000-0001"), accel="kvm")
    )
    (out / kvm.run.id).mkdir()
    kvm.save(out / kvm.run.id / RESULTS)
    assert main(["compare", "20260131", "20260301"]) == 0
    said = capsys.readouterr()
    assert "not compared: munmap shootdown IPIs per munmap: measured under tcg" in said.err
    assert "12 figures not comparable" in said.out


def test_the_verb_on_a_run_that_is_not_there(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "20260131", "latest"]) == 2
    assert "there is no latest run" in capsys.readouterr().err
