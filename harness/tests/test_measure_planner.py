from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import KseriesError
from harness.guest.job import Lane
from harness.measure.model import Plan
from harness.measure.planner import Selection, derive_seed, plan_boots, tools_of
from harness.tests.measure_plans import case, plan, programs


def names(*plans: Plan, **selection: Any) -> list[str]:
    boots = plan_boots(plans, programs("topic", "other"), Selection(**selection))
    return [boot.name for boot in boots]


def test_arms_alternate() -> None:
    assert names(plan(case(boots=2))) == [
        "L2-base-1",
        "L2-patched-1",
        "L2-base-2",
        "L2-patched-2",
    ]


def test_cases_of_all_topics_share_boots() -> None:
    one = plan(case("a"), case("b", boots=1))
    two = plan(case("c", kernels=["base"]), topic="other")
    boots = plan_boots([one, two], programs("topic", "other"), Selection(boots=None))
    commands = {boot.name: [command.name for command in boot.commands] for boot in boots}
    assert commands == {
        "L2-base-1": ["topic.a.base", "topic.b.base", "other.c.base"],
        "L2-patched-1": ["topic.a.patched", "topic.b.patched"],
        "L2-base-2": ["topic.a.base", "other.c.base"],
        "L2-patched-2": ["topic.a.patched"],
        "L2-base-3": ["topic.a.base", "other.c.base"],
        "L2-patched-3": ["topic.a.patched"],
    }


def test_other_machines_and_isolated_cases_have_boots_of_their_own() -> None:
    many = plan(
        case("a"),
        case("b", topology="8x1"),
        case("c", append=["psi=1"]),
        case("d", scratch=True),
        case("e", isolate=True),
        case("f"),
        case("g", topology="4x2"),
    )
    boots = plan_boots([many], programs("topic"), Selection(boots=1, kernels=("base",)))
    assert [(boot.name, [run.case.name for run in boot.runs]) for boot in boots] == [
        ("L2-base-1", ["a", "f", "g"]),
        ("L2.2-base-1", ["b"]),
        ("L2.3-base-1", ["c"]),
        ("L2.4-base-1", ["d"]),
        ("L2.5-base-1", ["e"]),
    ]
    assert [boot.topology for boot in boots[:2]] == ["4x2", "8x1"]
    assert boots[2].append == ("psi=1",)
    assert [boot.scratch for boot in boots] == [False, False, False, True, False]


def test_lanes_with_virtual_time_are_calibrated_first() -> None:
    boots = plan_boots(
        [plan(case(lanes=["L1", "L2", "L3"], boots=1))], programs("topic"), Selection()
    )
    first = {boot.name: boot.commands[0].shell for boot in boots}
    assert first["L1-base-1"] == "/cache/calibrate/calibrate loop"
    assert first["L3-base-1"] == "/cache/calibrate/calibrate shares 8 300"
    assert "one" in first["L2-base-1"]


def test_a_guest_that_wants_the_host_for_itself_comes_last() -> None:
    boots = plan_boots(
        [plan(case(lanes=["L1", "L2", "L3"], boots=2))], programs("topic"), Selection(boots=2)
    )
    lanes = [boot.lane for boot in boots]
    assert lanes == sorted(lanes, key=[Lane.L1, Lane.L3, Lane.L2].index)
    assert [boot.name for boot in boots if boot.lane is Lane.L2] == [
        "L2-base-1",
        "L2-patched-1",
        "L2-base-2",
        "L2-patched-2",
    ]


def test_a_calibration_has_two_boots_even_if_the_measurement_has_one() -> None:
    single = plan(case(lanes=["L3"], boots=1, kernels=["base"]))
    boots = plan_boots([single], programs("topic"), Selection())
    assert [(boot.name, len(boot.runs)) for boot in boots] == [("L3-base-1", 1), ("L3-base-2", 0)]
    both = plan(case(lanes=["L3"], boots=1))
    assert len(plan_boots([both], programs("topic"), Selection())) == 2
    counted = plan(case(lanes=["L2"], boots=1, kernels=["base"]))
    assert len(plan_boots([counted], programs("topic"), Selection())) == 1


def test_another_kernel_command_line_is_another_machine_to_calibrate() -> None:
    item = plan(
        case("a", lanes=["L1"], boots=1), case("b", lanes=["L1"], boots=1, append=["psi=1"])
    )
    boots = plan_boots([item], programs("topic"), Selection(kernels=("base",)))
    assert [(boot.name, boot.append, len(boot.runs)) for boot in boots] == [
        ("L1-base-1", (), 1),
        ("L1-base-2", (), 0),
        ("L1.2-base-1", ("psi=1",), 1),
        ("L1.2-base-2", ("psi=1",), 0),
    ]


def test_selections() -> None:
    item = plan(case("a", lanes=["L1", "L2"]), case("b", kernels=["patched"]))
    assert names(item, lanes=(Lane.L1,), boots=1) == ["L1-base-1", "L1-patched-1"]
    assert names(item, case="b", boots=1) == ["L2-patched-1"]
    assert names(item, kernels=("base",), lanes=(Lane.L2,), boots=1) == ["L2-base-1"]
    with pytest.raises(KseriesError, match="no case 'z'") as caught:
        names(item, case="z")
    assert "a, b" in caught.value.hint


def test_a_sweep_runs_for_each_x_or_by_itself() -> None:
    sweep = {"name": "busy", "values": [1, 2.5]}
    outside = plan(case(x=sweep, command="{bin}/one {x}"))
    inside = plan(case(x=sweep))
    boot = plan_boots([outside], programs("topic"), Selection(boots=1))[0]
    assert [(run.command.name, run.x) for run in boot.runs] == [
        ("topic.one.base.1", 1.0),
        ("topic.one.base.2.5", 2.5),
    ]
    assert boot.runs[1].command.shell.endswith("/cache/topic/one 2.5")
    boot = plan_boots([inside], programs("topic"), Selection(boots=1))[0]
    assert [(run.command.name, run.x) for run in boot.runs] == [("topic.one.base", None)]


def test_rivals_run_in_their_kernels_boots_and_take_turns() -> None:
    item = plan(
        case(
            env={"MODE": "stock", "KEEP": "1"},
            rival=[
                {"name": "v1", "args": "--v1", "env": {"MODE": "v1"}},
                {"name": "new", "kernel": "patched"},
                {"name": "silent", "inline": True},
            ],
        )
    )
    boots = plan_boots([item], programs("topic"), Selection(boots=2))
    assert [[run.arm for run in boot.runs] for boot in boots] == [
        ["base", "v1"],
        ["patched", "new"],
        ["v1", "base"],
        ["new", "patched"],
    ]
    v1 = boots[0].runs[1].command
    assert v1.shell.endswith("--v1")
    assert v1.env == {"MODE": "v1", "KEEP": "1"}
    assert boots[0].runs[0].command.env == {"MODE": "stock", "KEEP": "1"}


def test_seeds_are_equal_across_arms_and_differ_between_boots() -> None:
    boots = plan_boots([plan(case(boots=2))], programs("topic"), Selection(seed=5))
    seeds = [boot.runs[0].command.shell.split("--seed ")[1].split()[0] for boot in boots]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    assert seeds[0] == str(derive_seed(5, "topic", "one", 1))
    assert derive_seed(6, "topic", "one", 1) != derive_seed(5, "topic", "one", 1)


def test_the_script_checks_needs_and_setup_before_the_program() -> None:
    item = plan(
        case(
            setup=["echo {lane} {kernel} > mode"],
            needs=[{"run": "test -e /nowhere", "reason": "it isn't here"}],
        )
    )
    shell = plan_boots([item], programs("topic"), Selection(boots=1))[0].runs[0].command.shell
    lines = shell.splitlines()
    assert lines[0] == "mkdir -p 'topic.one.base' && cd 'topic.one.base' || exit 97"
    assert "kseries skip it isn'\\''t here" in lines[2]
    assert lines[3].startswith("( echo L2 base > mode ) ||")
    assert lines[4].startswith("/cache/topic/one --seed ")


def test_arms_and_tools_of_each_kernel() -> None:
    item = plan(
        case(
            command="{bin}/one {args}",
            args={"base": "--old", "patched": "--new {tools}/a {arm}"},
            rival=[{"name": "v1", "args": "--v1"}],
        )
    )
    folders = {**programs("topic"), tools_of("topic", "patched"): Path("/cache/tools")}
    boots = plan_boots([item], folders, Selection(boots=1))
    shells = [run.command.shell.splitlines()[-1] for boot in boots for run in boot.runs]
    assert shells == [
        "/cache/topic/one --old",
        "/cache/topic/one --v1",
        "/cache/topic/one --new /cache/tools/a patched",
    ]
