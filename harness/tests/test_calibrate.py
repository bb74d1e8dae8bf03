import pytest

from harness.guest.job import Lane
from harness.measure.calibrate import by_metric, judge
from harness.measure.protocol import Sample


def shares(work: float, barrier: float) -> dict[str, list[float]]:
    return {"share": [0.9, 1.1, 1.0], "work": [work], "barrier": [barrier] * 20}


def test_l1_margin_is_the_difference_of_medians() -> None:
    boots = [{"loop": [1000.0, 1001.0, 1002.0]}, {"loop": [1000.0, 1003.0, 1009.0]}]
    found = judge(Lane.L1, "1x1:1G", boots, "10.0.2")
    assert found.margin == pytest.approx(2 / 1002)
    assert found.figures["loop_ns"] == 1002.0
    assert "1x1:1G" in found.text


def test_l3_margin_is_the_worst_of_its_figures() -> None:
    found = judge(Lane.L3, "4x2", [shares(1000, 100), shares(1010, 105)], "10.0.2")
    assert found.margin == pytest.approx(5 / 102.5)
    assert found.figures["work_difference"] == pytest.approx(10 / 1005)
    assert (found.figures["share_min"], found.figures["share_max"]) == (0.9, 1.1)


def test_boots_that_agree_by_luck_keep_the_spread_within_one() -> None:
    boot = {"share": [1.0], "work": [1000.0], "barrier": [float(n) for n in range(60, 141)]}
    found = judge(Lane.L3, "4x2", [boot, boot], "10.0.2")
    assert found.figures["barrier_difference"] == 0.0
    assert 0.03 < found.margin == found.figures["barrier_half_interval"] < 0.2


def test_no_margin_is_under_its_floor() -> None:
    same = [shares(1000, 100), shares(1000, 100)]
    assert judge(Lane.L3, "4x2", same, "10.0.2").margin == 0.03
    loops = [{"loop": [1000.0]}, {"loop": [1000.0]}]
    found = judge(Lane.L1, "1x1", loops, "10.0.2")
    assert (found.margin, found.figures["loop_difference"]) == (0.001, 0.0)


def test_one_boot_is_no_calibration() -> None:
    with pytest.raises(ValueError, match="at least two"):
        judge(Lane.L1, "1x1:1G", [{"loop": [1.0]}], "10.0.2")


def test_values_by_metric() -> None:
    samples = [Sample("share", 1.0), Sample("work", 5.0), Sample("share", 2.0)]
    assert by_metric(samples) == {"share": [1.0, 2.0], "work": [5.0]}
