"""What a run comes to: verdict, cases, figures; and JUnit and TAP agree with it."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import Exit
from harness.results.junit import junit_xml
from harness.results.model import Results, SplatRecord, Status, TestResult
from harness.results.summary import (
    cases_of,
    figures_of,
    notable_cases,
    suites_of,
    verdict_of,
)
from harness.results.tap import tap_text
from harness.results.text import clean, number, relation
from harness.tests.synthetic_results import passing, run_info, small, synthetic


def test_verdicts_of_the_synthetic_runs() -> None:
    failing = verdict_of(synthetic())
    assert failing.line == (
        "FAIL: 1 regression, 1 failed case, 1 kernel complaint, 1 of 2 targets missed"
    )
    assert failing.code is Exit.HANG  # the timeout outranks the splat and the failure
    good = verdict_of(passing())
    assert good.passed
    assert good.line.startswith("PASS: 149 cases, no regression, 1 flaky")


def one(status: Status, verdict: str, arm: str = "patched") -> Results:
    return Results(run_info(), (TestResult("s", "n", arm, 1, status, verdict=verdict),))


SPLAT = SplatRecord("b", "patched", "warn", "WARNING", "WARNING")


@pytest.mark.parametrize(
    ("results", "code"),
    [
        (one(Status.PASS, "ok"), Exit.OK),
        (one(Status.FAIL, "ok"), Exit.OK),  # as on the base
        (one(Status.FAIL, "flaky"), Exit.OK),
        (one(Status.FAIL, "regression"), Exit.TEST),
        (one(Status.MISSING, "failed"), Exit.TEST),
        (one(Status.CRASH, "failed"), Exit.DIED),
        (one(Status.TIMEOUT, "regression"), Exit.HANG),
        (one(Status.PASS, "unexpected-pass", "base"), Exit.TEST),
        (one(Status.PASS, "a verdict nobody knows"), Exit.TEST),
        (Results(run_info()), Exit.TEST),  # no result is a failure
        (dataclasses.replace(one(Status.PASS, "ok"), splats=(SPLAT,)), Exit.SPLAT),
        (
            dataclasses.replace(
                one(Status.PASS, "ok"),
                splats=(dataclasses.replace(SPLAT, allowed="known, until 2031"),),
            ),
            Exit.OK,
        ),
    ],
)
def test_exit_codes(results: Results, code: Exit) -> None:
    assert verdict_of(results).code is code


def test_a_missed_target_fails_the_run() -> None:
    results = dataclasses.replace(synthetic(), tests=(), splats=())
    assert verdict_of(results).line == "FAIL: 1 of 2 targets missed"


def test_cases_meet_across_kernels() -> None:
    cases = {case.name: case for case in cases_of(small())}
    seen = {
        name: (case.base_state, case.patched_state, case.change) for name, case in cases.items()
    }
    assert seen == {
        "works": ("fail", "pass", "now passing"),
        "tests nothing": ("pass", "pass", "unexpected-pass"),
        "breaks # here": ("pass", "fail", "regression"),
        "panics": ("pass", "crash", "regression"),
        "lost": ("pass", "missing", "failed"),
        "lucky": ("mixed", "pass", "flaky"),
        "never": ("skip", "skip", "same"),
        "known": ("xfail", "xfail", "same"),
        "old": ("fail", "fail", "failing on both"),
    }
    assert [case.name for case in notable_cases(small())] == [
        "tests nothing",
        "breaks # here",
        "panics",
        "lost",
        "lucky",
        "old",
        "works",
    ]


def test_suites_count_by_state() -> None:
    suite = next(s for s in suites_of(synthetic()) if s.name.endswith("test_freezer"))
    assert suite.counts("base") == {"pass": 10, "mixed": 1}
    assert suite.counts("patched") == {"pass": 9, "fail": 1, "mixed": 1}
    assert suite.changes == {"regression": 1, "flaky": 1}
    assert suite.failed


def test_figures_and_their_base() -> None:
    freeze, uprobe, ipis, time = figures_of(synthetic())
    assert freeze.arms == ("base", "patched", "SIGSTOP", "cgroup v1 freezer")
    patched = next(r for r in freeze.rows if r.arm == "patched" and r.statistic == "p99")
    base = freeze.base_of(patched)
    assert base is not None
    assert (base.arm, base.statistic) == ("base", "p99")
    assert freeze.base_of(base) is None
    words, kind = freeze.against_base(patched)
    assert (words, kind) == ("497x lower", "better")
    assert uprobe.targets == (("within 3 % of the emulated push class", False),)
    assert (freeze.sweep, ipis.sweep, time.sweep) == (False, True, True)
    at_8 = next(r for r in time.rows if r.arm == "patched" and r.x == 8)
    assert time.against_base(at_8)[1] == "even"
    higher = dataclasses.replace(freeze, better="higher")
    assert higher.against_base(patched)[1] == "worse"


statuses = st.sampled_from(Status)
verdicts = st.sampled_from(["ok", "regression", "failed", "unexpected-pass", "flaky", "odd"])
made_tests = st.lists(
    st.builds(
        TestResult,
        suite=st.sampled_from(["s", "t"]),
        name=st.text(max_size=5),
        arm=st.sampled_from(["base", "patched"]),
        attempt=st.integers(1, 2),
        status=statuses,
        verdict=verdicts,
        reason=st.text(max_size=8),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(made_tests, st.lists(st.sampled_from(["", "a reason"]), max_size=2))
def test_junit_and_tap_are_red_exactly_when_the_verdict_is(
    tests: list[TestResult], allowed: list[str]
) -> None:
    splats = tuple(dataclasses.replace(SPLAT, allowed=reason) for reason in allowed)
    results = Results(run_info(), tuple(tests), splats=splats)
    passed = verdict_of(results).passed
    root = ET.fromstring(junit_xml(results).encode())
    bad = len(root.findall(".//failure")) + len(root.findall(".//error"))
    assert (bad == 0) == passed
    assert bad == int(root.get("failures", "")) + int(root.get("errors", ""))
    assert len(root.findall(".//testcase")) == int(root.get("tests", ""))
    lines = tap_text(results).splitlines()
    assert any(line.startswith("not ok") for line in lines) != passed
    inner = [line.strip() for line in lines if line.startswith("    not ok")]
    assert sum(1 for line in inner if "# TODO" not in line) == bad


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (9121.0, "9,121"),
        (0.6, "0.6"),
        (6.6934, "6.693"),
        (1177.4, "1,177"),
        (123456.7, "123,457"),
        (0.000012, "1.200e-05"),
        (-2.5, "-2.5"),
        (1e20, "1.000e+20"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_relations() -> None:
    assert relation(3, 3) == "the same"
    assert relation(1, 497) == "497x lower"
    assert relation(25, 10) == "2.5x higher"
    assert relation(103.1, 100) == "3.1 % higher"
    assert relation(60, 100) == "40 % lower"
    assert relation(0, 7) == "7 lower"


def test_guest_output_is_made_printable() -> None:
    assert clean("\x1b[1;31mred\x1b[0m\r\n\x00\x1b]0;title\x07end\t.") == "red\n\ufffdend\t."
