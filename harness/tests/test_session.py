"""run_job() with a made-up vng: the watch, the verdict and the cleaning up are real."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked_slots
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest import process, session, vng, watch
from harness.guest.job import BootResult, Command, CommandResult, Fate, Job, Lane, Machine
from harness.guest.topology import parse_topology

DUMP = Path(__file__).parent / "data" / "topology" / "1x1.txt"
GOOD = f"""
echo 'Linux version 6.18.15' >console.log
cp {DUMP} job/topology
: >job/started
"""
COMMANDS = (Command("one", "true"), Command("two", "exit 3"))


class Host:
    """A made-up host: fake() says what its vng does."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path
        self.folder = tmp_path / "run"
        self.paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
        self.kernel = tmp_path / "bzImage"
        self.kernel.touch()
        self.vng = tmp_path / "vng"

    def fake(self, body: str) -> None:
        self.vng.write_text(f"#!/bin/sh\n{body}\n")
        self.vng.chmod(0o755)

    def machine(self, lane: Lane = Lane.TEST, topology: str = "1x1") -> Machine:
        return Machine(self.kernel, parse_topology(topology), lane, scratch=False)

    def run(self, job: Job, lane: Lane = Lane.TEST, topology: str = "1x1") -> BootResult:
        self.results: list[CommandResult] = []
        return session.run_job(
            self.machine(lane, topology),
            job,
            self.folder,
            paths=self.paths,
            ui=Ui(quiet=True),
            on_result=self.results.append,
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\necho QEMU emulator version 10.0.2\n")
    qemu.chmod(0o755)
    made = Host(tmp_path)
    monkeypatch.setenv("KSERIES_QEMU", str(qemu))
    monkeypatch.setenv("KSERIES_ACCEL", "tcg")
    monkeypatch.setattr(vng, "find_vng", lambda: made.vng)
    monkeypatch.setattr(session, "_TICK", 0.02)
    monkeypatch.setattr(process, "GRACE", 0.3)
    monkeypatch.setattr(watch, "SYSRQ_WAIT", 0.1)
    monkeypatch.setattr(watch, "NMI_WAIT", 0.1)
    return made


def test_every_command_has_its_result(host: Host) -> None:
    host.fake(
        GOOD
        + """
echo '0 1.00 2.50' >job/one.status; echo hello >job/one.log; sleep 0.1
echo '3 2.50 2.60' >job/two.status; sleep 0.1
echo done >job/status; echo bye"""
    )
    result = host.run(Job(COMMANDS))
    assert result.fate is Fate.OK
    assert [(r.name, r.status, r.seconds) for r in result.results] == [
        ("one", 0, 1.5),
        ("two", 3, 0.1),
    ]
    assert tuple(host.results) == result.results
    assert result.results[0].log.read_text() == "hello\n"
    assert result.topology_errors == ()
    assert (result.accel, result.qemu, result.cpu) == ("tcg", "10.0.2", vng.CPU)
    assert result.boot_seconds is not None
    assert (result.cause, result.running) == ("", "")
    assert (host.folder / "vng.log").read_text().strip() == "bye"
    assert (host.folder / "command.txt").read_text() == result.line + "\n"
    assert not (host.folder / "tmp").exists()


def test_a_wrong_topology_is_told(host: Host) -> None:
    host.fake(GOOD + "echo done >job/status")
    assert host.run(Job(()), topology="2x1").topology_errors == (
        "the guest has the nodes [0], not 0 to 1",
    )


def test_no_verdict_means_died_whatever_else_is_there(host: Host) -> None:
    host.fake(GOOD + "echo '0 1 2' >job/one.status; echo two >job/running")
    result = host.run(Job(COMMANDS))
    assert result.fate is Fate.DIED
    assert result.running == "two"
    assert result.cause == "the guest ended while 'two' ran without a verdict"
    assert [r.status for r in result.results] == [0, None]


def test_a_panic_is_the_cause(host: Host) -> None:
    panic = "[    5.100000][    T1] Kernel panic - not syncing: boo"
    host.fake(GOOD + f"echo one >job/running; echo '{panic}' >>console.log")
    result = host.run(Job(COMMANDS))
    assert result.fate is Fate.DIED
    assert result.cause == ("the kernel panicked while 'one' ran: Kernel panic - not syncing: boo")
    assert [splat.kind for splat in result.splats] == ["panic"]


def test_a_panic_after_the_verdict_is_no_success(host: Host) -> None:
    host.fake(GOOD + "echo done >job/status; echo 'Kernel panic - not syncing: late' >>console.log")
    assert host.run(Job(())).fate is Fate.DIED


ASSERTION = "qemu-system-x86_64: hw/pci/msix.c:228: msix_table_mmio_write: Assertion `a' failed."
SAY = ASSERTION.replace("`", "\\`")
FIRST_FAILS = f"""
if [ ! -e first ]; then : >first; BEFORE; echo "{SAY}"; exit 134; fi
"""


def test_a_qemu_that_fails_by_itself_is_started_once_more(host: Host) -> None:
    host.fake(
        FIRST_FAILS.replace("BEFORE", "echo 'Linux version one' >console.log")
        + GOOD
        + "echo '0 1 2' >job/one.status; echo '0 1 2' >job/two.status; echo done >job/status"
    )
    result = host.run(Job(COMMANDS))
    assert result.fate is Fate.OK
    assert result.failed_start == ASSERTION
    assert [r.name for r in host.results] == ["one", "two"]
    assert (host.folder / "first-start" / "console.log").read_text() == "Linux version one\n"
    assert ASSERTION in (host.folder / "first-start" / "vng.log").read_text()


def test_a_qemu_that_fails_again_is_a_dead_guest(host: Host) -> None:
    host.fake(FIRST_FAILS.replace("BEFORE", ":").replace("[ ! -e first ]", "true"))
    result = host.run(Job(COMMANDS))
    assert result.fate is Fate.DIED
    assert "msix_table_mmio_write" in result.cause


@pytest.mark.parametrize(
    "before",
    [GOOD.replace("\n", "; "), "echo 'Kernel panic - not syncing: boo' >console.log"],
    ids=["after its first command", "after a panic"],
)
def test_what_may_be_the_kernels_is_not_started_again(host: Host, before: str) -> None:
    host.fake(FIRST_FAILS.replace("BEFORE", before.strip("; ")) + GOOD + "echo done >job/status")
    result = host.run(Job(()))
    assert result.fate is Fate.DIED
    assert result.failed_start == ""
    assert not (host.folder / "first-start").exists()


def test_a_guest_that_never_starts_says_why(host: Host) -> None:
    host.fake("echo 'qemu: could not do it'; exit 1")
    result = host.run(Job(COMMANDS))
    assert result.fate is Fate.DIED
    assert result.boot_seconds is None
    assert result.cause.endswith("the last line: qemu: could not do it")


def alive(name: str) -> bool:
    for stat in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if name.encode() in stat.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_a_hang_is_killed_with_everything_it_started(host: Host) -> None:
    host.fake(GOOD + "echo one >job/running; sleep 4241 & sleep 4241")
    result = host.run(Job((Command("one", "x", limit=900),), silence=0.3))
    assert result.fate is Fate.HUNG
    assert result.running == "one"
    assert "while 'one' ran" in result.cause
    assert not alive("sleep\x004241")


def test_a_guest_that_ignores_sigterm_is_killed(host: Host) -> None:
    host.fake(GOOD + "trap '' TERM HUP; while :; do sleep 4242; done")
    assert host.run(Job((), limit=0.5)).fate is Fate.LIMIT
    assert not alive("sleep\x004242")


def test_an_interrupt_leaves_nothing_behind(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.fake(GOOD + "sleep 4243 & sleep 4243")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run_job(
            host.machine(),
            Job(()),
            host.folder,
            paths=host.paths,
            ui=Ui(quiet=True),
            on_tick=lambda: interrupt(0),
        )
    assert not alive("sleep\x004243")
    assert not (host.folder / "tmp").exists()


def test_a_heartbeat_keeps_a_silent_guest_alive(host: Host) -> None:
    beats = "for i in $(seq 25); do echo $i >job/heartbeat; sleep 0.1; done\n"
    host.fake(GOOD + beats + "echo done >job/status")
    assert host.run(Job((), silence=2.0)).fate is Fate.OK


def _wait_behind(host: Host, slots: int, lane: Lane, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return how long a guest takes while another holds slots of two for half a second."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    host.fake(GOOD + "echo done >job/status")
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with locked_slots(host.paths.cache / "measuring", 2, slots):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(10)
    start = time.monotonic()
    timer = threading.Timer(0.5 if slots == 2 or not lane.icount else 5, leave.set)
    timer.start()
    assert host.run(Job(()), lane).fate is Fate.OK
    took = time.monotonic() - start
    timer.cancel()
    leave.set()
    thread.join()
    return took


def test_a_counting_guest_waits_until_it_has_the_host_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _wait_behind(host, 1, Lane.L2, monkeypatch) >= 0.5


def test_an_icount_guest_waits_for_a_core(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _wait_behind(host, 2, Lane.L1, monkeypatch) >= 0.5


def test_two_icount_guests_share_two_cores(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _wait_behind(host, 1, Lane.L1, monkeypatch) < 4


def test_what_is_no_matter_of_the_guest_is_an_error(host: Host) -> None:
    with pytest.raises(KseriesError) as caught:
        host.run(Job((Command("a", "x"), Command("a", "y"))))
    assert caught.value.code is Exit.USAGE
    assert not host.folder.exists()


@pytest.mark.parametrize("here", [signal.SIG_DFL, signal.SIG_IGN], ids=["", "nohup"])
def test_a_hangup_reaches_the_guest(host: Host, here: signal.Handlers) -> None:
    """The pty is the guest's controlling terminal: losing its master ends it."""
    host.folder.mkdir()
    host.fake("sleep 4244")
    before = signal.signal(signal.SIGHUP, here)
    try:
        guest = process.GuestProcess(
            [str(host.vng)],
            env={"PATH": os.environ["PATH"]},
            cwd=host.folder,
            log=host.root / "log",
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        for _ in range(100):
            if alive("sleep\x004244"):
                break
            time.sleep(0.02)
        os.dup2(os.open(os.devnull, os.O_RDWR), guest._master)
        # A wait ends at once with news of the pty; a busy host takes its time.
        end = time.monotonic() + 60
        while not (ended := guest.wait(1)) and time.monotonic() < end:
            time.sleep(0.05)
        assert ended
    finally:
        guest.close()
    assert not alive("sleep\x004244")
