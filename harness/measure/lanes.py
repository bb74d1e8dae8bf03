"""Lanes: which machine each one is, and what a host must have for it.

| lane | machine | figures that count |
|---|---|---|
| L1 | one CPU under icount | virtual time, which is instructions |
| L2 | 4 x 2 CPUs, multi-threaded TCG | exact counts |
| L3 | 4 x 2 CPUs under icount, QEMU 10 | virtual time on several CPUs |
"""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import KseriesError
from harness.core.paths import Paths
from harness.guest.job import Lane, Machine
from harness.guest.qemu import ICOUNT_MINIMUM, find_qemu
from harness.guest.topology import parse_topology

TOPOLOGIES = {Lane.L1: "1x1:1G", Lane.L2: "4x2", Lane.L3: "4x2"}

# Words that a lane adds to the kernel's command line.  L3: QEMU cuts the turns
# of the CPUs from the time to the next timer.  When all CPUs tick at one moment
# the turns depend on how a boot's other timers fall, and two boots differed by
# 30 % in how long an answer from another CPU takes; with ticks spread over the
# interval they differ by 1 to 3 %, and turns are half as long.
WORDS: dict[Lane, tuple[str, ...]] = {Lane.L3: ("skew_tick=1",)}


def topology_of(lane: Lane, wanted: str) -> str:
    """Return the topology a case runs on in a lane: its own, or the lane's."""
    return wanted or TOPOLOGIES[lane]


def machine(
    lane: Lane, kernel: Path, topology: str, *, append: tuple[str, ...], scratch: bool
) -> Machine:
    """Return the machine of one boot; append: the case's own words for its kernel."""
    words = (*WORDS.get(lane, ()), *append)
    return Machine(kernel, parse_topology(topology), lane, scratch=scratch, append=words)


def why_not(lane: Lane, paths: Paths) -> str:
    """Return why this host cannot run the lane, or nothing.

    Only L3 asks for more than any QEMU: before version 10 each vCPU gets a
    whole timer interval of the shared stream, and figures show that alone.
    """
    try:
        find_qemu(paths, ICOUNT_MINIMUM if lane is Lane.L3 else None)
    except KseriesError as error:
        return f"{error.what} ({error.where})"
    return ""
