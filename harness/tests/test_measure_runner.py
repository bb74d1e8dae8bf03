import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import Exit
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import Fate, Lane, Splat
from harness.measure.model import Plan
from harness.measure.planner import Selection
from harness.measure.runner import MeasureResult, run_plans
from harness.results.model import Benchmark, Status
from harness.tests.measure_plans import KERNELS, METRIC, FakeGuest, case, log, plan, programs

LATENCY = {"base": 100.0, "patched": 10.0}


def measure(
    tmp_path: Path,
    guest: FakeGuest,
    *plans: Plan,
    allow: tuple[AllowEntry, ...] = (),
    **selection: Any,
) -> MeasureResult:
    return run_plans(
        plans,
        KERNELS,
        programs=programs("topic"),
        selection=Selection(**selection),
        paths=Paths(tmp_path, tmp_path / "cache", tmp_path / "out"),
        ui=Ui(quiet=True),
        folder=tmp_path / "bench",
        allow=allow,
        guest=guest,
        at_once=1,  # the fake guest tells its boots apart by their order
        lane_problem=lambda lane, _: "QEMU is too old" if lane is Lane.L3 else "",
    )


def latency(kernel: str, name: str) -> tuple[str, int]:
    start = LATENCY[kernel]
    return log(*(start + step for step in range(6))), 0


def figure(result: MeasureResult, **wanted: object) -> Benchmark:
    found = [
        item
        for item in result.benchmarks
        if all(getattr(item, key) == value for key, value in wanted.items())
    ]
    assert len(found) == 1, found
    return found[0]


def with_target(text: str, **changes: Any) -> Plan:
    return plan(case(metric=[{**METRIC, "target": text}], **changes))


def test_figures_of_both_arms_with_a_target(tmp_path: Path) -> None:
    guest = FakeGuest(latency)
    result = measure(tmp_path, guest, with_target("patched.p50 < 0.2 * base.p50"), boots=3)
    base, patched = figure(result, arm="base"), figure(result, arm="patched")
    assert (base.value, patched.value) == (102.5, 12.5)
    assert (base.role, patched.role) == ("base", "patched")
    assert patched.n == 18
    assert len(patched.samples) == 3
    assert patched.target == "patched.p50 < 0.2 * base.p50"
    assert patched.target_met is True
    assert base.target_met is None
    assert result.codes == ()
    assert [machine.kernel.parent.name for machine, _, _ in guest.jobs] == ["base", "patched"] * 3
    assert [(t.arm, t.status, t.name) for t in result.tests] == [
        ("base", Status.PASS, "one (L2)"),
        ("patched", Status.PASS, "one (L2)"),
        ("patched", Status.PASS, "one (L2): patched.p50 < 0.2 * base.p50"),
    ]


def test_a_missed_target_fails_the_run(tmp_path: Path) -> None:
    result = measure(tmp_path, FakeGuest(latency), with_target("patched.p50 < 1 ms"), boots=1)
    assert figure(result, arm="patched").target_met is False
    assert result.codes == (Exit.TEST,)
    assert result.tests[-1].status is Status.FAIL
    assert result.tests[-1].reason == "12.5 ms"


def test_a_target_whose_other_figure_is_missing_is_missed(tmp_path: Path) -> None:
    def say(kernel: str, name: str) -> tuple[str, int]:
        return latency(kernel, name) if kernel == "patched" else ("boom\n", 1)

    result = measure(tmp_path, FakeGuest(say), with_target("patched.p50 < base.p50"), boots=1)
    assert figure(result, arm="patched").target_met is False


def test_one_boot_of_three_that_fails_is_not_dropped_silently(tmp_path: Path) -> None:
    calls = []

    def say(kernel: str, name: str) -> tuple[str, int]:
        calls.append(name)
        return ("kseries latency 1\n", 0) if len(calls) == 3 else latency(kernel, name)

    result = measure(tmp_path, FakeGuest(say), plan(case()), boots=3)
    assert figure(result, arm="base").note == "2 of 3 boots gave samples"
    assert figure(result, arm="patched").note == ""
    assert [(f.boot, f.reason) for f in result.failures] == [
        ("L2-base-2", "no `kseries end` after 1 samples")
    ]
    assert result.codes == (Exit.TEST,)
    failed = [test for test in result.tests if test.verdict == "failed"]
    assert [(test.arm, test.status) for test in failed] == [("base", Status.FAIL)]
    assert "L2-base-2" in failed[0].reason


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        (log(1, 2, 3, 4, 5), 0, "6 samples of latency planned for base, 5 came"),
        (log(*range(7)), 0, "6 samples of latency planned for base, 7 came"),
        (log(*range(6), metric="speed"), 0, "6 samples of latency planned for base, 0 came"),
        (log(*range(6), suffix=" arm=v2"), 0, "6 samples of latency planned for base, 0 came"),
        (log(*range(6), suffix=" x=3"), 0, "6 samples of latency planned for base, 0 came"),
        (log(*range(6)), 1, "status 1, last line: kseries end 6"),
        ("", 127, "status 127, last line: nothing printed"),
        ("mount: no\nsetup failed\n", 97, "a setup command failed: setup failed"),
        ("kseries skip no reason\n", 0, "a skip line, but status 0"),
        (log(*range(6)), 4, "status 4"),
    ],
)
def test_output_that_is_not_as_planned_fails_the_case(
    tmp_path: Path, text: str, status: int, says: str
) -> None:
    guest = FakeGuest(lambda kernel, name: (text, status))
    result = measure(tmp_path, guest, plan(case(kernels=["base"])), boots=1)
    assert result.benchmarks == ()
    assert says in result.failures[0].reason
    assert result.failures[0].status is Status.FAIL
    assert result.codes == (Exit.TEST,)


def test_samples_that_the_plan_does_not_have(tmp_path: Path) -> None:
    text = log(*range(6)).replace("kseries end 6", "kseries other 1\nkseries end 7")
    guest = FakeGuest(lambda kernel, name: (text, 0))
    result = measure(tmp_path, guest, plan(case(kernels=["base"])), boots=1)
    assert "samples that the plan does not have: other arm=base" in result.failures[0].reason


def test_a_skip_is_a_skip_with_its_reason(tmp_path: Path) -> None:
    guest = FakeGuest(lambda kernel, name: ("kseries skip no cgroup v2\n", 4))
    result = measure(tmp_path, guest, plan(case()), boots=2)
    assert [(skip.what, skip.reason) for skip in result.skips] == [
        ("benchmark topic.one (L2, base)", "no cgroup v2"),
        ("benchmark topic.one (L2, patched)", "no cgroup v2"),
    ]
    assert {test.status for test in result.tests} == {Status.SKIP}
    assert result.codes == ()


def test_a_lane_that_the_host_cannot_run_is_skipped(tmp_path: Path) -> None:
    guest = FakeGuest(latency)
    result = measure(tmp_path, guest, plan(case(lanes=["L2", "L3"])), boots=1)
    assert [(skip.what, skip.reason) for skip in result.skips] == [("lane L3", "QEMU is too old")]
    assert {item.lane for item in result.benchmarks} == {"L2"}


@pytest.mark.parametrize(
    ("fate", "status", "code"),
    [
        (Fate.DIED, Status.CRASH, Exit.DIED),
        (Fate.HUNG, Status.TIMEOUT, Exit.HANG),
        (Fate.LIMIT, Status.TIMEOUT, Exit.HANG),
    ],
)
def test_a_lost_guest_fails_the_case_it_hit_and_those_not_reached(
    tmp_path: Path, fate: Fate, status: Status, code: Exit
) -> None:
    guest = FakeGuest(latency, lost={"topic.b.patched": fate})
    item = plan(case("a"), case("b"), case("c"))
    result = measure(tmp_path, guest, item, boots=1)
    assert [(f.case, f.arm, f.status) for f in result.failures] == [
        ("topic.b", "patched", status),
        ("topic.c", "patched", Status.MISSING),
    ]
    assert "'topic.b.patched'" in result.failures[0].reason
    assert code in result.codes
    assert {(b.name, b.arm) for b in result.benchmarks} == {
        ("a", "base"),
        ("a", "patched"),
        ("b", "base"),
        ("c", "base"),
    }


def test_a_command_over_its_limit(tmp_path: Path) -> None:
    guest = FakeGuest(latency, timed_out=("topic.one.base",))
    result = measure(tmp_path, guest, plan(case(kernels=["base"])), boots=1)
    assert result.failures[0].status is Status.TIMEOUT
    assert result.codes == (Exit.HANG,)


def test_figures_of_a_machine_that_was_not_asked_for_do_not_count(tmp_path: Path) -> None:
    guest = FakeGuest(latency, topology_errors=("3 nodes, 4 asked for",))
    result = measure(tmp_path, guest, plan(case(kernels=["base"])), boots=1)
    assert result.benchmarks == ()
    assert "3 nodes, 4 asked for" in result.failures[0].reason


def test_splats_carry_their_boot_and_fail_unless_allowed(tmp_path: Path) -> None:
    splat = Splat("warn", "WARNING: at mm/x.c:1", "WARNING: at mm/x.c:1", 3)
    result = measure(tmp_path, FakeGuest(latency, splats=(splat,)), plan(case()), boots=1)
    assert [(s.boot, s.arm, s.kind) for s in result.splats] == [
        ("L2-base-1", "base", "warn"),
        ("L2-patched-1", "patched", "warn"),
    ]
    assert result.codes == (Exit.SPLAT,)
    entry = AllowEntry("WARNING: at mm/x", "known", "someone", datetime.date(2030, 1, 1))
    guest = FakeGuest(latency, splats=(splat,))
    result = measure(tmp_path / "2", guest, plan(case()), allow=(entry,), boots=1)
    assert {found.allowed for found in result.splats} == {"known"}
    assert result.codes == ()


def test_rivals_and_sweeps(tmp_path: Path) -> None:
    item = plan(
        case(
            x={"name": "busy", "label": "busy CPUs", "values": [1, 8]},
            samples=1,
            metric=[
                {
                    "name": "ipis",
                    "unit": "IPIs",
                    "better": "lower",
                    "statistics": ["mean"],
                    "target": "patched.ipis <= 0.5 * inline-one.ipis and patched.ipis[8] <= 4",
                }
            ],
            rival=[
                {"name": "inline-one", "inline": True},
                {"name": "v1", "args": "--v1"},
            ],
        )
    )

    def say(kernel: str, name: str) -> tuple[str, int]:
        scale = {"base": 1.0, "patched": 0.5}[kernel]
        arms = [("", scale)]
        if ".v1" in name:
            arms = [("", 3.0)]
        else:
            arms.append((" arm=inline-one", scale * 2))
        lines = [f"kseries ipis {x * k}{arm} x={x}" for arm, k in arms for x in (1, 8)]
        return "\n".join([*lines, f"kseries end {len(lines)}"]), 0

    result = measure(tmp_path, FakeGuest(say), item, boots=2)
    assert result.failures == ()
    values = {(b.arm, b.x): b.value for b in result.benchmarks}
    # The inline rival belongs to the base kernel: what the patched one printed
    # of it is not mixed in.
    assert values == {
        ("base", 1.0): 1.0,
        ("base", 8.0): 8.0,
        ("patched", 1.0): 0.5,
        ("patched", 8.0): 4.0,
        ("inline-one", 1.0): 2.0,
        ("inline-one", 8.0): 16.0,
        ("v1", 1.0): 3.0,
        ("v1", 8.0): 24.0,
    }
    assert figure(result, arm="v1", x=8.0).role == "rival"
    assert figure(result, arm="base", x=8.0).x_label == "busy CPUs"
    assert [b.x for b in result.benchmarks if b.target_met] == [1.0, 8.0]


def test_a_maximum_in_the_place_of_a_percentile_carries_the_target(tmp_path: Path) -> None:
    item = plan(case(metric=[{**METRIC, "statistics": ["p99"], "target": "patched.p99 < 20 ms"}]))
    result = measure(tmp_path, FakeGuest(latency), item, boots=1)
    patched = figure(result, arm="patched")
    assert patched.statistic == "max"
    assert patched.value == 15.0
    assert patched.target_met is True


def test_calibration_is_stored_and_its_margin_granted(tmp_path: Path) -> None:
    loops = iter((1000.0, 1100.0))

    def say(kernel: str, name: str) -> tuple[str, int]:
        if name == "calibrate":
            return log(next(loops), metric="loop"), 0
        return log(*([104.0 if kernel == "patched" else 100.0] * 6)), 0

    item = with_target("patched.p50 <= (1 + margin) * base.p50", lanes=["L1"])
    result = measure(tmp_path, FakeGuest(say), item, boots=1)
    assert len(result.calibrations) == 1
    assert result.calibrations[0].lane == "L1"
    assert result.calibrations[0].margin == pytest.approx(100 / 1050)
    assert result.calibrations[0].qemu == "10.0.2"
    assert figure(result, arm="patched").target_met is True


def test_a_lane_without_calibration_fails(tmp_path: Path) -> None:
    def say(kernel: str, name: str) -> tuple[str, int]:
        return ("", 1) if name == "calibrate" else latency(kernel, name)

    result = measure(tmp_path, FakeGuest(say), plan(case(lanes=["L1"])), boots=1)
    assert result.calibrations == ()
    assert {failure.case for failure in result.failures} == {"calibrate"}
    assert "0 boots were calibrated" in result.failures[-1].reason
    assert Exit.TEST in result.codes


def test_a_metric_of_some_arms_is_wanted_of_them_alone(tmp_path: Path) -> None:
    denied = {**METRIC, "name": "denied", "arms": ["patched"], "samples": 1}

    def say(kernel: str, name: str) -> tuple[str, int]:
        text = "".join(f"kseries latency {value}\n" for value in range(6))
        extra = "kseries denied 3\n" if kernel == "patched" else ""
        return f"{text}{extra}kseries end {6 + len(extra.splitlines())}\n", 0

    result = measure(tmp_path, FakeGuest(say), plan(case(metric=[METRIC, denied])), boots=1)
    assert not result.failures
    assert figure(result, metric="denied").arm == "patched"

    everybody = plan(case(metric=[METRIC, {**denied, "arms": ["base"]}]))
    result = measure(tmp_path / "two", FakeGuest(say), everybody, boots=1)
    assert [(f.arm, f.reason) for f in result.failures] == [
        ("base", "1 samples of denied planned for base, 0 came"),
        ("patched", "0 samples of denied planned for patched, 1 came"),
    ]


def test_each_of_several_targets_is_judged_in_its_own_figure(tmp_path: Path) -> None:
    metric = {**METRIC, "statistics": ["p50", "max"]}
    metric["target"] = ["patched.p50 < 20 ms", "patched.max < 12 ms"]
    result = measure(tmp_path, FakeGuest(latency), plan(case(metric=[metric])), boots=1)
    assert figure(result, arm="patched", statistic="p50").target_met is True
    assert figure(result, arm="patched", statistic="max").target_met is False


def test_a_rival_may_take_fewer_samples(tmp_path: Path) -> None:
    once = {**METRIC, "name": "share", "samples": 1}
    item = plan(
        case(
            command="{bin}/one {samples}",
            samples=8,
            metric=[METRIC, once],
            rival=[{"name": "slow", "samples": 6}],
        )
    )

    def say(kernel: str, name: str) -> tuple[str, int]:
        count = 6 if name.endswith("slow") else 8
        lines = [f"kseries latency {value}" for value in range(count)]
        return "\n".join([*lines, "kseries share 1", f"kseries end {count + 1}", ""]), 0

    guest = FakeGuest(say)
    result = measure(tmp_path, guest, item, boots=1)
    assert not result.failures
    assert figure(result, arm="slow", metric="latency").n == 6
    assert figure(result, arm="base", metric="latency").n == 8
    shells = [command.shell.splitlines()[-1] for command in guest.jobs[0][1].commands]
    assert shells == ["/cache/topic/one 8", "/cache/topic/one 6"]
