import copy
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Lane
from harness.measure import plan as plan_module
from harness.measure.model import Tool
from harness.measure.plan import find_plans, load_plan, parse_plan

REPO = Path(__file__).parents[2]
FILE = Path("benchmarks/freeze/plan.toml")


def smallest() -> dict[str, Any]:
    return {
        "feature": "freeze",
        "title": "Freezing",
        "case": [
            {
                "name": "latency",
                "title": "Latency",
                "lanes": ["L1"],
                "command": "{bin}/freeze {samples}",
                "samples": 200,
                "metric": [
                    {"name": "latency", "unit": "ms", "better": "lower", "statistics": ["p99"]}
                ],
            }
        ],
    }


def refused(data: dict[str, Any]) -> KseriesError:
    with pytest.raises(KseriesError) as caught:
        parse_plan(data, FILE)
    assert caught.value.code is Exit.USAGE
    assert caught.value.where == str(FILE)
    return caught.value


def test_the_example_of_the_docstring_is_a_plan() -> None:
    text = plan_module.__doc__ or ""
    example = text[text.index("    feature =") : text.index("Placeholders of")]
    plan = parse_plan(tomllib.loads(textwrap.dedent(example)), FILE)
    assert plan.topic == "freeze"
    case = plan.cases[0]
    assert case.lanes == (Lane.L1,)
    assert case.rivals[0].kernel == "base"
    assert case.needs[0].reason == "no cgroup v2"
    assert case.metrics[0].targets[0].text == "patched.p99 < 50 ms"
    assert case.metrics[0].arms == ("patched",)
    assert plan.tools == (Tool("sched_ext", ("scx_simple",), "base"),)
    # Every key that the parser knows must be in the example.
    source = Path(plan_module.__file__).read_text(encoding="utf-8")
    for word in (
        "append",
        "scratch",
        "isolate",
        "inline",
        "warmup",
        "limit",
        "topology",
        "level",
    ):
        assert f"{word} = " in example, source


def test_defaults() -> None:
    case = parse_plan(smallest(), FILE).cases[0]
    assert case.kernels == ("base", "patched")
    assert (case.boots, case.warmup, case.limit) == (3, 0, 300.0)
    assert case.metrics[0].samples == 200
    assert case.metrics[0].title == "latency"
    assert case.args == {"base": "", "patched": ""}
    assert case.level == "look"
    assert case.metrics[0].printed_by("anybody")


def test_kernel_arms_may_have_arguments_of_their_own() -> None:
    command = "{bin}/freeze {args}"
    case = parse_plan(case_with(command=command, args="--fast"), FILE).cases[0]
    assert case.args == {"base": "--fast", "patched": "--fast"}
    case = parse_plan(case_with(command=command, args={"patched": "--new"}), FILE).cases[0]
    assert case.args == {"base": "", "patched": "--new"}


def test_a_metric_may_have_several_targets() -> None:
    targets = ["patched.p99 < 5 ms", "patched.p50 < 1 ms and patched.p99 < 9 ms"]
    metric = {**METRIC, "statistics": ["p50", "p99"], "target": targets}
    parsed = parse_plan(case_with(metric=[metric]), FILE).cases[0].metrics[0]
    assert [target.text for target in parsed.targets] == targets


def test_the_plans_of_the_repository_are_valid() -> None:
    plans = find_plans(REPO / "benchmarks")
    assert "munmap" in [plan.topic for plan in plans]
    for plan in plans:
        assert (plan.file.parent / "Makefile").is_file()


def case_with(**changes: Any) -> dict[str, Any]:
    data = copy.deepcopy(smallest())
    data["case"][0].update(changes)
    return data


METRIC = smallest()["case"][0]["metric"][0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({**smallest(), "feature": "Not A Word"}, "feature: 'Not A Word' does not fit"),
        ({**smallest(), "titel": "x"}, "titel: is not a key of this table"),
        ({**smallest(), "case": []}, "case: at least one is wanted"),
        (case_with(lanes=["L9"]), "case latency: lanes: 'L9' is not known"),
        (case_with(lanes=[]), "lanes: must name at least one"),
        (case_with(lanes=["L1", "L1"]), "lanes: 'L1' stands twice"),
        (case_with(samples=0), "samples: 0 is under 1"),
        (case_with(samples=True), "samples: a whole number is wanted"),
        (case_with(boots="3"), "boots: a whole number is wanted"),
        (case_with(command=" "), "command: must not be empty"),
        (case_with(command="{bin}/x {speed}"), "command: no placeholder 'speed'"),
        (case_with(command="{bin}/x {x}"), "{x} without a [case.x] table"),
        (case_with(command="awk '{print}'"), "no placeholder 'print'"),
        (case_with(command="awk '{'"), "for braces"),
        (case_with(args="--fast"), "args: the command does not use {args}"),
        (case_with(args={"old": "--fast"}), "args: 'old' is not known"),
        (case_with(args={"base": 1}), "args: a table of strings"),
        (case_with(args={"base": "--fast"}), "args: the command does not use {args}"),
        (case_with(level="never"), "level: 'never' is not known"),
        (case_with(command="a {args}", args="{no}"), "args: no placeholder 'no'"),
        (case_with(command="a {args}", rival=[{"name": "a", "args": "{args}"}]), "part of itself"),
        ({**smallest(), "tool": [{"programs": ["a"]}]}, "tool 1: folder: is missing"),
        ({**smallest(), "tool": [{"folder": "a", "programs": []}]}, "must name at least one"),
        (
            {**smallest(), "tool": [{"folder": "a", "programs": ["a"], "kernel": "old"}]},
            "kernel: 'old' is not known",
        ),
        (case_with(kernels=["old"]), "kernels: 'old' is not known"),
        (case_with(env={"A": 1}), "env: a table of strings"),
        (case_with(isolate="yes"), "isolate: true or false"),
        (case_with(x={"name": "hogs", "values": []}), "x.values: a list of numbers"),
        (case_with(x={"name": "hogs", "values": [1, 1]}), "x.values: '1' stands twice"),
        (case_with(needs=[{"run": "true"}]), "reason: is missing"),
        (case_with(metric=[METRIC, METRIC]), "metric: 'latency' stands twice"),
        (case_with(metric=[{**METRIC, "name": "p99"}]), "'p99' is taken"),
        (case_with(metric=[{**METRIC, "statistics": ["p98"]}]), "'p98' is not known"),
        (case_with(metric=[{**METRIC, "better": "more"}]), "better: 'more' is not known"),
        (case_with(metric=[{**METRIC, "target": "patched.p99 <"}]), "target: 'patched.p99 <'"),
        (case_with(metric=[{**METRIC, "target": "new.p99 < 5 ms"}]), "no arm 'new'"),
        (case_with(metric=[{**METRIC, "target": "base.p50 < 5 ms"}]), "latency has no p50"),
        (case_with(metric=[{**METRIC, "target": "base.p99 < 5"}]), "a time stands beside"),
        (case_with(metric=[{**METRIC, "target": [3]}]), "target: a list of strings"),
        (case_with(metric=[{**METRIC, "arms": ["v1"]}]), "metric latency: arms: no arm 'v1'"),
        (
            case_with(metric=[{**METRIC, "target": ["base.p99 < 5 ms", "base.p99 < 6 ms"]}]),
            "the first figure: 'base.p99' stands twice",
        ),
        (
            case_with(metric=[{**METRIC, "arms": ["patched"], "target": "base.p99 < 5 ms"}]),
            "base does not print latency",
        ),
        (case_with(rival=[{"name": "base"}]), "'base' stands twice"),
        (case_with(rival=[{"name": "v1", "args": "--v1"}]), "v1 has args"),
        (case_with(kernels=["patched"], rival=[{"name": "v1"}]), "v1 runs on base"),
        (case_with(rival=[{"name": "v1", "inline": True, "env": {"A": "1"}}]), "has no run"),
        (case_with(rival=[{"name": "v1", "inline": True, "samples": 6}]), "has no run"),
    ],
)
def test_mistakes_name_the_file_and_the_key(data: dict[str, Any], says: str) -> None:
    error = refused(data)
    assert says in error.what
    assert error.hint


def test_a_wrong_choice_lists_the_right_ones() -> None:
    assert "L1, L2, L3" in refused(case_with(lanes=["L9"])).hint
    assert "samples" in refused(case_with(smaples=1)).hint


def write(folder: Path, topic: str, feature: str) -> None:
    (folder / topic).mkdir(parents=True)
    (folder / topic / "plan.toml").write_text(
        textwrap.dedent(
            f"""
            feature = "{feature}"
            title = "T"
            [[case]]
            name = "one"
            title = "One"
            lanes = ["L2"]
            command = "{{bin}}/one"
            samples = 6
            [[case.metric]]
            name = "n"
            unit = "n"
            better = "lower"
            statistics = ["p50"]
            """
        )
    )


def test_topics_are_found_by_folder_or_feature(tmp_path: Path) -> None:
    write(tmp_path, "b-topic", "beta")
    write(tmp_path, "a-topic", "alpha")
    (tmp_path / "include").mkdir()
    assert [plan.topic for plan in find_plans(tmp_path)] == ["a-topic", "b-topic"]
    assert [plan.topic for plan in find_plans(tmp_path, ["beta"])] == ["b-topic"]
    assert [plan.topic for plan in find_plans(tmp_path, ["a-topic"])] == ["a-topic"]
    with pytest.raises(KseriesError, match="no benchmark topic 'gamma'") as caught:
        find_plans(tmp_path, ["gamma"])
    assert "a-topic, b-topic" in caught.value.hint


def test_a_feature_belongs_to_one_plan(tmp_path: Path) -> None:
    write(tmp_path, "one", "same")
    write(tmp_path, "two", "same")
    with pytest.raises(KseriesError, match="two plans have the feature 'same'"):
        find_plans(tmp_path)


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("feature = \n")
    with pytest.raises(KseriesError, match="not TOML") as caught:
        load_plan(path)
    assert caught.value.where == str(path)
    with pytest.raises(KseriesError, match="without a plan"):
        load_plan(tmp_path / "missing.toml")
