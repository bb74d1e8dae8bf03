from __future__ import annotations

import io
import time

import pytest

from harness.check import station as stations
from harness.check.station import (
    Station,
    Tally,
    closing_code,
    closing_line,
    parse_budget,
    run_stations,
)
from harness.core.errors import Exit, KseriesError, worst
from harness.core.ui import Ui


def ui() -> Ui:
    return Ui(stream=io.StringIO())


def good(tally: Tally) -> None:
    tally.good(3)


def bad(tally: Tally) -> None:
    tally.good()
    tally.bad("case 2 failed")


def broken(tally: Tally) -> None:
    raise KseriesError(Exit.BUILD, "it does not build", where="patches/x.patch")


def bug(tally: Tally) -> None:
    raise ZeroDivisionError


def go(*rows: Station, strict: bool = False, budget: float | None = None, age: float = 0.0):  # type: ignore[no-untyped-def]
    return run_stations(rows, ui(), strict=strict, budget=budget, started=time.monotonic() - age)


def test_cases_of_all_stations_add_up() -> None:
    results = go(Station("a", "", (), 1, good), Station("b", "", (), 1, bad))
    assert closing_line(results) == "4 passed, 1 failed, 0 skipped"
    assert closing_code(results) == Exit.TEST


def test_a_broken_station_fails_with_its_code_and_the_next_still_runs() -> None:
    results = go(Station("a", "", (), 1, broken), Station("b", "", (), 1, good))
    assert closing_line(results) == "3 passed, 1 failed, 0 skipped"
    assert closing_code(results) == Exit.BUILD


def test_a_bug_of_the_harness_still_ends_with_the_line() -> None:
    results = go(Station("a", "", (), 1, bug))
    assert closing_line(results) == "0 passed, 1 failed, 0 skipped"
    assert "ZeroDivisionError" in results[0].tally.problems[0]


def test_what_builds_on_a_broken_station_is_a_failure_not_a_skip() -> None:
    results = go(Station("a", "", (), 1, broken), Station("b", "", (), 1, good, after=("a",)))
    assert results[1].state == "skipped"
    assert results[1].tally.failed == 1


@pytest.mark.parametrize(("strict", "line"), [(False, (0, 0, 1)), (True, (0, 1, 0))])
def test_a_lacking_capability_is_a_skip_or_with_strict_a_failure(
    monkeypatch: pytest.MonkeyPatch, strict: bool, line: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(stations, "missing_capabilities", lambda names: ["qemu (qemu-system)"])
    results = go(Station("a", "", ("qemu",), 1, good), strict=strict)
    tally = results[0].tally
    assert (tally.passed, tally.failed, tally.skipped) == line
    assert "qemu" in results[0].reason


def test_no_station_begins_that_cannot_end_in_time() -> None:
    results = go(Station("a", "", (), 60, good), budget=100, age=50)
    assert results[0].state == "no time"
    assert results[0].tally.failed == 1
    assert go(Station("a", "", (), 60, good), budget=120, age=50)[0].ok


@pytest.mark.parametrize(("text", "seconds"), [("75m", 4500), ("2h", 7200), ("90", 90), ("5s", 5)])
def test_budget(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "soon", "5x"])
def test_a_bad_budget_is_a_usage_error(text: str) -> None:
    with pytest.raises(KseriesError) as caught:
        parse_budget(text)
    assert caught.value.code == Exit.USAGE


def test_worst_first() -> None:
    assert worst([1, 7, 6, 5]) == Exit.DIED
    assert worst([1, 7, 6]) == Exit.HANG
    assert worst([1, 7]) == Exit.SPLAT
    assert worst([0, 1]) == Exit.TEST
    assert worst([0, 0]) == Exit.OK
    assert worst([4]) == Exit.BUILD
