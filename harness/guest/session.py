"""A watched boot: from a machine and a job to a BootResult.

run_job() is the edge where a guest really runs.  What to start is decided in
vng.py, when it counts as hung in watch.py, what it left is read by jobdir.py
and splat.py; this module only ties them to a process and a clock.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.lock import locked_slots
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.ui import Step, Ui
from harness.guest import jobdir, vng
from harness.guest.accel import find_accel
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, CommandResult, Fate, Job, Lane, Machine
from harness.guest.process import GuestProcess
from harness.guest.qemu import ICOUNT_MINIMUM, find_qemu, own_failure
from harness.guest.qmp import Qmp, QmpError
from harness.guest.slowness import Slowness
from harness.guest.splat import find_splats, panicked
from harness.guest.topocheck import verify_topology
from harness.guest.tsc import host_tsc_khz
from harness.guest.watch import Act, Signs, Watch

_TICK = 0.25  # seconds between looks
_LATER = 1.0  # the same in a boot that takes long: each look costs CPU time
_LONG = 60.0
_ASK = 10.0  # seconds between questions to QEMU in lanes without a heartbeat


def run_job(
    machine: Machine,
    job: Job,
    folder: Path,
    *,
    paths: Paths,
    ui: Ui,
    on_result: Callable[[CommandResult], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    allow: Sequence[AllowEntry] = (),
    dump: bool = False,
) -> BootResult:
    """Boot the machine, run the job's commands in it, and say what came of it.

    folder: the boot's own folder, made if missing; console.log, vng.log,
    command.txt and job/NAME.log stay in it.  on_result: called with each
    command's result as it ends; on_tick: called a few times a second, and may
    raise, which ends the guest;
    allow: splats that are excused; dump: on a hang, write the guest's memory
    to folder/vmcore before the kill.  A QEMU that broke one of its own rules
    before the guest's first command is started once more, because nothing was
    asked of the kernel yet; the result says so, and folder/first-start keeps
    what the first one left.  Raises KseriesError only for what is no matter of
    the guest (no QEMU, a machine that cannot be, usage).
    """
    once = functools.partial(
        _run_once,
        machine,
        job,
        folder,
        paths=paths,
        ui=ui,
        on_result=on_result,
        on_tick=on_tick,
        allow=allow,
        dump=dump,
    )
    first = once()
    if first.fate is not Fate.DIED or first.boot_seconds is not None:
        return first
    failure = own_failure(jobdir.read_text(folder / vng.LOG))
    if not failure or panicked(jobdir.read_text(first.console)):
        return first
    ui.warn(f"{folder.name}: QEMU itself failed, so it is started once more: {failure}")
    kept = folder / "first-start"
    kept.mkdir(exist_ok=True)
    for name in (vng.CONSOLE, vng.LOG):
        if (folder / name).exists():
            (folder / name).replace(kept / name)
    second = once()
    return replace(
        second,
        failed_start=failure,
        seconds=round(first.seconds + second.seconds, 2),
        harness_cpu_seconds=round(first.harness_cpu_seconds + second.harness_cpu_seconds, 3),
    )


def _run_once(
    machine: Machine,
    job: Job,
    folder: Path,
    *,
    paths: Paths,
    ui: Ui,
    on_result: Callable[[CommandResult], None] | None,
    on_tick: Callable[[], None] | None,
    allow: Sequence[AllowEntry],
    dump: bool,
) -> BootResult:
    """Start the guest and watch it to its end: one start of run_job()."""
    spent = time.thread_time()  # guests run side by side, a thread each
    guest = prepare(machine, folder, job, paths=paths, ui=ui)
    host = guest.host
    boot = _Boot(guest.folder, job, machine.lane, on_result, on_tick)
    watch = Watch(job, machine.lane, slowness=host.slowness, dump=dump)
    slow = Slowness(paths, host.qemu, host.accel, machine)
    label = f"boot {machine.topology.short()} ({machine.lane}, {host.accel})"
    with (
        _measuring(machine, paths, ui),
        guest_files(machine, guest.folder),
        ui.step(label) as step,
    ):
        boot.start()
        with GuestProcess(
            guest.words, env=guest.environment, cwd=guest.folder, log=guest.folder / vng.LOG
        ) as process:
            _watch(boot, watch, process, step, slow)
    console = jobdir.read_text(guest.folder / vng.CONSOLE)
    fate, cause = _verdict(boot, watch, console)
    dump_text = jobdir.read_text(boot.job_folder / "topology")
    started = boot.boot_seconds is not None
    return BootResult(
        fate=fate,
        results=tuple(jobdir.read_result(boot.job_folder, c) for c in job.commands),
        splats=find_splats(console, allow),
        console=guest.folder / vng.CONSOLE,
        running="" if fate is Fate.OK else jobdir.running(boot.job_folder, console),
        cause=cause,
        seconds=round(boot.seconds, 2),
        boot_seconds=boot.boot_seconds,
        line=guest.line,
        accel=host.accel,
        qemu=host.qemu.name,
        cpu=vng.CPU,
        topology_errors=verify_topology(dump_text, machine.topology) if started else (),
        harness_cpu_seconds=round(time.thread_time() - spent, 3),
    )


@dataclass(frozen=True)
class Guest:
    """A guest that is ready to be started in its folder."""

    folder: Path
    host: vng.Host
    words: list[str]
    environment: dict[str, str]
    line: str  # the same, to be pasted into a shell


def prepare(
    machine: Machine,
    folder: Path,
    job: Job | None = None,
    *,
    paths: Paths,
    ui: Ui,
    interactive: bool = False,
) -> Guest:
    """Check the machine against this host, lay out the folder, and return the guest.

    Raises KseriesError (HOST, USAGE) before anything is started.
    """
    job = job or Job(())
    jobdir.check_names(job.commands)
    host = _host(machine, paths, ui)
    vng.check_machine(machine, host.qemu)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (vng.CONSOLE, "vmcore"):
        (folder / name).unlink(missing_ok=True)
    jobdir.write_job(folder / vng.JOB, machine, job)
    words = vng.vng_line(machine, host, job.share, interactive=interactive)
    line = vng.pasteable(machine, words, host, folder)
    (folder / "command.txt").write_text(line + "\n")
    return Guest(folder, host, words, vng.environment(host, folder), line)


def _host(machine: Machine, paths: Paths, ui: Ui) -> vng.Host:
    qemu = find_qemu(paths, ICOUNT_MINIMUM if machine.lane is Lane.L3 else None)
    # Figures come from TCG alone, so only test guests care what KVM can do.
    accel = find_accel(paths, qemu, ui).name if machine.lane is Lane.TEST else "tcg"
    slowness = Slowness(paths, qemu, accel, machine).known()
    return vng.Host(vng.find_vng(), qemu, accel, slowness, host_tsc_khz())


@contextlib.contextmanager
def _measuring(machine: Machine, paths: Paths, ui: Ui) -> Iterator[None]:
    """Hold what a guest needs of the host if its figures count.

    Under icount QEMU runs all vCPUs on one thread and time is what it executes,
    so such guests share the host, a core each; any other has it for itself.
    """
    if not machine.lane.measuring:
        yield
        return
    cores = len(os.sched_getaffinity(0))
    wanted = 1 if machine.lane.icount else cores
    with locked_slots(paths.cache / "measuring", cores, wanted, on_wait=ui.line):
        yield


@contextlib.contextmanager
def guest_files(machine: Machine, folder: Path) -> Iterator[None]:
    """Make the scratch disk for the block, and clear what only lives with the guest."""
    temporary = folder / vng.TEMPORARY
    temporary.mkdir(exist_ok=True)
    disk = folder / vng.SCRATCH
    try:
        if machine.scratch:
            disk.unlink(missing_ok=True)
            run(vng.scratch_command(), cwd=folder, timeout=120)
        yield
    finally:
        disk.unlink(missing_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        for name in (vng.QMP, vng.GDB):
            (folder / name).unlink(missing_ok=True)


@dataclass
class _Boot:
    """What is known of one running guest."""

    folder: Path
    job: Job
    lane: Lane
    on_result: Callable[[CommandResult], None] | None
    on_tick: Callable[[], None] | None
    seconds: float = 0.0
    boot_seconds: float | None = None
    _reported: int = 0
    _console: int = -1
    _alive: float = 0.0
    _done: float | None = None
    _asked: float = 0.0
    _state: str = "running"
    _start: float = 0.0
    _wall: float = 0.0

    def start(self) -> None:
        """Start the clock."""
        self._start, self._wall = time.monotonic(), time.time()

    @property
    def job_folder(self) -> Path:
        return self.folder / vng.JOB

    def look(self) -> Signs:
        """Return the signs of life."""
        self.seconds = now = time.monotonic() - self._start
        size = _stat(self.folder / vng.CONSOLE)[0]
        if size != self._console:
            self._console, self._alive = size, now
        written = _stat(self.job_folder / "heartbeat")[1]
        # The two clocks may disagree by a little.
        beat = min(written - self._wall, now) if written else 0.0
        self._alive = max(self._alive, beat)
        if self.boot_seconds is None and (started := _stat(self.job_folder / "started")[1]):
            self.boot_seconds = round(started - self._wall, 2)
        if self.lane.measuring and now - self._asked > _ASK:
            self._asked = now
            self._state = self._query()
        if self._done is None and jobdir.is_done(self.job_folder):
            self._done = now
        name, since, limit = self._current()
        return Signs(
            now=now,
            console=size,
            alive=self._alive,
            beat=beat,
            running=name,
            running_since=since,
            running_limit=limit,
            done=self._done,
            state=self._state,
        )

    def report(self) -> None:
        """Call back for the commands that ended since the last call, in order."""
        while self._reported < len(self.job.commands):
            result = jobdir.read_result(self.job_folder, self.job.commands[self._reported])
            if result.status is None:
                return
            self._reported += 1
            if self.on_result:
                self.on_result(result)

    def _current(self) -> tuple[str, float, float]:
        if self._reported >= len(self.job.commands) or self._done is not None:
            return "", 0.0, 0.0
        written = _stat(self.job_folder / "running")[1]
        command = self.job.commands[self._reported]
        if not written:
            return "", 0.0, 0.0
        return command.name, written - self._wall, command.limit

    def _query(self) -> str:
        try:
            with Qmp(self.folder / vng.QMP) as qmp:
                return qmp.status()
        except QmpError:
            # Not there yet, or about to end: the process itself tells.
            return "running"


def _stat(path: Path) -> tuple[int, float]:
    """Return size and modification time, zeros for a missing file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0.0
    return status.st_size, status.st_mtime


def _watch(boot: _Boot, watch: Watch, process: GuestProcess, step: Step, slow: Slowness) -> None:
    """Look after the guest until it has ended or is lost."""
    while True:
        ended = process.wait(_TICK if boot.seconds < _LONG else _LATER)
        known = boot.boot_seconds is not None
        signs = boot.look()
        if not known and boot.boot_seconds is not None:
            watch.slowness = slow.learn(boot.boot_seconds)
        boot.report()
        if boot.on_tick:
            boot.on_tick()
        step.update(text=signs.running or ("" if boot.boot_seconds else "starting"))
        if ended:
            step.note = f"{boot.seconds:.0f} s"
            return
        act = watch.step(signs)
        if act is Act.KILL:
            step.note = watch.cause
            return
        if act is not Act.WAIT:
            step.update(text=f"{watch.cause}: {act}")
            _act(act, boot.folder)


def _act(act: Act, folder: Path) -> None:
    """Do one rung of the ladder; a QEMU that does not listen is no reason to stop."""
    with contextlib.suppress(QmpError), Qmp(folder / vng.QMP, 60 if act is Act.DUMP else 5) as qmp:
        if act is Act.SYSRQ:
            for key in "wl":
                qmp.sysrq(key)
                time.sleep(0.5)
        elif act is Act.NMI:
            qmp.execute("inject-nmi")
        elif act is Act.DUMP:
            qmp.dump(folder / "vmcore")


def _verdict(boot: _Boot, watch: Watch, console: str) -> tuple[Fate, str]:
    """Return the fate and its cause: only a written verdict without a panic is OK."""
    if watch.fate is not None:
        return watch.fate, watch.cause
    panic = panicked(console)
    name = jobdir.running(boot.job_folder, console)
    during = f" while {name!r} ran" if name else ""
    if panic:
        early = "" if boot.boot_seconds is not None else " before the first command"
        return Fate.DIED, f"the kernel panicked{early}{during}: {panic}"
    if jobdir.is_done(boot.job_folder):
        return Fate.OK, ""
    if boot.boot_seconds is not None:
        return Fate.DIED, f"the guest ended{during} without a verdict"
    said = jobdir.read_text(boot.folder / vng.LOG).strip().splitlines()
    last = (said or console.strip().splitlines() or ["nothing was printed"])[-1]
    return Fate.DIED, f"the guest never reached its first command; the last line: {last.strip()}"
