"""Upstream's tests beside a scheduler: the shell line, the case more, what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.core.errors import KseriesError
from harness.guest.job import Command, CommandResult
from harness.kselftest.areas import Entry, parse_upstream, read_upstream
from harness.kselftest.beside import beside, checked, ran_beside
from harness.kselftest.plan import Plan, PlannedTest
from harness.kselftest.runner import command_results
from harness.results.model import Status

# Says that it rules, until SIGTERM, or until the test writes what its status shall be.
FAKE = """#!/bin/sh
[ -e refuse ] && { echo "no class"; exit 2; }
trap 'echo disabled > STATE; rm OPS; exit 0' TERM
mkdir -p sys/root
echo agent_class > OPS
echo enabled > STATE
while [ ! -e leave ]; do sleep 0.05; done
echo disabled > STATE
rm OPS
echo "cpu.max is set"
exit $(cat leave)
"""


def planned(shell: str, where: str = "stays", plan: bool = True) -> PlannedTest:
    entry = Entry("basic_test", "basic_test", plan=plan, scheduler=where)
    name = "upstream/rseq:basic_test"
    return PlannedTest(name, "rseq", entry, False, Command("upstream.rseq:basic_test", shell))


def run(tmp_path: Path, test: PlannedTest, arm: str) -> dict[str, tuple[Status, str]]:
    """Run a test beside the fake scheduler; its cases, and what is said of them."""
    (tmp_path / "sys").mkdir()
    state, ops = tmp_path / "sys/state", tmp_path / "sys/root/ops"
    state.write_text("disabled\n")
    program = tmp_path / "scx_agent"
    program.write_text(FAKE.replace("STATE", str(state)).replace("OPS", str(ops)))
    program.chmod(0o755)
    (test,) = beside(Plan((test,)), "scx_agent", program).tests
    shell = test.on(arm).command.shell
    assert "/sys/kernel/sched_ext" in shell
    shell = shell.replace("/sys/kernel/sched_ext", str(tmp_path / "sys"))
    shell = shell.replace("seq 300", "seq 5")
    done = subprocess.run(
        ["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    result = CommandResult(test.command.name, done.returncode, 1.0, False, tmp_path / "log")
    cases = command_results(test, arm, 1, result, done.stdout)
    assert {case.suite for case in cases} == {"scx_agent/rseq:basic_test"}
    return {case.name: (case.status, case.reason) for case in cases}


def says(tmp_path: Path) -> str:
    """Return a test that passes and notes who ruled meanwhile."""
    return f"cat {tmp_path}/sys/root/ops > {tmp_path}/ruled\nprintf '1..1\\nok 1 a\\n'"


def test_it_runs_while_the_scheduler_is_loaded(tmp_path: Path) -> None:
    cases = run(tmp_path, planned(says(tmp_path)), "patched")
    assert cases == {"a": (Status.PASS, ""), "scx_agent stays": (Status.PASS, "")}
    assert (tmp_path / "ruled").read_text() == "agent_class\n"
    assert (tmp_path / "sys/state").read_text() == "disabled\n"


def test_the_base_runs_it_without_one(tmp_path: Path) -> None:
    cases = run(tmp_path, planned(says(tmp_path)), "base")
    assert cases == {"a": (Status.PASS, ""), "scx_agent stays": (Status.PASS, "")}
    assert (tmp_path / "ruled").read_text() == ""


def leaves(status: int) -> str:
    """Return a test that makes the scheduler end."""
    wait = "while [ -e sys/root/ops ]; do sleep 0.05; done; sleep 0.2"
    return f"echo {status} > leave\n{wait}\nprintf '1..1\\nok 1 a\\n'"


def test_a_scheduler_that_is_gone_fails_a_case(tmp_path: Path) -> None:
    cases = run(tmp_path, planned(leaves(3)), "patched")
    assert cases["a"] == (Status.PASS, "")
    status, reason = cases["scx_agent stays"]
    assert status is Status.FAIL
    assert "ends, status 3" in reason
    assert "cpu.max is set" in reason


def test_one_that_must_leave_must_do_so_by_itself(tmp_path: Path) -> None:
    assert run(tmp_path, planned(leaves(2), "ends"), "patched")["scx_agent ends"][0] is Status.PASS


@pytest.mark.parametrize("shell", [leaves(3), "printf '1..1\\nok 1 a\\n'"])
def test_one_that_is_thrown_out_or_stays_has_not_left(tmp_path: Path, shell: str) -> None:
    assert run(tmp_path, planned(shell, "ends"), "patched")["scx_agent ends"][0] is Status.FAIL


def test_one_that_does_not_load_fails_the_test(tmp_path: Path) -> None:
    (tmp_path / "refuse").touch()
    cases = run(tmp_path, planned(says(tmp_path)), "patched")
    assert not (tmp_path / "ruled").exists()
    assert cases["scx_agent stays"] == (Status.FAIL, "not loaded: no class")
    assert Status.PASS not in {status for status, _ in cases.values()}


def test_the_programs_own_status_counts(tmp_path: Path) -> None:
    cases = run(tmp_path, planned("echo nothing of KTAP; exit 7", plan=False), "patched")
    assert cases.pop("scx_agent stays") == (Status.PASS, "")
    assert [status for status, _ in cases.values()] == [Status.FAIL]


def test_a_silent_program_passes(tmp_path: Path) -> None:
    cases = run(tmp_path, planned("exit 0", plan=False), "patched")
    assert {status for status, _ in cases.values()} == {Status.PASS}
    assert len(cases) == 2


def test_nobody_looked() -> None:
    (test,) = beside(Plan((planned("true"),)), "scx_agent", Path("/scx_agent")).tests
    result = CommandResult(test.command.name, 1, 1.0, False, Path("log"))
    cases = command_results(test, "patched", 1, result, "1..1\nok 1 a\n")
    assert cases[-1].name == "scx_agent stays"
    assert cases[-1].status is Status.FAIL


def test_what_makes_no_sense_is_left_out_and_said() -> None:
    plan = beside(
        Plan((planned("true", "none"), planned("true")), ("upstream/cgroup:test_cpu",)),
        "scx_agent",
        Path("/scx_agent"),
    )
    assert len(plan.tests) == 1
    assert plan.left_out == ("scx_agent/cgroup:test_cpu",)
    assert plan.remarks == (("scx_agent/rseq:basic_test", "makes no sense beside a scheduler"),)


def test_without_a_scheduler_nothing_changes() -> None:
    test = planned("true")
    assert test.on("patched") is test
    result = CommandResult(test.command.name, 0, 1.0, False, Path("log"))
    names = [r.name for r in command_results(test, "patched", 1, result, "1..1\nok 1 a\n")]
    assert names == ["a"]


def test_the_plan_says_where_the_scheduler_is() -> None:
    areas = {area.name: area for area in read_upstream()}
    assert areas["sched_ext"].scheduler == "none"
    assert {entry.scheduler for entry in areas["sched_ext"].entries} == {"none"}
    entries = {entry.name: entry.scheduler for entry in areas["cgroup"].entries}
    assert entries["test_cpu"] == "ends"
    assert entries["test_cpuset"] == "stays"
    with pytest.raises(KseriesError, match="scheduler"):
        parse_upstream({"area": {"a": {"reason": "r", "scheduler": "maybe"}}}, "u")


@pytest.mark.parametrize(
    ("scheduler", "upstream", "arms", "what"),
    [
        ("scx_other", ("rseq",), ("base", "patched"), "no scheduler"),
        ("scx_agent", (), ("base", "patched"), "upstream"),
        ("scx_agent", ("rseq",), ("base",), "patched kernel"),
    ],
)
def test_what_cannot_be_is_refused(
    scheduler: str, upstream: tuple[str, ...], arms: tuple[str, ...], what: str
) -> None:
    with pytest.raises(KseriesError, match=what):
        checked(scheduler, upstream, arms)


def test_a_rerun_is_beside_it_again() -> None:
    assert ran_beside(("scx_agent/rseq:a",)) == (("upstream/rseq:a",), "scx_agent")
    assert ran_beside(("upstream/rseq:a",)) == (("upstream/rseq:a",), "")
    with pytest.raises(KseriesError, match="some were not"):
        ran_beside(("scx_agent/rseq:a", "agent/cgroup_freeze:b"))
    assert checked("", (), ()) == ""
