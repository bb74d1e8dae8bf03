from __future__ import annotations

from harness.core.paths import Paths
from harness.measure.plan import find_plans
from harness.measure.thin import FLOOR, thinned


def test_a_first_look_says_so_and_keeps_what_is_printed_once() -> None:
    (plan,) = find_plans(Paths.discover().repo / "benchmarks", ["freeze"])
    case = plan.cases[0]
    thin = thinned(plan, 0.1).cases[0]
    assert thin.samples == FLOOR < case.samples
    assert {m.name: m.samples for m in thin.metrics} == {"latency": FLOOR, "missed": 1}
    assert f"the plan has {case.samples}" in thin.note
    assert case.note in thin.note


def test_a_plan_of_few_samples_stays_as_it_is() -> None:
    (plan,) = find_plans(Paths.discover().repo / "benchmarks", ["freeze"])
    kill = next(case for case in plan.cases if case.name == "kill")
    assert thinned(plan, 0.1).cases[plan.cases.index(kill)] == kill
    assert thinned(plan, 1.0) == plan
