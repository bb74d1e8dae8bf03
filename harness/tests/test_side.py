"""Jobs side by side: order kept, one failure or interrupt ends all."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from harness.core.side import Check, StoppedError, side_by_side


def _endless(ended: list[str], name: str) -> Callable[[Check], str]:
    def job(check: Check) -> str:
        try:
            while True:
                check()
                time.sleep(0.01)
        except StoppedError:
            ended.append(name)
            raise

    return job


def test_results_keep_the_order_of_the_jobs() -> None:
    def job(seconds: float) -> Callable[[Check], float]:
        def work(check: Check) -> float:
            time.sleep(seconds)
            return seconds

        return work

    assert side_by_side([job(0.05), job(0.0), job(0.02)], 3) == [0.05, 0.0, 0.02]


def test_jobs_really_run_at_the_same_time() -> None:
    meet = threading.Barrier(2, timeout=5)

    def job(check: Check) -> int:
        return meet.wait()

    assert sorted(side_by_side([job, job], 2)) == [0, 1]


def test_one_at_a_time_stays_in_this_thread() -> None:
    here = threading.get_ident()
    assert side_by_side([lambda check: threading.get_ident()] * 2, 1) == [here, here]


def test_a_failure_stops_the_others_and_is_raised() -> None:
    ended: list[str] = []

    def bad(check: Check) -> str:
        time.sleep(0.05)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        side_by_side([_endless(ended, "other"), bad], 2)
    assert ended == ["other"]


def test_an_interrupt_reaches_every_job() -> None:
    ended: list[str] = []
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        side_by_side([_endless(ended, "one"), _endless(ended, "two")], 2)
    assert sorted(ended) == ["one", "two"]
