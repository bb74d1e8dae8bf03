"""The lanes as a reader of a report meets them: what counts, what it cannot say."""

from __future__ import annotations

from dataclasses import dataclass

from harness.guest.job import Lane
from harness.results.model import RunInfo


@dataclass(frozen=True)
class LaneText:
    """One lane in words: title, the guest, what its figures say and do not say."""

    lane: str
    title: str
    guest: str
    says: str
    silent: str


_TEXTS = {
    Lane.L1: LaneText(
        "L1",
        "single CPU",
        "1 vCPU under TCG with -icount shift=0: the virtual clock counts instructions",
        "Path lengths and latencies on one CPU, in instructions or in virtual time of one "
        "nanosecond an instruction; they repeat almost exactly.",
        "Nothing about caches, branch prediction or anything between CPUs: every instruction "
        "costs the same.",
    ),
    Lane.L2: LaneText(
        "L2",
        "counts",
        "several vCPUs on emulated NUMA nodes, not clocked by instructions",
        "Exact counts: IPIs, flushes, faults, page-table pages, context switches.",
        "Nothing about time: how long an emulated CPU waits depends on the host's load.",
    ),
    Lane.L3: LaneText(
        "L3",
        "virtual SMP",
        "several vCPUs under TCG with -icount shift=0, sharing one instruction stream in turns",
        "Latencies across CPUs in virtual time, on a machine of in-order CPUs; good to the "
        "calibrated margin.",
        "No absolute time of real hardware: a CPU runs at 1/busy of its alone speed, and "
        "caches, memory distance and interconnect cost nothing.",
    ),
    Lane.HOST: LaneText(
        "HW",
        "real hardware",
        "the host itself, no guest",
        "What this machine does: time, counts, and the cost of memory distance.",
        "Nothing about other machines.",
    ),
    Lane.TEST: LaneText(
        "test",
        "tests",
        "several vCPUs on emulated NUMA nodes, as the accelerator allows",
        "Whether a test passes.",
        "No figure: time in this guest means nothing.",
    ),
}


def lane_text(lane: str) -> LaneText:
    """Return the words for a lane; one that nobody described says so."""
    try:
        return _TEXTS[Lane(lane)]
    except ValueError:
        return LaneText(
            lane, "not described", "unknown", "Unknown to this harness.", "Treat with care."
        )


def figure_accel(run: RunInfo, lane: str) -> str:
    """Return the accelerator behind a lane's figures in this run.

    Lanes clocked by instructions exist under TCG alone, whatever the test
    guests of the same run used.
    """
    try:
        known = Lane(lane)
    except ValueError:
        return run.accel
    if known.icount:
        return "tcg, icount"
    return "none (hardware)" if known is Lane.HOST else run.accel
