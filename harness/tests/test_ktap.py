"""The KTAP reader: what it promises for any text, and small cases by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.kselftest.ktap import parse_ktap
from harness.kselftest.ktap_lines import END_CASE, PLAN_CASE, clean_name, is_whole
from harness.results.model import Status

# --- any text ---------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        "TAP version 13",
        "KTAP version 1",
        "1..0 # SKIP nothing here",
        "1..2",
        "1..3",
        "ok 1 a",
        "ok 2 b # SKIP why",
        "not ok 2 b",
        "not ok 3 c # TIMEOUT 45 seconds",
        "ok 3 # XFAIL c",
        "ok",
        "not ok",
        "ok 1",
        "# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0",
        "Bail out! no memory",
        "#  RUN           a.b ...",
        "[   12.345678][  T123] BUG: words",
        "ok 4 d[   12.345678][    C0] glued",
        "\x1b[32mok 1 a\x1b[0m",
        "words",
        "",
    ]
)
_PREFIXES = st.sampled_from(["", "", "# ", "# # ", "# # # ", "  ", "    ", "#   "])
_ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r", ""])
_TEXTS = st.lists(st.tuples(_PREFIXES, _PIECES, _ENDS), max_size=30).map(
    lambda parts: "".join(prefix + piece + end for prefix, piece, end in parts)
)
_STATUSES = st.sampled_from([None, 0, 1, 4, 124, 139])


@settings(deadline=None)  # a busy host is no failure
@given(st.one_of(st.text(max_size=300), _TEXTS), _STATUSES, st.booleans())
def test_never_raises_and_a_bad_case_is_never_a_pass(
    text: str, status: int | None, plan: bool
) -> None:
    result = parse_ktap(text, status, require_plan=plan)
    bad = {Status.FAIL, Status.TIMEOUT, Status.MISSING, Status.CRASH}
    if any(case.status in bad for case in result.cases) or status is None:
        assert result.status not in {Status.PASS, Status.SKIP}
        assert result.reason
    names = [case.name for case in result.cases]
    assert len(names) == len(set(names)), "names tell cases apart"


@settings(deadline=None)  # a busy host is no failure
@given(_TEXTS, st.data(), _STATUSES)
def test_truncation_never_yields_more_passes(
    text: str, data: st.DataObject, status: int | None
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    whole = parse_ktap(text, status).count(Status.PASS)
    assert parse_ktap(text[:cut], status).count(Status.PASS) <= whole


# --- generated nestings -------------------------------------------------------


@dataclass(frozen=True)
class Tree:
    name: str
    ok: bool = True
    children: tuple[Tree, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return all(c.passed for c in self.children) if self.children else self.ok


def _named(trees: list[Tree]) -> tuple[Tree, ...]:
    """Give siblings names of their own."""
    return tuple(Tree(f"{t.name}{i}", t.ok, t.children) for i, t in enumerate(trees))


_NAMES = st.text("abcxyz_. -", min_size=1, max_size=8).map(lambda s: f"t{s.strip(' -')}")
_LEAVES = st.builds(Tree, _NAMES, st.booleans())
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.builds(
        lambda name, children: Tree(name, True, _named(children)),
        _NAMES,
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=12,
)
_FORESTS = st.lists(_TREES, min_size=1, max_size=4).map(_named)


def _render(trees: tuple[Tree, ...], step: str, prefix: str = "", version: bool = True) -> str:
    lines = [f"{prefix}TAP version 13"] if version else []
    lines.append(f"{prefix}1..{len(trees)}")
    text = "".join(f"{line}\n" for line in lines)
    for number, tree in enumerate(trees, 1):
        if tree.children:
            text += _render(tree.children, step, prefix + step, version)
        text += f"{prefix}# said about {tree.name}\n"
        text += f"{prefix}{'ok' if tree.passed else 'not ok'} {number} {tree.name}\n"
    return text


def _flat(trees: tuple[Tree, ...], path: str = "") -> list[tuple[str, Status]]:
    found: list[tuple[str, Status]] = []
    for tree in trees:
        name = path + tree.name
        if tree.children:
            found += _flat(tree.children, f"{name} / ")
        else:
            found.append((name, Status.PASS if tree.ok else Status.FAIL))
    return found


@settings(deadline=None)  # a busy host is no failure
@given(_FORESTS, st.sampled_from(["  ", "    ", "# "]), st.booleans(), st.sampled_from(["", "\r"]))
def test_round_trip_of_nestings(
    trees: tuple[Tree, ...], step: str, version: bool, end: str
) -> None:
    text = _render(trees, step, version=version).replace("\n", f"{end}\n")
    result = parse_ktap(text, 0 if all(t.passed for t in trees) else 1)
    assert [(case.name, case.status) for case in result.cases] == _flat(trees)
    assert (result.status is Status.PASS) == all(tree.passed for tree in trees)
    assert not result.notes


@settings(deadline=None)  # a busy host is no failure
@given(_FORESTS, st.sampled_from(["  ", "# "]), st.data())
def test_a_cut_plan_is_never_a_pass(
    trees: tuple[Tree, ...], step: str, data: st.DataObject
) -> None:
    text = _render(trees, step)
    cut = data.draw(st.integers(len("TAP version 13\n1..1\n"), len(text) - 1))
    assert parse_ktap(text[:cut], 0).status is not Status.PASS


# --- by hand -------------------------------------------------------------------


def _cases(text: str, status: int | None = 0, **kwargs: bool) -> list[tuple[str, str]]:
    result = parse_ktap(text, status, **kwargs)
    return [(case.name, str(case.status)) for case in result.cases]


@pytest.mark.parametrize(
    ("line", "name", "status", "reason"),
    [
        ("ok 1 a", "a", "pass", ""),
        ("ok 1 - a", "a", "pass", ""),
        ("ok 1", "#1", "pass", ""),
        ("ok 1 a # rcode=0", "a", "pass", "rcode=0"),
        ("ok 1 a # ", "a", "pass", ""),
        ("not ok 1 a # exit=1", "a", "fail", "exit=1"),
        ("ok 1 a # SKIP no userfaultfd", "a", "skip", "no userfaultfd"),
        ("not ok 1 a # SKIP", "a", "skip", "SKIP"),
        ("ok 1 # SKIP test_a", "test_a", "skip", "test_a"),
        ("ok 1 # XFAIL test_a", "test_a", "xfail", "test_a"),
        ("ok 1 a # XFAIL known", "a", "xfail", "known"),
        ("not ok 1 a # TODO later", "a", "xfail", "later"),
        ("ok 1 a # TODO later", "a", "pass", "later"),
        ("ok 1 # XPASS test_a", "test_a", "fail", "XPASS: test_a"),
        ("not ok 1 # error test_a", "test_a", "fail", "ERROR: test_a"),
        ("not ok 1 a # TIMEOUT 45 seconds", "a", "timeout", "45 seconds"),
        ("not ok 1 a # TIMEOUT", "a", "timeout", "TIMEOUT"),
        ("not ok 1 a # UNRESOLVED", "a", "fail", "UNRESOLVED"),
        ("ok 1 map at 0x7f12ab34c000", "map at 0x..", "pass", ""),
        ("ok 1 kill pid 4711 fork", "kill pid N fork", "pass", ""),
        ("ok 1 8KB mremap", "8KB mremap", "pass", ""),
        ("\x1b[32mok\x1b[0m 1 a", "a", "pass", ""),
        ("[    1.234567] ok 1 - a", "a", "pass", ""),
        ("ok 1 a[   12.345678][  T99] BUG: x", "a", "pass", ""),
    ],
)
def test_one_result_line(line: str, name: str, status: str, reason: str) -> None:
    result = parse_ktap(f"TAP version 13\n1..1\n{line}\n", 0)
    assert [(c.name, str(c.status), c.reason) for c in result.cases] == [(name, status, reason)]


def test_short_plan_names_what_is_missing() -> None:
    result = parse_ktap("TAP version 13\n1..4\nok 1 a\nok 3 c\n", 0)
    assert result.status is Status.MISSING
    assert result.cases[-1].name == PLAN_CASE
    assert result.cases[-1].reason == "4 results were planned, 2 came (missing: 2, 4)"


def test_missing_plan_is_a_failure_unless_the_program_is_known_to_print_none() -> None:
    text = "ok 1 a\nok 2 b\n"
    assert parse_ktap(text, 0).status is Status.MISSING
    assert parse_ktap(text, 0, require_plan=False).status is Status.PASS


def test_a_gap_is_seen_without_a_plan() -> None:
    result = parse_ktap("ok 1 a\nok 3 c\n", 0, require_plan=False)
    assert result.status is Status.MISSING
    assert "number 2" in result.reason


def test_plan_at_the_end_and_too_many() -> None:
    assert parse_ktap("ok 1 a\nok 2 b\n1..2\n", 0).status is Status.PASS
    assert parse_ktap("1..1\nok 1 a\nok 2 b\n", 0).status is Status.MISSING


def test_repeated_lines_of_forked_buffers_are_noted_not_counted() -> None:
    result = parse_ktap("TAP version 13\n1..2\nok 1 a\nok 1 a\nok 2 b\nok 1 a\n", 0)
    assert result.count(Status.PASS) == 2
    assert len(result.notes) == 2
    assert result.status is Status.PASS


def test_a_repeated_number_that_fails_is_counted() -> None:
    result = parse_ktap("TAP version 13\n1..2\nok 1 a\nok 2 b\nnot ok 1 a\n", 0)
    assert result.count(Status.FAIL) == 1
    assert result.status is Status.FAIL


def test_bail_out() -> None:
    result = parse_ktap("TAP version 13\n1..2\nok 1 a\nBail out! no memory\n", 1)
    assert result.status is Status.FAIL
    assert (END_CASE, "Bail out! no memory") in [(c.name, c.reason) for c in result.cases]


def test_whole_program_skip() -> None:
    result = parse_ktap("TAP version 13\n1..0 # SKIP cgroup v2 isn't mounted\n", 4)
    assert (result.status, result.reason) == (Status.SKIP, "cgroup v2 isn't mounted")
    assert result.cases == ()


def test_skip_in_the_middle_stands_for_the_rest() -> None:
    result = parse_ktap("TAP version 13\n1..3\nok 1 a\nok 2 # SKIP no swap\n", 4)
    assert _cases("TAP version 13\n1..3\nok 1 a\nok 2 # SKIP no swap\n", 4) == [
        ("a", "pass"),
        ("no swap", "skip"),
    ]
    assert result.notes


def test_a_program_without_ktap_is_judged_by_its_exit_status() -> None:
    assert parse_ktap("[OK] fine\n", 0).status is Status.PASS
    assert parse_ktap("needs root\n", 4).status is Status.SKIP
    failed = parse_ktap("Segmentation fault\n", 139)
    assert failed.status is Status.FAIL
    assert failed.reason == "exit status 139: Segmentation fault"
    assert parse_ktap("", None).status is Status.FAIL
    assert parse_ktap("some words, then\n  not ok: it broke\n", 0).status is Status.FAIL


def test_exit_status_that_no_case_explains() -> None:
    result = parse_ktap("TAP version 13\n1..1\nok 1 a\n", 139)
    assert result.status is Status.FAIL
    assert "139" in result.reason


def test_output_without_exit_status_is_no_pass() -> None:
    assert parse_ktap("TAP version 13\n1..1\nok 1 a\n", None).status is Status.FAIL


def test_totals_that_count_more_than_was_seen() -> None:
    text = "ok 1 a\n# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0\n"
    assert parse_ktap(text, 0, require_plan=False).status is Status.MISSING


def test_a_remark_that_looks_like_a_result_is_none() -> None:
    text = "TAP version 13\n1..1\n# ok 7 times in a row\n# ok so far\nok 1 a\n"
    assert _cases(text) == [("a", "pass")]


def test_a_last_line_without_its_newline_is_not_believed() -> None:
    result = parse_ktap("TAP version 13\n1..1\nok 1 a", 0)
    assert result.count(Status.PASS) == 0
    assert "cut off" in " ".join(case.reason for case in result.cases)


def test_diagnostics_go_with_the_case_that_follows() -> None:
    text = "TAP version 13\n1..2\n# RUN a\nok 1 a\n# x.c:7: expected 1\nwords\nnot ok 2 b\n"
    cases = parse_ktap(text, 1).cases
    assert cases[0].diagnostics == ("# RUN a",)
    assert cases[1].diagnostics == ("# x.c:7: expected 1", "words")


def test_same_names_are_told_apart_by_their_numbers() -> None:
    text = "TAP version 13\n1..3\nok 1 no leak\nok 2 other\nok 3 no leak\n"
    assert [name for name, _ in _cases(text)] == ["no leak #1", "other", "no leak #3"]


def test_a_parent_that_fails_by_itself_is_listed() -> None:
    text = "TAP version 13\n1..1\n# TAP version 13\n# 1..1\n# ok 1 a\nnot ok 1 prog # exit=139\n"
    assert _cases(text, 1) == [("prog / a", "pass"), ("prog", "fail")]


def test_a_nested_short_plan_fails_although_the_parent_says_ok() -> None:
    text = "TAP version 13\n1..1\n# TAP version 13\n# 1..2\n# ok 1 a\nok 1 prog\n"
    assert _cases(text) == [("prog / a", "pass"), ("prog / (plan)", "missing")]
    assert is_whole("prog / (plan)")


def test_children_without_a_parent_are_unfinished() -> None:
    text = "TAP version 13\n1..1\n# TAP version 13\n# 1..2\n# ok 1 a\n"
    assert ("(unfinished) / a", "pass") in _cases(text, 0)
    assert parse_ktap(text, 0).status is Status.MISSING


def test_two_documents_after_each_other() -> None:
    text = "TAP version 13\n1..1\nok 1 a\nTAP version 13\n1..2\nok 1 b\nok 2 c\n"
    assert _cases(text) == [("a", "pass"), ("b", "pass"), ("c", "pass")]


def test_clean_name_keeps_numbers_that_matter() -> None:
    assert clean_name("  - hugetlb 2048 kB at 0xffff8880") == "hugetlb 2048 kB at 0x.."
