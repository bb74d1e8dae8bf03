"""The rate of the host's time stamp counter."""

from __future__ import annotations

import mmap
import platform
from pathlib import Path

import pytest

from harness.guest import tsc


def test_the_rate_of_two_readings() -> None:
    assert tsc.khz((1_000, 5_000), (260_001_000, 100_005_000)) == 2_600_000


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no such counter")
def test_this_host_has_one_and_agrees_with_itself() -> None:
    tsc.host_tsc_khz.cache_clear()
    first = tsc.host_tsc_khz()
    tsc.host_tsc_khz.cache_clear()
    second = tsc.host_tsc_khz()
    assert first
    assert second
    assert 100_000 < first < 10_000_000
    assert abs(first - second) < first / 1000


def test_other_machines_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    tsc.host_tsc_khz.cache_clear()
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert tsc.host_tsc_khz() is None
    tsc.host_tsc_khz.cache_clear()


def test_a_host_that_forbids_it_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*args: object, **words: object) -> mmap.mmap:
        raise PermissionError("policy")

    tsc.host_tsc_khz.cache_clear()
    monkeypatch.setattr(mmap, "mmap", refused)
    assert tsc.host_tsc_khz() is None
    tsc.host_tsc_khz.cache_clear()
