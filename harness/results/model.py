"""results.json, schema 1: everything that a report shows, as plain data.

The report, JUnit and TAP are made from this alone.  Field order here is the
order in the file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from harness.core.errors import Exit, KseriesError
from harness.core.record import write_atomic
from harness.results.decode import DecodeError, decode

SCHEMA = 1


class Status(StrEnum):
    """One test's outcome; the order is from good to bad."""

    PASS = "pass"
    XFAIL = "xfail"  # failed as its author said it would
    SKIP = "skip"
    FAIL = "fail"
    TIMEOUT = "timeout"
    CRASH = "crash"  # the guest died or hung under it
    MISSING = "missing"  # planned, but no result came


@dataclass(frozen=True)
class TestResult:
    """One case on one kernel, one attempt.

    suite: "agent/cgroup_freeze", "upstream/cgroup:test_core"; name: the case;
    arm: "base" or "patched"; expected: what it must be on this arm ("pass",
    "fail", "skip", "as-base"); verdict: "ok", "regression", "flaky",
    "unexpected-pass", "failed", "fixed" (set by the judge); reason: why it was
    skipped, failed or excused.
    """

    __test__: ClassVar[bool] = False  # not a test of pytest's

    suite: str
    name: str
    arm: str
    attempt: int
    status: Status
    expected: str = "pass"
    verdict: str = "ok"
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Benchmark:
    """One figure: one metric of one arm in one lane.

    samples: one list per boot; low, high: the 95 % bootstrap interval over
    boots; better: "lower" or "higher"; target: the plan's sentence and
    whether it was met (None where the plan has none for this figure).
    """

    feature: str
    name: str
    lane: str
    arm: str
    metric: str
    unit: str
    better: str
    statistic: str  # "p50", "p99", "max", "mean", "sum", "count"
    value: float
    low: float
    high: float
    n: int
    samples: tuple[tuple[float, ...], ...]
    role: str = "arm"  # "base", "patched" or "rival"
    target: str = ""
    target_met: bool | None = None
    note: str = ""
    limit: float | None = None  # the target as a figure in `unit`, where it is one
    x: float | None = None  # position on the x axis where a plan sweeps one
    x_label: str = ""


@dataclass(frozen=True)
class Calibration:
    """What a lane's calibration found, and the margin it sets (share of value)."""

    lane: str
    margin: float
    figures: Mapping[str, float]
    qemu: str
    text: str


@dataclass(frozen=True)
class SplatRecord:
    """A kernel complaint: which boot, what, and whether it was allowed."""

    boot: str
    arm: str
    kind: str
    title: str
    text: str
    allowed: str = ""


@dataclass(frozen=True)
class Skip:
    """Something not done: a lane, an area, a case, with its reason."""

    what: str
    reason: str


@dataclass(frozen=True)
class RunInfo:
    """Where results come from, enough to repeat them elsewhere."""

    id: str
    started: str  # ISO 8601, UTC
    seconds: float
    command: str  # the verb as typed
    accel: str
    qemu: str
    cpu: str
    line: str  # QEMU's or vng's command line of the first guest
    topology: Mapping[str, Any]  # Topology.as_json()
    pin: str  # "6.18.15"
    base_tree: str
    patched_tree: str
    base_commit: str
    patches: tuple[Mapping[str, str], ...]  # {"file", "subject"} in order
    config: str  # name and hash of the configuration
    toolchain: Mapping[str, str]
    host: Mapping[str, str]
    commands: tuple[str, ...]  # what to type to repeat it
    stages: Mapping[str, float] = field(default_factory=dict)  # seconds by stage


@dataclass(frozen=True)
class Results:
    """One run's results."""

    run: RunInfo
    tests: tuple[TestResult, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    splats: tuple[SplatRecord, ...] = ()
    skips: tuple[Skip, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the body of results.json."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    def save(self, path: Path) -> None:
        """Write results.json; never one that load_results() would refuse."""
        body = self.as_json()
        results_from_json(body, str(path))
        write_atomic(path, json.dumps(body, indent=1, allow_nan=False) + "\n")


def results_from_json(data: Any, where: str) -> Results:
    """Return the results that the body of results.json holds, checked strictly."""
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if schema != SCHEMA:
        raise KseriesError(
            Exit.USAGE,
            f"results of schema {schema!r}, this harness reads {SCHEMA}",
            where=where,
            hint="read it with the harness that wrote it, or repeat the run",
        )
    body = {key: value for key, value in data.items() if key != "schema"}
    for name in ("tests", "benchmarks", "calibrations", "splats", "skips"):
        # An absent list is a cut-off file, not a run without tests.
        if name not in body:
            raise _refused(DecodeError(name, "is missing"), where)
    try:
        return decode(Results, body)
    except DecodeError as error:
        raise _refused(error, where) from None


def _refused(error: DecodeError, where: str) -> KseriesError:
    return KseriesError(
        Exit.USAGE,
        f"results that do not fit schema {SCHEMA}: {error}",
        where=where,
        hint="the file was edited or cut off; repeat the run",
        details={"field": error.place},
    )


def load_results(path: Path) -> Results:
    """Read results.json; a wrong schema, type or a missing field is an error."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KseriesError(
            Exit.USAGE,
            "no stored results here",
            where=str(path),
            hint="`ls out/` shows the stored runs; name one, or `latest`",
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise KseriesError(
            Exit.USAGE, f"not JSON: {error}", where=str(path), hint="repeat the run"
        ) from None
    return results_from_json(data, str(path))
