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


def topology_of(lane: Lane, wanted: str) -> str:
    """Return the topology a case runs on in a lane: its own, or the lane's."""
    return wanted or TOPOLOGIES[lane]


def machine(
    lane: Lane, kernel: Path, topology: str, *, append: tuple[str, ...], scratch: bool
) -> Machine:
    """Return the machine of one boot."""
    return Machine(kernel, parse_topology(topology), lane, scratch=scratch, append=append)


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
