"""Verdicts: the regression rule, flaky cases, own tests on the base."""

from __future__ import annotations

import datetime

import pytest

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Command
from harness.kselftest.areas import Entry, Expect
from harness.kselftest.judge import (
    complete,
    judge,
    need_rerun,
    rerun_failed,
    rerun_schedule,
    schedule,
)
from harness.kselftest.known import KnownFlaky, load_known, parse_known
from harness.kselftest.ktap_lines import END_CASE, PROGRAM_CASE
from harness.kselftest.plan import PlannedTest
from harness.results.model import Results, RunInfo, Status, TestResult

UP = "upstream/cgroup:test_freezer"
OWN = "agent/cgroup_freeze:test_high"
LETTER = {
    "p": Status.PASS,
    "f": Status.FAIL,
    "s": Status.SKIP,
    "t": Status.TIMEOUT,
    "c": Status.CRASH,
    "m": Status.MISSING,
    "x": Status.XFAIL,
}
TODAY = datetime.date(2026, 11, 22)


def _planned(suite: str, entry: Entry | None = None) -> PlannedTest:
    own = suite.startswith("agent/")
    return PlannedTest(suite, "a", entry or Entry("t", "t"), own, Command(suite, "true"))


def _rows(suite: str, name: str, base: str, patched: str) -> list[TestResult]:
    rows = [
        TestResult(suite, name, "base", n, LETTER[c]) for n, c in enumerate(base, 1) if c != "-"
    ]
    rows += [
        TestResult(suite, name, "patched", n, LETTER[c])
        for n, c in enumerate(patched, 1)
        if c != "-"
    ]
    return rows


def _verdict(base: str, patched: str, known: tuple[KnownFlaky, ...] = ()) -> tuple[str, Exit]:
    """Return the patched verdict and the exit code of one upstream case."""
    judgement = judge([_planned(UP)], _rows(UP, "a", base, patched), known)
    verdicts = {r.verdict for r in judgement.results if r.arm == "patched"}
    assert len(verdicts) == 1
    return verdicts.pop(), judgement.code


def test_schedules() -> None:
    assert schedule() == (("base", 1), ("patched", 1), ("base", 2))
    assert schedule(2)[3:] == (("patched", 2), ("base", 3))
    assert rerun_schedule(_rows(UP, "a", "pp", "f")) == (
        ("base", 3),
        ("patched", 2),
        ("base", 4),
        ("patched", 3),
        ("base", 5),
        ("patched", 4),
    )


@pytest.mark.parametrize(
    ("base", "patched", "again"),
    [
        ("pp", "p", False),
        ("pp", "f", True),
        ("pp", "s", True),  # a lost test
        ("pp", "t", True),
        ("ff", "f", False),
        ("ff", "t", True),
        ("ff", "p", False),
        ("ss", "f", True),
        ("ss", "s", False),
        ("pf", "p", False),
        ("pf", "f", False),  # the base tosses a coin
        ("xx", "p", False),
    ],
)
def test_what_runs_again(base: str, patched: str, again: bool) -> None:
    rows = _rows(UP, "a", base, patched)
    assert need_rerun([_planned(UP)], rows) == ((UP,) if again else ())


@pytest.mark.parametrize(
    ("base", "patched", "verdict", "code"),
    [
        ("pp", "p", "ok", Exit.OK),
        ("ff", "f", "ok", Exit.OK),
        ("ff", "p", "fixed", Exit.OK),
        ("ss", "p", "fixed", Exit.OK),
        ("pf", "p", "flaky", Exit.OK),
        # 3 + 3: only all against none is a regression.
        ("ppppp", "ffff", "regression", Exit.TEST),
        ("ppppp", "ffpf", "flaky", Exit.OK),
        ("ppppf", "ffff", "flaky", Exit.OK),
        ("ppppp", "tttt", "regression", Exit.HANG),
        ("ppppp", "cccc", "regression", Exit.DIED),
        ("ppppp", "ssss", "regression", Exit.TEST),
        ("fffff", "tttt", "regression", Exit.HANG),
        # The two base runs disagree: nothing that follows is evidence.
        ("pfppp", "ffff", "flaky", Exit.OK),
        ("pf", "f", "flaky", Exit.OK),
        # Not repeated, because guests died: the worse stands.
        ("pp", "f", "regression", Exit.TEST),
        ("ppp", "ff", "regression", Exit.TEST),
    ],
)
def test_upstream_rule(base: str, patched: str, verdict: str, code: Exit) -> None:
    assert _verdict(base, patched) == (verdict, code)


def test_all_results_are_listed_with_a_flaky_case() -> None:
    judgement = judge([_planned(UP)], _rows(UP, "a", "ppppp", "ffpf"))
    reasons = {result.reason for result in judgement.results}
    assert reasons == {"base pass pass pass pass pass, patched fail fail pass fail"}


def _known(expires: str = "2027-01-01") -> tuple[KnownFlaky, ...]:
    text = f"""
[[flaky]]
suite = "upstream/cgroup:test_freez*"
name = "a"
reason = "two of six runs"
owner = "the lead"
expires = {expires}
"""
    return parse_known(text, TODAY)


def test_a_known_flaky_case_fails_only_when_patched_never_passes() -> None:
    assert _verdict("ppppp", "fffp", _known()) == ("flaky", Exit.OK)
    assert _verdict("ppppf", "ffff", _known()) == ("regression", Exit.TEST)
    assert _verdict("ppppp", "ffff", _known()) == ("regression", Exit.TEST)


def test_a_known_flaky_entry_expires() -> None:
    with pytest.raises(KseriesError, match="expired on 2026-11-01") as caught:
        _known("2026-11-01")
    assert "upstream/cgroup:test_freez*" in caught.value.what
    load_known(today=TODAY)


def test_a_case_that_does_not_come_is_missing_where_its_program_ran() -> None:
    rows = _rows(UP, "a", "pp", "p") + _rows(UP, "b", "pp", "-")
    added = [r for r in complete(rows) if r not in rows]
    assert [(r.name, r.arm, r.attempt, str(r.status)) for r in added] == [
        ("b", "patched", 1, "missing")
    ]
    assert need_rerun([_planned(UP)], rows) == (UP,)


def test_cases_of_a_program_that_skipped_are_skips() -> None:
    rows = _rows(UP, PROGRAM_CASE, "ss", "-") + _rows(UP, "a", "--", "p")
    judgement = judge([_planned(UP)], rows)
    base = [r for r in judgement.results if r.name == "a" and r.arm == "base"]
    assert [str(r.status) for r in base] == ["skip", "skip"]
    assert judgement.code is Exit.OK


def test_a_defect_of_the_whole_program_on_patched_alone_is_a_regression() -> None:
    rows = _rows(UP, "a", "ppppp", "pppp") + _rows(UP, END_CASE, "-----", "cccc")
    judgement = judge([_planned(UP)], rows)
    assert judgement.code is Exit.DIED
    assert {r.name for r in judgement.failing} == {END_CASE}


def test_one_arm_alone() -> None:
    judgement = judge([_planned(UP)], _rows(UP, "a", "pp", "") + _rows(UP, "b", "pf", ""))
    assert {r.name for r in judgement.failing} == {"b"}


# --- our own tests ------------------------------------------------------------


def _own(base: str, cases: dict[str, str] | None = None) -> PlannedTest:
    listed = {name: Expect(state, "why") for name, state in (cases or {}).items()}
    return _planned(OWN, Entry("t", "t", base=Expect(base, "why"), cases=listed))


@pytest.mark.parametrize(
    ("expect", "base", "patched", "verdicts", "code"),
    [
        ("fail", "ff", "p", ("ok", "ok"), Exit.OK),
        ("fail", "pp", "p", ("unexpected-pass", "ok"), Exit.TEST),
        ("fail", "ss", "p", ("failed", "ok"), Exit.TEST),
        ("fail", "tt", "p", ("failed", "ok"), Exit.HANG),
        ("fail", "cc", "p", ("failed", "ok"), Exit.DIED),
        ("fail", "ff", "f", ("ok", "failed"), Exit.TEST),
        ("fail", "ff", "s", ("ok", "failed"), Exit.TEST),
        ("fail", "ff", "t", ("ok", "failed"), Exit.HANG),
        ("skip", "ss", "p", ("ok", "ok"), Exit.OK),
        ("skip", "ss", "s", ("ok", "failed"), Exit.TEST),
        ("skip", "pp", "p", ("unexpected-pass", "ok"), Exit.TEST),
        ("skip", "ff", "p", ("failed", "ok"), Exit.TEST),
        ("pass", "pp", "p", ("ok", "ok"), Exit.OK),
        ("pass", "ss", "s", ("ok", "ok"), Exit.OK),
        ("pass", "ff", "p", ("failed", "ok"), Exit.TEST),
        ("pass", "pp", "f", ("ok", "failed"), Exit.TEST),
    ],
)
def test_own_rule(
    expect: str, base: str, patched: str, verdicts: tuple[str, str], code: Exit
) -> None:
    judgement = judge([_own(expect)], _rows(OWN, "a", base, patched))
    by_arm = {r.arm: r.verdict for r in judgement.results}
    assert (by_arm["base"], by_arm["patched"]) == verdicts
    assert judgement.code is code
    assert {r.expected for r in judgement.results if r.arm == "patched"} == {"pass"}


def test_own_cases_can_differ_from_their_program() -> None:
    test = _own("fail", {"control": "pass"})
    rows = _rows(OWN, "freeze", "ff", "p") + _rows(OWN, "control", "pp", "p")
    assert judge([test], rows).code is Exit.OK


def test_what_follows_the_failure_on_the_base_may_be_missing_but_only_then() -> None:
    test = _own("fail")
    rows = _rows(OWN, "a", "ff", "p") + _rows(OWN, "b", "--", "p")
    assert judge([test], rows).code is Exit.OK
    rows = _rows(OWN, PROGRAM_CASE, "mm", "-") + _rows(OWN, "a", "--", "p")
    assert judge([test], rows).code is Exit.TEST


def test_own_tests_do_not_run_again() -> None:
    assert need_rerun([_own("pass")], _rows(OWN, "a", "pp", "f")) == ()


def test_rerun_failed_selects_what_failed_or_was_flaky() -> None:
    rows = _rows(UP, "a", "pf", "p") + _rows(OWN, "b", "ff", "p")
    rows += _rows("upstream/seccomp:seccomp_bpf", "c", "ppppp", "ffff")
    judged = judge([_planned(UP), _own("fail")], rows).results
    info = RunInfo(
        **dict.fromkeys(RunInfo.__dataclass_fields__, "")  # type: ignore[arg-type]
        | {"seconds": 0.0, "topology": {}, "patches": (), "toolchain": {}, "host": {}}
        | {"commands": (), "stages": {}}
    )
    stored = Results(run=info, tests=judged)
    assert rerun_failed(stored) == (UP, "upstream/seccomp:seccomp_bpf")
