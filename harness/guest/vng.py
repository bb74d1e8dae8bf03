"""The virtme-ng command line of a guest: pure builders, no guest needed.

vng is used as a command, never as a library.  It runs with the run folder as
its working folder, so that sockets and logs have short relative names (a unix
socket's path may have 107 bytes) and the line can be pasted after a `cd`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Lane, Machine
from harness.guest.qemu import ICOUNT_MINIMUM, Qemu
from harness.guest.topology import vng_arguments

# One processor for every guest, pinned by name, version and flags, so that it
# is the same under every QEMU from 7.2 on, and under KVM: `max` grows with each
# QEMU.  Haswell is the newest Intel model of which TCG 7.2 has nearly all (AVX2,
# FMA, BMI2); the words after it take away what TCG or 7.2 lacks (so that no
# warning says so at each start) and add what selftests look for: protection
# keys, 1 GiB pages, SMAP and UMIP.  Page tables have 4 levels.
CPU = "Haswell-v2,-pcid,-invpcid,-tsc-deadline,-x2apic,-erms,+smap,+umip,+pku,+pdpe1gb,+adx"

GUEST_FOLDER = "/run/kseries"  # the job's files, shared with the host
SCRATCH_FOLDER = "/run/scratch"  # the scratch disk; commands start there

_BIN = Path(__file__).parent / "bin"

# Names in the run folder.
JOB = "job"
CONSOLE = "console.log"
LOG = "vng.log"  # what vng and QEMU say
QMP = "qmp.sock"
GDB = "gdb.sock"
SCRATCH = "scratch.img"
SCRATCH_SIZE = "4G"  # sparse: a boot that writes nothing takes a few MB
TEMPORARY = "tmp"

HUNG_TASK = 120  # seconds, the kernel's default; scaled by the slowness factor
SOFT_LOCKUP = 10  # the kernel reports at twice this
RCU_STALL = 21
# On a busy host a vCPU may not run while the kernel counts timer ticks, and it
# panics ("IO-APIC + timer doesn't work"; seen under a load of 20 on 2 cores), or
# takes the TSC for broken, which under TCG is one clock for all vCPUs.
_TCG_CLOCKS = ("no_timer_check", "tsc=reliable")


@dataclass(frozen=True)
class Host:
    """What of the host goes into the line: the programs and the accelerator."""

    vng: Path
    qemu: Qemu
    accel: str  # "kvm" or "tcg"
    slowness: float = 1.0  # boots take this many times the reference (session.py)
    tsc_khz: int | None = None  # rate of its time stamp counter, None: unknown


def find_vng() -> Path:
    """Return vng: beside this Python, else on PATH."""
    beside = Path(sys.executable).parent / "vng"
    found = str(beside) if beside.is_file() else shutil.which("vng")
    if not found:
        raise KseriesError(
            Exit.HOST,
            "virtme-ng's program vng was not found",
            hint="start through ./kseries, which installs it into .venv",
        )
    return Path(found)


def accelerator(machine: Machine, probed: str) -> str:
    """Return the accelerator of a machine: figures come from TCG alone."""
    return probed if machine.lane is Lane.TEST else "tcg"


def check_machine(machine: Machine, qemu: Qemu) -> None:
    """Raise USAGE or HOST if this machine cannot be had in its lane."""
    if machine.lane is Lane.HOST:
        raise KseriesError(Exit.USAGE, "lane HW is a real machine, not a guest")
    if machine.lane is Lane.L1 and machine.topology.cpus != 1:
        raise KseriesError(
            Exit.USAGE,
            f"lane L1 has one CPU, and this topology has {machine.topology.cpus}",
            hint="use topology 1x1, or lane L3",
        )
    if machine.lane is Lane.L3 and qemu.version < ICOUNT_MINIMUM:
        raise KseriesError(
            Exit.HOST,
            f"lane L3 needs QEMU {'.'.join(map(str, ICOUNT_MINIMUM))}, and this is {qemu.name}",
            where=str(qemu.path),
            hint="an older QEMU gives each vCPU a whole timer interval: its figures are false",
        )
    if not machine.kernel.is_file():
        raise KseriesError(
            Exit.USAGE, "this kernel image does not exist", where=str(machine.kernel)
        )


def kernel_words(
    machine: Machine, accel: str, slowness: float, tsc_khz: int | None = None
) -> list[str]:
    """Return the words for the kernel's command line, in order.

    slowness scales the kernel's own watchdogs in test guests, whose seconds a
    busy host stretches; figures must not depend on how busy the host was, so
    measuring guests all have the same line.  tsc_khz is the rate of the host's
    time stamp counter, which is the guest's under TCG unless it counts
    instructions (harness.guest.tsc).  The machine's own words come last and win.
    """
    clocks = list(_TCG_CLOCKS) if accel == "tcg" else []
    if clocks and tsc_khz and not machine.lane.icount:
        clocks.append(f"tsc_early_khz={tsc_khz}")
    # In measuring lanes vCPUs wait for each other: under icount they share one
    # stream of instructions, otherwise the host's few CPUs.
    factor = 2.0 if machine.lane.measuring else max(1.0, slowness)
    return [
        # A word that is no parameter goes into init's environment; see bin/udevadm.
        f"PATH={_BIN}",
        "nokaslr",
        # The kernel waits for timer interrupts by counting cycles; on a host whose
        # CPUs are all busy none arrives in time, and it panics before anything runs.
        "no_timer_check",
        "panic=-1",
        "loglevel=8",
        "ignore_loglevel",
        "printk.devkmsg=on",
        f"watchdog_thresh={min(60, round(SOFT_LOCKUP * factor))}",
        f"rcupdate.rcu_cpu_stall_timeout={min(300, round(RCU_STALL * factor))}",
        f"sysctl.kernel.hung_task_timeout_secs={round(HUNG_TASK * factor)}",
        "sysctl.kernel.hung_task_warnings=-1",
        "sysctl.kernel.sysrq=1",
        # An NMI that nobody knows comes from the hang ladder: say where each CPU is.
        "sysctl.kernel.unknown_nmi_panic=1",
        *clocks,
        *machine.append,
    ]


def qemu_words(machine: Machine, host: Host) -> list[str]:
    """Return the words for QEMU itself, which come last on its line."""
    words = [*host.qemu.options, "-machine", "q35", "-cpu", CPU]
    if host.accel == "kvm":
        words += ["-accel", "kvm"]
    elif machine.lane.icount:
        words += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    else:
        words += ["-accel", "tcg,thread=multi"]
    words += ["-qmp", f"unix:{QMP},server=on,wait=off"]
    if machine.scratch:
        words += [
            "-drive",
            f"if=none,id=scratch,file={SCRATCH},format=raw,cache=unsafe",
            "-device",
            "virtio-blk-pci,drive=scratch,serial=scratch",
        ]
    if machine.gdb:
        words += ["-chardev", f"socket,id=gdb,path={GDB},server=on,wait=off"]
        words += ["-gdb", "chardev:gdb"]
    return words


def vng_line(
    machine: Machine, host: Host, share: Mapping[str, Path], *, interactive: bool = False
) -> list[str]:
    """Return the vng command that runs the job in ./job (see guest.sh).

    share: guest path -> host path of more folders that the guest may write.
    interactive: a shell on the terminal after guest.sh has set the guest up.
    """
    # vng passes its words through a shell once more: quote what it does not.
    words = [str(host.vng), "--run", shlex.quote(str(machine.kernel.absolute()))]
    words += ["--name", "kseries", "--cwd", "/", "--user", "root"]
    words += ["--skip-modules", "--force-9p", "--disable-microvm", "--disable-kvm"]
    words += ["--qemu", shlex.quote(str(host.qemu.path))]
    words += vng_arguments(machine.topology)
    words += ["--rwdir", f"{GUEST_FOLDER}={JOB}"]
    for guest, folder in share.items():
        words += ["--rwdir", shlex.quote(f"{guest}={folder.absolute()}")]
    for word in kernel_words(machine, host.accel, host.slowness, host.tsc_khz):
        words += ["--append", shlex.quote(word)]
    options = qemu_words(machine, host)
    if interactive:
        # The shell has the terminal for itself; the kernel speaks to the file.
        options += ["-set", f"chardev.dmesg.path={CONSOLE}"]
        words += ["--shell", f"{GUEST_FOLDER}/shell.sh"]
    else:
        # With -v virtme-ng gives the kernel's console to stderr, where QEMU's
        # own words and the script's would run into it: give it a file.
        options += ["-set", f"chardev.console.path={CONSOLE}"]
        words += ["--verbose", "--exec", f"sh {GUEST_FOLDER}/guest.sh {GUEST_FOLDER}"]
    words.append("--qemu-opts=" + " ".join(shlex.quote(word) for word in options))
    return words


def environment(host: Host, folder: Path) -> dict[str, str]:
    """Return vng's whole environment: no setting of the user reaches a guest.

    HOME is the run folder, because ~/.config/virtme-ng may add options.
    """
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {
        "PATH": f"{host.vng.parent}:{path}",
        "HOME": str(folder),
        "TMPDIR": TEMPORARY,
        "LC_ALL": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
    }


def scratch_command() -> list[str]:
    """Return the command that makes the scratch disk in the run folder.

    Inode tables are written at once, or the guest's ext4lazyinit would write
    in the background while something is measured.
    """
    options = "lazy_itable_init=0,nodiscard"
    return ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", options, SCRATCH, SCRATCH_SIZE]


def pasteable(machine: Machine, words: list[str], host: Host, folder: Path) -> str:
    """Return the line that starts this guest again from a shell."""
    keep = f"HOME={shlex.quote(str(folder))} PATH={shlex.quote(str(host.vng.parent))}:$PATH"
    parts = [f"cd {shlex.quote(str(folder))}"]
    if machine.scratch:
        parts.append(shlex.join(scratch_command()))
    return " && ".join([*parts, f"{keep} {shlex.join(words)}"])
