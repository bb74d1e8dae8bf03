"""Plans: patterns, lanes, own plan.toml, the shell line that runs a program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.kselftest.areas import parse_own, parse_upstream, read_own, read_upstream
from harness.kselftest.plan import NO_LIMIT, Selection, chosen_areas, make_plan
from harness.pipeline.evidence import guests_for


@dataclass(frozen=True)
class Program:
    collection: str
    name: str
    timeout: float | None = 45.0


@dataclass(frozen=True)
class Lost:
    collection: str
    name: str
    reason: str


@dataclass(frozen=True)
class Built:
    root: Path = Path("/builds/tests")
    programs: tuple[Program, ...] = ()
    missing: tuple[Lost, ...] = ()


UPSTREAM = {
    "area": {
        "cgroup": {
            "plan": False,
            "reason": "r",
            "run": {"test_core": {"limit": 120}, "test_memcontrol": {"lane": "full"}},
        },
        "mm": {
            "rest": "none",
            "reason": "r",
            "run": {
                "mdwe": {"program": "run_vmtests.sh", "args": "-t mdwe"},
                "thp": {"program": "run_vmtests.sh", "args": "-t thp", "lane": "full"},
            },
        },
    }
}
OWN = {
    "program": {
        "test_high": {
            "base": "fail",
            "reason": "0.6 to 2.3 s",
            "limit": 60,
            "case": {"control": {"base": "pass"}},
        }
    }
}
AREAS = (parse_own("cgroup_freeze", OWN, "o"), *parse_upstream(UPSTREAM, "u"))
INSTALL = Built(
    programs=(
        Program("cgroup", "test_core"),
        Program("cgroup", "test_memcontrol"),
        Program("cgroup", "test_kmem", None),
        Program("mm", "run_vmtests.sh", 900.0),
        Program("agent/cgroup_freeze", "test_high"),
    )
)


def test_only_our_own_tests_run_in_two_guests_at_once() -> None:
    own = make_plan(AREAS, INSTALL, Selection(("cgroup_freeze",)))
    assert [test.own for test in own.tests] == [True]
    assert guests_for(own) == 2
    both = make_plan(AREAS, INSTALL, Selection(("test_high", "test_core")))
    assert {test.own for test in both.tests} == {True, False}
    assert guests_for(both) == 1


def test_an_area_says_which_tree_it_is_built_from() -> None:
    assert parse_own("a", OWN, "o").tree == "base"
    assert parse_own("a", {**OWN, "tree": "patched"}, "o").tree == "patched"
    with pytest.raises(KseriesError, match="tree = 'mine'"):
        parse_own("a", {**OWN, "tree": "mine"}, "o")


def _suites(*patterns: str, upstream: tuple[str, ...] = (), full: bool = False) -> list[str]:
    plan = make_plan(AREAS, INSTALL, Selection(patterns, upstream, full))
    return [test.suite for test in plan.tests]


def test_nothing_selected_means_our_own() -> None:
    assert _suites() == ["agent/cgroup_freeze:test_high"]


@pytest.mark.parametrize(
    ("patterns", "suites"),
    [
        (("cgroup",), ["upstream/cgroup:test_core"]),
        (("cgroup:test_core",), ["upstream/cgroup:test_core"]),
        (("cgroup:test_mem*",), ["upstream/cgroup:test_memcontrol"]),  # named: any lane
        (("test_core",), ["upstream/cgroup:test_core"]),
        (("upstream/cgroup:test_core",), ["upstream/cgroup:test_core"]),
        (("agent/*",), ["agent/cgroup_freeze:test_high"]),
        (("cgroup*",), ["agent/cgroup_freeze:test_high", "upstream/cgroup:test_core"]),
        (("mm:mdwe", "cgroup_freeze"), ["agent/cgroup_freeze:test_high", "upstream/mm:mdwe"]),
    ],
)
def test_patterns(patterns: tuple[str, ...], suites: list[str]) -> None:
    assert _suites(*patterns) == suites


def test_upstream_areas_and_the_full_lane() -> None:
    assert _suites(upstream=("cgroup", "mm")) == ["upstream/cgroup:test_core", "upstream/mm:mdwe"]
    assert _suites(upstream=("cgroup",), full=True) == [
        "upstream/cgroup:test_core",
        "upstream/cgroup:test_memcontrol",
        "upstream/cgroup:test_kmem",
    ]
    plan = make_plan(AREAS, INSTALL, Selection(upstream=("cgroup",)))
    assert plan.left_out == ("upstream/cgroup:test_memcontrol", "upstream/cgroup:test_kmem")


def test_a_demonstration_leaves_longer_programs_to_a_check() -> None:
    data = {
        "program": {
            "quick": {"base": "pass"},
            "slow": {"base": "pass", "lane": "check"},
            "night": {"base": "pass", "lane": "full"},
        }
    }
    areas = (parse_own("thing", data, "plan.toml"),)
    install = Built(programs=tuple(Program("agent/thing", name) for name in data["program"]))
    seen = {
        look: [t.suite for t in make_plan(areas, install, Selection(look=look)).tests]
        for look in (True, False)
    }
    assert seen == {
        True: ["agent/thing:quick"],
        False: ["agent/thing:quick", "agent/thing:slow"],
    }
    named = Selection(("thing:slow",), look=True)
    assert [t.suite for t in make_plan(areas, install, named).tests] == ["agent/thing:slow"]
    plan = make_plan(areas, install, Selection(look=True))
    assert [what for what, _ in plan.remarks] == ["agent/thing:slow"]


@pytest.mark.parametrize("selection", [Selection(("cgruop",)), Selection(upstream=("cgruop",))])
def test_an_unknown_name_is_an_error_that_helps(selection: Selection) -> None:
    with pytest.raises(KseriesError) as caught:
        make_plan(AREAS, INSTALL, selection)
    assert caught.value.code is Exit.USAGE
    assert "cgroup" in caught.value.hint


def test_a_known_area_with_an_unknown_program_is_an_error() -> None:
    with pytest.raises(KseriesError):
        make_plan(AREAS, INSTALL, Selection(("cgroup:test_nothing",)))


def test_commands() -> None:
    plan = make_plan(AREAS, INSTALL, Selection(("mm:mdwe", "cgroup:*"), full=True))
    by_suite = {test.suite: test.command for test in plan.tests}
    assert by_suite["upstream/cgroup:test_core"].limit == 120
    assert by_suite["upstream/cgroup:test_kmem"].limit == NO_LIMIT
    assert by_suite["upstream/mm:mdwe"].limit == 4 * 900
    assert by_suite["upstream/mm:mdwe"].name == "upstream.mm:mdwe"
    assert by_suite["upstream/mm:mdwe"].shell.endswith("exec ./run_vmtests.sh -t mdwe")


def test_the_shell_line_copies_and_runs(tmp_path: Path) -> None:
    """The line really works, with a link as the collection's folder."""
    root, store, scratch = tmp_path / "root", tmp_path / "store", tmp_path / "scratch"
    for folder in (root, store / "t", scratch):
        folder.mkdir(parents=True)
    program = store / "t" / "prog"
    program.write_text('#!/bin/sh\necho "ran $1"; touch beside; exit 4\n')
    program.chmod(0o755)
    (root / "agent").mkdir()
    (root / "agent" / "t").symlink_to(store / "t")
    table = {"program": {"prog": {"args": "-x", "base": "pass"}}}
    built = Built(root, (Program("agent/t", "prog"),))
    plan = make_plan((parse_own("t", table, "o"),), built, Selection())
    for _ in range(2):
        line = ["sh", "-c", plan.tests[0].command.shell]
        done = subprocess.run(line, cwd=scratch, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (4, "ran -x\n", "")
    assert (scratch / "kst" / "agent" / "t" / "beside").exists()
    assert not (store / "t" / "beside").exists()


def test_expectations() -> None:
    (test,) = make_plan(AREAS, INSTALL, Selection()).tests
    high, control = test.expect("anything"), test.expect("control")
    assert high is not None
    assert high.base == "fail"
    assert control is not None
    assert control.base == "pass"
    upstream = make_plan(AREAS, INSTALL, Selection(("test_core",))).tests[0]
    assert upstream.expect("anything") is None


def test_what_is_not_built_fails_with_its_reason_and_a_remark_is_a_skip() -> None:
    lost = (Lost("cgroup", "test_core", "x.c:1: error"), Lost("cgroup", "", "no 32-bit libc"))
    built = Built(programs=(Program("cgroup", "test_kmem"),), missing=lost)
    plan = make_plan(AREAS, built, Selection(upstream=("cgroup",)))
    assert plan.not_built == (("upstream/cgroup:test_core", "x.c:1: error"),)
    assert plan.remarks == (("upstream/cgroup", "no 32-bit libc"),)
    nothing = make_plan(AREAS, Built(missing=lost[1:]), Selection(upstream=("cgroup",)))
    assert nothing.not_built == (("upstream/cgroup:test_core", "no 32-bit libc"),)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"program": {"t": {}}},  # says nothing of the base
        {"program": {"t": {"base": "fail"}}},  # without a reason
        {"program": {"t": {"base": "maybe", "reason": "r"}}},
        {"program": {"t": {"base": "pass", "limt": 3}}},
        {"program": {"t": {"base": "pass", "lane": "slow"}}},
        {"program": {"t": {"base": "pass", "case": {"c": {"base": "fail"}}}}},
        {"programs": {}},
    ],
)
def test_bad_plans_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(KseriesError) as caught:
        parse_own("a", table, "plan.toml")
    assert caught.value.code is Exit.USAGE


def test_an_own_program_without_an_entry_is_refused() -> None:
    built = Built(programs=(Program("agent/cgroup_freeze", "test_new"),))
    with pytest.raises(KseriesError, match="test_new is built but has no entry"):
        make_plan(AREAS, built, Selection())


def test_an_area_without_a_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "selftests" / "x").mkdir(parents=True)
    (tmp_path / "selftests" / "x" / "Makefile").touch()
    with pytest.raises(KseriesError, match="without a plan"):
        read_own(tmp_path)


def test_the_stored_upstream_file_is_good() -> None:
    areas = {area.name: area for area in read_upstream()}
    assert {"cgroup", "seccomp", "sched_ext", "mm", "x86", "ftrace", "rseq", "sched"} <= set(areas)
    mm = {entry.name: entry.lane for entry in areas["mm"].entries}
    assert {mm["migration"], mm["thp"], mm["hugetlb"]} == {"full"}
    assert [a.name for a in chosen_areas(tuple(areas.values()), Selection(("mm:cow",)))] == ["mm"]


def test_measurements_are_taken_out_of_names() -> None:
    areas = {area.name: area for area in read_upstream()}
    entries = {entry.name: entry for entry in areas["mm"].entries}
    first = entries["pagemap"].stable_name("transact_test Extra pages 126 (0.3%), extra thread.")
    again = entries["pagemap"].stable_name("transact_test Extra pages 87 (0.2%), extra thread.")
    assert first == again == "transact_test #"
    assert (
        entries["process_mrelease"].stable_name("a child with 2MB of it") == "a child with # of it"
    )
    assert entries["mmap"].stable_name("case 3") == "case 3"
