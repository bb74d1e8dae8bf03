"""Work side by side in threads, with one clean end for all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
Check = Callable[[], None]

# Only the main thread hears signals, and only between two waits.
_PATIENCE = 0.2


class StoppedError(Exception):
    """Raised inside a job because another one failed, or the user interrupted."""


def side_by_side(jobs: Sequence[Callable[[Check], T]], at_once: int) -> list[T]:
    """Run jobs, `at_once` at a time, and return what they return, in their order.

    Each job is handed a check that it must call a few times a second: it
    raises StoppedError once the whole is to end.  The first exception of a job, or
    an interrupt, stops the others, waits for them, and is raised here.
    """
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise StoppedError

    if at_once <= 1 or len(jobs) <= 1:
        return [job(check) for job in jobs]
    with ThreadPoolExecutor(at_once) as pool:
        futures: list[Future[T]] = []
        try:
            futures = [pool.submit(job, check) for job in jobs]
            pending = set(futures)
            while pending:
                ended, pending = wait(pending, _PATIENCE, FIRST_COMPLETED)
                for future in ended:
                    future.result()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise  # leaving the pool waits for the jobs to notice
    return [future.result() for future in futures]
