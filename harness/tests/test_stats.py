import statistics as st

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from harness.measure.stats import (
    ONE_BOOT,
    ONE_SAMPLE,
    STATISTICS,
    compute,
    samples_needed,
    summarize,
    usable,
)

numbers = some.floats(-1e6, 1e6, allow_nan=False)
boots_of_samples = some.lists(some.lists(numbers, min_size=1, max_size=20), min_size=1, max_size=4)


def test_percentiles_interpolate_between_order_statistics() -> None:
    ten = [float(n) for n in range(1, 11)]
    assert compute("p50", [ten]) == 5.5
    assert compute("p90", [ten]) == pytest.approx(9.1)
    hundred = [float(n) for n in range(101)]
    assert compute("p99", [hundred]) == 99.0
    assert compute("p999", [hundred]) == pytest.approx(99.9)


def test_other_statistics() -> None:
    boots = [[3.0, 1.0], [8.0]]
    assert compute("max", boots) == 8.0
    assert compute("min", boots) == 1.0
    assert compute("mean", boots) == 4.0


def test_sum_and_count_are_of_one_boot() -> None:
    boots = [[1.0, 2.0], [5.0, 5.0, 5.0], [4.0]]
    assert compute("sum", boots) == 4.0
    assert compute("count", boots) == 2.0


@pytest.mark.parametrize(
    ("statistic", "needed"), [("p50", 6), ("p90", 30), ("p95", 60), ("p99", 300), ("p999", 3000)]
)
def test_a_percentile_needs_samples_or_the_maximum_stands_there(
    statistic: str, needed: int
) -> None:
    assert samples_needed(statistic) == needed
    assert usable(statistic, needed) == statistic
    assert usable(statistic, needed - 1) == "max"
    few = summarize(statistic, [[float(n) for n in range(needed - 1)]], seed=1)
    assert few.statistic == "max"
    assert few.value == needed - 2
    assert f"which needs {needed} samples" in few.note


def test_samples_of_all_boots_carry_a_percentile_together() -> None:
    boots = [[float(n) for n in range(200)]] * 3
    assert summarize("p99", boots, seed=1).statistic == "p99"
    assert summarize("p99", boots[:1], seed=1).statistic == "max"


def test_the_interval_is_over_boots_not_samples() -> None:
    # Within a boot everything is equal, between boots it is not: an interval
    # over samples of the pool would be far narrower than the boots' range.
    boots = [[10.0] * 100, [20.0] * 100, [30.0] * 100]
    found = summarize("mean", boots, seed=1)
    assert found.value == 20.0
    assert (found.low, found.high) == (10.0, 30.0)
    assert found.note == ""
    assert found.n == 300


def test_equal_boots_have_no_width() -> None:
    found = summarize("p50", [[7.0, 7.0, 7.0, 7.0, 7.0, 7.0]] * 3, seed=1)
    assert (found.low, found.value, found.high) == (7.0, 7.0, 7.0)


def test_one_boot_says_so() -> None:
    found = summarize("p50", [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], seed=1)
    assert found.note == ONE_BOOT
    assert found.low < found.value < found.high


def test_one_sample_has_no_interval() -> None:
    found = summarize("mean", [[4.0]], seed=1)
    assert (found.low, found.value, found.high) == (4.0, 4.0, 4.0)
    assert found.note == ONE_SAMPLE


def test_a_seed_fixes_the_interval() -> None:
    boots = [[float(n * k % 17) for n in range(40)] for k in (3, 5, 7, 11)]
    assert summarize("p50", boots, seed=9) == summarize("p50", boots, seed=9)


@pytest.mark.parametrize("boots", [[], [[]], [[1.0], []]])
def test_an_empty_boot_is_refused(boots: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        summarize("mean", boots, seed=1)


@settings(deadline=None)
@given(boots_of_samples, some.sampled_from(STATISTICS), some.integers(0, 2**32))
def test_an_interval_holds_its_value(boots: list[list[float]], statistic: str, seed: int) -> None:
    found = summarize(statistic, boots, seed)
    assert found.low <= found.value <= found.high
    assert found.n == sum(map(len, boots))
    if found.statistic not in {"sum", "count"}:
        pool = [value for boot in boots for value in boot]
        slack = 1e-6
        assert min(pool) - slack <= found.low
        assert found.high <= max(pool) + slack


@settings(deadline=None)
@given(some.lists(numbers, min_size=6, max_size=50))
def test_the_median_agrees_with_the_standard_library(values: list[float]) -> None:
    assert compute("p50", [values]) == pytest.approx(st.median(values), abs=1e-6)


@settings(deadline=None)
@given(some.lists(numbers, min_size=1, max_size=30), some.floats(-100, 100))
def test_statistics_move_with_their_samples(values: list[float], shift: float) -> None:
    for statistic in ("p50", "p99", "max", "min", "mean"):
        moved = compute(statistic, [[value + shift for value in values]])
        assert moved == pytest.approx(compute(statistic, [values]) + shift, abs=1e-5)
