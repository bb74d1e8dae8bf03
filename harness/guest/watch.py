"""When a guest counts as hung, and what is done about it: pure decisions.

The session asks `Watch.step()` a few times a second what to do next, and does
it; nothing here touches a guest, so every ladder is tested by feeding times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.guest.job import Fate, Job, Lane

SYSRQ_WAIT = 10.0  # seconds for the kernel to print what SysRq asked for
NMI_WAIT = 5.0
POWER_OFF = 30.0  # seconds from the verdict to QEMU's end
# A kernel whose user space is gone may go on complaining (an RCU stall speaks up
# every minute), so without a heartbeat its lines buy this many silences at most.
BABBLE = 3.0
OVERTIME = 60.0  # seconds past a command's own limit: it could not be killed


class Act(StrEnum):
    """What the session shall do now."""

    WAIT = "wait"
    SYSRQ = "sysrq"  # blocked tasks and backtraces of all CPUs
    NMI = "nmi"  # nobody listens: interrupt the CPUs that nothing else interrupts
    DUMP = "dump"
    KILL = "kill"


@dataclass(frozen=True)
class Signs:
    """What the session sees of a guest now, times in host seconds since its start."""

    now: float
    console: int  # bytes
    alive: float  # when the console or the heartbeat last changed
    beat: float = 0.0  # when the heartbeat last changed, 0 before its first
    running: str = ""  # the command that runs, if known
    running_since: float = 0.0
    running_limit: float = 0.0
    done: float | None = None  # when the verdict appeared
    state: str = "running"  # QEMU's own word


class Watch:
    """The hang ladder of one guest.

    step() answers what to do; after it answered anything but WAIT the guest
    is lost, fate and cause say why, and only the next rung is left.
    """

    def __init__(self, job: Job, lane: Lane, *, slowness: float = 1.0, dump: bool = False) -> None:
        self._job = job
        # Without a heartbeat a silent console says nothing: only limits count.
        self._silence = None if lane.measuring else job.silence
        self.slowness = slowness
        self._dump = dump
        self._rung: Act = Act.WAIT
        self._since = 0.0
        self._console = 0
        self.fate: Fate | None = None
        self.cause = ""

    def step(self, signs: Signs) -> Act:
        """Return what to do now."""
        if self.fate is None:
            self._judge(signs)
            if self.fate is None:
                return Act.WAIT
            return self._climb(Act.SYSRQ, signs)
        waited = signs.now - self._since
        if self._rung is Act.SYSRQ:
            spoke = signs.console > self._console
            if waited < SYSRQ_WAIT * self.slowness and not (spoke and waited >= 3):
                return Act.WAIT
            return self._climb(self._last() if spoke else Act.NMI, signs)
        if self._rung is Act.NMI:
            return Act.WAIT if waited < NMI_WAIT else self._climb(self._last(), signs)
        return self._climb(Act.KILL, signs)

    def _last(self) -> Act:
        return Act.DUMP if self._dump else Act.KILL

    def _climb(self, act: Act, signs: Signs) -> Act:
        self._rung, self._since, self._console = act, signs.now, signs.console
        return act

    def _judge(self, signs: Signs) -> None:
        during = f" while {signs.running!r} ran" if signs.running else ""
        overtime = signs.now - signs.running_since - signs.running_limit
        if signs.done is not None:
            if signs.now - signs.done > POWER_OFF * self.slowness:
                self._lose(Fate.HUNG, "the guest did not power off after its last command")
        elif signs.now > self._job.limit:
            self._lose(
                Fate.LIMIT, f"the boot took longer than its limit of {self._job.limit:g} s{during}"
            )
        elif signs.state not in {"running", "prelaunch"}:
            self._lose(Fate.DIED, f"QEMU says that the guest is {signs.state}{during}")
        elif self._silence is not None and (
            signs.now - signs.alive > (quiet := self._silence * self.slowness)
        ):
            self._lose(Fate.HUNG, f"no console line and no heartbeat for {quiet:.0f} s{during}")
        elif self._silence is not None and (
            signs.beat
            and signs.now - signs.beat > (quiet := BABBLE * self._silence * self.slowness)
        ):
            self._lose(
                Fate.HUNG, f"no heartbeat for {quiet:.0f} s, though the kernel speaks{during}"
            )
        elif signs.running_limit and overtime > OVERTIME * self.slowness:
            self._lose(
                Fate.HUNG,
                f"{signs.running!r} is over its limit of {signs.running_limit:g} s"
                " and could not be killed",
            )

    def _lose(self, fate: Fate, cause: str) -> None:
        self.fate, self.cause = fate, cause
