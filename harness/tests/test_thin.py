from __future__ import annotations

from harness.core.paths import Paths
from harness.measure.model import Plan
from harness.measure.plan import find_plans
from harness.measure.thin import FLOOR, at_level, thinned
from harness.tests.measure_plans import METRIC, case, plan


def test_a_first_look_says_so_and_keeps_what_is_printed_once() -> None:
    (freeze,) = find_plans(Paths.discover().repo / "benchmarks", ["freeze"])
    case = freeze.cases[0]
    thin = thinned(freeze, 0.1).cases[0]
    assert thin.samples == FLOOR < case.samples
    assert {m.name: m.samples for m in thin.metrics} == {"latency": FLOOR, "missed": 1}
    assert f"the plan has {case.samples}" in thin.note
    assert case.note in thin.note


def test_a_plan_of_few_samples_stays_as_it_is() -> None:
    (freeze,) = find_plans(Paths.discover().repo / "benchmarks", ["freeze"])
    kill = next(case for case in freeze.cases if case.name == "kill")
    assert thinned(freeze, 0.1).cases[freeze.cases.index(kill)] == kill
    assert thinned(freeze, 1.0) == freeze


def test_what_takes_too_long_is_left_out() -> None:
    rivals = [{"name": "a"}, {"name": "b", "level": "bench"}, {"name": "c", "level": "full"}]
    item = plan(case("short", rival=rivals), case("long", level="bench"), case("x", level="full"))

    def names(some: Plan) -> list[list[str]]:
        return [[one.name, *(rival.name for rival in one.rivals)] for one in some.cases]

    assert names(thinned(item, 0.1)) == [["short", "a"]]
    assert names(at_level(item, "bench")) == [["short", "a", "b"], ["long"]]
    assert at_level(item, "full") == thinned(item, 1.0) == item


def test_targets_go_with_their_rivals() -> None:
    targets = ["patched.p50 < a.p50", "b.p50 < 1 ms", "base.p50 < 2 * b.p50"]
    rivals = [{"name": "a"}, {"name": "b", "level": "full"}]
    item = plan(case(rival=rivals, metric=[{**METRIC, "target": targets}]))
    (metric,) = at_level(item, "bench").cases[0].metrics
    assert [target.text for target in metric.targets] == targets[:1]


def test_rivals_of_few_samples_are_thinned_as_well() -> None:
    item = plan(case(samples=300, rival=[{"name": "a", "samples": 30}, {"name": "b"}]))
    thin = thinned(item, 0.1).cases[0]
    assert (thin.samples, thin.samples_of("a"), thin.samples_of("b")) == (30, 30, 30)
    assert thinned(item, 0.08).cases[0].samples_of("a") == 24
