from __future__ import annotations

from dataclasses import replace

import pytest

from harness.guest.job import Fate, Job, Lane
from harness.guest.watch import NMI_WAIT, OVERTIME, POWER_OFF, SYSRQ_WAIT, Act, Signs, Watch

JOB = Job((), limit=1000, silence=100)
BUSY = Signs(now=150, console=50, alive=140, running="t", running_since=100, running_limit=60)


def test_a_living_guest_is_left_alone() -> None:
    watch = Watch(JOB, Lane.TEST)
    assert watch.step(BUSY) is Act.WAIT
    assert watch.fate is None


def test_silence_climbs_from_sysrq_over_nmi_to_kill() -> None:
    watch = Watch(JOB, Lane.TEST)
    silent = replace(BUSY, now=241, alive=140, running_limit=500)
    assert watch.step(silent) is Act.SYSRQ
    assert watch.fate is Fate.HUNG
    assert watch.cause == "no console line and no heartbeat for 100 s while 't' ran"
    assert watch.step(replace(silent, now=242)) is Act.WAIT
    later = silent.now + SYSRQ_WAIT + 1
    assert watch.step(replace(silent, now=later)) is Act.NMI
    assert watch.step(replace(silent, now=later + 1)) is Act.WAIT
    assert watch.step(replace(silent, now=later + 1 + NMI_WAIT)) is Act.KILL


def test_a_kernel_that_answers_sysrq_is_spared_the_nmi() -> None:
    watch = Watch(JOB, Lane.TEST, dump=True)
    silent = replace(BUSY, now=241, running_limit=500)
    assert watch.step(silent) is Act.SYSRQ
    assert watch.step(replace(silent, now=242, console=99)) is Act.WAIT
    assert watch.step(replace(silent, now=245, console=99)) is Act.DUMP
    assert watch.step(replace(silent, now=246, console=99)) is Act.KILL


def test_a_kernel_that_only_complains_is_hung() -> None:
    watch = Watch(JOB, Lane.TEST)
    stall = replace(BUSY, now=400, alive=390, beat=110, running_limit=500)
    assert watch.step(stall) is Act.WAIT
    assert watch.step(replace(stall, now=411, alive=410)) is Act.SYSRQ
    assert watch.cause == "no heartbeat for 300 s, though the kernel speaks while 't' ran"


def test_a_slow_host_gets_more_patience() -> None:
    watch = Watch(JOB, Lane.TEST, slowness=3)
    assert watch.step(replace(BUSY, now=400, running_limit=500)) is Act.WAIT
    assert watch.step(replace(BUSY, now=441, running_limit=500)) is Act.SYSRQ


@pytest.mark.parametrize("lane", [Lane.L1, Lane.L2, Lane.L3])
def test_silence_says_nothing_without_a_heartbeat(lane: Lane) -> None:
    watch = Watch(JOB, lane)
    quiet = replace(BUSY, now=990, alive=10, running_limit=0)
    assert watch.step(quiet) is Act.WAIT
    assert watch.step(replace(quiet, now=1001)) is Act.SYSRQ
    assert watch.fate is Fate.LIMIT


def test_a_command_that_cannot_be_killed_is_a_hang() -> None:
    watch = Watch(JOB, Lane.TEST)
    over = replace(BUSY, now=160 + OVERTIME + 1, alive=219)
    assert watch.step(replace(over, now=160 + OVERTIME - 1)) is Act.WAIT
    assert watch.step(over) is Act.SYSRQ
    assert "'t' is over its limit of 60 s" in watch.cause


def test_the_limit_of_the_boot() -> None:
    watch = Watch(JOB, Lane.TEST)
    late = Signs(now=1001, console=1, alive=1000)
    assert watch.step(late) is Act.SYSRQ
    assert watch.fate is Fate.LIMIT
    assert watch.cause == "the boot took longer than its limit of 1000 s"


def test_a_guest_must_power_off_after_its_verdict() -> None:
    watch = Watch(JOB, Lane.TEST)
    done = Signs(now=1500, console=1, alive=100, done=1490)
    assert watch.step(done) is Act.WAIT
    assert watch.step(replace(done, now=1490 + POWER_OFF + 1)) is Act.SYSRQ
    assert watch.fate is Fate.HUNG


def test_qemus_own_word_counts() -> None:
    watch = Watch(JOB, Lane.L3)
    assert watch.step(replace(BUSY, state="internal-error")) is Act.SYSRQ
    assert watch.fate is Fate.DIED
