import pytest

from harness.core.errors import KseriesError
from harness.measure.target import Figure, Target, parse_target

STATISTICS = {"latency": ("p50", "p99"), "sub": ("p50",), "ipis": ("mean",)}
UNITS = {"latency": "ms", "sub": "instructions", "ipis": "IPIs"}
ARMS = {"base", "patched", "v1-freezer"}


def check(text: str, metric: str = "latency") -> Target:
    target = parse_target(text)
    target.check(metric, ARMS, STATISTICS, UNITS, (1.0, 8.0))
    return target


def met(text: str, values: dict[str, tuple[float, str]], margin: float = 0.0) -> bool:
    def lookup(figure: Figure) -> tuple[float, str]:
        return values[figure.text]

    return check(text).met(lookup, margin)


P99 = {"patched.p99": (49.0, "ms"), "base.p99": (900.0, "ms"), "base.p50": (100.0, "ms")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patched.p99 < 50 ms", True),
        ("patched.p99 < 0.05 s", True),
        ("patched.p99 < 48999 us", False),
        ("patched.p99 <= 49 ms", True),
        ("patched.p99 == 49 ms", True),
        ("patched.p99 > 49 ms", False),
        ("patched.p99 >= 49 ms", True),
        ("patched.p99 < base.p99 / 10", True),
        ("patched.p99 < 0.05 * base.p99", False),
        ("base.p99 - base.p50 > 15 * patched.p99", True),
        ("patched.p99 + 2 * (base.p50 + 1 ms) == 251 ms", True),
        ("patched.p99 < 50 ms and base.p99 > 1 s", False),
        ("base.p99 / patched.p99 > 18", True),
        ("2 * 3 * patched.p99 == 294 ms", True),
        ("patched.p99 - 9 ms - 10 ms == 30 ms", True),
    ],
)
def test_arithmetic_and_units(text: str, expected: bool) -> None:
    assert met(text, P99) is expected


def test_the_margin_is_where_the_plan_puts_it() -> None:
    values = {"patched.p50": (103.0, "ms"), "base.p50": (100.0, "ms")}
    assert not met("patched.p50 <= base.p50", values, 0.05)
    assert met("patched.p50 <= (1 + margin) * base.p50", values, 0.05)
    assert not met("patched.p50 <= (1 + margin) * base.p50", values, 0.02)


def test_figures_name_arm_metric_statistic_and_position() -> None:
    target = check("v1-freezer.p99 < patched.latency.p50[8] and patched.ipis[1] <= 7")
    assert [(f.arm, f.metric, f.statistic, f.x) for f in target.figures] == [
        ("v1-freezer", "", "p99", None),
        ("patched", "latency", "p50", 8.0),
        ("patched", "ipis", "", 1.0),
    ]


def test_other_units_take_bare_numbers_or_their_own() -> None:
    check("patched.ipis <= 7")
    check("patched.ipis <= 7 IPIs")
    check("patched.sub <= 1.03 * base.sub")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patched.p99 < 50", "a number without unit"),
        ("patched.p99 < 50 IPIs", "beside IPIs"),
        ("patched.ipis < 7 flushes", "IPIs stands beside flushes"),
        ("patched.p99 * base.p99 < 1 s", "times"),
        ("2 / patched.p99 < 1", "divided by"),
        ("new.p99 < 1 ms", "no arm 'new'"),
        ("patched.max < 1 ms", "latency has no max"),
        ("patched.speed < 1", "no metric 'speed'"),
        ("patched.latency < 1 ms", "say which statistic"),
        ("patched.p99[3] < 1 ms", "not a value of x"),
        ("1 < 2", "names no figure"),
        ("patched.p99", "where one of <"),
        ("patched.p99 <", "'the end' where a number"),
        ("(patched.p99 < 1 ms", "where ) is wanted"),
        ("patched.p99 < 1 ms base.p99", "where and, or the end"),
        ("patched.p99 < 1 ms; exit", "is not understood"),
        ("__import__ < 1", "is not understood"),
    ],
)
def test_mistakes_are_refused(text: str, says: str) -> None:
    with pytest.raises(KseriesError) as caught:
        check(text)
    assert says in caught.value.what


def test_division_by_zero_meets_nothing() -> None:
    values = {"patched.p99": (1.0, "ms"), "base.p99": (0.0, "ms")}
    assert not met("patched.p99 / base.p99 < 5", values)
    assert not met("patched.p99 / base.p99 > 5", values)
