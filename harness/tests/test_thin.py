from __future__ import annotations

from harness.core.paths import Paths
from harness.measure.plan import find_plans
from harness.measure.thin import FLOOR, thinned
from harness.tests.measure_plans import case, plan


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


def test_cases_that_take_too_long_are_no_part_of_a_first_look() -> None:
    both = plan(case("short"), case("long", first_look=False))
    assert [item.name for item in thinned(both, 0.1).cases] == ["short"]
    assert thinned(both, 1.0) == both


def test_rivals_of_few_samples_are_thinned_as_well() -> None:
    item = plan(case(samples=300, rival=[{"name": "a", "samples": 30}, {"name": "b"}]))
    thin = thinned(item, 0.1).cases[0]
    assert (thin.samples, thin.samples_of("a"), thin.samples_of("b")) == (30, 30, 30)
    assert thinned(item, 0.08).cases[0].samples_of("a") == 24
