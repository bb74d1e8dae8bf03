"""Calibration: how well a lane repeats itself, measured in the boots that it judges.

benchmarks/calibrate runs first in each L1 and L3 boot, so that its figures
come from the same guests as the results that they qualify, at no extra boot.

- L1: a fixed loop of instructions, timed ten times.  Its median must be the
  same in all boots; the largest difference is the margin.
- L3: N threads count on N CPUs.  Their shares of the common instruction
  stream show how fair the turns are (1 is fair), the work done in a
  millisecond how long the stream is, and the barrier (an interrupt to all
  other CPUs and the wait for them) how well a cross-CPU path repeats.  The
  margin is the largest of: the difference between boots of the work and of
  the barrier's median, and half of the barrier's 95 % interval within a boot.

A difference is (largest - smallest) / median over boots.  Two boots may agree
by luck, so no margin is under what many boots have shown: 0.1 % in L1, and in
L3 3 %, the least that waits for another CPU repeat to.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.guest.job import Command, Lane
from harness.measure.protocol import Sample
from harness.measure.stats import summarize
from harness.results.model import Calibration

NAME = "calibrate"
# Virtual milliseconds: long against a tick, short against a boot.
WINDOW = 300
LIMIT = 120.0

FLOOR = {Lane.L1: 0.001, Lane.L3: 0.03}

Boot = Mapping[str, Sequence[float]]


def calibration_command(lane: Lane, cpus: int, programs: Path) -> Command | None:
    """Return the command that goes first in a boot of this lane, if it needs one.

    programs: guest folder of the program `calibrate`.
    """
    if lane is Lane.L1:
        return Command(NAME, f"{programs}/calibrate loop", LIMIT)
    if lane is Lane.L3:
        return Command(NAME, f"{programs}/calibrate shares {cpus} {WINDOW}", LIMIT)
    return None


def by_metric(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Return one calibration run's values by metric."""
    found: dict[str, list[float]] = {}
    for sample in samples:
        found.setdefault(sample.metric, []).append(sample.value)
    return found


def judge(lane: Lane, machine: str, boots: Sequence[Boot], qemu: str) -> Calibration:
    """Return the calibration of a lane from the figures of its boots.

    machine: its topology and kernel words, for people; boots: by metric, what
    each boot's calibration run printed; one boot shows no repeatability, so
    two are the least.
    """
    if len(boots) < 2:
        raise ValueError("a calibration compares at least two boots")
    if lane is Lane.L1:
        loops = [statistics.median(boot["loop"]) for boot in boots]
        difference = _difference(loops)
        margin = max(difference, FLOOR[lane])
        return Calibration(
            str(lane),
            margin,
            {
                "boots": len(boots),
                "loop_ns": statistics.median(loops),
                "loop_difference": difference,
            },
            qemu,
            f"{machine}: a fixed loop takes {statistics.median(loops):.0f} ns, "
            f"within {difference:.2%} in {len(boots)} boots",
        )
    shares = [share for boot in boots for share in boot["share"]]
    work = [boot["work"][0] for boot in boots]
    barriers = [statistics.median(boot["barrier"]) for boot in boots]
    within = max(_half_interval(boot["barrier"]) for boot in boots)
    figures = {
        "boots": float(len(boots)),
        "share_min": min(shares),
        "share_max": max(shares),
        "work_per_ms": statistics.median(work),
        "work_difference": _difference(work),
        "barrier_us": statistics.median(barriers),
        "barrier_difference": _difference(barriers),
        "barrier_half_interval": within,
    }
    differences = (figures["work_difference"], figures["barrier_difference"], within)
    margin = max(*differences, FLOOR[lane])
    return Calibration(
        str(lane),
        margin,
        figures,
        qemu,
        f"{machine}: shares of {len(boots[0]['share'])} spinners {min(shares):.2f} to "
        f"{max(shares):.2f}; barrier {figures['barrier_us']:.0f} us, "
        f"margin {margin:.1%} from {len(boots)} boots",
    )


def _difference(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def _half_interval(values: Sequence[float]) -> float:
    summary = summarize("p50", [values], seed=1)
    return (summary.high - summary.low) / 2 / summary.value if summary.value else 0.0
