"""Advisory file locks: two runs at once do not disturb each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.core.errors import Exit, KseriesError


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    timeout: float | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold an exclusive lock on path (made if missing) for the block.

    timeout: seconds to wait, None waits for ever; on_wait: called once with a
    sentence when another process holds the lock.  The kernel drops the lock
    when its holder dies, so no stale lock is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with path.open("a+") as handle:
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told and on_wait:
                    holder = _holder(path)
                    on_wait(f"waiting for another run{holder} ({path.name})")
                told = True
                if timeout is not None and time.monotonic() - start > timeout:
                    raise KseriesError(
                        Exit.HANG,
                        f"another run{_holder(path)} has held a lock for over {timeout:g} s",
                        where=str(path),
                        hint="wait for it, or end it",
                    ) from None
                time.sleep(0.2)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


@contextlib.contextmanager
def locked_slots(
    folder: Path, count: int, wanted: int, *, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold `wanted` of `count` slots for the block: any one, or all of them.

    folder: gets a lock file for each slot.  All slots are taken in order, so
    that two who want all do not wait for each other.
    """
    if wanted >= count:
        with contextlib.ExitStack() as stack:
            for slot in range(count):
                stack.enter_context(locked(folder / f"slot-{slot}", on_wait=on_wait))
            yield
        return
    told = False
    while True:
        for slot in range(count):
            try:
                with contextlib.ExitStack() as stack:
                    stack.enter_context(locked(folder / f"slot-{slot}", timeout=0))
                    held = stack.pop_all()
            except KseriesError:
                continue
            with held:
                yield
            return
        if not told and on_wait:
            on_wait("waiting for another run to end its measurement")
        told = True
        time.sleep(0.2)


def _holder(path: Path) -> str:
    text = path.read_text(errors="replace").strip()
    return f" (process {text})" if text.isdigit() else ""
