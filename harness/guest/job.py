"""What a guest is asked to do, and what came of it: plain data.

A Machine says which hardware, a Job what runs on it, and a BootResult what
happened.  Planners make the first two, harness.guest.session turns them into
a BootResult, and judges read that; none of them needs a guest to be tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from harness.guest.topology import Topology


class Lane(StrEnum):
    """Which figures of a guest count (docs/measurement.md)."""

    L1 = "L1"  # 1 vCPU under icount: virtual time is instructions
    L2 = "L2"  # 4 x 2 vCPUs, multi-threaded TCG: exact counts
    L3 = "L3"  # 4 x 2 vCPUs under icount, QEMU 10: virtual SMP
    HOST = "HW"  # a real machine
    TEST = "test"  # 4 x 2 vCPUs, multi-threaded TCG: tests, no figures

    @property
    def icount(self) -> bool:
        """Whether virtual time counts instructions in this lane."""
        return self in {Lane.L1, Lane.L3}

    @property
    def measuring(self) -> bool:
        """Whether figures of this lane count: such guests share the host with care, unwatched."""
        return self in {Lane.L1, Lane.L2, Lane.L3}


@dataclass(frozen=True)
class Machine:
    """The emulated hardware and the kernel on it."""

    kernel: Path  # bzImage
    topology: Topology
    lane: Lane = Lane.TEST
    scratch: bool = True  # an ext4 disk with a swap file; tests run there
    append: tuple[str, ...] = ()  # more words for the kernel's command line
    gdb: bool = False


@dataclass(frozen=True)
class Command:
    """One command of a job, run by the guest's shell with a limit of its own.

    limit: guest seconds until it is killed and counted as TIMEOUT;
    cwd: guest path, empty for the scratch disk; env: added to the guest's.
    """

    name: str  # unique in its job, [A-Za-z0-9_.:-]+
    shell: str
    limit: float = 300.0
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """The commands of one boot, in order, and the limits around them.

    share: host folders the guest may read and write, as guest path -> host
    path (the guest's root is the host's root, read-only with an overlay, so
    programs and test folders need no sharing); limit: host seconds for the
    whole boot; silence: host seconds without a console line or heartbeat
    after which the guest counts as hung, scaled by the slowness factor and
    replaced by the limit alone in icount lanes.
    """

    commands: tuple[Command, ...]
    share: Mapping[str, Path] = field(default_factory=dict)
    limit: float = 1800.0
    silence: float = 120.0


class Fate(StrEnum):
    """How a boot ended."""

    OK = "ok"  # every command ran (each has its own status)
    DIED = "died"  # panic, or QEMU gone before the verdict was written
    HUNG = "hung"  # silent for too long; killed
    LIMIT = "limit"  # over the job's limit; killed


@dataclass(frozen=True)
class CommandResult:
    """What one command left.  status is None if it never ended."""

    name: str
    status: int | None
    seconds: float  # guest clock
    timed_out: bool
    log: Path  # stdout and stderr, as the guest wrote them


@dataclass(frozen=True)
class Splat:
    """One complaint of the kernel, found in a console.

    kind: warn, bug, oops, kasan, kcsan, lockdep, rcu-stall, soft-lockup,
    hung-task, atomic-sleep, oom-kill, panic; title: its first line without
    time stamp and caller; text: the whole of it; allowed: reason of the
    allowlist entry that covers it, or empty.
    """

    kind: str
    title: str
    text: str
    line: int  # 1-based line in the console
    allowed: str = ""


@dataclass(frozen=True)
class BootResult:
    """What came of one boot."""

    fate: Fate
    results: tuple[CommandResult, ...]
    splats: tuple[Splat, ...]
    console: Path
    running: str  # name of the command that ran when the guest died or hung
    cause: str  # one sentence for a person, empty when fate is OK
    seconds: float  # host seconds, boot to end
    boot_seconds: float | None  # host seconds to the first command
    line: str  # the pasteable command that started QEMU or vng
    accel: str  # "kvm" or "tcg"
    qemu: str  # its version, e.g. "10.0.2"
    cpu: str  # the -cpu name
    topology_errors: tuple[str, ...]  # what the guest has that was not asked for
    harness_cpu_seconds: float  # this process's own CPU time for the boot
    failed_start: str = ""  # what QEMU itself broke at when it was first started, if it did
