"""How fast the host's time stamp counter runs.

Under TCG a guest's counter is the host's.  Its kernel counts the cycles in a few
milliseconds of an emulated timer, and where the host is away meanwhile it believes
the result: clocks ran 12 times too fast, and every time limit in the guest with them.
The host can tell, for it measures over as long as it likes.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import time
from collections.abc import Callable

_RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
_APART = 0.05  # seconds between the two readings
_TRIES = 50  # readings of which the least disturbed one counts

Reading = tuple[int, int]


def khz(first: Reading, second: Reading) -> int:
    """Return the rate between two readings, each (cycles, nanoseconds), in kHz."""
    return round((second[0] - first[0]) * 1_000_000 / (second[1] - first[1]))


def _reading(counter: Callable[[], int]) -> Reading:
    best: tuple[int, Reading] | None = None
    for _ in range(_TRIES):
        before = time.monotonic_ns()
        cycles = counter()
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = after - before, (cycles, (before + after) // 2)
    assert best is not None
    return best[1]


@functools.cache
def host_tsc_khz() -> int | None:
    """Return the rate of this host's counter in kHz, None where it cannot be read."""
    if platform.machine() != "x86_64":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:  # a policy that forbids memory that is written and executed
        return None
    page.write(_RDTSC)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(start)
    first = _reading(counter)
    time.sleep(_APART)
    return khz(first, _reading(counter))
