"""Rounds and campaigns with a guest that is played by stored or written logs."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.errors import Exit
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, Command, CommandResult, Fate, Job, Machine
from harness.guest.splat import find_splats
from harness.kselftest.areas import Entry, Expect
from harness.kselftest.campaign import CampaignRequest, CampaignResult, KernelPair, run_campaign
from harness.kselftest.plan import Plan, PlannedTest
from harness.kselftest.runner import splat_place

DATA = Path(__file__).with_name("data")
BANNER = "[    0.000000][    T0] Linux version 6.18.15 (kseries@localhost)\n"
WARN = "[   20.000000][   T99] WARNING: CPU: 0 PID: 99 at kernel/x.c:1 f+0x1/0x2\n"
BASE, PATCHED = Path("base/bzImage"), Path("patched/bzImage")


@dataclass(frozen=True)
class Plays:
    """What a command does: prints, exits, or takes the guest with it."""

    log: str = ""
    status: int | None = 0
    seconds: float = 1.0
    fate: Fate = Fate.OK
    console: str = ""
    timed_out: bool = False


Script = Mapping[str, Plays] | Callable[[Machine, int], Mapping[str, Plays]]


@dataclass
class Guest:
    """run_job() without a guest: plays a script and writes the same files."""

    script: Callable[[Machine, int], Mapping[str, Plays]]
    boots: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    console: str = BANNER
    failed_start: str = ""

    def __call__(
        self,
        machine: Machine,
        job: Job,
        folder: Path,
        *,
        paths: Paths,
        ui: Ui,
        on_result: Callable[[CommandResult], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        allow: Sequence[AllowEntry] = (),
    ) -> BootResult:
        folder.mkdir(parents=True)
        arm = machine.kernel.parent.name
        self.boots.append((arm, tuple(c.name for c in job.commands)))
        plays = self.script(machine, sum(name == arm for name, _ in self.boots))
        console, fate, cause, running = self.console, Fate.OK, "", ""
        results = []
        for command in job.commands:
            play = plays.get(command.name, Plays("ok 1 a\n"))
            log = folder / f"{command.name}.log"
            if fate is Fate.OK:
                console += f"[    9.000000][    T1] kseries: run {command.name}\n{play.console}"
                log.write_bytes(play.log.encode())
                fate = play.fate
                if fate is not Fate.OK:
                    cause, running = "Kernel panic - not syncing: x", command.name
                else:
                    console += f"[    9.100000][    T1] kseries: end {command.name} 0\n"
                    result = CommandResult(
                        command.name, play.status, play.seconds, play.timed_out, log
                    )
                    results.append(result)
                    if on_result:
                        on_result(result)
                    continue
            results.append(CommandResult(command.name, None, 0.0, False, log))
        path = folder / "console.log"
        path.write_text(console)
        return BootResult(
            fate=fate,
            results=tuple(results),
            splats=find_splats(console, allow),
            console=path,
            running=running,
            cause=cause,
            seconds=1.0,
            boot_seconds=0.5,
            line="vng",
            accel="tcg",
            qemu="10.0.2",
            cpu="max",
            topology_errors=(),
            harness_cpu_seconds=0.0,
            failed_start=self.failed_start,
        )


def _test(name: str, base: str = "", plan: bool = False) -> PlannedTest:
    suite = f"agent/x:{name}" if base else f"upstream/x:{name}"
    entry = Entry(name, name, plan=plan, base=Expect(base, "why") if base else None)
    return PlannedTest(suite, "x", entry, bool(base), Command(name, f"./{name}", limit=10))


def _run(
    tmp_path: Path,
    tests: Sequence[PlannedTest],
    script: Callable[[Machine, int], Mapping[str, Plays]],
    guest: Guest | None = None,
    **request: object,
) -> tuple[CampaignResult, Guest]:
    guest = guest or Guest(script)
    result = run_campaign(
        CampaignRequest(Plan(tuple(tests)), **request),  # type: ignore[arg-type]
        paths=Paths(tmp_path, tmp_path / "cache", tmp_path / "out"),
        ui=Ui(stream=io.StringIO()),
        kernels=KernelPair(BASE, PATCHED),
        folder=tmp_path / "run",
        run_job=guest,
    )
    return result, guest


def _patched(machine: Machine) -> bool:
    return machine.kernel == PATCHED


def test_nothing_changed_is_green_in_three_boots(tmp_path: Path) -> None:
    result, guest = _run(tmp_path, [_test("a"), _test("b")], lambda m, n: {})
    assert result.code is Exit.OK
    assert [arm for arm, _ in guest.boots] == ["base", "patched", "base"]
    assert result.counts == (2, 0, 0)
    assert "# patched-1 a status 0\nok 1 a\n" in (tmp_path / "run" / "ktap.log").read_text()


def test_a_guest_that_dies_under_a_flaky_test_still_fails_the_run(tmp_path: Path) -> None:
    result, _ = _run(
        tmp_path,
        [_test("a")],
        lambda m, n: {"a": Plays("", None, fate=Fate.DIED)} if _patched(m) and n == 1 else {},
    )
    assert {r.verdict for r in result.tests if r.suite != "guests"} == {"flaky"}
    assert result.code is Exit.DIED


def test_a_start_that_qemu_spoiled_is_told_in_the_results(tmp_path: Path) -> None:
    guest = Guest(lambda m, n: {}, failed_start="Assertion `a' failed.")
    result, _ = _run(tmp_path, [_test("a")], guest.script, guest=guest)
    assert result.code is Exit.OK
    told = {skip.what: skip.reason for skip in result.skips}
    assert told["the first start of patched-1"] == "QEMU itself failed: Assertion `a' failed."


def test_one_case_broken_is_red_after_three_and_three(tmp_path: Path) -> None:
    result, guest = _run(
        tmp_path,
        [_test("a"), _test("b")],
        lambda m, n: {"b": Plays("not ok 1 a\n", 1)} if _patched(m) else {},
    )
    assert result.code is Exit.TEST
    assert guest.boots[3:] == [("base", ("b",)), ("patched", ("b",))] * 3
    assert {(r.suite, r.arm) for r in result.tests if r.verdict == "regression"} == {
        ("upstream/x:b", "patched")
    }
    assert result.counts == (1, 1, 0)


def test_bad_luck_is_flaky_and_green(tmp_path: Path) -> None:
    result, _ = _run(
        tmp_path,
        [_test("a")],
        lambda m, n: {"a": Plays("not ok 1 a\n", 1)} if _patched(m) and n == 1 else {},
    )
    assert result.code is Exit.OK
    assert {r.verdict for r in result.tests} == {"flaky"}


def test_a_test_that_panics_the_guest_is_named_and_the_rest_still_runs(tmp_path: Path) -> None:
    def script(machine: Machine, boot: int) -> Mapping[str, Plays]:
        bad = Plays("ok 1 a\nok 2 b\n", None, fate=Fate.DIED)
        return {"b": bad} if _patched(machine) else {"b": Plays("ok 1 a\nok 2 b\nok 3 c\n")}

    result, guest = _run(tmp_path, [_test("a"), _test("b"), _test("c")], script)
    assert result.code is Exit.DIED
    assert guest.boots[1:3] == [("patched", ("a", "b", "c")), ("patched", ("c",))]
    crash = [r for r in result.tests if str(r.status) == "crash" and r.suite != "guests"]
    assert {(r.suite, r.name, r.arm) for r in crash} == {("upstream/x:b", "(end)", "patched")}
    assert "Kernel panic" in crash[0].reason
    assert {r.suite for r in result.tests if r.verdict == "regression"} == {"upstream/x:b"}
    lost = [r for r in result.tests if r.name == "c" and r.arm == "patched"]
    assert {str(r.status) for r in lost} == {"missing"}


def test_a_test_that_hangs_the_guest_is_named(tmp_path: Path) -> None:
    result, _ = _run(
        tmp_path,
        [_test("a", base="pass")],
        lambda m, n: {"a": Plays("", None, fate=Fate.HUNG)} if _patched(m) else {},
    )
    assert result.code is Exit.HANG
    bad = [r for r in result.tests if r.verdict == "failed"]
    assert [(r.suite, r.name, str(r.status)) for r in bad] == [
        ("agent/x:a", "(program)", "timeout"),
        ("agent/x:a", "a", "missing"),
        ("guests", "patched-1", "timeout"),
    ]
    assert "the guest hung under it" in bad[0].reason
    assert "hung under a: " in bad[2].reason


def test_a_test_over_its_limit_is_a_timeout(tmp_path: Path) -> None:
    result, _ = _run(
        tmp_path,
        [_test("a", base="pass")],
        lambda m, n: {"a": Plays("ok 1 a\n", 124, timed_out=True)} if _patched(m) else {},
    )
    assert result.code is Exit.HANG
    (bad,) = [r for r in result.tests if r.verdict == "failed"]
    assert (str(bad.status), bad.reason) == ("timeout", "over its limit of 10 s")


def test_a_test_that_passes_while_the_kernel_warns_fails_the_run(tmp_path: Path) -> None:
    result, _ = _run(
        tmp_path,
        [_test("a"), _test("b")],
        lambda m, n: {"b": Plays("ok 1 a\n", console=WARN)} if _patched(m) else {},
    )
    assert {r.verdict for r in result.tests} == {"ok"}
    assert result.code is Exit.SPLAT
    assert [(s.boot, s.arm, s.kind) for s in result.splats] == [
        ("patched-1 (b)", "patched", "warn")
    ]


def test_the_console_of_a_real_run_fails_a_campaign_whose_tests_all_pass(tmp_path: Path) -> None:
    """What test_splat_place() shows on three lines, on a stored console of LKDTM."""
    console = (DATA / "consoles" / "passes_while_warning" / "console.log").read_text()
    guest = Guest(lambda m, n: {}, console=console)
    result = run_campaign(
        CampaignRequest(Plan((_test("a"),))),
        paths=Paths(tmp_path, tmp_path / "cache", tmp_path / "out"),
        ui=Ui(stream=io.StringIO()),
        kernels=KernelPair(BASE, PATCHED),
        folder=tmp_path / "run",
        run_job=guest,
    )
    assert result.counts == (1, 0, 0)
    assert result.code is Exit.SPLAT
    places = [s.boot for s in result.splats if s.arm == "patched"]
    assert places == [
        "patched-1 (WARNING)",
        "patched-1 (WARNING_MESSAGE)",
        "patched-1 (REFCOUNT_DEC_ZERO)",
    ]


def test_real_logs_of_one_flaky_program_make_a_green_campaign(tmp_path: Path) -> None:
    """cgroup/test_freezer passed and failed on one kernel: no verdict against it."""
    good = (DATA / "ktap" / "cgroup_freezer_pass" / "ktap.log").read_text()
    bad = good.replace("\nok 7 ", "\nnot ok 7 ")  # as in the run stored as nested_prefix
    assert bad != good

    def script(machine: Machine, boot: int) -> Mapping[str, Plays]:
        failed = Plays(bad, 1)
        return {"a": failed if _patched(machine) and boot in {1, 3} else Plays(good)}

    result, _ = _run(tmp_path, [_test("a")], script)
    assert result.code is Exit.OK
    flaky = {r.name for r in result.tests if r.verdict == "flaky"}
    assert flaky == {"test_cgfreezer_ptrace"}


def test_a_plan_that_stops_short_fails(tmp_path: Path) -> None:
    text = "TAP version 13\n1..3\nok 1 a\nok 2 b\n"
    whole = Plays(text + "ok 3 c\n")
    result, _ = _run(
        tmp_path,
        [_test("a", plan=True)],
        lambda m, n: {"a": Plays(text) if _patched(m) else whole},
    )
    assert result.code is Exit.TEST
    reasons = [r.reason for r in result.tests if r.verdict == "regression"]
    assert any("3 results were planned, 2 came (missing: 3)" in reason for reason in reasons)


def test_a_guest_that_dies_before_any_test_stops_after_two_boots(tmp_path: Path) -> None:
    class Dead(Guest):
        def __call__(self, *args: object, **kwargs: object) -> BootResult:
            result = super().__call__(*args, **kwargs)  # type: ignore[arg-type]
            lost = tuple(CommandResult(r.name, None, 0.0, False, r.log) for r in result.results)
            values = {**vars(result), "fate": Fate.DIED, "results": lost, "cause": "no init"}
            return BootResult(**{**values, "running": ""})

    guest = Dead(lambda m, n: {})
    result = run_campaign(
        CampaignRequest(Plan((_test("a"),))),
        paths=Paths(tmp_path, tmp_path / "cache", tmp_path / "out"),
        ui=Ui(stream=io.StringIO()),
        kernels=KernelPair(BASE),
        folder=tmp_path / "run",
        run_job=guest,
    )
    assert len(guest.boots) == 4  # two a round
    assert result.code is Exit.DIED
    ran = [r for r in result.tests if r.suite != "guests"]
    assert {(str(r.status), r.reason.split(";")[0]) for r in ran} == {
        ("missing", "never ran: no init")
    }


def test_a_console_without_a_kernel_is_not_a_clean_one(tmp_path: Path) -> None:
    guest = Guest(lambda m, n: {}, console="")
    result = run_campaign(
        CampaignRequest(Plan((_test("a"),))),
        paths=Paths(tmp_path, tmp_path / "cache", tmp_path / "out"),
        ui=Ui(stream=io.StringIO()),
        kernels=KernelPair(BASE, PATCHED),
        folder=tmp_path / "run",
        run_job=guest,
    )
    assert result.code is Exit.TEST
    assert "no kernel banner" in result.problems[0]


def test_what_is_not_built_fails(tmp_path: Path) -> None:
    plan = Plan((), not_built=(("upstream/x:a", "x.c:1: error"),), left_out=("upstream/x:b",))
    result = run_campaign(
        CampaignRequest(plan),
        paths=Paths(tmp_path, tmp_path / "cache", tmp_path / "out"),
        ui=Ui(stream=io.StringIO()),
        kernels=KernelPair(BASE, PATCHED),
        folder=tmp_path / "run",
        run_job=Guest(lambda m, n: {}),
    )
    assert result.code is Exit.TEST
    assert result.counts == (0, 1, 0)
    assert [skip.what for skip in result.skips] == ["upstream/x:b"]


def test_repeat_runs_each_kernel_more_often(tmp_path: Path) -> None:
    _, guest = _run(tmp_path, [_test("a")], lambda m, n: {}, repeat=3)
    assert [arm for arm, _ in guest.boots].count("patched") == 3
    assert [arm for arm, _ in guest.boots].count("base") == 4


def test_splat_place() -> None:
    console = BANNER + "[ 1.000000] kseries: run a\nx\n[ 2.000000] kseries: end a 0\ny\n"
    assert [splat_place(console, n) for n in (1, 2, 3, 4, 5)] == ["", "a", "a", "", ""]


def test_the_patched_kernel_alone_needs_no_base(tmp_path: Path) -> None:
    """A debug kernel is watched, not compared."""
    guest = Guest(lambda machine, turn: {})
    result = run_campaign(
        CampaignRequest(Plan((_test("own", base="fail"),))),
        paths=Paths(tmp_path, tmp_path, tmp_path),
        ui=Ui(quiet=True),
        kernels=KernelPair(None, PATCHED),
        folder=tmp_path / "run",
        run_job=guest,
    )
    assert [arm for arm, _ in guest.boots] == ["patched"]
    assert {row.arm for row in result.tests} == {"patched"}
    assert (result.counts, result.code) == ((1, 0, 0), Exit.OK)


def test_first_rounds_side_by_side_are_judged_like_one_by_one(tmp_path: Path) -> None:
    tests = [_test("up"), _test("own", base="pass")]
    meet = threading.Barrier(2, timeout=5)

    def script(machine: Machine, turn: int) -> Mapping[str, Plays]:
        if turn == 1:
            meet.wait()  # base and patched are in a guest at the same time
        return {}

    result, guest = _run(tmp_path, tests, script, guests=2)
    assert result.code == Exit.OK
    assert sorted(arm for arm, _ in guest.boots) == ["base", "base", "patched"]
    assert list(result.boots) == ["base-1", "patched-1", "base-2"]
