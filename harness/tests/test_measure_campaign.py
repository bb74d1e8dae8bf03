import shutil
import textwrap
from pathlib import Path

import pytest

from harness.core.errors import KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.job import Lane
from harness.measure.campaign import check_patches, kernels_of, plans_of
from harness.measure.lanes import TOPOLOGIES, machine, why_not
from harness.measure.planner import Selection
from harness.measure.runner import run_plans
from harness.tests.measure_plans import KERNELS, FakeGuest, case, log, plan, programs

REPO = Path(__file__).parents[2]


def test_only_kernels_that_are_booted_are_built() -> None:
    base = plan(case(kernels=["base"]))
    both = plan(case("a", kernels=["base"]), case("b", lanes=["L1"]), topic="other")
    assert kernels_of([base], Selection()) == ("base",)
    assert kernels_of([base, both], Selection()) == ("base", "patched")
    assert kernels_of([both], Selection(lanes=(Lane.L2,))) == ("base",)
    assert kernels_of([both], Selection(case="b")) == ("base", "patched")
    with pytest.raises(KseriesError, match="no case of these plans"):
        kernels_of([both], Selection(lanes=(Lane.L3,)))


def test_a_plan_must_belong_to_patches_of_the_series() -> None:
    item = plan(case(), patches=["mm/one.patch"])
    check_patches([item], ["mm/one.patch"])
    with pytest.raises(KseriesError, match=r"mm/one\.patch, which is not in the series"):
        check_patches([item], ["mm/two.patch"])


def test_a_new_topic_is_a_new_folder_and_nothing_else(tmp_path: Path) -> None:
    shutil.copytree(REPO / "benchmarks", tmp_path / "benchmarks")
    topic = tmp_path / "benchmarks" / "made-up"
    topic.mkdir()
    (topic / "plan.toml").write_text(
        textwrap.dedent(
            """
            feature = "made-up"
            title = "A made-up topic"
            [[case]]
            name = "speed"
            title = "Speed"
            lanes = ["L2"]
            command = "{dir}/speed.sh {samples}"
            samples = 6
            boots = 1
            [[case.metric]]
            name = "speed"
            unit = "ops"
            better = "higher"
            statistics = ["p50"]
            target = "patched.p50 >= base.p50"
            """
        )
    )
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    everything = plans_of(paths)
    assert {"made-up", "munmap"} <= {item.topic for item in everything}
    result = run_plans(
        plans_of(paths, ["made-up"]),
        KERNELS,
        programs=programs("made-up"),
        selection=Selection(),
        paths=paths,
        ui=Ui(quiet=True),
        folder=tmp_path / "bench",
        guest=FakeGuest(lambda kernel, name: (log(1, 2, 3, 4, 5, 6, metric="speed"), 0)),
        lane_problem=lambda lane, paths: "",
    )
    assert [(b.feature, b.arm, b.value, b.target_met) for b in result.benchmarks] == [
        ("made-up", "base", 3.5, None),
        ("made-up", "patched", 3.5, True),
    ]


def test_lanes_are_the_machines_they_say() -> None:
    kernel = Path("/k")
    one = machine(Lane.L1, kernel, TOPOLOGIES[Lane.L1], append=("a=1",), scratch=True)
    assert (one.topology.cpus, len(one.topology.nodes), one.append) == (1, 1, ("a=1",))
    assert one.scratch
    for lane in (Lane.L2, Lane.L3):
        many = machine(lane, kernel, TOPOLOGIES[lane], append=(), scratch=False)
        assert (many.topology.cpus, len(many.topology.nodes), many.lane) == (8, 4, lane)
    spread = machine(Lane.L3, kernel, "4x2", append=("a=1",), scratch=False)
    assert spread.append == ("skew_tick=1", "a=1")


def test_an_old_qemu_has_no_l3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\necho QEMU emulator version 7.2.19\n")
    program.chmod(0o755)
    monkeypatch.setenv("KSERIES_QEMU", str(program))
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    assert why_not(Lane.L1, paths) == ""
    assert "7.2.19" in why_not(Lane.L3, paths)
    assert "10" in why_not(Lane.L3, paths)
