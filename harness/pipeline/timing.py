"""How long a run took, and how much of that was the harness itself."""

from __future__ import annotations

import os
import time

from harness.pipeline.run import RunFolder


def spent(run: RunFolder) -> float:
    """Return the seconds since the run began."""
    return time.monotonic() - run.started


def own_seconds(total: float) -> float:
    """Return the CPU seconds of this process, at most the total.

    Its children (make, QEMU, git, apt, pip) are not counted: while they work
    the harness only waits.
    """
    times = os.times()
    return min(total, times.user + times.system)
