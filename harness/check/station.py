"""A station is one thing that check or ci shows; its cases add up.

(The word lane is taken: it names the kind of guest a figure comes from.)
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.errors import Exit, KseriesError, worst
from harness.core.ui import Ui
from harness.host.deps import examine, load_capabilities


@dataclass
class Tally:
    """What a station found: cases by outcome, and a line for each failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    code: int = Exit.OK
    note: str = ""

    def good(self, count: int = 1) -> None:
        """Count passed cases."""
        self.passed += count

    def bad(self, problem: str, code: int = Exit.TEST) -> None:
        """Count one failed case and say what it was."""
        self.failed += 1
        self.problems.append(problem)
        self.code = worst([self.code, code])


@dataclass(frozen=True)
class Station:
    """One step of check or ci.

    name; why: one sentence; needs: capabilities of harness/host/packages.toml;
    estimate: seconds it takes on 2 cores, cold; after: stations whose failure
    makes this one pointless; work: does it, filling the tally; of_series:
    what it shows is a matter of the patches, their configuration, selftests
    and benchmarks, and stays shown while only the harness changes.
    """

    name: str
    why: str
    needs: tuple[str, ...]
    estimate: float
    work: Callable[[Tally], None]
    after: tuple[str, ...] = ()
    of_series: bool = False


@dataclass(frozen=True)
class StationResult:
    """How one station ended: "done", "skipped", "no time" or "broken".

    state_of: hash of what it was shown for; commit: of the repository then,
    with a + where files were edited; host: where.  They are filled in by
    whoever keeps the result.
    """

    name: str
    state: str
    tally: Tally
    seconds: float
    reason: str = ""
    state_of: str = ""
    commit: str = ""
    host: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing failed in it."""
        return self.tally.failed == 0 and self.state in {"done", "skipped"}


def parse_budget(text: str) -> float:
    """Return the seconds that "75m", "2h" or "4500" name."""
    scale = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in scale else (text, "s")
    try:
        return float(number) * scale[unit]
    except ValueError:
        raise KseriesError(
            Exit.USAGE, f"{text!r} is not a time", hint="write 75m, 2h or a number of seconds"
        ) from None


def run_stations(
    stations: Sequence[Station],
    ui: Ui,
    *,
    strict: bool,
    budget: float | None,
    started: float,
    done: Callable[[StationResult], None] | None = None,
    before: Mapping[str, StationResult] | None = None,
) -> list[StationResult]:
    """Run the stations in order and return how each ended; never raises for a failure.

    strict: a station that the host cannot do counts as failed; budget:
    seconds since `started` after which nothing may still run: a station whose
    estimate does not fit is not begun, and counts as failed; done: told of
    each result at once; before: what an earlier run has shown already.
    """
    results: list[StationResult] = []
    for station in stations:
        earlier = [*(before or {}).values(), *results]
        result = _one(station, earlier, ui, strict=strict, budget=budget, started=started)
        results.append(result)
        report_station(result, ui)
        if done:
            done(result)
    return results


def _one(
    station: Station,
    earlier: Sequence[StationResult],
    ui: Ui,
    *,
    strict: bool,
    budget: float | None,
    started: float,
) -> StationResult:
    tally = Tally()
    lacking = missing_capabilities(station.needs)
    broken = [r.name for r in earlier if r.name in station.after and r.state != "done"]
    if lacking or broken:
        reason = (
            f"the host lacks {', '.join(lacking)}"
            if lacking
            else f"needs {', '.join(broken)}, which did not finish"
        )
        # A station that cannot run is a failure when the caller must know, and
        # always when what it builds on broke: no result is not a pass.
        if strict or broken:
            tally.bad(f"{station.name}: {reason}", Exit.HOST if lacking else Exit.TEST)
        else:
            tally.skipped += 1
        return StationResult(station.name, "skipped", tally, 0.0, reason)
    elapsed = time.monotonic() - started
    if budget is not None and elapsed + station.estimate > budget:
        reason = (
            f"needs about {station.estimate:.0f} s, {max(0.0, budget - elapsed):.0f} s are left"
        )
        tally.bad(f"{station.name}: {reason}", Exit.HANG)
        return StationResult(station.name, "no time", tally, 0.0, reason)
    ui.line(f"== {station.name}: {station.why}")
    start = time.monotonic()
    state, reason = "done", ""
    try:
        station.work(tally)
    except KseriesError as error:
        state, reason = "broken", error.what
        tally.bad(f"{station.name}: {error}", error.code)
    except Exception:  # the last line must come whatever broke
        state, reason = "broken", "the harness itself failed"
        tally.bad(f"{station.name}: {traceback.format_exc()}", Exit.TEST)
    return StationResult(station.name, state, tally, time.monotonic() - start, reason)


def missing_capabilities(names: Sequence[str]) -> list[str]:
    """Return those of the named capabilities that this host lacks, with what is missing."""
    rows = {row.name: row for row in load_capabilities()}
    lacking = []
    for name in names:
        finding = examine(rows[name])
        if not finding.usable:
            lacking.append(f"{name} ({', '.join(finding.missing)})")
    return lacking


def report_station(result: StationResult, ui: Ui) -> None:
    """Print a station's line, and its problems."""
    tally = result.tally
    counts = f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped"
    reason = f" - {result.reason or tally.note}" if result.reason or tally.note else ""
    ui.line(f"-- {result.name}: {result.state}, {counts}, {result.seconds:.1f} s{reason}")
    for problem in tally.problems:
        ui.warn(f"   {problem}")


def closing_line(results: Sequence[StationResult]) -> str:
    """Return `N passed, N failed, N skipped` over all stations."""
    passed = sum(result.tally.passed for result in results)
    failed = sum(result.tally.failed for result in results)
    skipped = sum(result.tally.skipped for result in results)
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def closing_code(results: Sequence[StationResult]) -> int:
    """Return the exit status of all stations, worst first."""
    if not any(result.tally.failed for result in results):
        return Exit.OK
    return worst([*(result.tally.code for result in results), Exit.TEST])
